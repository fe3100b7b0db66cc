"""Gateway addresses as rtnetlink spells them. Pure: model types in, messages out; payloads in, entries out.

IFA_PROTO, by which l3ctl knows its own, is of Linux 5.18: an older kernel ignores it, and would make every address look foreign.
"""

import struct
from functools import lru_cache
from ipaddress import IPv6Interface
from socket import AF_INET6
from typing import NamedTuple

from l3ctl.kernel.steady import Steady
from l3ctl.kernel.wire import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    PROTOCOL,
    RTM_DELADDR,
    RTM_GETADDR,
    RTM_NEWADDR,
    Columns,
    Message,
    attribute,
    attributes,
)
from l3ctl.model import GatewayAddress

_IFA_F_NODAD, _IFA_F_NOPREFIXROUTE = 0x02, 0x200
KERNEL_LINK_LOCAL = 3
"""IFAPROT_KERNEL_LL: the link-local the kernel makes from a netdev's MAC"""
_IFA_ADDRESS, _IFA_LOCAL, _IFA_FLAGS, _IFA_PROTO = 1, 2, 8, 11
_ALIKE = 16
"""addresses that are kept: a gateway's is the same on ten thousand netdevs"""
_U32 = struct.Struct("=I")
_IFADDRMSG = struct.Struct("=4BI")
"""ifa_family, ifa_prefixlen, ifa_flags, ifa_scope, ifa_index"""


def pack_add(address: GatewayAddress, ifindex: int) -> Message:
    """A gateway's address, usable at once: every port carries the same one, so duplicate address detection has nothing to find.

    Without the route to its prefix that an address brings else: nobody on the link but the billed hosts is to be looked for.
    """
    raw = address.address.ip.packed
    flags = _IFA_F_NODAD | (0 if address.on_link else _IFA_F_NOPREFIXROUTE)
    marks = attribute(_IFA_FLAGS, _U32.pack(flags)) + attribute(_IFA_PROTO, bytes([PROTOCOL]))
    key = _key(address, ifindex, address.address.network.prefixlen)
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, key + attribute(_IFA_LOCAL, raw) + marks)


def pack_remove(address: GatewayAddress, ifindex: int) -> Message:
    """Delete this address, whosever it is: the kernel does not compare IFA_PROTO. Ask first."""
    return Message(RTM_DELADDR, 0, _key(address, ifindex, address.address.network.prefixlen))


def pack_ask(address: GatewayAddress, ifindex: int) -> Message:
    """Ask for one address; under strict checking without its prefix length."""
    return Message(RTM_GETADDR, 0, _key(address, ifindex, 0))


def _key(address: GatewayAddress, ifindex: int, length: int) -> bytes:
    return _IFADDRMSG.pack(AF_INET6, length, 0, 0, ifindex) + attribute(_IFA_ADDRESS, address.address.ip.packed)


steady = Steady(_IFADDRMSG.size, {6})
"""IFA_CACHEINFO has ages"""


def pack_dump(ifindex: int | None) -> Message:
    """All IPv6 addresses, or those of one interface."""
    return Message(RTM_GETADDR, 0, _IFADDRMSG.pack(AF_INET6, 0, 0, 0, ifindex or 0))


class AddressEntry(NamedTuple):
    """An interface's IPv6 address as found."""

    ifindex: int
    address: IPv6Interface
    protocol: int
    on_link: bool


def parse(payload: bytes) -> AddressEntry | None:
    """One RTM_NEWADDR; None where it is not IPv6."""
    family, length, _, _, ifindex = _IFADDRMSG.unpack_from(payload)
    found = attributes(payload, _IFADDRMSG.size)
    raw = found.get(_IFA_LOCAL) or found.get(_IFA_ADDRESS)
    if family != AF_INET6 or raw is None:
        return None
    (flags,) = _U32.unpack(found.get(_IFA_FLAGS, bytes(4)))
    return AddressEntry(ifindex, _interface(raw, length), found.get(_IFA_PROTO, b"\0")[0], not flags & _IFA_F_NOPREFIXROUTE)


@lru_cache(_ALIKE)
def _interface(raw: bytes, length: int) -> IPv6Interface:
    return IPv6Interface((raw, length))


def kind(address: GatewayAddress) -> object:
    """What addresses have in common that the kernel tells of alike, but for `values`."""
    return address.address, address.on_link


def values(_: GatewayAddress, ifindex: int) -> dict[bytes, bytes]:
    """What differs between these."""
    return {b"ifindex": _U32.pack(ifindex)}


def spelling(payload: bytes) -> tuple[object, Columns] | None:
    """Of an address of ours its kind, and where its values stand; None of any other."""
    entry = parse(payload)
    if entry is None or entry.protocol != PROTOCOL:
        return None
    return (entry.address, entry.on_link), {b"ifindex": (4, 4)}
