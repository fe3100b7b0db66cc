"""Whether a netdev has just what is wanted there, told by the bytes in which the kernel says it.

To understand what 10,000 ports have takes seconds, and nearly always comes to what was wanted. So a few messages of the kernel's own are
understood, and of all others it is asked only whether they are these with another interface, address, MAC, prefix, next hop or metric in
their places. How the kernel writes is learnt in each look and nothing of it taken for granted: what reads otherwise is understood, as
before. Whether an entry is wanted on this netdev or on another is not looked at: whoever asks has those of one port, which has one.
"""

from collections.abc import Collection
from typing import Protocol, TypeVar

from l3ctl.kernel import addresses, neighbours, routes
from l3ctl.kernel.found import Look
from l3ctl.kernel.wire import HEADER, Columns, messages
from l3ctl.model import GatewayAddress, Neighbour, PortState, Route

E = TypeVar("E", GatewayAddress, Neighbour, Route)
C = TypeVar("C", GatewayAddress, Neighbour, Route, contravariant=True)


class _Spelling(Protocol[C]):
    """The module that knows how the kernel tells of one sort of entries."""

    def kind(self, item: C, /) -> object: ...

    def values(self, item: C, ifindex: int, /) -> dict[bytes, bytes]: ...

    def spelling(self, payload: bytes, /) -> tuple[object, Columns] | None: ...


class Likeness:
    """Of one look."""

    def __init__(self, seen: Look) -> None:
        self._entries = seen.entries()
        self._forms: dict[object, bytes] = {}
        """by what entries have in common that are written alike: a format of bytes"""

    def anything(self, ifindex: int) -> bool:
        """Whether there is anything on this netdev."""
        return ifindex in self._entries

    def holds(self, ifindex: int, wanted: PortState) -> bool:
        """Whether there is just what is wanted, of the kernel's tables, and no more. False also where only understanding it could tell."""
        here, beside, through = self._entries.get(ifindex, (b"", b"", b""))
        return (
            self._is(addresses, here, ifindex, wanted.addresses)
            and self._is(neighbours, beside, ifindex, wanted.neighbours)
            and self._is(routes, through, ifindex, wanted.routes)
        )

    def _is(self, how: _Spelling[E], row: bytes, ifindex: int, wanted: Collection[E]) -> bool:
        found = {*messages(row)}
        if len(found) != len(wanted):
            return False
        if self._told(how, ifindex, wanted) == found:
            return True
        for message in found:
            learnt = how.spelling(message[HEADER.size : int.from_bytes(message[:4], "little")])
            if learnt is not None:
                self._forms[learnt[0]] = _form(message, learnt[1])
        return self._told(how, ifindex, wanted) == found

    def _told(self, how: _Spelling[E], ifindex: int, wanted: Collection[E]) -> set[bytes] | None:
        """As the kernel would tell of these; None where it is not known how."""
        forms = [self._forms.get(how.kind(item)) for item in wanted]
        told = {form % how.values(item, ifindex) for form, item in zip(forms, wanted, strict=True) if form is not None}
        return told if len(told) == len(wanted) else None  # else one has no form yet, or two would be told of alike


def _form(message: bytes, columns: Columns) -> bytes:
    """A format that makes this message of its columns' values, and others of others."""
    pieces, at = [], 0
    for name, (offset, length) in sorted(columns.items(), key=lambda column: column[1]):
        start = HEADER.size + offset
        pieces += [message[at:start].replace(b"%", b"%%"), b"%%(%b)b" % name]
        at = start + length
    return b"".join((*pieces, message[at:].replace(b"%", b"%%")))
