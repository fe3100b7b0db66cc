"""What the kernel's tables hold: what is ours, and what of others' stands where ours would go.

Ours is what carries l3ctl's protocol number, a route in whatever table; a neighbour must be permanent as well.
"""

import struct
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address
from itertools import product
from socket import AF_INET, AF_INET6
from typing import TypeVar

from l3ctl.kernel import addresses, neighbours, routes
from l3ctl.kernel.addresses import KERNEL_LINK_LOCAL
from l3ctl.kernel.neighbours import NeighbourEntry
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.routes import RouteEntry
from l3ctl.kernel.steady import digest
from l3ctl.kernel.wire import HEADER, PROTOCOL, Refusal, messages, split
from l3ctl.model import MAIN_TABLE, Address, GatewayAddress, Neighbour, Prefix, Route

ASKED_SINGLY = 16
"""Up to this many interfaces, or tables, a dump of each, filtered by the kernel, is cheaper than one of everything."""


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

    def index(self, name: str) -> int:
        """The other way round; 0 for no name, -1 for that of no interface."""
        index = self._kernel.index_of(name) if name else 0
        return -1 if index is None else index


Entries = tuple[bytes, bytes, bytes]
"""addresses, neighbours and routes of one interface: messages in a row"""
_ROUTES = 2
"""where they stand among entries"""
T = TypeVar("T")
_INDEX = struct.Struct("=4xi")
"""where ndmsg and ifaddrmsg have the interface"""


class Look:
    """What is installed, as the kernel told it: to be compared with another look, or to be understood, an interface at a time."""

    def __init__(self, ifindexes: frozenset[int] | None) -> None:
        self.ifindexes = ifindexes
        """looked at; None: all"""
        self.blocks: tuple[list[bytes], list[bytes], list[bytes]] = ([], [], [])
        self._entries: dict[int, Entries] | None = None

    def digest(self) -> bytes:
        """A name that two looks share between which nothing has changed."""
        return digest(self.blocks)

    def count_routes(self) -> int:
        """How many of ours there are, whether we can make sense of them or not."""
        return sum(1 for block in self.blocks[_ROUTES] for _ in messages(block))

    def entries(self) -> dict[int, Entries]:
        """By ifindex; under 0 the routes that lead nowhere. This takes the look apart: there is no digest of it after that."""
        if self._entries is None:
            rows: dict[int, tuple[list[bytes], list[bytes], list[bytes]]] = {}
            for kind, blocks in enumerate(self.blocks):
                of = routes.interfaces_of if kind == _ROUTES else _interface
                while blocks:
                    for message in messages(blocks.pop(0)):
                        for ifindex in of(message[HEADER.size :]):
                            rows.setdefault(ifindex, ([], [], []))[kind].append(message)
            entries: dict[int, Entries] = {}
            while rows:
                ifindex, (first, second, third) = rows.popitem()
                entries[ifindex] = b"".join(first), b"".join(second), b"".join(third)
            self._entries = entries
        return self._entries


def _interface(payload: bytes) -> tuple[int, ...]:
    found: tuple[int, ...] = _INDEX.unpack_from(payload)
    return found


def _parsed(row: bytes, parse: Callable[[bytes], T | None]) -> Iterator[T]:
    return (entry for received in split(row) if (entry := parse(received.payload)) is not None)


def look(kernel: NetlinkSocket, interfaces: Collection[str] | None, tables: Collection[int] = ()) -> Look:
    """At everything, or at what is on these interfaces; one that does not exist has nothing.

    A look at everything finds routes of ours in any table, another in these tables; in any where none is told.
    """
    wanted: frozenset[int] | None = None
    filters: list[int | None] = [None]
    if interfaces is not None:
        indexes = (kernel.index_of(name) if name else 0 for name in interfaces)
        wanted = frozenset(ifindex for ifindex in indexes if ifindex is not None)
        if len(wanted) <= ASKED_SINGLY and 0 not in wanted:  # what leads nowhere cannot be asked for alone
            filters = [*sorted(wanted)]
    within = few_tables(tables if interfaces is not None else ())
    seen = Look(wanted)
    for ifindex in filters:
        seen.blocks[0].extend(kernel.dump_blocks(addresses.pack_dump(ifindex), addresses.steady))
        seen.blocks[1].extend(kernel.dump_blocks(neighbours.pack_dump(ifindex), neighbours.steady))
        for family in (AF_INET, AF_INET6):
            for table in within:
                seen.blocks[2].extend(kernel.dump_blocks(routes.pack_dump(family, PROTOCOL, ifindex, table), routes.steady))
    return seen


def few_tables(tables: Collection[int]) -> Collection[int]:
    """The tables to dump for these: each, while they are few, or else all that there are at once."""
    return sorted(set(tables)) if 0 < len(tables) <= ASKED_SINGLY else (routes.ANY_TABLE,)


