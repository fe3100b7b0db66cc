"""What the kernel's tables hold: what is ours, and what of others' stands where ours would go.

Ours is what carries l3ctl's protocol number; a neighbour must be permanent as well, a route in the main table.
"""

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from socket import AF_INET, AF_INET6

from l3ctl.kernel import addresses, neighbours, routes
from l3ctl.kernel.addresses import KERNEL_LINK_LOCAL
from l3ctl.kernel.neighbours import NeighbourEntry
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.routes import RouteEntry
from l3ctl.kernel.steady import digest
from l3ctl.kernel.wire import PROTOCOL
from l3ctl.model import Address, GatewayAddress, Neighbour, Prefix, Route

ASKED_SINGLY = 16
"""Up to this many interfaces a dump of each, filtered by the kernel, is cheaper than one of everything."""


@dataclass(frozen=True, slots=True)
class Foreign:
    """An entry that is another's: a permanent neighbour, or a route of a prefix that is also ours. ``text`` is for people."""

    interface: str
    place: Address | Prefix
    text: str


@dataclass(frozen=True, slots=True)
class Found:
    """What was read, in the types of what is wanted."""

    addresses: frozenset[GatewayAddress] = frozenset()
    link_locals: frozenset[GatewayAddress] = frozenset()
    """what the kernel gave to netdevs of its own accord"""
    neighbours: frozenset[Neighbour] = frozenset()
    routes: frozenset[Route] = frozenset()
    foreign: tuple[Foreign, ...] = ()


class Names(dict[int, str]):
    """Interface names by ifindex, asked for once; empty for one that is gone by now."""

    def __init__(self, kernel: NetlinkSocket) -> None:
        super().__init__()
        self._kernel = kernel

    def __missing__(self, ifindex: int) -> str:
        name = self[ifindex] = self._kernel.name_of(ifindex) or ""
        return name


@dataclass(frozen=True, slots=True)
class Look:
    """What is installed, as the kernel told it: to be compared with another look, or to be understood."""

    ifindexes: frozenset[int] | None
    """looked at; None: all"""
    addresses: list[bytes]
    neighbours: list[bytes]
    routes: list[bytes]

    def digest(self) -> bytes:
        """A name that two looks share between which nothing has changed."""
        return digest((self.addresses, self.neighbours, self.routes))


def look(kernel: NetlinkSocket, interfaces: Collection[str] | None) -> Look:
    """At everything, or at what is on these interfaces; one that does not exist has nothing."""
    wanted: frozenset[int] | None = None
    filters: list[int | None] = [None]
    if interfaces is not None:
        wanted = frozenset(ifindex for name in interfaces if (ifindex := kernel.index_of(name)) is not None)
        if len(wanted) <= ASKED_SINGLY:
            filters = [*sorted(wanted)]
    seen = Look(wanted, [], [], [])
    for ifindex in filters:
        seen.addresses.extend(kernel.dump(addresses.pack_dump(ifindex), addresses.steady))
        seen.neighbours.extend(kernel.dump(neighbours.pack_dump(ifindex), _permanent))
        for family in (AF_INET, AF_INET6):
            seen.routes.extend(kernel.dump(routes.pack_dump(family, PROTOCOL, ifindex), routes.steady))
    return seen


def understand(kernel: NetlinkSocket, seen: Look) -> Found:
    """What a look showed.

    Others' routes are looked for only when everything was looked at: one may go through any interface.
    """
    names, wanted = Names(kernel), seen.ifindexes
    address_entries = [entry for entry in map(addresses.parse, seen.addresses) if entry]
    neighbour_entries = [entry for entry in map(neighbours.parse, seen.neighbours) if entry]
    route_entries = [entry for entry in map(routes.parse, seen.routes) if entry]

    def here(ifindex: int) -> bool:
        return (wanted is None or ifindex in wanted) and names[ifindex] != ""

    def addresses_of(protocol: int) -> Iterator[GatewayAddress]:
        for one in address_entries:
            if one.protocol == protocol and here(one.ifindex):
                yield GatewayAddress(names[one.ifindex], one.address, one.on_link)

    found_neighbours: list[Neighbour] = []
    foreign: list[Foreign] = []
    for entry in neighbour_entries:
        if not here(entry.ifindex):
            continue
        name = names[entry.ifindex]
        if entry.protocol == PROTOCOL:
            found_neighbours.append(Neighbour(name, entry.address, entry.lladdr))
        else:
            foreign.append(Foreign(name, entry.address, describe_neighbour(entry, name)))
    ours = frozenset(
        Route(names[ifindex], entry.prefix, next_hop, entry.metric)
        for entry in route_entries
        for ifindex, next_hop in entry.hops
        if not entry.blackhole and here(ifindex) and (isinstance(next_hop, IPv6Address) or (next_hop is None and entry.prefix.version == 6))
    )
    if wanted is None:
        ours |= {Route("", entry.prefix, None, entry.metric) for entry in route_entries if entry.blackhole}
    prefixes = {route.prefix for route in ours}
    if wanted is None:
        rivals = routes_of(kernel, prefixes, [None], ours=False)
        foreign += (Foreign(names[rival.hops[0][0]], rival.prefix, describe_route(rival, names)) for rival in rivals)
    return Found(
        addresses=frozenset(addresses_of(PROTOCOL)),
        link_locals=frozenset(addresses_of(KERNEL_LINK_LOCAL)),
        neighbours=frozenset(found_neighbours),
        routes=ours,
        foreign=tuple(foreign),
    )


def _permanent(payload: bytes) -> bytes | None:
    return neighbours.steady(payload) if neighbours.is_permanent(payload) else None


def routes_of(kernel: NetlinkSocket, prefixes: Collection[Prefix], ifindexes: Iterable[int | None], *, ours: bool) -> Iterator[RouteEntry]:
    """Our routes, or others', of these prefixes, on these interfaces or, for None, on any.

    Most routes of a router that carries the whole table have a length that none of ours has, and are passed over by it.
    """
    for family, version in ((AF_INET, 4), (AF_INET6, 6)):
        lengths = {prefix.prefixlen for prefix in prefixes if prefix.version == version}

        def of_these(payload: bytes, lengths: Collection[int] = lengths) -> RouteEntry | None:
            if routes.length_of(payload) not in lengths or (routes.protocol_of(payload) == PROTOCOL) != ours:
                return None
            entry = routes.parse(payload)
            return entry if entry and entry.prefix in prefixes else None

        for ifindex in ifindexes if lengths else ():
            yield from kernel.dump(routes.pack_dump(family, PROTOCOL if ours else 0, ifindex), of_these)


def describe_neighbour(entry: NeighbourEntry, interface: str) -> str:
    """For people: the entry and its owner."""
    return f"permanent neighbour {entry.address} lladdr {entry.lladdr or 'none'} dev {interface} of protocol {entry.protocol}"


def describe_route(entry: RouteEntry, names: Names) -> str:
    """For people: the route with all its hops, and its owner."""
    hops = " ".join((f"via {next_hop} " if next_hop else "") + f"dev {names[ifindex] or 'none'}" for ifindex, next_hop in entry.hops)
    hops = "blackhole" if entry.blackhole else hops
    return f"route {entry.prefix} {hops} metric {entry.metric} of protocol {entry.protocol}"
