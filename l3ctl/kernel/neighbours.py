"""Neighbours as rtnetlink spells them. Pure: model types in, messages out; payloads in, entries out.

A message to be sent in bulk is one ``struct``: pyroute2 builds 3,000 a second, this 300,000. What is parsed is walked attribute by
attribute, since the kernel promises no order.
"""

import struct
from ipaddress import IPv4Address, IPv6Address
from socket import AF_INET, AF_INET6, AF_UNSPEC
from typing import NamedTuple

from l3ctl.kernel.steady import Steady
from l3ctl.kernel.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    PROTOCOL,
    RTM_DELNEIGH,
    RTM_GETNEIGH,
    RTM_NEWNEIGH,
    Columns,
    Message,
    attribute,
    attributes,
    spans,
)
from l3ctl.lladdr import format_lladdr, parse_lladdr
from l3ctl.model import Address, Neighbour

_NUD_PERMANENT = 0x80
_NDA_DST, _NDA_LLADDR, _NDA_IFINDEX, _NDA_PROTOCOL = 1, 2, 8, 12

_U32 = struct.Struct("=I")
_STATE = struct.Struct("=H")
_NDMSG = struct.Struct("=B3xiHBB")
"""ndm_family, ndm_ifindex, ndm_state, ndm_flags, ndm_type"""
_ENTRY6 = struct.Struct("=B3xiHBB HH16s HH6s2x HHB3x")
_ENTRY4 = struct.Struct("=B3xiHBB HH4s HH6s2x HHB3x")


def pack_add(neighbour: Neighbour, ifindex: int, *, replace: bool) -> Message:
    """A permanent entry of ours: only where there is none at all, or else whatever there is."""
    address = neighbour.address
    six = isinstance(address, IPv6Address)
    payload = (_ENTRY6 if six else _ENTRY4).pack(
        AF_INET6 if six else AF_INET, ifindex, _NUD_PERMANENT, 0, 0,
        20 if six else 8, _NDA_DST, address.packed,
        10, _NDA_LLADDR, parse_lladdr(neighbour.lladdr),
        5, _NDA_PROTOCOL, PROTOCOL,
    )  # fmt: skip
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL), payload)


def columns(like: Neighbour) -> dict[str, tuple[int, int]]:
    """Offset and width, in the payload of `pack_add`, of what differs between neighbours of one family."""
    width = len(like.address.packed)
    return {"ifindex": (4, 4), "address": (16, width), "lladdr": (20 + width, 6)}


def pack_remove(neighbour: Neighbour, ifindex: int) -> Message:
    """Delete the entry of this address, whosever it is: the kernel matches neither protocol nor MAC. Ask first."""
    return Message(RTM_DELNEIGH, 0, _key(neighbour.address, ifindex))


def pack_ask(neighbour: Neighbour, ifindex: int) -> Message:
    """Ask for the one entry of this address."""
    return Message(RTM_GETNEIGH, 0, _key(neighbour.address, ifindex))


def _key(address: Address, ifindex: int) -> bytes:
    family = AF_INET6 if isinstance(address, IPv6Address) else AF_INET
    return _NDMSG.pack(family, ifindex, 0, 0, 0) + attribute(_NDA_DST, address.packed)


steady = Steady(_NDMSG.size, {3, 4}, only=(8, _STATE.pack(_NUD_PERMANENT)))
"""NDA_CACHEINFO has ages, NDA_PROBES counts. In a flood there are a thousand learned ones for each permanent."""


def pack_dump(ifindex: int | None) -> Message:
    """All neighbours, or those of one interface; under strict checking the header's own ifindex must stay 0."""
    selected = b"" if ifindex is None else attribute(_NDA_IFINDEX, _U32.pack(ifindex))
    return Message(RTM_GETNEIGH, 0, _NDMSG.pack(AF_UNSPEC, 0, 0, 0, 0) + selected)


def is_as_we_make_them(payload: bytes) -> bool:
    """Whether an entry is permanent and no more than that: of several states at once the kernel shows them all."""
    (state,) = _STATE.unpack_from(payload, 8)
    return bool(state == _NUD_PERMANENT)


class NeighbourEntry(NamedTuple):
    """A neighbour as found. The kernel has no lladdr for one it still looks for."""

    ifindex: int
    address: Address
    lladdr: str
    permanent: bool
    protocol: int


def parse(payload: bytes) -> NeighbourEntry | None:
    """One RTM_NEWNEIGH; None where it is not of IPv4 or IPv6."""
    family, ifindex, state, _, _ = _NDMSG.unpack_from(payload)
    found = attributes(payload, _NDMSG.size)
    raw = found.get(_NDA_DST)
    if raw is None or family not in (AF_INET, AF_INET6):
        return None
    address = IPv6Address(raw) if family == AF_INET6 else IPv4Address(raw)
    protocol = found.get(_NDA_PROTOCOL, b"\0")[0]
    return NeighbourEntry(ifindex, address, format_lladdr(found.get(_NDA_LLADDR, b"")), bool(state & _NUD_PERMANENT), protocol)


def kind(neighbour: Neighbour) -> object:
    """What neighbours have in common that the kernel tells of alike, but for `values`."""
    return Neighbour, neighbour.address.version


def values(neighbour: Neighbour, ifindex: int) -> dict[bytes, bytes]:
    """What differs between these."""
    return {b"ifindex": _U32.pack(ifindex), b"address": neighbour.address.packed, b"lladdr": parse_lladdr(neighbour.lladdr)}


def spelling(payload: bytes) -> tuple[object, Columns] | None:
    """Of a permanent neighbour of ours its kind, and where its values stand; None of any other."""
    entry = parse(payload)
    at = spans(payload, _NDMSG.size)
    if entry is None or entry.protocol != PROTOCOL or not is_as_we_make_them(payload) or _NDA_LLADDR not in at:
        return None
    return (Neighbour, entry.address.version), {b"ifindex": (4, 4), b"address": at[_NDA_DST], b"lladdr": at[_NDA_LLADDR]}
