"""What records lay claim to, and what must hold between them. A breach is told with both sides: the later one's place, and the other's.

`Claims` knows what the entries in it hold, so that one more is judged in the time it takes to look up what it claims, however many there
are: a router may carry 100,000 records, and one of them changes.
"""

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Network
from typing import NamedTuple

from l3ctl.errors import Problem
from l3ctl.inventory.prefixes import Prefixes
from l3ctl.inventory.schema import PortRecord
from l3ctl.model import Host, Port
from l3ctl.reading.document import Document, Loc


class Entry:
    """A valid record, the port it makes, and where it was written."""

    __slots__ = ("hosts", "port", "router", "source")

    def __init__(self, record: PortRecord, source: Document) -> None:
        self.source = source
        self.router = record.router
        self.port: Port = record.port()
        self.hosts: tuple[tuple[Loc, Host], ...] = tuple(zip(record.host_locs(), self.port.hosts, strict=True))
        """each with the place of its keys within the record"""

    def settle(self) -> None:
        """Forget what was written, but for the place where it began: all that stands is named by that, and kept for long."""
        self.source = self.source.settled()

    def written(self, key: str, default_from: str, loc: Loc = ()) -> Loc:
        """Where a value with a default comes from: its own key, or the one its default is made of."""
        mapping = self.source.at(loc).value
        return (*loc, key if isinstance(mapping, dict) and key in mapping else default_from)

    def guarded(self) -> Loc:
        """What says where the filter sits."""
        return ("vlan",) if self.port.vlan_id is not None else self.written("guard", "interface")

    def attached(self) -> Loc:
        """What says which the layer-3 netdev is."""
        return self.written("interface", "trunk")

    def link_local(self, loc: Loc) -> Loc:
        """What says the link-local of the host at ``loc``."""
        return self.written("link_local", "mac", loc)


class Claim(NamedTuple):
    """An entry, and the place in it of what it claims. A large inventory has hundreds of thousands, and a tuple is made at once."""

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


Collision = tuple[Problem, Entry]
"""as the newcomer is told it, and whom it collides with"""


class Claims:
    """What the entries in it hold. Of two that claim one thing, the first to come has it."""

    def __init__(self) -> None:
        self._names: dict[str, Entry] = {}
        self._guarded: dict[tuple[str, int | None], dict[str | None, Entry]] = {}
        self._interfaces: dict[str, dict[str | None, Entry]] = {}
        self._ipv4: dict[int, Claim] = {}  # by number: an IPv4Address takes five times as long to be looked up
        self._ipv6: Prefixes[Claim] = Prefixes()

    def add(self, entry: Entry) -> None:
        """Let it hold what nobody holds yet of what it claims."""
        port = entry.port
        self._names.setdefault(port.name, entry)
        self._guarded.setdefault((port.guard, port.vlan_id), {}).setdefault(entry.router, entry)
        self._interfaces.setdefault(port.interface, {}).setdefault(entry.router, entry)
        for address, claim in ipv4_claims(entry):
            self._ipv4.setdefault(int(address), claim)
        for prefix, claim in ipv6_claims(entry):
            self._ipv6.add(prefix, claim)

    def remove(self, entry: Entry) -> None:
        """Let go of all it holds. What others claimed in vain meanwhile is nobody's, until they are added again."""
        port = entry.port
        if self._names.get(port.name) is entry:
            del self._names[port.name]
        guarded = (port.guard, port.vlan_id)
        _let_go(self._guarded.get(guarded, {}), entry)
        if not self._guarded.get(guarded, True):
            del self._guarded[guarded]
        _let_go(self._interfaces.get(port.interface, {}), entry)
        if not self._interfaces.get(port.interface, True):
            del self._interfaces[port.interface]
        for address, _ in ipv4_claims(entry):
            holder = self._ipv4.get(int(address))
            if holder is not None and holder.entry is entry:
                del self._ipv4[int(address)]
        for prefix, _ in ipv6_claims(entry):
            outer = self._ipv6.get(prefix)
            if outer is not None and outer.entry is entry:
                self._ipv6.remove(prefix)

    def collisions(self, entry: Entry) -> Iterator[Collision]:
        """Every breach between this newcomer and those who hold something."""
        yield from self._attachment(entry)
        for loc, host in entry.hosts:
            for index, address in enumerate(host.ipv4):
                holder = self._ipv4.get(int(address))
                if holder is not None and holder.entry is not entry:
                    claim = Claim(entry, (*loc, "ipv4", index))
                    what = f"{claim.port} claims {address}, which {holder.port} claims too ({holder.place})"
                    yield Problem(claim.place, what, "bill each address to one port"), holder.entry
            for index, prefix in enumerate(host.ipv6):
                yield from self._overlaps(Claim(entry, (*loc, "ipv6", index)), prefix)

    def _overlaps(self, claim: Claim, prefix: IPv6Network) -> Iterator[Collision]:
        told = {claim.entry}
        for theirs, holder in self._ipv6.overlapping(prefix):
            if holder.entry not in told:
                told.add(holder.entry)
                what = f"{claim.port} claims {prefix}, which overlaps {theirs} of {holder.port} ({holder.place})"
                yield Problem(claim.place, what, "bill each prefix to one port"), holder.entry

    def _attachment(self, entry: Entry) -> Iterator[Collision]:
        """One port a name, one a guarded netdev or VLAN, and one a layer-3 netdev, on each router. Without a router it is on every one."""
        port = entry.port
        namesake = self._names.get(port.name, entry)
        if namesake is not entry:
            what = f"port name '{port.name}' is used twice, first at {namesake.source.place(('name',))}"
            yield entry.source.problem(("name",), what, "give each port its own"), namesake
        guard = _holder(self._guarded.get((port.guard, port.vlan_id), {}), entry)
        if guard:
            where = port.guard if port.vlan_id is None else f"vlan {port.vlan_id} of {port.guard}"
            theirs = guard.source.place(guard.guarded())
            what = f"port '{port.name}' is guarded on {where}, and so is port '{guard.port.name}' ({theirs})"
            yield entry.source.problem(entry.guarded(), what, "give each its own"), guard
        other = _holder(self._interfaces.get(port.interface, {}), entry)
        if other and other is not guard:
            theirs = other.source.place(other.attached())
            what = f"port '{port.name}' uses interface {port.interface}, and so does port '{other.port.name}' ({theirs})"
            yield entry.source.problem(entry.attached(), what, "give each its own"), other


def _holder(holders: dict[str | None, Entry], entry: Entry) -> Entry | None:
    """Who holds it on the entry's router, if that is another."""
    if not holders:
        return None
    there = holders.values() if entry.router is None else (holders.get(entry.router), holders.get(None))
    return next((each for each in there if each and each is not entry), None)


def _let_go(holders: dict[str | None, Entry], entry: Entry) -> None:
    if holders.get(entry.router) is entry:
        del holders[entry.router]


def ipv4_claims(entry: Entry) -> Iterator[tuple[IPv4Address, Claim]]:
    """Each address billed, as written."""
    for loc, host in entry.hosts:
        for index, address in enumerate(host.ipv4):
            yield address, Claim(entry, (*loc, "ipv4", index))


def ipv6_claims(entry: Entry) -> Iterator[tuple[IPv6Network, Claim]]:
    """Each prefix billed, as written."""
    for loc, host in entry.hosts:
        for index, prefix in enumerate(host.ipv6):
            yield prefix, Claim(entry, (*loc, "ipv6", index))
