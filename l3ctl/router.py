"""One router: its ports, and the three backends that make them true. Reads what is, plans, and carries out; knows no backend's syntax.

Keeps the promise of `diff` when steps fail: what depends on a failed step is held back, and what was announced on its strength withdrawn.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import TypeVar

from l3ctl.bgp.speaker import Speaker
from l3ctl.desired import desired
from l3ctl.diff import diff, in_order
from l3ctl.errors import FilterFailed, L3ctlError, StandsInTheWay
from l3ctl.kernel.sysctl import guard_interface
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Announcement, Change, GatewayAddress, LinkFacts, Neighbour, Port, PortPolicy, PortState, Route, Settings, Verb
from l3ctl.xdp.filter import Filter

ORPHAN = "-"
"""begins the name under which entries of ours are removed that belong to no port any more; no port is named so"""


E = TypeVar("E", GatewayAddress, Neighbour, Route)


@dataclass(frozen=True, slots=True)
class Failed:
    """A change that could not be made, and why."""

    change: Change
    reason: str


class Router:
    """`speaker` is None where nothing is announced, or where a command only looks; `filter_` where none is loaded."""

    def __init__(self, ports: Iterable[Port], settings: Settings, kernel: Kernel, filter_: Filter | None, speaker: Speaker | None) -> None:
        self.settings = settings
        self.kernel, self.filter, self.speaker = kernel, filter_, speaker
        self.links: dict[str, LinkFacts] = {}
        self.foreign: tuple[str, ...] = ()
        self._wishes: dict[str, frozenset[Announcement]] = {}
        self._prepared: set[int] = set()
        self.replace_ports(ports)

    def replace_ports(self, ports: Iterable[Port]) -> None:
        """Take another inventory; the next full pass makes it true."""
        self.ports = {port.name: port for port in ports}
        self._ports_by_netdev: dict[str, set[str]] = {}
        for port in self.ports.values():
            for netdev in (port.interface, port.guard):
                self._ports_by_netdev.setdefault(netdev, set()).add(port.name)

    def relook_links(self, ifindexes: Collection[int]) -> set[str]:
        """Read these links again; the ports that are on them, by their names before and now."""
        names = {facts.name for facts in self.links.values() if facts.ifindex in ifindexes}
        for name in names:
            del self.links[name]
        for ifindex in ifindexes:
            facts = self.kernel.link(ifindex)
            if facts is None:
                self._prepared.discard(ifindex)
            else:
                self.links[facts.name] = facts
                names.add(facts.name)
        return self.ports_on(names)

    def ports_on(self, netdevs: Iterable[str]) -> set[str]:
        """The ports that have to do with these netdevs."""
        return set().union(*(self._ports_by_netdev.get(netdev, ()) for netdev in netdevs))

    def names_of(self, ifindexes: Collection[int]) -> set[str]:
        """The netdevs' names."""
        return {facts.name for facts in self.links.values() if facts.ifindex in ifindexes}

    def plan(self, ports: Collection[str] | None = None) -> list[Change]:
        """What differs between what is and what should be, in order; of all ports, or of a few. Reads everything it compares."""
        have = self.states(ports)
        changes: list[Change] = []
        for name, state in have.items():
            port = self.ports.get(name)
            want = desired(port, self.links, self.settings) if port else PortState()
            if self.speaker is None:
                want = replace(want, announcements=frozenset())
            changes += diff(name, state, want)
        return in_order(changes)

    def states(self, ports: Collection[str] | None = None) -> dict[str, PortState]:
        """What is, by port; entries of ours that belong to no port stand under names that begin with `ORPHAN`.

        Of all ports, links are read anew; of a few, they are as they were last read. Announcements are as last wished: whether ExaBGP has
        them is the speaker's to know.
        """
        if ports is None:
            self.links = self.kernel.links()
        names = self.ports.keys() if ports is None else ports
        owners = {self.ports[name].interface: name for name in names if name in self.ports}
        found = self.kernel.read(None if ports is None else owners.keys())
        if ports is None:
            self.foreign = tuple(foreign.text for foreign in found.foreign if foreign.interface in owners)
        addresses = _by_owner(found.addresses, owners)
        neighbours = _by_owner(found.neighbours, owners)
        routes = _by_owner(found.routes, owners)
        policies = self._policies(ports)
        wishes = {name: wish for name, wish in self._wishes.items() if ports is None or name in ports}
        return {
            name: PortState(
                policy=policies.get(name),
                addresses=frozenset(addresses.get(name, ())),
                neighbours=frozenset(neighbours.get(name, ())),
                routes=frozenset(routes.get(name, ())),
                announcements=wishes.get(name, frozenset()),
            )
            for name in {*names, *addresses, *neighbours, *routes, *policies, *wishes}
        }

    def _policies(self, ports: Collection[str] | None) -> dict[str, PortPolicy]:
        if self.filter is None:
            return {}
        return self.filter.read(self.links) if ports is None else self.filter.remembered(ports, self.links)

    def carry_out(self, changes: Sequence[Change]) -> list[Failed]:
        """Make the changes, which are in order; what failed. Raises `NetlinkFailed` when the kernel does not answer."""
        failed: list[Failed] = []
        self._prepare(changes)
        for backend, grouped in groupby(changes, key=_backend):
            run = [change for change in grouped if not self._held_back(change, failed)]
            if backend is Announcement:
                self._tell(run)
            elif backend is PortPolicy:
                failed += self._guard(run)
            else:
                failed += (Failed(failure.change, failure.reason) for failure in self.kernel.apply(run))
        self._withdraw_unfounded(failed)
        return failed

    def _prepare(self, changes: Iterable[Change]) -> None:
        """Make the kernel trust nothing a customer says, before an interface gets its first entry."""
        for name in {change.port for change in changes} & self.ports.keys():
            facts = self.links.get(self.ports[name].interface)
            if facts is not None and facts.ifindex not in self._prepared:
                guard_interface(facts.name)
                self._prepared.add(facts.ifindex)

    def _held_back(self, change: Change, failed: Iterable[Failed]) -> bool:
        """What comes waits for what it rests on; what goes, goes."""
        if change.verb in (Verb.REMOVE, Verb.WITHDRAW):
            return False
        return any(_rests_on(change, failure.change) for failure in failed)

    def _guard(self, changes: Iterable[Change]) -> list[Failed]:
        assert self.filter is not None
        failed = []
        for change in changes:
            try:
                self.filter.apply(change, self.links)
            except (FilterFailed, StandsInTheWay) as error:
                failed.append(Failed(change, "; ".join(error.lines())))
        return failed

    def _tell(self, changes: Iterable[Change]) -> None:
        for name, grouped in groupby(sorted(changes, key=lambda change: change.port), key=lambda change: change.port):
            wish = set(self._wishes.get(name, ()))
            for change in grouped:
                assert isinstance(change.item, Announcement)
                (wish.add if change.verb is Verb.ANNOUNCE else wish.discard)(change.item)
            self._wish(name, frozenset(wish))

    def _wish(self, port: str, announcements: frozenset[Announcement]) -> None:
        assert self.speaker is not None
        self._wishes[port] = announcements
        if not announcements:
            del self._wishes[port]
        self.speaker.want(port, announcements)

    def _withdraw_unfounded(self, failed: Iterable[Failed]) -> None:
        """What stays announced must rest on something: where a step towards it failed, it goes."""
        for failure in failed:
            if failure.change.verb in (Verb.REMOVE, Verb.WITHDRAW):
                continue
            name = failure.change.port
            wish = self._wishes.get(name, frozenset())
            kept = frozenset(one for one in wish if not _rests_on(Change(name, Verb.ANNOUNCE, one), failure.change))
            if kept != wish:
                self._wish(name, kept)

    def unheard(self) -> list[Change]:
        """What is wished and ExaBGP has not got, and what it has that nobody wishes. Everything, while it is not there."""
        if self.speaker is None:
            return []
        held = self.speaker.held() or frozenset()
        wished = {one.prefix for wish in self._wishes.values() for one in wish}
        waiting = [Change(port, Verb.ANNOUNCE, one) for port, wish in sorted(self._wishes.items()) for one in sorted(wish - held, key=str)]
        return [*(Change(ORPHAN, Verb.WITHDRAW, one) for one in sorted(held, key=str) if one.prefix not in wished), *waiting]

    def full_pass(self) -> tuple[list[Change], list[Failed]]:
        """Compare everything and put right what differs."""
        changes = self.plan()
        return changes, self.carry_out(changes)

    def look_again(self, ports: Collection[str]) -> tuple[list[Change], list[Failed]]:
        """Compare a few ports and put right what differs. Links are as they were last read."""
        changes = self.plan(ports)
        return changes, self.carry_out(changes)


def _by_owner(items: Iterable[E], owners: Mapping[str, str]) -> dict[str, list[E]]:
    grouped: dict[str, list[E]] = {}
    for item in items:
        grouped.setdefault(owners.get(item.interface) or f"{ORPHAN}{item.interface}", []).append(item)
    return grouped


def _backend(change: Change) -> type:
    """Who carries a change out; the kernel's items all count as `Route`."""
    return type(change.item) if isinstance(change.item, Announcement | PortPolicy) else Route


def _rests_on(change: Change, failure: Change) -> bool:
    """Whether a change needs another one of its port. A route that failed holds back its own prefix only; anything else, the port."""
    if change.port != failure.port or change == failure:
        return False
    if isinstance(failure.item, Route):
        return isinstance(change.item, Announcement) and change.item.prefix == failure.item.prefix
    return True


def reason_of(error: L3ctlError) -> str:
    """An error as one line."""
    return "; ".join(error.lines())
