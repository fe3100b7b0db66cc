"""The order of changes, against a router simulated here: what it holds, and what must be true of it after every single step."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, ip_network
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3ctl.desired import desired, route_metric
from l3ctl.diff import diff, diff_all, goes
from l3ctl.lladdr import eui64_link_local
from l3ctl.model import (
    Announcement,
    Change,
    GatewayAddress,
    Host,
    LinkFacts,
    Neighbour,
    PathAttributes,
    Port,
    PortPolicy,
    PortState,
    Prefix,
    Route,
    Settings,
    Verb,
)

SETTINGS = Settings(gateway_ipv6=(IPv6Address("fe80::1"),), gateway_ipv4=(IPv4Address("192.0.2.1"),))
NETDEVS = ("p0", "p1", "p2", "p3")
PREFIXES: tuple[Prefix, ...] = tuple(
    map(ip_network, ("2001:db8:11::/48", "2001:db8:11:1::/64", "2001:db8:12::/64", "2001:db8:13::7/128", "192.0.2.11/32", "192.0.2.12/32"))
)
MACS = ("52:54:00:0a:00:0b", "52:54:00:0a:00:0c", "52:54:00:0a:00:0d")
Links = Mapping[str, LinkFacts]


@dataclass
class World:
    """What a router holds. Routes are the kernel's: one for a prefix and metric."""

    links: Links
    policies: dict[str, PortPolicy] = field(default_factory=dict)
    addresses: set[GatewayAddress] = field(default_factory=set)
    neighbours: set[Neighbour] = field(default_factory=set)
    routes: set[Route] = field(default_factory=set)
    wishes: dict[str, set[Announcement]] = field(default_factory=dict)

    def states(self, ports: Mapping[str, Port]) -> dict[str, PortState]:
        """As Router.states: by the port that has the interface, else by a name of its own."""
        owners = {port.interface: name for name, port in ports.items()}

        def of(name: str, interface: str) -> bool:
            return owners.get(interface, f"-{interface}") == name

        held = (*self.addresses, *self.neighbours, *self.routes)
        names = {*ports, *self.policies, *self.wishes, *(owners.get(one.interface, f"-{one.interface}") for one in held)}
        return {
            name: PortState(
                policy=self.policies.get(name),
                addresses=frozenset(one for one in self.addresses if of(name, one.interface)),
                neighbours=frozenset(one for one in self.neighbours if of(name, one.interface)),
                routes=frozenset(one for one in self.routes if of(name, one.interface)),
                announcements=frozenset(self.wishes.get(name, ())),
            )
            for name in names
        }

    def make(self, change: Change) -> None:
        item, was = change.item, change.was
        if isinstance(item, PortPolicy):
            if change.verb is Verb.REMOVE:
                del self.policies[change.port]
            else:
                assert (change.port in self.policies) == (change.verb is Verb.REPLACE)
                self.policies[change.port] = item
        elif isinstance(item, Announcement):
            wish = self.wishes.setdefault(change.port, set())
            if was is not None:
                assert isinstance(was, Announcement)
                wish.discard(was)  # unless it was withdrawn for as long as its route moves
            (wish.add if change.verb is Verb.ANNOUNCE else wish.remove)(item)
            if not wish:
                del self.wishes[change.port]
        else:
            held: set[GatewayAddress | Neighbour | Route] = {*self.addresses, *self.neighbours, *self.routes}
            if change.verb is Verb.REMOVE:
                held.remove(item)
            else:
                if change.verb is Verb.REPLACE:
                    assert isinstance(was, Neighbour | Route)
                    held.remove(was)
                if isinstance(item, Route) and item.next_hop:  # the kernel takes others beside each other, one for each netdev
                    blocking = [one for one in held if isinstance(one, Route) and (one.prefix, one.metric) == (item.prefix, item.metric)]
                    assert not blocking, f"{item} comes before {blocking} goes"
                held.add(item)
            self.addresses = {one for one in held if isinstance(one, GatewayAddress)}
            self.neighbours = {one for one in held if isinstance(one, Neighbour)}
            self.routes = {one for one in held if isinstance(one, Route)}

    def unfounded(self) -> set[tuple[str, Announcement]]:
        """Announcements without link, route, permanent neighbour or policy."""
        return {(name, one) for name, wish in self.wishes.items() for one in wish if not self._rests(name, one)}

    def _rests(self, name: str, one: Announcement) -> bool:
        policy = self.policies.get(name)
        loaded = policy is not None and any(
            host.link_local == one.host and one.prefix in host.prefixes() and policy.guard in self.links for host in policy.hosts
        )
        places = {(neighbour.interface, neighbour.address) for neighbour in self.neighbours}
        needed = [one.host, *([one.prefix.network_address] if one.prefix.version == 4 else [])]
        return loaded and any(
            route.prefix == one.prefix
            and route.next_hop == one.host
            and route.interface in self.links
            and self.links[route.interface].up
            and all((route.interface, address) in places for address in needed)
            for route in self.routes
        )


