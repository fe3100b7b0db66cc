"""Routes as rtnetlink spells them. Pure: model types in, messages out; payloads in, entries out.

An IPv6 route goes through a link-local on a device, an IPv4 one ``via inet6`` through the same (RTA_VIA). Both are unicast, of universe
scope, in the main table or, on a device in a VRF, in the VRF's: rtm_table has no room for most, so these are told in RTA_TABLE. The
link-local itself is on the device, without a next hop. The metric is the caller's: one shared by many ``via inet6`` routes of a device
is quadratic in the kernel.
"""

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from socket import AF_INET, AF_INET6
from typing import NamedTuple

from l3ctl.kernel.steady import Steady
from l3ctl.kernel.wire import (
    NLM_F_APPEND,
    NLM_F_CREATE,
    NLM_F_EXCL,
    PROTOCOL,
    RTM_DELROUTE,
    RTM_GETROUTE,
    RTM_NEWROUTE,
    Columns,
    Message,
    attribute,
    attributes,
    spans,
)
from l3ctl.model import MAIN_TABLE, Address, Prefix, Route

_RT_TABLE_UNSPEC = 0
_RTN_UNSPEC, _RTN_UNICAST, RTN_BLACKHOLE = 0, 1, 6
_RT_SCOPE_NOWHERE = 255
"""in a request to delete: any"""
_RTA_DST, _RTA_OIF, _RTA_GATEWAY, _RTA_PRIORITY, _RTA_MULTIPATH, _RTA_TABLE, _RTA_VIA = 1, 4, 5, 6, 9, 15, 18

_U32 = struct.Struct("=I")
_RTMSG = struct.Struct("=8BI")
"""rtm_family, rtm_dst_len, rtm_src_len, rtm_tos, rtm_table, rtm_protocol, rtm_scope, rtm_type, rtm_flags"""
_RTNEXTHOP = struct.Struct("=HBBi")
"""rtnh_len, rtnh_flags, rtnh_hops, rtnh_ifindex"""
_ON_LINK6 = struct.Struct("=8BI HH16s HHI HHI")
_ROUTE6 = struct.Struct("=8BI HH16s HH16s HHI HHI")
_ROUTE4 = struct.Struct("=8BI HH4s HHH16s2x HHI HHI")
"""An RTA_VIA is a family and an address, 18 bytes, padded to 20."""


def pack_add(route: Route, ifindex: int) -> Message:
    """A route of ours where nothing has its prefix and metric.

    Never NLM_F_REPLACE, which matches prefix and metric but not the protocol; and without NLM_F_EXCL an IPv6 route would join what
    is there as one more path of a multipath route. One without a next hop never does, and stands beside that of another device, which
    NLM_F_EXCL would not let it: hosts on two ports may have one link-local.
    """
    on_link = route.interface and not route.next_hop
    return Message(RTM_NEWROUTE, NLM_F_CREATE | (NLM_F_APPEND if on_link else NLM_F_EXCL), _route(route, ifindex))


def columns(like: Route) -> dict[str, tuple[int, int]]:
    """Offset and width, in the payload of `pack_add`, of what differs between routes of one family that are alike.

    Alike: with or without a next hop, in the main table or not.
    """
    width = len(like.prefix.network_address.packed)
    after = _RTMSG.size + 4 + width  # RTA_DST comes first
    found = {"length": (1, 1), "destination": (_RTMSG.size + 4, width)}
    if like.next_hop is not None:
        # RTA_GATEWAY, or RTA_VIA, which names the family before the address
        found["next_hop"] = after + (4 if width == 16 else 6), 16
        after += 20 if width == 16 else 24
    if like.interface:
        found["ifindex"] = after + 4, 4
        after += 8
    found["metric"] = after + 4, 4
    if like.table != MAIN_TABLE:
        found["table"] = after + 12, 4
    return found


def pack_remove(route: Route, ifindex: int) -> Message:
    """Delete this very route: the kernel compares table, protocol, interface, next hop and metric too."""
    return Message(RTM_DELROUTE, 0, _route(route, ifindex))


def _route(route: Route, ifindex: int) -> bytes:
    if route.table == MAIN_TABLE:
        return _route_in(MAIN_TABLE, route, ifindex)
    return _route_in(_RT_TABLE_UNSPEC, route, ifindex) + attribute(_RTA_TABLE, _U32.pack(route.table))


