"""Whether ExaBGP has sent what it took. Standard library only, as the relay that it is a part of.

ExaBGP's `done` means taken. That all is sent shows in the number of messages it says it has sent to its peers, which grows with each turn
of its loop for as long as there is something to send, unless a peer does not read. A flush is over when that number stands still and the
kernel has nothing left that a peer's has not acknowledged.
"""

import math
import socket
import struct
import time
from collections.abc import Iterable, Iterator
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
    """Whether something is on its way on a BGP connection with one of these addresses."""
    remote = {_as_in_proc(peer) for peer in peers}
    return any(there in remote and is_on_its_way for _, there, is_on_its_way in _connections())


def connected(pairs: Iterable[tuple[str, str]]) -> bool:
    """Whether there is a BGP connection between one of these pairs of addresses, ours first."""
    wanted = {(_as_in_proc(ours), _as_in_proc(theirs)) for ours, theirs in pairs}
    return any((here, there) in wanted for here, there, _ in _connections())


def _connections() -> Iterator[tuple[str, str, bool]]:
    """Of BGP, in our network namespace: both addresses, as the kernel shows them, and whether all that was sent is acknowledged not yet.

    See proc_net_tcp in the kernel's documentation.
    """
    for table in ("tcp", "tcp6"):
        with suppress(OSError, StopIteration), _opened(f"/proc/self/net/{table}") as connections:
            next(connections)
            for words in map(str.split, connections):
                if words[3] == _ESTABLISHED and _BGP in (words[1][-5:], words[2][-5:]):
                    yield words[1][:-5], words[2][:-5], not words[4].startswith("00000000:")


def _opened(path: str) -> TextIO:
    return open(path, encoding="ascii")  # noqa: PTH123  pathlib costs a third of the relay's start


def _as_in_proc(address: str) -> str:
    """An address as the kernel shows it there: words of 32 bits, each in the machine's order."""
    raw = socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    return "".join(f"{word:08X}" for (word,) in struct.iter_unpack("=I", raw))