def world_of(ports: Mapping[str, Port], links: Links) -> World:
    world = World(links)
    for name, port in ports.items():
        state = desired(port, links, SETTINGS)
        if state.policy is not None:
            world.policies[name] = state.policy
        world.addresses |= state.addresses
        world.neighbours |= state.neighbours
        world.routes |= state.routes
        if state.announcements:
            world.wishes[name] = set(state.announcements)
    return world


@st.composite
def links_(draw: st.DrawFn) -> dict[str, LinkFacts]:
    found = {}
    for number, name in enumerate(NETDEVS):
        state = draw(st.sampled_from(("up", "up", "up", "no carrier", "admin down", "missing")))
        lladdr = f"02:00:00:00:00:0{draw(st.integers(1, 2))}"
        if state != "missing":
            found[name] = LinkFacts(name, number + 2, lladdr, "tun", state != "admin down", state == "up", 1500)
    return found


@st.composite
def inventories(draw: st.DrawFn) -> dict[str, Port]:
    """Up to three ports, each on a netdev of its own and some with a guard elsewhere; every prefix at one host, or nobody's."""
    interfaces = draw(st.permutations(NETDEVS))
    names = draw(st.sets(st.sampled_from(("a", "b", "c"))))
    macs = {name: draw(st.lists(st.sampled_from(MACS), min_size=1, max_size=2, unique=True)) for name in sorted(names)}
    hosts = [(name, mac) for name, those in macs.items() for mac in those]
    billed = {prefix: draw(st.sampled_from([None, *hosts])) for prefix in PREFIXES}
    link_locals = {
        owner: draw(st.sampled_from((eui64_link_local(owner[1]), eui64_link_local("52:54:00:0b" + owner[1][11:])))) for owner in hosts
    }
    ports = {}
    for name, interface in zip(sorted(names), interfaces, strict=False):
        guard = draw(st.sampled_from((interface, interface, "p3"))) if interface != "p3" else "p3"
        found = tuple(
            Host(
                lladdr=mac,
                link_local=link_locals[name, mac],
                ipv6=tuple(prefix for prefix in PREFIXES if billed[prefix] == (name, mac) and prefix.version == 6),
                ipv4=tuple(prefix.network_address for prefix in PREFIXES if billed[prefix] == (name, mac) and prefix.version == 4),
            )
            for mac in macs[name]
        )
        attributes = draw(st.sampled_from((PathAttributes(), PathAttributes(med=5))))
        vlan_id = 11 if guard != interface else None
        ports[name] = Port(name, interface, guard, vlan_id, found, announce=draw(st.integers(0, 5)) > 0, attributes=attributes)
    return ports


@st.composite
def rewired(draw: st.DrawFn, ports: Mapping[str, Port]) -> dict[str, Port]:
    """The same ports on other netdevs."""
    netdevs = draw(st.permutations(NETDEVS))
    return {name: replace(port, interface=one, guard=one, vlan_id=None) for (name, port), one in zip(ports.items(), netdevs, strict=False)}


@st.composite
def injured(draw: st.DrawFn, world: World) -> World:
    """The same with things missing or replaced by hand, as far as a kernel allows."""

    def some(items: set) -> set:  # type: ignore[type-arg]
        listed = sorted(items, key=str)
        return {one for one in listed if draw(st.integers(0, 4))}

    routes = {
        replace(one, next_hop=IPv6Address("fe80::bad")) if not draw(st.integers(0, 6)) else one for one in sorted(world.routes, key=str)
    }
    neighbours = {replace(one, lladdr=MACS[0]) if not draw(st.integers(0, 6)) else one for one in sorted(world.neighbours, key=str)}
    policies = {name: policy for name, policy in sorted(world.policies.items()) if draw(st.integers(0, 4))}
    return World(world.links, policies, some(world.addresses), some(neighbours), some(routes), world.wishes)


