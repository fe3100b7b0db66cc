"""Prefixes that billing takes away while their link is up: withdrawn at once, and their ground goes when peers have been told.

ExaBGP takes a command as soon as it is written, and the peer hears of it later: of five thousand, seconds later, and where segments are
lost, when TCP has sent them anew; while ExaBGP is away the peer keeps all it had (RFC 4724). A link that is down takes the ground away by
itself; here it is ours to wait, and where billing takes away what a lost link has just withdrawn, too.

Meanwhile nothing else of the port is changed, as what comes may need the place of what goes; so where something comes, the wait is short.
What stands and stays is announced all the same: an ExaBGP that has just started is told all of it, and its peers forget at End-of-RIB what
they were not told. A prefix that another port is billed for now is not waited for: there it is needed at once.

An agent that has just begun does not know what was announced for what it finds, and waits with every prefix that it takes away.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from l3ctl.bgp.speaker import Speaker
from l3ctl.diff import lacks_ground
from l3ctl.model import Announcement, Change, Item, Port, PortPolicy, Prefix, Route, Verb
from l3ctl.present import ORPHAN

_PATIENCE = 10.0
"""seconds that a port waits at most to which something else is to come; others wait for the restart time"""
_AFTERWARDS = 1.0
"""seconds from its last answer: it answers when it has taken a command, sends it next, and the peer has other work, too"""
_UNSURE = 3.0
"""the same where it has always more to send"""


@dataclass(slots=True)
class _Wait:
    announcements: list[Announcement]
    since: float
    answered: float | None = None
    needed: bool = False
    """elsewhere, or here again: it is over at the next look"""


class Leaving:
    """The ports that wait. With no `speaker`, nobody does."""

    def __init__(self, speaker: Speaker | None) -> None:
        self._speaker = speaker
        self._waits: dict[str, _Wait] = {}
        """by port; what is left on the netdev of one that is billed no longer stands under that netdev's name"""
        self._netdevs: dict[str, str] = {}
        self._billed: set[Prefix] | None = None
        """of all ports; None until they are asked for"""
        self._held: dict[str, list[Change]] = {}
        self._unplugged: dict[str, dict[Prefix, tuple[Announcement, float]]] = {}
        """what was withdrawn last of each port whose link was lost, and when; it is not known whether peers have heard of it"""
        self._changed: set[str] = set()
        """ports that are billed otherwise since the last look"""
        self._began: float | None = None

    def others(self, before: Iterable[Port]) -> None:
        """These ports are billed otherwise now, or no longer."""
        self._netdevs = {port.name: port.interface for port in before}
        self._billed = None
        self._changed |= self._netdevs.keys()

    def hold(self, changes: Sequence[Change], ports: Mapping[str, Port], is_up: Callable[[str], bool], now: float) -> Sequence[Change]:
        """What of these changes is to be made now."""
        if self._speaker is not None:
            for name, item in self._gone(changes, self._speaker, now):
                if name in ports and not is_up(name):
                    self._unplugged.setdefault(name, {})[item.prefix] = item, now
                elif item.prefix not in self._billed_of(ports):
                    self._wait(name, item, now)
            for name, item in self._taken_away(ports, now - self._speaker.restart_time):
                self._wait(name, item, now)
        if not self._waits:
            return changes
        if self._billed is None:
            self._end_of_those_billed_again(self._billed_of(ports))
        of_waiting = [one for one in changes if one.port in self._waits and one.verb is not Verb.WITHDRAW]
        held = [one for one in of_waiting if one.verb is not Verb.ANNOUNCE or _rests_on_what_comes(one, of_waiting)]
        for name in {one.port for one in of_waiting}:
            self._held[name] = [one for one in held if one.port == name]
        not_now = set(map(id, held))
        return [one for one in changes if id(one) not in not_now]

    def _billed_of(self, ports: Mapping[str, Port]) -> set[Prefix]:
        if self._billed is None:
            self._billed = {prefix for port in ports.values() for host in port.hosts for prefix in host.prefixes()}
        return self._billed

    def _end_of_those_billed_again(self, billed: set[Prefix]) -> None:
        """Their place is needed, here or elsewhere: so at the next look."""
        for wait in self._waits.values():
            if all(one.prefix in billed for one in wait.announcements):
                wait.needed = True

    def _gone(self, changes: Sequence[Change], speaker: Speaker, now: float) -> Iterator[tuple[str, Announcement]]:
        """What peers may have heard of, by port, and are to forget."""
        self._began = now if self._began is None else self._began
        ignorant = not speaker.completed and now < self._began + _PATIENCE
        for one in changes:
            if one.verb is Verb.ANNOUNCE:
                self._unplugged.pop(one.port, None)
            elif one.verb is Verb.WITHDRAW and isinstance(one.item, Announcement):
                yield one.port, one.item
            elif ignorant and one.verb is Verb.REMOVE:
                yield from ((one.port, each) for each in _perhaps_announced(one.item))

    def _taken_away(self, ports: Mapping[str, Port], since: float) -> Iterator[tuple[str, Announcement]]:
        """What was withdrawn since then of lost links, and is billed no longer: peers may not have heard of it yet."""
        changed, self._changed = self._changed & self._unplugged.keys(), set()
        for name in changed:
            gone = [prefix for prefix in self._unplugged[name] if prefix not in self._billed_of(ports)]
            told = [self._unplugged[name].pop(prefix) for prefix in gone]
            yield from ((name, item) for item, at in told if at >= since)

    def held(self) -> list[Change]:
        """What waits now, and is made soon."""
        return [change for changes in self._held.values() for change in changes]

    def _wait(self, name: str, item: Announcement, now: float) -> None:
        wait = self._waits.setdefault(name, _Wait([], now))
        wait.announcements.append(item)
        wait.answered, wait.needed = None, False
        if name in self._netdevs:
            self._waits[ORPHAN + self._netdevs[name]] = wait

    def released(self, now: float) -> set[str]:
        """The ports that wait no longer, to be looked at again."""
        if self._speaker is None:
            return set()
        for wait in self._waits.values():
            if wait.answered is None and self._speaker.withdrawn(wait.announcements):
                wait.answered = now
        if not self._waits:
            return set()
        afterwards, longest = (_AFTERWARDS if self._speaker.sent() else _UNSURE), self._speaker.restart_time
        released = {name for name, wait in self._waits.items() if self._is_over(wait, afterwards, longest, now)}
        for name in released:
            del self._waits[name]
            self._held.pop(name, None)
        return released

    def _is_over(self, wait: _Wait, afterwards: float, longest: float, now: float) -> bool:
        assert self._speaker is not None
        if wait.needed or (wait.answered is not None and now >= wait.answered + afterwards and self._speaker.acknowledged()):
            return True
        held = (change for name, changes in self._held.items() if self._waits.get(name) is wait for change in changes)
        comes = now >= wait.since + _PATIENCE and any(change.verb is Verb.ADD for change in held)
        return comes or now >= wait.since + longest


def _rests_on_what_comes(announcement: Change, others: Iterable[Change]) -> bool:
    """Whether it needs one of these changes of its port, or stands on what is there already, whatever they do to the rest."""
    assert isinstance(announcement.item, Announcement)
    told = announcement.item
    for one in others:
        if one.port != announcement.port or one.verb in (Verb.REMOVE, Verb.ANNOUNCE):
            continue
        if not isinstance(one.item, PortPolicy):
            if lacks_ground(announcement, [one]):
                return True
        elif not isinstance(one.was, PortPolicy) or not any(told.prefix in host.prefixes() for host in one.was.hosts):
            return True
    return False


def _perhaps_announced(item: Item) -> Iterator[Announcement]:
    """On the strength of this. What is left of a port stands under its netdev's name but for its policy, which is under its own."""
    if isinstance(item, Route) and item.next_hop is not None:
        yield Announcement(item.prefix, item.next_hop)
    elif isinstance(item, PortPolicy):
        yield from (Announcement(prefix, host.link_local) for host in item.hosts for prefix in host.prefixes())