def understand(names: Names, seen: Look, interfaces: Collection[str] | None) -> Found:
    """What a look showed, everywhere or on these of the interfaces that it was at; `""` is for what leads nowhere."""
    entries = seen.entries()
    if interfaces is None:
        chosen = [ifindex for ifindex in entries if seen.ifindexes is None or ifindex in seen.ifindexes]
    else:
        chosen = [ifindex for name in interfaces if (ifindex := names.index(name)) in entries]
    ours: list[GatewayAddress] = []
    link_locals: list[GatewayAddress] = []
    found_neighbours: list[Neighbour] = []
    found_routes: list[Route] = []
    foreign: list[Foreign] = []
    for ifindex in chosen:
        name = names[ifindex] if ifindex else ""
        if ifindex and not name:
            continue
        here, beside, through = entries[ifindex]
        for address in _parsed(here, addresses.parse):
            if address.protocol in (PROTOCOL, KERNEL_LINK_LOCAL):
                kept = ours if address.protocol == PROTOCOL else link_locals
                kept.append(GatewayAddress(name, address.address, address.on_link))
        for neighbour in _parsed(beside, neighbours.parse):
            if neighbour.protocol == PROTOCOL:
                found_neighbours.append(Neighbour(name, neighbour.address, neighbour.lladdr))
            else:
                foreign.append(Foreign(name, neighbour.address, describe_neighbour(neighbour, name)))
        for route in _parsed(through, routes.parse):
            found_routes += _routes_through(route, ifindex, name)
    return Found(frozenset(ours), frozenset(link_locals), frozenset(found_neighbours), frozenset(found_routes), tuple(foreign))


def _routes_through(entry: RouteEntry, ifindex: int, name: str) -> Iterator[Route]:
    if entry.blackhole:
        yield Route("", entry.prefix, None, entry.metric, entry.table)
        return
    for through, next_hop in entry.hops:
        if through == ifindex and (isinstance(next_hop, IPv6Address) or (next_hop is None and entry.prefix.version == 6)):
            yield Route(name, entry.prefix, next_hop, entry.metric, entry.table)


def holds(kernel: NetlinkSocket, wanted: Collection[Neighbour]) -> bool:
    """Whether all of these are there, permanent and ours."""
    indexes = {name: kernel.index_of(name) for name in {one.interface for one in wanted}}
    answers = kernel.ask([neighbours.pack_ask(one, indexes[one.interface] or 0) for one in wanted])
    return all(_is(answer, one) for answer, one in zip(answers, wanted, strict=True))


def _is(answer: bytes | Refusal, wanted: Neighbour) -> bool:
    if isinstance(answer, Refusal) or not neighbours.is_as_we_make_them(answer):
        return False
    entry = neighbours.parse(answer)
    return entry is not None and (entry.protocol, entry.lladdr) == (PROTOCOL, wanted.lladdr)


def rivals(kernel: NetlinkSocket, names: Names, seen: Look) -> Iterator[Foreign]:
    """Others' routes of the prefixes that routes of ours in this look have, in the same table, wherever they lead.

    Most routes of a router that carries the whole table have a length that none of ours has, and are passed over by it.
    """
    keys = {routes.key_of(received.payload) for _, _, through in seen.entries().values() for received in split(through)}
    lengths = {key[:2] for key in keys}

    def of_these(payload: bytes) -> RouteEntry | None:
        if routes.protocol_of(payload) == PROTOCOL or payload[:2] not in lengths or routes.key_of(payload) not in keys:
            return None
        return routes.parse(payload)

    for family, table in {(key[0], routes.table_in(key)) for key in keys}:
        for entry in kernel.dump(routes.pack_dump(family, 0, None, table), of_these):
            yield Foreign(names[entry.hops[0][0]], entry.prefix, describe_route(entry, names))


def routes_of(
    kernel: NetlinkSocket, prefixes: Collection[Prefix], tables: Collection[int], ifindexes: Iterable[int | None], *, ours: bool
) -> Iterator[RouteEntry]:
    """Our routes, or others', of these prefixes in these tables, on these interfaces or, for None, on any.

    Most routes of a router that carries the whole table have a length that none of ours has, and are passed over by it.
    """
    for family, version in ((AF_INET, 4), (AF_INET6, 6)):
        lengths = {prefix.prefixlen for prefix in prefixes if prefix.version == version}

        def of_these(payload: bytes, lengths: Collection[int] = lengths) -> RouteEntry | None:
            if routes.length_of(payload) not in lengths or (routes.protocol_of(payload) == PROTOCOL) != ours:
                return None
            entry = routes.parse(payload)
            return entry if entry and entry.prefix in prefixes else None

        for ifindex, table in product(ifindexes, few_tables(tables)) if lengths else ():
            yield from kernel.dump(routes.pack_dump(family, PROTOCOL if ours else 0, ifindex, table), of_these)


def describe_neighbour(entry: NeighbourEntry, interface: str) -> str:
    """For people: the entry and its owner."""
    return f"permanent neighbour {entry.address} lladdr {entry.lladdr or 'none'} dev {interface} of protocol {entry.protocol}"


def describe_route(entry: RouteEntry, names: Names) -> str:
    """For people: the route with all its hops, and its owner."""
    hops = " ".join((f"via {next_hop} " if next_hop else "") + f"dev {names[ifindex] or 'none'}" for ifindex, next_hop in entry.hops)
    hops = "blackhole" if entry.blackhole else hops
    where = "" if entry.table == MAIN_TABLE else f" table {entry.table}"
    return f"route {entry.prefix} {hops} metric {entry.metric}{where} of protocol {entry.protocol}"