def _route_in(table: int, route: Route, ifindex: int) -> bytes:
    prefix = route.prefix
    destination = prefix.network_address.packed
    if not route.interface:
        family = AF_INET6 if isinstance(prefix, IPv6Network) else AF_INET
        header = _RTMSG.pack(family, prefix.prefixlen, 0, 0, table, PROTOCOL, 0, RTN_BLACKHOLE, 0)
        return header + attribute(_RTA_DST, destination) + attribute(_RTA_PRIORITY, _U32.pack(route.metric))
    if route.next_hop is None:
        return _ON_LINK6.pack(
            AF_INET6, prefix.prefixlen, 0, 0, table, PROTOCOL, 0, _RTN_UNICAST, 0,
            20, _RTA_DST, destination,
            8, _RTA_OIF, ifindex,
            8, _RTA_PRIORITY, route.metric,
        )  # fmt: skip
    next_hop = route.next_hop.packed
    if isinstance(prefix, IPv6Network):
        return _ROUTE6.pack(
            AF_INET6, prefix.prefixlen, 0, 0, table, PROTOCOL, 0, _RTN_UNICAST, 0,
            20, _RTA_DST, destination,
            20, _RTA_GATEWAY, next_hop,
            8, _RTA_OIF, ifindex,
            8, _RTA_PRIORITY, route.metric,
        )  # fmt: skip
    return _ROUTE4.pack(
        AF_INET, prefix.prefixlen, 0, 0, table, PROTOCOL, 0, _RTN_UNICAST, 0,
        8, _RTA_DST, destination,
        22, _RTA_VIA, AF_INET6, next_hop,
        8, _RTA_OIF, ifindex,
        8, _RTA_PRIORITY, route.metric,
    )  # fmt: skip


steady = Steady(_RTMSG.size, {12})
"""RTA_CACHEINFO counts uses"""


def pack_delete(entry: "RouteEntry", hop: tuple[int, Address | None]) -> Message:
    """Delete one path of a route, whosever it is, as it was found: of any type and scope."""
    address = entry.prefix.network_address
    family = AF_INET6 if address.version == 6 else AF_INET
    header = _RTMSG.pack(family, entry.prefix.prefixlen, 0, 0, _RT_TABLE_UNSPEC, entry.protocol, _RT_SCOPE_NOWHERE, _RTN_UNSPEC, 0)
    said = attribute(_RTA_DST, address.packed) + attribute(_RTA_PRIORITY, _U32.pack(entry.metric))
    said += attribute(_RTA_TABLE, _U32.pack(entry.table))
    ifindex, next_hop = hop
    if ifindex and not entry.blackhole:
        said += attribute(_RTA_OIF, _U32.pack(ifindex))
    if next_hop is not None and next_hop.version == address.version:
        said += attribute(_RTA_GATEWAY, next_hop.packed)
    elif next_hop is not None:
        said += attribute(_RTA_VIA, struct.pack("=H", AF_INET6) + next_hop.packed)
    return Message(RTM_DELROUTE, 0, header + said)


ANY_TABLE = 0
"""to `pack_dump`; the kernel goes through that of its own addresses too, which has several routes for each netdev"""


def pack_dump(family: int, protocol: int, ifindex: int | None, table: int = ANY_TABLE) -> Message:
    """One table's routes of one family; of any protocol when that is 0; of any interface when that is None."""
    selected = b"" if ifindex is None else attribute(_RTA_OIF, _U32.pack(ifindex))
    selected += b"" if table == ANY_TABLE else attribute(_RTA_TABLE, _U32.pack(table))
    return Message(RTM_GETROUTE, 0, _RTMSG.pack(family, 0, 0, 0, _RT_TABLE_UNSPEC, protocol, 0, 0, 0) + selected)


def pack_lookup(address: Address) -> Message:
    """Where would a packet of this router's own go to? In whatever table, and by whomever's route."""
    family = AF_INET6 if address.version == 6 else AF_INET
    header = _RTMSG.pack(family, 8 * len(address.packed), 0, 0, _RT_TABLE_UNSPEC, 0, 0, 0, 0)
    return Message(RTM_GETROUTE, 0, header + attribute(_RTA_DST, address.packed))


def goes_out(payload: bytes) -> int:
    """The ifindex that such a packet leaves by; 0 where it leaves by none."""
    return _oif(attributes(payload, _RTMSG.size))


class RouteEntry(NamedTuple):
    """A route as found. Multipath, it has several hops; going nowhere (a blackhole, a nexthop object), one of (0, None)."""

    prefix: Prefix
    metric: int
    protocol: int
    hops: tuple[tuple[int, Address | None], ...]
    """ifindex and next hop"""
    blackhole: bool = False
    table: int = MAIN_TABLE


def key_of(payload: bytes) -> bytes:
    """Family, length, prefix and table of an RTM_NEWROUTE."""
    found = attributes(payload, _RTMSG.size)
    return payload[:2] + found.get(_RTA_DST, b"") + found[_RTA_TABLE]


def table_in(key: bytes) -> int:
    """The table that `key_of` found."""
    table: int = _U32.unpack(key[-4:])[0]
    return table


