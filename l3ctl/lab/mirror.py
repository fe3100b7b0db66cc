"""A kernel table followed by its notifications, and dumped anew now and then: a hundred looks a second at tens of thousands of entries.

The kernel sends a notification in the very step that changes the table, so a mirror that has read all of them shows what a dump would. It
is compared with one every other second all the same, because of what may go without a notification, or be displaced by another's.
"""

import errno
import time
from collections.abc import Callable

from l3ctl.errors import NetlinkFailed
from l3ctl.kernel.netlink import SOL_NETLINK, NetlinkSocket, open_route_socket
from l3ctl.kernel.steady import Steady
from l3ctl.kernel.wire import Message, split

Understand = Callable[[bytes], tuple[str, bool] | None]
"""Of a message's payload: the entry's name, and whether it is as it should be. None for what is of no interest."""
_NETLINK_ADD_MEMBERSHIP = 1
_RECEIVE_BUFFER = 64 << 20
_DATAGRAM = 65536
_READ_AT_ONCE = 100_000
_SURE = 3
_ANEW = 2.0
"""seconds between two dumps"""


class Mirror:
    """One table of the namespace the thread is in when this is made; `types` are those of its notifications: added, removed."""

    def __init__(
        self, requests: tuple[Message, ...], groups: tuple[int, ...], types: tuple[int, int], steady: Steady, understand: Understand
    ) -> None:
        self._requests, self._steady, self._understand = requests, steady, understand
        self._added, self._removed = types
        self._memory: dict[bytes, tuple[str, bool] | None] = {}
        self.corrected = 0
        """entries that a dump has shown to be otherwise"""
        self._kernel = NetlinkSocket()
        self._events = open_route_socket(_RECEIVE_BUFFER)
        self._events.setblocking(False)
        self._events.bind((0, 0))
        for group in groups:
            self._events.setsockopt(SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)
        self._names: set[str] = set()
        self._next_dump = 0.0
        self._dump()  # notifications come since before it

    def read(self) -> frozenset[str]:
        """The names of the entries that are there and as they should be."""
        if self._follow(self._names):
            self._dump()
        elif time.monotonic() >= self._next_dump:
            self.corrected += self._dump()
        return frozenset(self._names)

    def _follow(self, *followers: set[str]) -> bool:
        """Take in all notifications there are; whether any were lost."""
        lost = False
        for _ in range(_READ_AT_ONCE):
            try:
                datagram = self._events.recv(_DATAGRAM)
            except BlockingIOError:
                return lost
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise NetlinkFailed(f"notifications cannot be read: {error.strerror}") from error
                lost = True
                continue
            for received in split(datagram):
                if received.type in (self._added, self._removed) and (known := self._known(received.payload)):
                    name, right = known
                    for names in followers:
                        (names.add if right and received.type == self._added else names.discard)(name)
        return True

    def _dump(self) -> int:
        """Read all of it; how many entries were otherwise than followed. A dump of what changes may miss some: it is made again."""
        followed = self._names
        for _ in range(_SURE):
            found = [known for request in self._requests for known in self._kernel.dump(request, self._known)]
            self._names = {name for name, right in found if right}
            self._follow(followed, self._names)  # the last word on each entry holds, whatever the dump saw
            if followed == self._names:
                break
        self._next_dump = time.monotonic() + _ANEW
        return len(followed ^ self._names)

    def _known(self, payload: bytes) -> tuple[str, bool] | None:
        """What is understood of a payload, once."""
        steady = self._steady.cut(payload)
        if steady not in self._memory:
            self._memory[steady] = self._understand(payload)
        return self._memory[steady]
