"""What should exist for a port, given what the kernel says of its netdevs."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, ip_network

import pytest

from l3ctl.desired import METRIC_IPV6, desired, desired_policy, port_policy, route_metric
from l3ctl.model import UPPER_KINDS, Announcement, GatewayAddress, Host, LinkFacts, Mode, Neighbour, Port, PortState, Route, Settings

GATEWAY = IPv6Address("fe80::1")
SETTINGS = Settings(gateway_ipv6=(GATEWAY,), gateway_ipv4=(IPv4Address("192.0.2.1"),))


def host(number: int, *prefixes: str) -> Host:
    networks = [ip_network(prefix) for prefix in prefixes]
    return Host(
        lladdr=f"52:54:00:0a:00:{number:02x}",
        link_local=IPv6Address(f"fe80::{number:x}"),
        ipv6=tuple(one for one in networks if one.version == 6),
        ipv4=tuple(one.network_address for one in networks if one.version == 4),
    )


WEB = host(11, "2001:db8:11::/64", "192.0.2.11/32")
PORT = Port("web1", "tap1", "tap1", None, (WEB,))


def link(name: str, *, admin_up: bool = True, up: bool = True, lladdr: str = "02:00:00:00:00:01", ifindex: int = 7) -> LinkFacts:
    return LinkFacts(name, ifindex, lladdr, "tun", admin_up, up, 1500)


def of(port: Port, *facts: LinkFacts, settings: Settings = SETTINGS) -> PortState:
    return desired(port, {one.name: one for one in facts}, settings)


NEIGHBOURS = {Neighbour("tap1", WEB.link_local, WEB.lladdr), Neighbour("tap1", IPv4Address("192.0.2.11"), WEB.lladdr)}
ROUTES = {
    Route("tap1", ip_network("fe80::b/128"), None, METRIC_IPV6),
    Route("tap1", ip_network("2001:db8:11::/64"), WEB.link_local, METRIC_IPV6),
    Route("tap1", ip_network("192.0.2.11/32"), WEB.link_local, int(IPv4Address("192.0.2.11"))),
}
ANNOUNCEMENTS = {
    Announcement(ip_network("2001:db8:11::/64"), WEB.link_local),
    Announcement(ip_network("192.0.2.11/32"), WEB.link_local),
}
ADDRESSES = {GatewayAddress("tap1", IPv6Interface("fe80::1/64"))}


HIDING = {
    **dict.fromkeys(("veth", "netkit", "openvswitch", "vxlan", "ifb", "macsec", "a kind that is made tomorrow"), True),
    **dict.fromkeys(("", "tun", "dummy", "vlan"), False),  # a plain NIC, a tap
    **dict.fromkeys(sorted(UPPER_KINDS), False),  # a trunk is refused there, but for a native one, which sees its tags
}


@pytest.mark.parametrize("vlan_id", [11, None])
@pytest.mark.parametrize(("kind", "hides"), HIDING.items())
def test_on_a_trunk_of_a_kind_that_is_not_known_for_its_tags_they_may_be_hidden(kind: str, hides: bool, vlan_id: int | None) -> None:
    port = replace(PORT, guard="trunk", vlan_id=vlan_id)
    links = {one.name: one for one in (link("tap1"), replace(link("trunk"), kind=kind))}
    policy = desired_policy(port, links, SETTINGS)
    assert policy is not None
    assert policy.tags_may_be_hidden == (hides and vlan_id is not None)


@pytest.mark.parametrize("own", [None, *Mode])
@pytest.mark.parametrize("mode", Mode)
def test_the_modes_of_the_ports_beside_it_are_no_part_of_a_ports_policy(mode: Mode, own: Mode | None) -> None:
    port = replace(PORT, guard="trunk", vlan_id=11, mode=own)
    links = {one.name: one for one in (link("tap1"), replace(link("trunk"), kind="veth"))}
    policy = desired_policy(port, links, replace(SETTINGS, mode=mode))
    assert policy is not None
    assert (policy.mode, policy.tags_may_be_hidden) == (own or mode, True)


def test_a_port_without_its_netdev_has_nothing() -> None:
    assert of(PORT) == PortState()
    assert of(PORT, link("tap2")) == PortState()


@pytest.mark.parametrize("missing", ["br0", "tap1"])
def test_a_port_that_lacks_either_of_two_netdevs_has_nothing(missing: str) -> None:
    port = replace(PORT, interface="br0")
    assert of(port, *(link(name) for name in ("br0", "tap1") if name != missing)) == PortState()


def test_a_port_whose_link_is_up_has_everything() -> None:
    state = of(PORT, link("tap1"))
    assert state.policy == port_policy(PORT, "02:00:00:00:00:01", SETTINGS)
    assert state.addresses == ADDRESSES
    assert state.neighbours == NEIGHBOURS
    assert state.routes == ROUTES
    assert state.announcements == ANNOUNCEMENTS


def test_without_carrier_filter_address_and_neighbours_stand_ready_and_nothing_is_routed_or_announced() -> None:
    up, down = of(PORT, link("tap1")), of(PORT, link("tap1", up=False))
    assert down == replace(up, routes=frozenset(), announcements=frozenset())


def test_administratively_down_only_the_filter_stands_because_the_kernel_takes_the_rest_away() -> None:
    up, down = of(PORT, link("tap1")), of(PORT, link("tap1", admin_up=False, up=False))
    assert down == PortState(policy=up.policy)


@pytest.mark.parametrize(("bridge_up", "tap_up", "announced"), [(True, True, True), (True, False, False), (False, True, False)])
def test_a_host_behind_a_bridge_is_announced_only_while_its_own_netdev_is_up_too(bridge_up: bool, tap_up: bool, announced: bool) -> None:
    state = of(replace(PORT, interface="br0"), link("br0", up=bridge_up), link("tap1", up=tap_up))
    assert bool(state.announcements) == announced
    assert bool(state.routes) == announced
    assert {one.interface for one in state.neighbours} == {"br0"}


def test_on_a_netdev_in_a_vrf_every_route_is_in_its_table_and_nothing_else_differs() -> None:
    facts = link("tap1")
    state, inside = of(PORT, facts), of(PORT, replace(facts, table=70_000))
    assert inside == replace(state, routes=frozenset(replace(one, table=70_000) for one in ROUTES))


def test_the_table_is_that_of_the_layer_3_netdev_and_not_of_the_guarded_one() -> None:
    port = replace(PORT, interface="br0")
    assert {one.table for one in of(port, replace(link("br0"), table=10), link("tap1")).routes} == {10}
    assert {one.table for one in of(port, link("br0"), replace(link("tap1"), table=10)).routes} == {254}


def test_a_vlan_of_a_trunk_is_routed_on_its_interface_and_filtered_on_the_trunk() -> None:
    state = of(Port("web1", "eth1.11", "eth1", 11, (WEB,)), link("eth1.11", lladdr="02:00:00:00:00:11"), link("eth1"))
    assert state.policy is not None
    assert (state.policy.guard, state.policy.vlan_id, state.policy.router_lladdr) == ("eth1", 11, "02:00:00:00:00:11")
    assert {one.interface for one in (*state.neighbours, *state.routes, *state.addresses)} == {"eth1.11"}


def test_each_of_several_hosts_is_reached_through_its_own_link_local() -> None:
    db = host(12, "2001:db8:12::/64", "192.0.2.12/32", "192.0.2.13/32")
    state = of(replace(PORT, hosts=(WEB, db)), link("tap1"))
    assert {(str(one.prefix), one.next_hop) for one in state.routes} == {
        (f"{WEB.link_local}/128", None),
        (f"{db.link_local}/128", None),
        ("2001:db8:11::/64", WEB.link_local),
        ("192.0.2.11/32", WEB.link_local),
        ("2001:db8:12::/64", db.link_local),
        ("192.0.2.12/32", db.link_local),
        ("192.0.2.13/32", db.link_local),
    }
    assert {(str(one.address), one.lladdr) for one in state.neighbours} == {
        (str(WEB.link_local), WEB.lladdr),
        ("192.0.2.11", WEB.lladdr),
        (str(db.link_local), db.lladdr),
        ("192.0.2.12", db.lladdr),
        ("192.0.2.13", db.lladdr),
    }


def test_nested_prefixes_of_a_host_are_routes_and_announcements_of_their_own() -> None:
    nested = host(11, "2001:db8:11::/48", "2001:db8:11:1::/64", "2001:db8:11:1::7/128")
    state = of(replace(PORT, hosts=(nested,)), link("tap1"))
    assert {one.prefix for one in state.announcements} == set(nested.ipv6)
    assert {(one.prefix, one.next_hop) for one in state.routes} == {
        (ip_network(nested.link_local), None),
        *((prefix, nested.link_local) for prefix in nested.ipv6),
    }


def test_a_host_with_nothing_billed_is_reached_by_its_link_local_and_no_more() -> None:
    state = of(replace(PORT, hosts=(host(11),)), link("tap1"))
    assert state.neighbours == {Neighbour("tap1", IPv6Address("fe80::b"), WEB.lladdr)}
    assert state.routes == {Route("tap1", ip_network("fe80::b/128"), None, METRIC_IPV6)}
    assert state.announcements == frozenset()


def test_only_a_link_local_gateway_becomes_an_address_of_the_port() -> None:
    settings = replace(SETTINGS, gateway_ipv6=(GATEWAY, IPv6Address("2001:db8::1")))
    state = of(PORT, link("tap1"), settings=settings)
    assert state.addresses == ADDRESSES
    assert state.policy is not None
    assert state.policy.gateways == (IPv4Address("192.0.2.1"), IPv6Address("2001:db8::1"), GATEWAY)


def test_the_order_in_which_billing_lists_things_makes_no_difference() -> None:
    one = host(11, "2001:db8:11::/64", "2001:db8:9::/64", "192.0.2.12/32", "192.0.2.11/32")
    other = replace(one, ipv6=one.ipv6[::-1], ipv4=one.ipv4[::-1])
    db = host(12)
    settings = replace(SETTINGS, gateway_ipv6=(IPv6Address("fe80::2"), GATEWAY))
    swapped = replace(settings, gateway_ipv6=settings.gateway_ipv6[::-1])
    here = of(replace(PORT, hosts=(one, db)), link("tap1"), settings=settings)
    there = of(replace(PORT, hosts=(db, other)), link("tap1"), settings=swapped)
    assert here == there


def test_every_setting_reaches_the_policy() -> None:
    settings = Settings((GATEWAY,), (), Mode.AUDIT, True, True, True, 7, 9)
    policy = of(PORT, link("tap1"), settings=settings).policy
    assert policy is not None
    assert (policy.mode, policy.source_guard, policy.router_solicitations_pass, policy.unknown_vlan_drop) == (Mode.AUDIT, True, True, True)
    assert (policy.answer_rate, policy.answer_burst) == (7, 9)


@pytest.mark.parametrize("facts", [(), (link("tap1"),), (link("tap1", up=False),), (link("tap1", admin_up=False, up=False),)])
def test_the_policy_alone_is_that_of_the_whole(facts: tuple[LinkFacts, ...]) -> None:
    links = {one.name: one for one in facts}
    assert desired_policy(PORT, links, SETTINGS) == desired(PORT, links, SETTINGS).policy


def test_the_mac_of_the_router_on_the_port_is_part_of_the_policy() -> None:
    assert of(PORT, link("tap1")).policy != of(PORT, link("tap1", lladdr="02:00:00:00:00:02")).policy


def test_ipv4_routes_of_one_device_all_differ_in_metric() -> None:
    metrics = [route_metric(ip_network(f"192.0.2.{number}/32")) for number in range(256)]
    assert len(set(metrics)) == 256
    assert {route_metric(ip_network("2001:db8::/48")), route_metric(ip_network("2001:db8:1::/64"))} == {METRIC_IPV6}


def test_a_prefix_within_another_hosts_on_the_port_is_a_route_of_its_own_through_its_own_host() -> None:
    """The kernel's longest match then sorts them; neither takes the other's place."""
    rack, containers = host(16, "2001:db8:16::/64", "2001:db8:16:0:e::/112"), host(17, "2001:db8:16:0:f::/96")
    state = of(replace(PORT, hosts=(rack, containers)), link("tap1"))
    via = {str(route.prefix): route.next_hop for route in state.routes if route.next_hop is not None}
    assert via == {
        "2001:db8:16::/64": rack.link_local,
        "2001:db8:16:0:e::/112": rack.link_local,
        "2001:db8:16:0:f::/96": containers.link_local,
    }
    assert {(str(one.prefix), one.host) for one in state.announcements} == set(via.items())