@st.composite
def situations(draw: st.DrawFn) -> tuple[World, dict[str, Port]]:
    """A router that was in order under one inventory and one set of links, meets others, and has been tampered with."""
    before, after = draw(links_()), draw(links_())
    ports = draw(inventories())
    world = world_of(ports, before)
    if draw(st.booleans()):
        world = draw(injured(world))
    world.links = after
    return world, draw(st.one_of(inventories(), rewired(ports)))


def plan_of(world: World, ports: Mapping[str, Port]) -> list[Change]:
    have = world.states(ports)
    return diff_all(have, {name: desired(port, world.links, SETTINGS) for name, port in ports.items()})


@given(situations())
def test_a_plan_carried_out_leaves_exactly_what_is_wanted(situation: tuple[World, dict[str, Port]]) -> None:
    world, ports = situation
    for change in plan_of(world, ports):
        world.make(change)
    found = {name: state for name, state in world.states(ports).items() if state != PortState()}
    wanted = {name: desired(port, world.links, SETTINGS) for name, port in ports.items()}
    assert found == {name: state for name, state in wanted.items() if state != PortState()}
    assert plan_of(world, ports) == []


@settings(max_examples=500)
@given(situations())
def test_nothing_that_rests_firmly_is_left_announced_without_its_ground_after_any_step(situation: tuple[World, dict[str, Port]]) -> None:
    world, ports = situation
    unfounded = world.unfounded()
    for change in plan_of(world, ports):
        world.make(change)
        now = world.unfounded()
        assert now <= unfounded, f"after {change} of {change.port}"
        unfounded = now
    assert not unfounded


@given(situations())
def test_what_goes_goes_before_anything_comes_whatever_the_port(situation: tuple[World, dict[str, Port]]) -> None:
    world, ports = situation
    going = [goes(change) for change in plan_of(world, ports)]
    assert going == sorted(going, reverse=True)


@given(inventories(), links_())
def test_what_is_as_it_should_be_needs_no_change(ports: dict[str, Port], links: dict[str, LinkFacts]) -> None:
    for name, port in ports.items():
        state = desired(port, links, SETTINGS)
        assert diff(name, state, state) == []
    world = world_of(ports, links)
    assert plan_of(world, ports) == []


@given(situations())
def test_a_plan_does_not_depend_on_the_order_of_anything(situation: tuple[World, dict[str, Port]]) -> None:
    world, ports = situation
    backwards = dict(reversed(ports.items()))
    assert plan_of(world, ports) == plan_of(world, backwards)


LINK_LOCAL, OTHER = IPv6Address("fe80::5"), IPv6Address("fe80::6")


def route(interface: str = "p0", prefix: str = "2001:db8:11::/64", next_hop: IPv6Address = LINK_LOCAL) -> Route:
    network = ip_network(prefix)
    return Route(interface, network, next_hop, route_metric(network))


def neighbour(address: str = "fe80::5", lladdr: str = MACS[0]) -> Neighbour:
    network = ip_network(address)
    return Neighbour("p0", network.network_address, lladdr)


def announcement(prefix: str = "2001:db8:11::/64", host: IPv6Address = LINK_LOCAL) -> Announcement:
    return Announcement(ip_network(prefix), host)


def told(changes: list[Change]) -> list[str]:
    return [str(change) for change in changes]


def policy(port: str = "a") -> PortPolicy:
    links = {"p0": LinkFacts("p0", 2, "02:00:00:00:00:01", "tun", True, True, 1500)}
    found = desired(Port(port, "p0", "p0", None, (Host(MACS[0], LINK_LOCAL),)), links, SETTINGS).policy
    assert found is not None
    return found


FULL = PortState(
    policy(),
    frozenset({GatewayAddress("p0", IPv6Interface("fe80::1/64"))}),
    frozenset({neighbour(), neighbour("192.0.2.11")}),
    frozenset({route(), route(prefix="192.0.2.11/32")}),
    frozenset({announcement(), announcement("192.0.2.11/32")}),
)


