"""What must hold between records, each breach told with both sides: the later one's place, and the earlier one named with its own.

Everything is one pass over sorted or hashed claims: a router may carry 100,000 records.
"""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network
from typing import TypeVar

from l3ctl.errors import Problem
from l3ctl.inventory.schema import PortRecord
from l3ctl.model import Address, Host, Prefix
from l3ctl.reading.document import Document, Loc

Thing = TypeVar("Thing", bound=Hashable)


class Entry:
    """A valid record, the port it makes, and where it was written."""

    __slots__ = ("hosts", "port", "router", "source")

    def __init__(self, record: PortRecord, source: Document) -> None:
        self.source = source
        self.router = record.router
        self.hosts: list[tuple[Loc, Host]] = record.located_hosts()
        self.port = record.port()

    def written(self, key: str, default_from: str, loc: Loc = ()) -> Loc:
        """Where a value with a default comes from: its own key, or the one its default is made of."""
        mapping = self.source.at(loc).value
        return (*loc, key if isinstance(mapping, dict) and key in mapping else default_from)

    def guarded(self) -> Loc:
        """What says where the filter sits."""
        return ("vlan",) if self.port.vlan_id is not None else self.written("guard", "interface")

    def link_local(self, loc: Loc) -> Loc:
        """What says the link-local of the host at ``loc``."""
        return self.written("link_local", "mac", loc)


@dataclass(frozen=True, slots=True)
class Claim:
    """What an entry lays claim to, and where in it. ``order`` counts over the whole inventory, as written."""

    order: int
    entry: Entry
    loc: Loc

    @property
    def place(self) -> str:
        """file:line:column."""
        return self.entry.source.place(self.loc)

    @property
    def port(self) -> str:
        """The claimant, as messages call it."""
        return f"port '{self.entry.port.name}'"


def conflicts(entries: Sequence[Entry], gateways: Iterable[Address], sessions: Iterable[Address]) -> Iterator[Problem]:
    """Every breach between records, and between a record and the router's own addresses and its peers'."""
    yield from _names(entries)
    yield from _attachments(entries)
    for entry in entries:
        yield from _within_port(entry)
    yield from _ipv4(entries)
    yield from _ipv6(entries)
    yield from _gateways(entries, frozenset(gateways))
    yield from _sessions(entries, frozenset(sessions))


def _names(entries: Sequence[Entry]) -> Iterator[Problem]:
    for name, first, later in _repeats((entry.port.name, Claim(0, entry, ("name",))) for entry in entries):
        yield Problem(later.place, f"port name '{name}' is used twice, first at {first.place}", "give each port its own")


def _attachments(entries: Sequence[Entry]) -> Iterator[Problem]:
    """One port a guarded netdev or VLAN, and one a layer-3 netdev, on each router. A record without a router is on every one."""
    guarded: dict[tuple[str, int | None], dict[str | None, Entry]] = {}
    interfaces: dict[str, dict[str | None, Entry]] = {}
    for entry in entries:
        port = entry.port
        told = _holder(guarded.setdefault((port.guard, port.vlan_id), {}), entry)
        if told:
            where = port.guard if port.vlan_id is None else f"vlan {port.vlan_id} of {port.guard}"
            what = f"port '{port.name}' is guarded on {where}, and so is port '{told.port.name}' ({told.source.place(told.guarded())})"
            yield entry.source.problem(entry.guarded(), what, "give each its own")
        other = _holder(interfaces.setdefault(port.interface, {}), entry)
        if other and other is not told:
            theirs = other.source.place(other.written("interface", "trunk"))
            what = f"port '{port.name}' uses interface {port.interface}, and so does port '{other.port.name}' ({theirs})"
            yield entry.source.problem(entry.written("interface", "trunk"), what, "give each its own")


def _holder(holders: dict[str | None, Entry], entry: Entry) -> Entry | None:
    """Who holds it already on the entry's router; from now on the entry, where nobody does."""
    there = holders.values() if entry.router is None else (holders.get(entry.router), holders.get(None))
    holder = next((each for each in there if each), None)
    holders.setdefault(entry.router, entry)
    return holder


def _within_port(entry: Entry) -> Iterator[Problem]:
    if len(entry.hosts) == 1:
        return
    same_mac = set()
    for lladdr, first, later in _repeats((host.lladdr, Claim(0, entry, (*loc, "mac"))) for loc, host in entry.hosts):
        same_mac.add(later.loc[:-1])
        yield Problem(later.place, f"{later.port} has MAC {lladdr} twice, first at {first.place}", "make them one host")
    others = [(loc, host) for loc, host in entry.hosts if loc not in same_mac]
    for address, first, later in _repeats((host.link_local, Claim(0, entry, entry.link_local(loc))) for loc, host in others):
        yield Problem(later.place, f"{later.port} has link-local {address} twice, first at {first.place}", "give each host its own")


