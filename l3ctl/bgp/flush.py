"""Whether ExaBGP has sent what it took. Standard library only, as the relay that it is a part of.

ExaBGP's `done` means taken. That all is sent shows in the number of messages it says it has sent to its peers, which grows with each turn
of its loop for as long as there is something to send, unless a peer does not read. A flush is over when that number stands still and the
kernel has nothing left that a peer's has not acknowledged.
"""

import math
import socket
import struct
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import TextIO

_ESTABLISHED, _BGP = "01", ":00B3"
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
        self._patient = False

    def begin(self, *, patient: bool) -> None:
        """Look until the numbers stand still, from now on. `patient`: and until all is acknowledged, however long a peer does not read."""
        self._patient = patient
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
        if self.sent == self._before and not (self._patient and unacknowledged(self.sent)):
            self.give_up()
            return True
        self._before = dict(self.sent)
        self._counts_from = self.look_at = now + TURN
        return False


def unacknowledged(peers: Iterable[str]) -> bool:
    """Whether something is on its way on a BGP connection with one of these addresses (proc_net_tcp in the kernel's documentation)."""
    remote = {_as_in_proc(peer) for peer in peers}
    for table in ("tcp", "tcp6"):
        with suppress(OSError, StopIteration), _opened(f"/proc/self/net/{table}") as connections:
            next(connections)
            for words in map(str.split, connections):
                is_bgp = _BGP in (words[1][-5:], words[2][-5:])
                if is_bgp and words[2][:-5] in remote and words[3] == _ESTABLISHED and not words[4].startswith("00000000:"):
                    return True
    return False


def _opened(path: str) -> TextIO:
    return open(path, encoding="ascii")  # noqa: PTH123  pathlib costs a third of the relay's start


def _as_in_proc(address: str) -> str:
    """An address as the kernel shows it there: words of 32 bits, each in the machine's order."""
    raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", raw))