def kinds(changes: list[Change]) -> Iterator[tuple[Verb, str]]:
    listed = [(change.verb, type(change.item).__name__) for change in changes]
    yield listed[0]
    yield from (after for before, after in pairwise(listed) if before != after)


def test_a_port_comes_up_as_policy_address_neighbours_routes_announcements() -> None:
    assert list(kinds(diff("a", PortState(), FULL))) == [
        (Verb.ADD, "PortPolicy"),
        (Verb.ADD, "GatewayAddress"),
        (Verb.ADD, "Neighbour"),
        (Verb.ADD, "Route"),
        (Verb.ANNOUNCE, "Announcement"),
    ]


def test_a_port_goes_as_announcements_routes_policy_neighbours_address() -> None:
    assert list(kinds(diff("a", FULL, PortState()))) == [
        (Verb.WITHDRAW, "Announcement"),
        (Verb.REMOVE, "Route"),
        (Verb.REMOVE, "PortPolicy"),
        (Verb.REMOVE, "Neighbour"),
        (Verb.REMOVE, "GatewayAddress"),
    ]


CASES = [
    (
        "a neighbour of another MAC is replaced where it is",
        "neighbours",
        {neighbour(lladdr=MACS[1])},
        {neighbour()},
        ["replace " + str(neighbour())],
    ),
    ("a route through another host is replaced", "routes", {route(next_hop=OTHER)}, {route()}, ["replace " + str(route())]),
    (
        "a netdev that moved into a VRF has its route there, and none where it was",
        "routes",
        {route()},
        {replace(route(), table=70_000)},
        ["remove " + str(route()), f"add {route()} table 70000"],
    ),
    (
        "of two in two tables the one that is wanted stays as it is",
        "routes",
        {route(), replace(route(), table=10)},
        {replace(route(), table=10)},
        ["remove " + str(route())],
    ),
    (
        "a route of another metric is another route",
        "routes",
        {replace(route(), metric=7)},
        {route()},
        ["remove " + str(route()), "add " + str(route())],
    ),
    (
        "of two paths under one key the wanted one stays",
        "routes",
        {route(), route(next_hop=OTHER)},
        {route()},
        ["remove " + str(route(next_hop=OTHER))],
    ),
    (
        "of two wrong paths one is replaced and one removed",
        "routes",
        {route(next_hop=OTHER), route(next_hop=IPv6Address("fe80::7"))},
        {route()},
        ["remove " + str(route(next_hop=IPv6Address("fe80::7"))), "replace " + str(route())],
    ),
    (
        "two paths that are not wanted both go",
        "routes",
        {route(), route(next_hop=OTHER)},
        set(),
        ["remove " + str(route()), "remove " + str(route(next_hop=OTHER))],
    ),
]


@pytest.mark.parametrize(("part", "have", "want", "changes"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_entries_under_one_key(part: str, have: set[object], want: set[object], changes: list[str]) -> None:
    there, wanted = ({part: frozenset(items)} for items in (have, want))
    assert told(diff("a", PortState(**there), PortState(**wanted))) == changes  # type: ignore[arg-type]


def test_a_prefix_that_stays_announced_is_withdrawn_while_its_route_moves_to_another_netdev() -> None:
    announced = frozenset({announcement()})
    there, here = (PortState(routes=frozenset({route(name)}), announcements=announced) for name in ("p0", "p1"))
    assert told(diff("a", there, here)) == [
        f"withdraw {announcement()}",
        f"remove {route('p0')}",
        f"add {route('p1')}",
        f"announce {announcement()}",
    ]


def test_a_prefix_whose_route_was_only_lost_stays_announced_while_it_is_put_back() -> None:
    announced = frozenset({announcement()})
    assert told(diff("a", PortState(announcements=announced), PortState(routes=frozenset({route()}), announcements=announced))) == [
        f"add {route()}"
    ]


def test_a_prefix_moves_between_ports_in_one_plan() -> None:
    def state(interface: str) -> PortState:
        return PortState(routes=frozenset({route(interface)}), announcements=frozenset({announcement()}))

    changes = diff_all({"a": state("p0"), "b": PortState()}, {"a": PortState(), "b": state("p1")})
    assert [(change.port, str(change)) for change in changes] == [
        ("a", f"withdraw {announcement()}"),
        ("a", f"remove {route('p0')}"),
        ("b", f"add {route('p1')}"),
        ("b", f"announce {announcement()}"),
    ]
