"""Packed messages, read back by our own parsers and by pyroute2, which knows the same formats independently."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network, ip_address
from socket import AF_INET, AF_INET6
from unittest.mock import patch

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from l3ctl.kernel import addresses, bulk, links, neighbours, routes, wire
from l3ctl.lladdr import format_lladdr
from l3ctl.model import GatewayAddress, LinkFacts, Neighbour, Route

IFINDEX = st.integers(1, 2**31 - 1)
IPV6 = st.integers(0, 2**128 - 1).map(IPv6Address)
IPV4 = st.integers(0, 2**32 - 1).map(IPv4Address)
LLADDR = st.binary(min_size=6, max_size=6).map(format_lladdr)
LINK_LOCAL = st.integers(0, 2**64 - 1).map(lambda interface_id: IPv6Address(0xFE80 << 112 | interface_id))
PREFIX6 = st.tuples(IPV6, st.integers(0, 128)).map(lambda parts: IPv6Network(parts, strict=False))
NEIGHBOUR = st.builds(Neighbour, st.just("p0"), st.one_of(IPV4, IPV6), LLADDR)
TABLE = st.one_of(st.sampled_from([1, 252, 254, 255, 256, 70_000]), st.integers(1, 2**32 - 1))
ROUTE = st.builds(Route, st.just("p0"), st.one_of(PREFIX6, IPV4.map(IPv4Network)), LINK_LOCAL, st.integers(1, 2**32 - 1), TABLE)
GATEWAY = st.builds(lambda address, length: GatewayAddress("p0", IPv6Interface((address, length))), LINK_LOCAL, st.integers(0, 128))


def decoded(kind, message: wire.Message):
    raw = wire.HEADER.pack(wire.HEADER.size + len(message.payload), message.type, message.flags, 1, 0) + message.payload
    one = kind(raw)
    one.decode()
    return one


@given(NEIGHBOUR, IFINDEX, st.booleans())
def test_a_neighbour_is_permanent_ours_and_itself(neighbour: Neighbour, ifindex: int, replace: bool) -> None:
    message = neighbours.pack_add(neighbour, ifindex, replace=replace)
    assert neighbours.parse(message.payload) == (ifindex, neighbour.address, neighbour.lladdr, True, 201)
    assert message.flags == (wire.NLM_F_CREATE | (wire.NLM_F_REPLACE if replace else wire.NLM_F_EXCL))
    theirs = decoded(ndmsg, message)
    assert (theirs["ifindex"], theirs["state"], theirs["flags"]) == (ifindex, 0x80, 0)
    assert theirs["family"] == (AF_INET if neighbour.address.version == 4 else AF_INET6)
    assert ip_address(theirs.get("dst")) == neighbour.address
    assert theirs.get("lladdr") == neighbour.lladdr
    assert theirs.get("protocol") == 201


@given(NEIGHBOUR, IFINDEX)
def test_asking_for_and_removing_a_neighbour_name_its_address_and_interface_only(neighbour: Neighbour, ifindex: int) -> None:
    for message, kind in ((neighbours.pack_ask(neighbour, ifindex), 30), (neighbours.pack_remove(neighbour, ifindex), 29)):
        theirs = decoded(ndmsg, message)
        assert message.type == kind
        assert (theirs["ifindex"], ip_address(theirs.get("dst")), len(theirs["attrs"])) == (ifindex, neighbour.address, 1)


@given(ROUTE, IFINDEX)
def test_a_route_is_a_unicast_route_of_its_table_and_ours(route: Route, ifindex: int) -> None:
    message = routes.pack_add(route, ifindex)
    assert routes.parse(message.payload) == (route.prefix, route.metric, 201, ((ifindex, route.next_hop),), False, route.table)
    assert routes.protocol_of(message.payload) == 201
    assert routes.length_of(message.payload) == route.prefix.prefixlen
    theirs = decoded(rtmsg, message)
    assert (theirs["dst_len"], theirs["proto"], theirs["type"], theirs["scope"]) == (route.prefix.prefixlen, 201, 1, 0)
    assert (theirs["table"], theirs.get_attr("RTA_TABLE")) == ((254, None) if route.table == 254 else (0, route.table))
    assert (ip_address(theirs.get("dst")), theirs.get("oif"), theirs.get("priority")) == (
        route.prefix.network_address,
        ifindex,
        route.metric,
    )
    if route.prefix.version == 6:
        assert (theirs["family"], ip_address(theirs.get("gateway")), theirs.get("via")) == (AF_INET6, route.next_hop, None)
    else:
        assert (theirs["family"], theirs.get("gateway")) == (AF_INET, None)
        assert theirs.get("via")["family"] == AF_INET6
        assert ip_address(theirs.get("via")["addr"]) == route.next_hop


@given(ROUTE, IFINDEX)
def test_a_route_is_never_added_over_another_and_removed_by_all_it_has(route: Route, ifindex: int) -> None:
    added, removed = routes.pack_add(route, ifindex), routes.pack_remove(route, ifindex)
    assert added.flags == wire.NLM_F_CREATE | wire.NLM_F_EXCL
    assert (removed.type, removed.payload) == (wire.RTM_DELROUTE, added.payload)


@given(GATEWAY, IFINDEX)
def test_a_gateway_address_is_ours_and_usable_at_once(gateway: GatewayAddress, ifindex: int) -> None:
    message = addresses.pack_add(gateway, ifindex)
    assert addresses.parse(message.payload) == (ifindex, gateway.address, 201, False)
    theirs = decoded(ifaddrmsg, message)
    assert (theirs["family"], theirs["prefixlen"], theirs["index"]) == (AF_INET6, gateway.address.network.prefixlen, ifindex)
    assert ip_address(theirs.get("address")) == ip_address(theirs.get("local")) == gateway.address.ip
    assert theirs.get("flags") == 0x202, "no duplicate address detection, no route to the prefix"
    assert theirs.get("proto") == 201


def test_every_path_of_a_multipath_route_is_read() -> None:
    source = rtmsg()
    source["family"], source["dst_len"], source["proto"], source["table"] = AF_INET6, 64, 201, 254
    hops = [
        {"oif": index, "hops": 0, "flags": 0, "attrs": [("RTA_GATEWAY", f"fe80::{index}")]}
        for index in (3, 7)
    ]  # fmt: skip
    source["attrs"] = [("RTA_DST", "2001:db8::"), ("RTA_PRIORITY", 201), ("RTA_MULTIPATH", hops)]
    source.encode()
    entry = routes.parse(bytes(source.data)[wire.HEADER.size :])
    assert entry == (IPv6Network("2001:db8::/64"), 201, 201, ((3, IPv6Address("fe80::3")), (7, IPv6Address("fe80::7"))), False, 254)


@pytest.mark.parametrize(
    ("flags", "operstate", "admin_up", "up"),
    [
        (0x1 | 0x10000, 6, True, True),  # up, carrier
        (0x1, 2, True, False),  # up, no carrier
        (0x1 | 0x10000, 0, True, True),  # a driver that never says: carrier is in IFF_LOWER_UP
        (0x1, 0, True, False),
        (0x1 | 0x10000, 5, True, False),  # dormant: the link waits for 802.1X
        (0, 2, False, False),
        (0, 6, False, False),  # administratively down counts, whatever the driver says
    ],
)
def test_a_link_is_up_with_carrier_only(flags: int, operstate: int, admin_up: bool, up: bool) -> None:
    source = ifinfmsg()
    source["index"], source["flags"] = 9, flags
    source["attrs"] = [
        ("IFLA_IFNAME", "eth1.11"),
        ("IFLA_MTU", 1500),
        ("IFLA_OPERSTATE", next(name for name, number in OPERSTATES.items() if number == operstate)),
        ("IFLA_ADDRESS", "52:54:00:0a:00:0b"),
        ("IFLA_LINKINFO", {"attrs": [("IFLA_INFO_KIND", "vlan")]}),
    ]
    source.encode()
    facts = links.parse_link(bytes(source.data)[wire.HEADER.size :])
    assert facts == LinkFacts("eth1.11", 9, "52:54:00:0a:00:0b", "vlan", admin_up, up, 1500)


@pytest.mark.parametrize(
    ("kind", "data", "table"),
    [
        ("vrf", wire.attribute(1, (70_000).to_bytes(4, "little")), 70_000),
        ("vrf", wire.attribute(1, (10).to_bytes(4, "little")), 10),
        ("bridge", wire.attribute(1, b"\3"), 254),  # IFLA_BRPORT_STATE has the number of IFLA_VRF_PORT_TABLE
        ("bond", b"", 254),
        (None, b"", 254),
    ],
)
def test_a_netdev_in_a_vrf_tells_its_table(kind: str | None, data: bytes, table: int) -> None:
    info = wire.attribute(1, b"veth\0")
    if kind is not None:
        info += wire.attribute(4, kind.encode() + b"\0") + wire.attribute(5 | 0x8000, data)
    payload = bytes(4) + (9).to_bytes(4, "little") + bytes(8)
    payload += wire.attribute(3, b"p0\0") + wire.attribute(4, (1500).to_bytes(4, "little")) + wire.attribute(18 | 0x8000, info)
    for facts in (links.parse_link(payload), links.parse_event(payload)):
        assert facts is not None
        assert (facts.name, facts.kind, facts.table) == ("p0", "veth", table)


def found_by_the_kernel(rtm_table: int, table: int) -> bytes:
    """What it says of a route: both fields."""
    header = bytes([AF_INET6, 64, 0, 0, rtm_table, 201, 0, 1]) + bytes(4)
    return header + wire.attribute(15, table.to_bytes(4, "little")) + wire.attribute(1, IPv6Address("2001:db8::").packed)


@pytest.mark.parametrize(("rtm_table", "table"), [(254, 254), (10, 10), (252, 70_000), (252, 252)])
def test_of_two_fields_that_tell_a_table_the_larger_one_is_believed(rtm_table: int, table: int) -> None:
    payload = found_by_the_kernel(rtm_table, table)
    entry = routes.parse(payload)
    assert entry is not None
    assert (entry.table, routes.table_in(routes.key_of(payload))) == (table, table)


def test_routes_of_one_prefix_in_two_tables_have_two_keys() -> None:
    assert routes.key_of(found_by_the_kernel(254, 254)) != routes.key_of(found_by_the_kernel(252, 70_000))


@pytest.mark.parametrize(("table", "told"), [(0, None), (254, 254), (70_000, 70_000)])
def test_a_dump_is_of_one_table_or_of_any(table: int, told: int | None) -> None:
    theirs = decoded(rtmsg, routes.pack_dump(AF_INET6, 201, 7, table))
    assert (theirs["table"], theirs.get_attr("RTA_TABLE"), theirs.get("oif"), theirs["proto"]) == (0, told, 7, 201)


@given(ROUTE, IFINDEX, st.integers(0, 255))
def test_anothers_route_is_deleted_in_its_own_table(route: Route, ifindex: int, protocol: int) -> None:
    entry = routes.RouteEntry(route.prefix, route.metric, protocol, ((ifindex, route.next_hop),), False, route.table)
    theirs = decoded(rtmsg, routes.pack_delete(entry, entry.hops[0]))
    assert (theirs["table"], theirs.get_attr("RTA_TABLE"), theirs["proto"], theirs.get("oif")) == (0, route.table, protocol, ifindex)


OPERSTATES = {"UNKNOWN": 0, "DOWN": 2, "DORMANT": 5, "UP": 6}


def test_a_refusal_carries_the_kernels_words() -> None:
    words = b"Nexthop has invalid gateway\0"
    payload = (-113).to_bytes(4, "little", signed=True) + bytes(wire.HEADER.size) + wire.attribute(1, words)
    told = wire.Received(wire.NLMSG_ERROR, wire.NLM_F_ACK_TLVS, 1, payload)
    assert wire.refusal(told) == (113, "Nexthop has invalid gateway")
    assert wire.refusal(told._replace(flags=0)) == (113, "")
    assert wire.refusal(told._replace(payload=bytes(20))) is None


@given(st.lists(st.tuples(st.integers(16, 40), st.binary(max_size=40))))
def test_a_datagram_is_split_into_the_messages_it_was_joined_from(parts: list[tuple[int, bytes]]) -> None:
    datagram = b"".join(
        wire.HEADER.pack(wire.HEADER.size + len(payload), kind, 0, number, 0) + payload + bytes(-len(payload) % 4)
        for number, (kind, payload) in enumerate(parts)
    )
    assert [(one.type, one.payload) for one in wire.split(datagram)] == parts


@given(st.dictionaries(st.integers(0, 0x3FFF), st.binary(max_size=40)))
def test_attributes_are_read_back(parts: dict[int, bytes]) -> None:
    assert wire.attributes(b"".join(wire.attribute(kind, value) for kind, value in parts.items()), 0) == parts


@given(st.binary(max_size=200))
def test_what_is_cut_short_ends_a_walk_and_yields_no_more_than_was_there(raw: bytes) -> None:
    assert sum(len(value) + 4 for value in wire.attributes(raw, 0).values()) <= len(raw)
    assert sum(len(one.payload) + wire.HEADER.size for one in wire.split(raw)) <= len(raw)


def requests(messages: list[wire.Message], first: int) -> bytes:
    """What a socket sends of them."""
    raw = b""
    for number, (kind, flags, payload) in enumerate(messages):
        flags |= wire.NLM_F_REQUEST | (wire.NLM_F_ACK if number == len(messages) - 1 else 0)
        raw += wire.HEADER.pack(16 + len(payload), kind, flags, first + number, 0) + payload + bytes(-len(payload) % 4)
    return raw


def check_sends(group: bulk.Uniform, alone: list[wire.Message], most: int, first: int) -> None:
    sent = [bytes(raw) for raw in group.sends(most, first)]
    assert sent == [requests(alone[start : start + most], first + start) for start in range(0, len(alone), most)]


FIRST = st.integers(0, (1 << 32) - 20)
FEW = st.integers(1, 21)


@given(st.lists(st.tuples(NEIGHBOUR, IFINDEX), min_size=1, max_size=20), FIRST, FEW, FEW)
def test_neighbours_packed_together_are_those_packed_one_by_one(
    listed: list[tuple[Neighbour, int]], first: int, most: int, together: int
) -> None:
    items, ifindexes = [one for one, _ in listed], [ifindex for _, ifindex in listed]
    seen = []
    with patch.object(bulk, "_TOGETHER", together):
        groups = list(bulk.uniform_neighbours(items, ifindexes))
    for group in groups:
        alone = [neighbours.pack_add(items[place], ifindexes[place], replace=False) for place in group.places]
        check_sends(group, alone, most, first)
        seen += group.places
    assert sorted(seen) == list(range(len(items)))


ROUTES = st.one_of(
    ROUTE,
    ROUTE.map(lambda route: replace(route, table=254)),
    ROUTE.map(lambda route: replace(route, interface="", next_hop=None)),
    st.tuples(IPV6, TABLE).map(lambda at: Route("p0", IPv6Network(at[0]), None, 7, at[1])),
)


@given(st.lists(st.tuples(ROUTES, IFINDEX), min_size=1, max_size=20), FIRST, FEW, FEW)
def test_routes_packed_together_are_those_packed_one_by_one(listed: list[tuple[Route, int]], first: int, most: int, together: int) -> None:
    items, ifindexes = [one for one, _ in listed], [ifindex for _, ifindex in listed]
    seen = []
    with patch.object(bulk, "_TOGETHER", together):
        groups = list(bulk.uniform_routes(items, ifindexes))
    for group in groups:
        alone = [routes.pack_add(items[place], ifindexes[place]) for place in group.places]
        check_sends(group, alone, most, first)
        seen += group.places
    assert sorted(seen) == list(range(len(items)))


@given(st.lists(st.tuples(NEIGHBOUR, st.binary(min_size=16, max_size=16), st.booleans()), min_size=4, max_size=12), st.integers(0, 1 << 31))
def test_a_datagram_read_as_a_table_reads_as_its_messages_do(listed: list[tuple[Neighbour, bytes, bool]], sequence: int) -> None:
    """Ages and numbers are blank in both, and nothing else is."""
    raw = b""
    for neighbour, ages, _ in listed:
        payload = neighbours.pack_add(neighbour, 3, replace=False).payload + wire.attribute(3, ages)
        raw += wire.HEADER.pack(16 + len(payload), wire.RTM_NEWNEIGH, 2, sequence, 77) + payload
    one_by_one = b"".join(neighbours.steady.message(received) for received in wire.split(raw))
    table = neighbours.steady.table(raw)
    assert table in (None, one_by_one)
    assert (table is None) == (len({one.address.version for one, _, _ in listed}) > 1)
    for received, (neighbour, _, _) in zip(wire.split(one_by_one), listed, strict=True):
        assert (received.sequence, neighbours.parse(received.payload)) == (0, (3, neighbour.address, neighbour.lladdr, True, 201))


def test_a_neighbour_that_is_not_permanent_is_left_out() -> None:
    payload = bytearray(neighbours.pack_add(Neighbour("p0", IPv6Address("fe80::5"), "52:54:00:0a:00:0b"), 3, replace=False).payload)
    payload[8] = 0x02
    raw = (wire.HEADER.pack(16 + len(payload), wire.RTM_NEWNEIGH, 2, 1, 77) + payload) * 5
    assert neighbours.steady.table(raw) is None
    assert b"".join(neighbours.steady.message(received) for received in wire.split(raw)) == b""