def _ipv4(entries: Sequence[Entry]) -> Iterator[Problem]:
    for address, first, later in _repeats(_ipv4_claims(entries)):
        if first.entry is later.entry:
            yield Problem(later.place, f"{later.port} is billed {address} twice, first at {first.place}", "bill it once")
        else:
            what = f"{later.port} claims {address}, which {first.port} claims too ({first.place})"
            yield Problem(later.place, what, "bill each address to one port")


def _ipv6(entries: Sequence[Entry]) -> Iterator[Problem]:
    """A sweep from the lowest address up. Prefixes nest or are apart, so what is open at any point is one nest, at most 81 deep."""
    nest: list[tuple[int, IPv6Network, Claim]] = []
    claims = [(int(prefix.network_address), prefix, claim) for prefix, claim in _ipv6_claims(entries)]
    for start, prefix, claim in sorted(claims, key=lambda each: (each[0], each[1].prefixlen, each[2].order)):
        while nest and nest[-1][0] < start:
            nest.pop()
        told = set()
        for _, outer, holder in reversed(nest):
            if holder.entry is claim.entry and outer == prefix:
                yield Problem(claim.place, f"{claim.port} is billed {prefix} twice, first at {holder.place}", "bill it once")
            elif holder.entry is not claim.entry and holder.entry not in told:
                told.add(holder.entry)
                yield _overlap((prefix, claim), (outer, holder))
        if not nest or nest[-1][1] != prefix:
            nest.append((start | (1 << (128 - prefix.prefixlen)) - 1, prefix, claim))


def _overlap(one: tuple[IPv6Network, Claim], other: tuple[IPv6Network, Claim]) -> Problem:
    (theirs, first), (ours, later) = sorted((one, other), key=lambda side: side[1].order)
    what = f"{later.port} claims {ours}, which overlaps {theirs} of {first.port} ({first.place})"
    return Problem(later.place, what, "bill each prefix to one port")


def _gateways(entries: Sequence[Entry], gateways: frozenset[Address]) -> Iterator[Problem]:
    for entry in entries:
        for loc, host in entry.hosts:
            if host.link_local in gateways:
                yield _is_gateway(Claim(0, entry, entry.link_local(loc)), host.link_local)
    for address, claim in _ipv4_claims(entries):
        if address in gateways:
            yield _is_gateway(claim, address)
    for prefix, claim in _ipv6_claims(entries):
        if prefix.prefixlen == 128 and prefix.network_address in gateways:
            yield _is_gateway(claim, prefix.network_address)


def _is_gateway(claim: Claim, address: Address) -> Problem:
    return Problem(claim.place, f"{claim.port} claims {address}, which is a gateway address of the router", "bill another")


def _sessions(entries: Sequence[Entry], sessions: frozenset[Address]) -> Iterator[Problem]:
    if not sessions:
        return
    claims: list[tuple[Prefix, Claim]] = [(IPv4Network(address), claim) for address, claim in _ipv4_claims(entries)]
    claims += _ipv6_claims(entries)
    for prefix, claim in claims:
        for address in sorted(address for address in sessions if address.version == prefix.version and address in prefix):
            what = f"{claim.port} claims {prefix}, and with it {address}, which a BGP session of the router runs from or to"
            yield Problem(claim.place, what, "bill another")


def _ipv4_claims(entries: Sequence[Entry]) -> Iterator[tuple[IPv4Address, Claim]]:
    for entry in entries:
        for loc, host in entry.hosts:
            for index, address in enumerate(host.ipv4):
                yield address, Claim(0, entry, (*loc, "ipv4", index))


def _ipv6_claims(entries: Sequence[Entry]) -> Iterator[tuple[IPv6Network, Claim]]:
    order = 0
    for entry in entries:
        for loc, host in entry.hosts:
            for index, prefix in enumerate(host.ipv6):
                yield prefix, Claim(order, entry, (*loc, "ipv6", index))
                order += 1


def _repeats(claims: Iterable[tuple[Thing, Claim]]) -> Iterator[tuple[Thing, Claim, Claim]]:
    """Each thing claimed again, with who claimed it first."""
    first: dict[Thing, Claim] = {}
    for thing, claim in claims:
        earlier = first.setdefault(thing, claim)
        if earlier is not claim:
            yield thing, earlier, claim
