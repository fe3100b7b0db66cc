"""One router: its ports, and the three backends that make them true. Reads what is, plans, and carries out; knows no backend's syntax.

Keeps the promise of `diff` when steps fail: what depends on a failed step is held back, and what was announced on its strength withdrawn.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from itertools import groupby

from l3ctl.bgp.speaker import Speaker
from l3ctl.desired import desired, desired_beside, is_up
from l3ctl.diff import diff_all, goes, in_order, lacks_ground, stage
from l3ctl.distrust import prepare
from l3ctl.errors import L3ctlError
from l3ctl.failures import Failed, reason_of
from l3ctl.kernel.found import Look
from l3ctl.kernel.tables import Kernel
from l3ctl.leaving import Leaving
from l3ctl.model import Announcement, Change, LinkFacts, Port, PortPolicy, PortState, Route, Settings, Verb
from l3ctl.names import ORPHAN
from l3ctl.netdevs import Netdevs
from l3ctl.present import AT_ONCE, Present, Wanted
from l3ctl.xdp.filter import Filter

_UNLOOKED_AT = 20
"""full passes in a row, at most, that do no more than see that nothing has changed"""
Made = tuple[list[Change], list[Failed]]
"""the changes made, and those that failed"""


class Router:
    """`speaker` is None where nothing is announced, or where a command only looks; `filter_` where none is loaded."""

    def __init__(self, ports: Iterable[Port], settings: Settings, kernel: Kernel, filter_: Filter | None, speaker: Speaker | None) -> None:
        self.kernel, self.filter, self.speaker = kernel, filter_, speaker
        self.links: dict[str, LinkFacts] = {}
        """as the last full pass and the link events since then found them"""
        self.take_over = False
        """let what is another's and in the way give way"""
        self.drained = False
        """announce nothing at all, for a maintenance"""
        self.held_down: frozenset[str] = frozenset()
        """ports that are not to be announced, as they flap"""
        self.away: frozenset[str] = frozenset()
        """ports whose host is not there, whatever the link says"""
        self.present = Present({}, settings, kernel, filter_)
        self.leaving = Leaving(speaker)
        self.ports: dict[str, Port] = {}
        self._removed: set[Route] = set()
        self._settled: object = None
        """how everything read when nothing was left to do"""
        self._at_rest: dict[str, tuple[object, ...]] | None = None
        """how each port read that had nothing left to do; None before the first full pass, which does not wait for what serves the next"""
        self._passes = 0
        self._works = 0
        """how often anything was changed"""
        self.edition = 0
        """of ports and settings"""
        self.replace(ports, settings)

    def replace(self, ports: Iterable[Port], settings: Settings) -> None:
        """Take another inventory and other settings; the next full pass makes them true."""
        self.settings = settings
        self._settled = None
        self.edition += 1
        self.leaving.others(self.ports.values())
        self.ports = {port.name: port for port in ports}
        self.present.replace(self.ports, settings)
        self._netdevs = Netdevs(self.ports.values(), (name for name in self.present.beside if name != ORPHAN))

    def change(self, ports: Collection[Port], gone: Collection[str]) -> set[str]:
        """Take some ports that are new or otherwise, and let some go. To be looked at again: these, and what they leave where they were."""
        self._settled = None
        self.edition += 1
        before = [self.ports.pop(name) for name in (*gone, *(port.name for port in ports)) if name in self.ports]
        self.leaving.others(before)
        self.ports |= {port.name: port for port in ports}
        self._netdevs.change(before, ports)
        return {port.name for port in (*before, *ports)} | self.present.change(before, ports)

    def concerned(self, ifindexes: Collection[int], links_changed: Mapping[int, LinkFacts | None]) -> set[str]:
        """The ports to look at again after events at these ifindexes; the links that changed are among them.

        A port is concerned by the name its netdev had, too; a netdev that was renamed to what no port is on, as what may be left there.
        """
        names = {facts.ifindex: facts.name for facts in self.links.values() if facts.ifindex in ifindexes}
        ports = self._netdevs.ports_on(names.values())
        for ifindex in links_changed:
            self.links.pop(names.get(ifindex, ""), None)
        for ifindex, told in links_changed.items():
            facts = told or self.kernel.link(ifindex)
            if facts is None:
                continue
            self.links[facts.name] = facts
            here = self._netdevs.ports_on([facts.name])
            if not here and names.get(ifindex, facts.name) != facts.name:
                here = {ORPHAN + facts.name}
            ports |= here
        return ports

    def told(self) -> tuple[object, ...]:
        """What others said that decides on what is wanted, and what was done: between two that are equal, nothing of it was otherwise."""
        return self.edition, self._works, dict(self.present.wishes), self.drained, frozenset(self.held_down), frozenset(self.away)

    def readings(self, links: Mapping[str, LinkFacts], seen: Look) -> dict[str, tuple[object, ...]]:
        """Of each port all that decides on what differs between what is there and what should be, as it reads."""
        found: dict[str, tuple[object, ...]] = {}
        for name, there in self.present.readings(links, seen).items():
            port, said = self.ports[name], (name in self.away, name in self.held_down, self.settings, self.drained)
            found[name] = *there, port, links.get(port.interface), links.get(port.guard), *said
        return found

    def highest(self) -> int:
        """Of the ifindexes there are."""
        return max((facts.ifindex for facts in self.links.values()), default=0)

    def plan(self) -> list[Change]:
        """What differs between what is and what should be, in order. Everything compared is read; nothing is changed."""
        wanted = self.wanting(links := self.kernel.links())
        looks = self.present.each(links, self.kernel.look(), wanted)
        return in_order(change for have in looks for change in self._differences(have, wanted))

    def preview(self, ports: Iterable[Port], settings: Settings) -> list[Change]:
        """What would differ under another inventory and other settings."""
        other = Router(ports, settings, self.kernel, self.filter, self.speaker)
        other.present.wishes = self.present.wishes
        other.drained, other.held_down, other.away = self.drained, self.held_down, self.away
        return other.plan()

    def _differences(self, have: Mapping[str, PortState], wanted: Wanted) -> list[Change]:
        want = {name: wanted(name) for name in have if name in self.ports or name in self.present.beside}
        if self.speaker is None:
            want = {name: replace(state, announcements=frozenset()) for name, state in want.items()}
        return diff_all(have, want)

    def wanting(self, links: Mapping[str, LinkFacts]) -> Wanted:
        """The same as `wanted`, kept in mind for the ports last asked for: only for as long as nothing that decides on it is changed."""
        return lru_cache(2 * AT_ONCE)(partial(self.wanted, links=links))

    def wanted(self, name: str, links: Mapping[str, LinkFacts]) -> PortState:
        """What should be of a port, or of what is wanted beside ports, links being these."""
        if name in self.ports:
            want = desired(self.ports[name], links, self.settings, away=name in self.away)
        else:
            want = desired_beside(name.removeprefix(ORPHAN), links, self.settings)
        return replace(want, announcements=frozenset()) if self.drained or name in self.held_down else want

    def is_up(self, name: str) -> bool:
        """Whether a port's host is reachable, as the links were last read."""
        return name not in self.away and is_up(self.ports[name], self.links, self.settings)

    def carry_out(self, changes: Sequence[Change]) -> Made:
        """Make the changes, which are in order: those made, and those that failed. What waits is in neither.

        Raises:
            NetlinkFailed: the kernel does not answer; what was done is unknown.
        """
        if changes:
            self._settled = None  # whatever comes of it
            self._works += 1
        changes = self.leaving.hold(changes, self.ports, time.monotonic())
        failed = prepare(self.kernel, self.ports, changes)
        unprepared = {failure.change.port for failure in failed}
        broken: dict[str, list[Change]] = {}
        made: list[Change] = []
        for _, grouped in groupby(changes, key=stage):
            run = [one for one in grouped if goes(one) or not (one.port in unprepared or lacks_ground(one, broken.get(one.port, ())))]
            news = self._make(run)
            for failure in news:
                broken.setdefault(failure.change.port, []).append(failure.change)
            not_made = {id(failure.change) for failure in news}
            made += (one for one in run if id(one) not in not_made)
            failed += news
        stubborn = self._stubborn(made)
        failed += stubborn
        self._withdraw_unfounded(failed)
        not_made = {id(failure.change) for failure in stubborn}
        return [one for one in made if id(one) not in not_made], failed

    def _make(self, run: Sequence[Change]) -> list[Failed]:
        """Make changes of one stage."""
        if not run:
            return []
        if isinstance(run[0].item, Announcement):
            self._tell(run)
            return []
        if isinstance(run[0].item, PortPolicy):
            return self._guard(run)
        return [Failed(failure.change, failure.reason) for failure in self.kernel.apply(run, take_over=self.take_over)]

    def _guard(self, changes: Iterable[Change]) -> list[Failed]:
        """Ports of VLANs first: where these and a port of untagged frames may not be on one netdev, it is they that stay."""
        assert self.filter is not None
        failed = []
        for change in sorted(changes, key=lambda one: isinstance(one.item, PortPolicy) and one.item.vlan_id is None):
            try:
                failed += [Failed(gone, reason_of(why)) for gone, why in self.filter.apply(change, self.links)]
            except L3ctlError as error:
                failed.append(Failed(change, reason_of(error)))
        return failed

    def _tell(self, changes: Iterable[Change]) -> None:
        wishes: dict[str, frozenset[Announcement]] = {}
        for name, grouped in groupby(sorted(changes, key=lambda change: change.port), key=lambda change: change.port):
            wish = set(self.present.wishes.get(name, ()))
            for change in grouped:
                assert isinstance(change.item, Announcement)
                wish -= {change.item, change.was}
                if change.verb is Verb.ANNOUNCE:
                    wish.add(change.item)
            wishes[name] = frozenset(wish)
        self._wish(wishes)

    def _wish(self, wishes: Mapping[str, frozenset[Announcement]]) -> None:
        assert self.speaker is not None
        for port, announcements in wishes.items():
            self.present.wishes[port] = announcements
            if not announcements:
                del self.present.wishes[port]
        self.speaker.want_together(wishes)

    def _stubborn(self, made: Iterable[Change]) -> list[Failed]:
        """Routes that are still there after they were removed a second time.

        An IPv6 route that another appends to ours becomes a path of it, shows as ours, and goes for its owner only.
        """
        routes = [change for change in made if isinstance(change.item, Route)]
        again = [change for change in routes if change.verb is Verb.REMOVE and change.item in self._removed]
        for change in routes:
            assert isinstance(change.item, Route)
            (self._removed.add if change.verb is Verb.REMOVE else self._removed.discard)(change.item)
        there = self.kernel.read({change.item.interface for change in again if isinstance(change.item, Route)}).routes if again else ()
        return [Failed(change, "another's route has joined ours as a path of it, and stays") for change in again if change.item in there]

    def _withdraw_unfounded(self, failed: Iterable[Failed]) -> None:
        """What stays announced must rest on something: where a step towards it failed, it goes."""
        for failure in failed:
            name = failure.change.port
            wish = self.present.wishes.get(name, frozenset())
            kept = frozenset(one for one in wish if not lacks_ground(Change(name, Verb.ANNOUNCE, one), [failure.change]))
            if kept != wish:
                self._wish({name: kept})

    def unheard(self) -> list[Change]:
        """What is wished and ExaBGP has not got, and what it has that nobody wishes. Everything, while it is not there."""
        if self.speaker is None:
            return []
        held = self.speaker.held() or frozenset()
        wished = {one.prefix for wish in self.present.wishes.values() for one in wish}
        wishes = sorted(self.present.wishes.items())
        waiting = [Change(port, Verb.ANNOUNCE, one) for port, wish in wishes for one in sorted(wish - held, key=str)]
        strays = sorted((one for one in held if one.prefix not in wished), key=str)
        return [*(Change(ORPHAN, Verb.WITHDRAW, one) for one in strays), *waiting]

    def full_pass(self) -> Made:
        """Compare everything and put right what differs; as `carry_out`."""
        steps = [*self.put_right()]
        return [change for made, _ in steps for change in made], [failure for _, failed in steps for failure in failed]

    def put_right(self) -> Iterator[Made]:
        """The same step by step: at least one, and many where there is much to do, as at the beginning.

        Where everything reads as it did when nothing was left to do, nothing is now; else that is worked out for the ports that read
        otherwise. Every so often it is for all of them, all the same.
        """
        yield from self._put_right()
        if self.filter is not None:
            self.filter.settle((port.guard for port in self.ports.values()), self.links)

    def _put_right(self) -> Iterator[Made]:
        self.links = self.kernel.links()
        seen = self.kernel.look()
        guarded = self.filter.digest(self.highest()) if self.filter is not None else b""
        now = dict(self.links), seen.digest(), guarded, *self.told()
        self._passes += 1
        if now == self._settled and self._passes <= _UNLOOKED_AT:
            yield [], []
            return
        if self.filter is not None:
            self.filter.refresh()
        begins = self._at_rest is None
        readings = {} if begins else self.readings(self.links, seen)
        if not self._at_rest or self._passes > _UNLOOKED_AT:
            self._at_rest, self._passes = {}, 0
        at_rest = {name: reading for name, reading in readings.items() if self._at_rest.get(name) == reading}
        going: list[Change] = []
        coming: list[Change] = []
        unfinished: list[list[str]] = []
        wanted = self.wanting(self.links)
        for have in self.present.but(at_rest.keys(), self.links, seen, [], wanted):
            bare = begins and all(state == PortState() for state in have.values())  # as at a first start: nothing that could go
            changes = [] if bare else self._differences(have, wanted)
            differing = {change.port for change in changes}
            at_rest |= {name: readings[name] for name in have if name in readings and name not in differing}
            going += (change for change in changes if goes(change))
            rest = [change for change in changes if not goes(change)]
            if bare or unfinished or len(coming) + len(rest) > AT_ONCE:
                unfinished.append(sorted(have if bare else {change.port for change in rest}))
            else:
                coming += rest
        self._settled, self._at_rest = None if going or coming or unfinished else now, at_rest
        self._removed &= {change.item for change in going if isinstance(change.item, Route)}  # the others are gone
        yield self.carry_out(in_order([*going, *coming]))
        # All that goes has gone, so that the rest can come a few ports at a time, without all of it in memory.
        for names in unfinished:
            changes = self._differences(self.present.of(names, self.links, seen, []), self.wanting(self.links))
            yield self.carry_out([change for change in changes if not goes(change)])

    def look_again(self, ports: Collection[str]) -> Made:
        """Compare a few ports and put right what differs, links being as they were last read; as `carry_out`."""
        return self.carry_out(self._differences(self.present.states(ports, self.links), self.wanting(self.links)))

    def look_again_at(self, ports: Collection[str]) -> Iterator[Made]:
        """The same of any number: where there are many, it costs less to look at all of them, some at a time."""
        if len(ports) > AT_ONCE:
            yield from self.put_right()
        else:
            yield self.look_again(ports)