def interfaces_of(payload: bytes) -> set[int]:
    """The interfaces that an RTM_NEWROUTE leads through, unparsed; 0 for one that leads nowhere."""
    if payload[7] == RTN_BLACKHOLE:
        return {0}
    found = attributes(payload, _RTMSG.size)
    multipath = found.get(_RTA_MULTIPATH)
    return {_oif(found)} if multipath is None else {ifindex for ifindex, _ in _multipath(multipath)}


def protocol_of(payload: bytes) -> int:
    """The rtm_protocol of an RTM_NEWROUTE or RTM_DELROUTE."""
    return payload[5]


def length_of(payload: bytes) -> int:
    """The prefix length of an RTM_NEWROUTE or RTM_DELROUTE."""
    return payload[1]


def parse(payload: bytes) -> RouteEntry | None:
    """One RTM_NEWROUTE; None where it is not IPv4 or IPv6 (multicast families share the message)."""
    family, length, _, _, _, protocol, _, kind, _ = _RTMSG.unpack_from(payload)
    if family not in (AF_INET, AF_INET6):
        return None
    found = attributes(payload, _RTMSG.size)
    prefix: Prefix
    if family == AF_INET6:
        prefix = IPv6Network((found.get(_RTA_DST, bytes(16)), length))
    else:
        prefix = IPv4Network((found.get(_RTA_DST, bytes(4)), length))
    (metric,) = _U32.unpack(found.get(_RTA_PRIORITY, bytes(4)))
    multipath = found.get(_RTA_MULTIPATH)
    hops = ((_oif(found), _next_hop(found)),) if multipath is None else tuple(_multipath(multipath))
    return RouteEntry(prefix, metric, protocol, hops, kind == RTN_BLACKHOLE, _table(payload, found))


def _table(payload: bytes, found: dict[int, bytes]) -> int:
    """RTA_TABLE wins: rtm_table says RT_TABLE_COMPAT of what is larger than it."""
    table: int = _U32.unpack(found[_RTA_TABLE])[0] if _RTA_TABLE in found else payload[4]
    return table


def _multipath(raw: bytes) -> Iterator[tuple[int, Address | None]]:
    offset = 0
    while offset + _RTNEXTHOP.size <= len(raw):
        length, _, _, ifindex = _RTNEXTHOP.unpack_from(raw, offset)
        if length < _RTNEXTHOP.size:
            return
        yield ifindex, _next_hop(attributes(raw[offset : offset + length], _RTNEXTHOP.size))
        offset += (length + 3) & ~3


def _oif(found: dict[int, bytes]) -> int:
    index: int = _U32.unpack(found.get(_RTA_OIF, bytes(4)))[0]
    return index


def _next_hop(found: dict[int, bytes]) -> Address | None:
    raw = found[_RTA_VIA][2:] if _RTA_VIA in found else found.get(_RTA_GATEWAY, b"")
    if len(raw) == 16:
        return IPv6Address(raw)
    return IPv4Address(raw) if len(raw) == 4 else None


def kind(route: Route) -> object:
    """What routes have in common that the kernel tells of alike, but for `values`."""
    return Route, route.prefix.version, route.next_hop is None, route.table


def values(route: Route, ifindex: int) -> dict[bytes, bytes]:
    """What differs between these."""
    prefix, next_hop = route.prefix, route.next_hop
    return {
        b"ifindex": _U32.pack(ifindex),
        b"length": bytes([prefix.prefixlen]),
        b"destination": prefix.network_address.packed,
        b"metric": _U32.pack(route.metric),
        b"next_hop": b"" if next_hop is None else next_hop.packed,
    }


def spelling(payload: bytes) -> tuple[object, Columns] | None:
    """Of a route of ours, of one path through a netdev, its kind, and where its values stand; None of any other."""
    entry = parse(payload)
    at = spans(payload, _RTMSG.size)
    if entry is None or entry.protocol != PROTOCOL or entry.blackhole or len(entry.hops) != 1:
        return None
    if _RTA_MULTIPATH in at or not {_RTA_DST, _RTA_OIF, _RTA_PRIORITY} <= at.keys():
        return None
    ((_, next_hop),) = entry.hops
    columns = {b"ifindex": at[_RTA_OIF], b"length": (1, 1), b"destination": at[_RTA_DST], b"metric": at[_RTA_PRIORITY]}
    if _RTA_VIA in at:
        offset, length = at[_RTA_VIA]
        columns[b"next_hop"] = offset + 2, length - 2
    elif _RTA_GATEWAY in at:
        columns[b"next_hop"] = at[_RTA_GATEWAY]
    return (Route, entry.prefix.version, next_hop is None, entry.table), columns
