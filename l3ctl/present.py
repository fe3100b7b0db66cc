"""What is on this router, by port: entries, policy and wishes of each, read from the backends and owned by nobody but them."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import TypeVar

from l3ctl.kernel.found import Foreign, Look
from l3ctl.kernel.likeness import Likeness
from l3ctl.kernel.steady import digest
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Announcement, GatewayAddress, LinkFacts, Neighbour, Port, PortState, Route, Settings
from l3ctl.names import ORPHAN
from l3ctl.xdp.filter import Filter

AT_ONCE = 500
"""ports that are compared, or changes that are made, in one go"""

E = TypeVar("E", GatewayAddress, Neighbour, Route)
Wanted = Callable[[str], PortState]
"""what should be of a port: what reads like it need not be understood"""


class Present:
    """What is there, for these ports. `filter_` is None where none is loaded."""

    def __init__(self, ports: Mapping[str, Port], settings: Settings, kernel: Kernel, filter_: Filter | None) -> None:
        self.ports, self.kernel, self.filter = ports, kernel, filter_
        self._neighbours: list[Foreign] = []
        self.rivals: tuple[Foreign, ...] = ()
        """others' routes, when they were last looked for"""
        self.wishes: dict[str, frozenset[Announcement]] = {}
        """what is wished to be announced, by port: whether ExaBGP has it is the speaker's to know"""
        self.replace(ports, settings)

    def replace(self, ports: Mapping[str, Port], settings: Settings) -> None:
        """Look at other ports from now on."""
        self.ports = ports
        self._port_at = {port.interface: port.name for port in ports.values()}
        self.beside = frozenset({ORPHAN + uplink.interface for uplink in settings.uplinks} | ({ORPHAN} if settings.blackholes else set()))
        """names of what is wanted and is no port's"""

    def change(self, before: Iterable[Port], after: Iterable[Port]) -> set[str]:
        """Some ports are others now: under which names what may be left on their netdevs stands."""
        netdevs = {port.interface for port in before}
        for netdev in netdevs:
            self._port_at.pop(netdev, None)
        self._port_at |= {port.interface: port.name for port in after}
        return {ORPHAN + netdev for netdev in netdevs if netdev not in self._port_at}

    @property
    def foreign(self) -> list[str]:
        """What others have where ours is, or would go, when everything was last looked at."""
        return [one.text for one in (*self._neighbours, *self.rivals)]

    def each(self, links: Mapping[str, LinkFacts], seen: Look, wanted: Wanted | None = None) -> Iterator[dict[str, PortState]]:
        """What is, of everything in turn, some ports at a time: all at once it would fill the memory of a small router. Renews `foreign`.

        Entries of ours that belong to no port stand under names that begin with `ORPHAN`.
        """
        if self.filter is not None:
            self.filter.refresh()
        foreign: list[Foreign] = []
        yield from self.but((), links, seen, foreign, wanted)
        self._neighbours = foreign
        self.look_for_rivals(seen)

    def look_for_rivals(self, seen: Look) -> None:
        """Renew `rivals`: others' routes of the same prefixes as ours, wherever they lead."""
        self.rivals = self.kernel.rivals(seen)

    def but(
        self,
        ports: Collection[str],
        links: Mapping[str, LinkFacts],
        seen: Look,
        foreign: list[Foreign],
        wanted: Wanted | None = None,
    ) -> Iterator[dict[str, PortState]]:
        """The same as `each` without these ports, of which is known what is there; the filter's records as they were last read.

        Of others' neighbours, `foreign` is what was known, and is renewed: these ports' stay in it. Where there is no port they are none of
        our business.
        """
        names = self.ports.keys() | self.beside | self.wishes.keys()
        if self.filter is not None:
            names |= self.filter.ports()
        strays = {ORPHAN + netdev for netdev in self.kernel.interfaces(seen, links) if netdev not in self._port_at}
        everything = sorted((names | strays).difference(ports))
        foreign[:] = [one for one in foreign if self._port_at.get(one.interface) in ports]
        likeness = Likeness(seen)
        for start in range(0, len(everything), AT_ONCE):
            some = everything[start : start + AT_ONCE]
            yield self.of(some, links, seen, foreign, self._alike(some, links, likeness, wanted) if wanted else {})

    def _alike(self, names: Iterable[str], links: Mapping[str, LinkFacts], likeness: Likeness, wanted: Wanted) -> dict[str, PortState]:
        """What is wanted of these ports, where the kernel has just that."""
        alike: dict[str, PortState] = {}
        for name in names:
            facts = links.get(self.ports[name].interface) if name in self.ports else None
            if facts is not None and likeness.anything(facts.ifindex) and likeness.holds(facts.ifindex, want := wanted(name)):
                alike[name] = want
        return alike

    def readings(self, links: Mapping[str, LinkFacts], seen: Look) -> dict[str, tuple[object, ...]]:
        """Of each port what is there, in a look at everything, as it reads: while it reads alike, it is what it was.

        To understand 10,000 ports takes seconds, to read them half a one.
        """
        entries = seen.entries()
        policies = self.filter.readings(self.ports, links) if self.filter is not None else {}
        netdevs = {name: links[port.interface].ifindex for name, port in self.ports.items() if port.interface in links}
        return {name: (digest([entries.get(netdevs.get(name, -1), ())]), policies.get(name), self.wishes.get(name)) for name in self.ports}

    def states(self, ports: Collection[str] | None, links: Mapping[str, LinkFacts]) -> dict[str, PortState]:
        """The same of all ports at once, or of a few.

        Announcements are as last wished: whether ExaBGP has them is the speaker's to know.
        """
        if ports is not None:
            return self.of(ports, links, None, [])
        return {name: state for some in self.each(links, self.kernel.look()) for name, state in some.items()}

    def of(
        self,
        names: Collection[str],
        links: Mapping[str, LinkFacts],
        seen: Look | None,
        foreign: list[Foreign],
        alike: Mapping[str, PortState] | None = None,
    ) -> dict[str, PortState]:
        """The same of these, in a look at everything, or in one that is taken now. What is another's is added to `foreign`.

        `alike`: what is wanted of those of which the kernel has just that.
        """
        alike = alike or {}
        owners = {self.ports[name].interface: name for name in names if name in self.ports and name not in alike}
        orphans = {name.removeprefix(ORPHAN): name for name in names if name.startswith(ORPHAN)}
        owners |= {netdev: name for netdev, name in orphans.items() if netdev not in self._port_at}
        found = self.kernel.read(owners.keys()) if seen is None else self.kernel.understand(seen, owners.keys())
        # `get`: a netdev may have been renamed since its name was asked for
        foreign += (one for one in found.foreign if one.interface in self._port_at or owners.get(one.interface) in self.beside)
        made_by_kernel = (one for one in found.link_locals if one.interface in self._port_at)
        addresses = _by_owner((*found.addresses, *made_by_kernel), owners)
        neighbours = _by_owner(found.neighbours, owners)
        routes = _by_owner(found.routes, owners)
        wanted = {name: want.policy for name, want in alike.items()}
        policies = self.filter.remembered(names, links, wanted) if self.filter is not None else {}
        states = {
            name: PortState(
                policy=policies.get(name),
                addresses=alike[name].addresses if name in alike else frozenset(addresses.get(name, ())),
                neighbours=alike[name].neighbours if name in alike else frozenset(neighbours.get(name, ())),
                routes=alike[name].routes if name in alike else frozenset(routes.get(name, ())),
                announcements=self.wishes.get(name, frozenset()),
            )
            for name in names
        }
        return {name: state for name, state in states.items() if state != PortState() or name in self.ports or name in self.beside}


def _by_owner(items: Iterable[E], owners: Mapping[str, str]) -> dict[str, list[E]]:
    grouped: dict[str, list[E]] = {}
    for item in items:
        grouped.setdefault(owners.get(item.interface) or f"{ORPHAN}{item.interface}", []).append(item)
    return grouped
