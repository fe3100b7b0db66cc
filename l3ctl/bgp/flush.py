"""Whether ExaBGP has sent what it took. Standard library only, as the relay that it is a part of.

ExaBGP's `done` means taken. That all is sent shows in the number of messages it says it has sent to its peers, which grows with each turn
of its loop for as long as there is something to send. A flush is over when that number stands still.
"""

import math
import time

TURN = 0.05
"""seconds between two looks at how much ExaBGP has sent, several turns of its loop"""


class Flush:
    """One at a time. Whoever owns it asks ExaBGP for the numbers at `look_at`, and says `looked` after the answer."""

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}
        """peer -> how many messages ExaBGP has sent it"""
        self.goes_on = False
        self.look_at = math.inf
        """by the monotonic clock; infinite while nobody waits"""
        self._before: dict[str, str] | None = None
        self._counts_from = 0.0

    def begin(self) -> None:
        """Look until the numbers stand still, from now on."""
        self.goes_on, self._before, self._counts_from = True, None, 0.0
        self.look_at = time.monotonic()

    def give_up(self) -> None:
        """Nobody waits any more."""
        self.goes_on, self.look_at = False, math.inf

    def looked(self) -> bool:
        """The numbers are as ExaBGP has just said. Whether that ends the flush."""
        now = time.monotonic()
        if not self.goes_on or now < self._counts_from:  # asked for something else, too soon after the last look
            return False
        if self.sent == self._before:
            self.give_up()
            return True
        self._before = dict(self.sent)
        self._counts_from = self.look_at = now + TURN
        return False
