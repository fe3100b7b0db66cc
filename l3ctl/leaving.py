"""Prefixes that billing takes away while their link is up: withdrawn at once, and their ground goes when peers have been told.

ExaBGP takes a command as soon as it is written, and the peer hears of it later: of five thousand, seconds later, and where segments are
lost, when TCP has sent them anew; while ExaBGP is away the peer keeps all it had (RFC 4724). A link that is down takes the ground away by
itself; here it is ours to wait, and where billing takes away what was withdrawn a moment before for another reason, too.

What waits is what goes, and the policy that goes with it, with what would rest on the next one. All else of the port goes on: what stands
and stays is announced, since an ExaBGP that has just started is told all of it, and its peers forget at End-of-RIB what they were not told;
what somebody has changed is put right; and a prefix that is billed elsewhere leaves at once, as there its place is needed. Where something
new has to wait with the policy, the wait is short.

An agent that has just begun does not know what was announced for what it finds, and waits with every prefix that it takes away.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from l3ctl.bgp.speaker import Speaker
from l3ctl.diff import lacks_ground
from l3ctl.model import Announcement, Change, Host, Item, Neighbour, Port, PortPolicy, Prefix, Route, Verb
from l3ctl.names import ORPHAN

_PATIENCE = 10.0
"""seconds that a port waits at most to which something else is to come; others wait for the restart time"""
_AFTERWARDS = 1.0
"""seconds from its last answer: it answers when it has taken a command, sends it next, and the peer has other work, too"""
_UNSURE = 3.0
"""the same where it has always more to send"""


@dataclass(slots=True)
class _Wait:
    announcements: list[Announcement]
    names: set[str]
    since: float
    answered: float | None = None
    needed: bool = False
    """elsewhere, or here again: it is over at the next look"""


class Leaving:
    """The ports that wait. With no `speaker`, nobody does."""

    def __init__(self, speaker: Speaker | None) -> None:
        self._speaker = speaker
        self._waits: dict[str, _Wait] = {}
        """by port; what is left on the netdev of one that is billed no longer stands under that netdev's name, or another port's there"""
        self._netdevs: dict[str, str] = {}
        """of ports that billing changed last, where they were; and, by netdev, those that are there now, once they are asked for"""
        self._places: dict[str, list[str]] | None = None
        self._billed: set[Prefix] | None = None
        """of all ports; None until they are asked for"""
        self._held: dict[str, list[Change]] = {}
        self._withdrawn: dict[str, dict[Prefix, tuple[Announcement, float]]] = {}
        """what was withdrawn last of each port that is billed for it, and when; it is not known whether peers have heard of it"""
        self._changed: set[str] | None = None
        """ports that were billed otherwise before, where billing has changed since the last look"""
        self._began: float | None = None

    def others(self, before: Iterable[Port]) -> None:
        """These ports are billed otherwise now, or no longer."""
        self._netdevs = {port.name: port.interface for port in before}
        self._billed = self._places = None
        self._changed = (self._changed or set()) | self._netdevs.keys()

    def hold(self, changes: Sequence[Change], ports: Mapping[str, Port], now: float) -> Sequence[Change]:
        """What of these changes is to be made now."""
        if self._speaker is None:
            return changes
        changed, self._changed = self._changed, None
        for name, item in self._gone(changes, self._speaker, now):
            if item.prefix in self._billed_of(ports):
                self._withdrawn.setdefault(name, {})[item.prefix] = item, now
            else:
                self._wait(name, item, ports, now)
        for name, item in self._taken_away(changed or set(), ports, now - self._speaker.restart_time):
            self._wait(name, item, ports, now)
        if not self._waits:
            return changes
        if changed is not None:
            self._end_of_those_billed_again(self._billed_of(ports))
        not_now: set[int] = set()
        for name, of_port in _by_port(changes).items():
            if name in self._waits:
                leaving = {one.prefix for one in self._waits[name].announcements}
                held = self._held[name] = list(_waiting(of_port, leaving, self._billed_of(ports)))
                not_now.update(map(id, held))
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
            if isinstance(one.item, Announcement):
                if one.verb is Verb.WITHDRAW:
                    yield one.port, one.item
                elif one.port in self._withdrawn:
                    self._withdrawn[one.port].pop(one.item.prefix, None)
            elif ignorant and one.verb is Verb.REMOVE:
                yield from ((one.port, each) for each in _perhaps_announced(one.item))

    def _taken_away(self, changed: set[str], ports: Mapping[str, Port], since: float) -> Iterator[tuple[str, Announcement]]:
        """What was withdrawn since then for another reason, and is billed no longer: peers may not have heard of it yet."""
        for name in changed & self._withdrawn.keys():
            told = self._withdrawn.pop(name)
            kept = {prefix: one for prefix, one in told.items() if prefix in self._billed_of(ports) and name in ports}
            if kept:
                self._withdrawn[name] = kept
            yield from ((name, item) for prefix, (item, at) in told.items() if prefix not in self._billed_of(ports) and at >= since)

    def held(self) -> list[Change]:
        """What waits now, and is made soon."""
        return [change for changes in self._held.values() for change in changes]

    def _wait(self, name: str, item: Announcement, ports: Mapping[str, Port], now: float) -> None:
        names = {name}
        if (netdev := self._netdevs.get(name)) is not None:
            # What stands there goes by the netdev, or by the port that is on it now.
            names |= {ORPHAN + netdev, *self._now_on(netdev, ports)}
        wait = _Wait([item], names, now)
        for before in {id(one): one for one in map(self._waits.get, names) if one is not None}.values():
            wait.announcements += before.announcements
            wait.names |= before.names
        for each in wait.names:
            self._waits[each] = wait

    def _now_on(self, netdev: str, ports: Mapping[str, Port]) -> list[str]:
        """The ports that billing has just changed, by the netdev that they are on now."""
        if self._places is None:
            self._places = {}
            for name in self._netdevs.keys() & ports.keys():
                self._places.setdefault(ports[name].interface, []).append(name)
        return self._places.get(netdev, [])

    def released(self, now: float) -> set[str]:
        """The ports that wait no longer, to be looked at again."""
        if self._speaker is None:
            return set()
        for wait in self._waits.values():
            if wait.answered is None and self._speaker.withdrawn(wait.announcements):
                wait.answered = now
        over = self._over(self._speaker, now) if self._waits else set()
        released = {name for name, wait in self._waits.items() if id(wait) in over}
        for name in released:
            del self._waits[name]
            self._held.pop(name, None)
        return released

    def _over(self, speaker: Speaker, now: float) -> set[int]:
        """The waits, by id, that are."""
        waits = {id(wait): wait for wait in self._waits.values()}
        to_come = {id(self._waits[name]) for name, changes in self._held.items() if name in self._waits and any(map(_comes, changes))}
        over = {
            number
            for number, wait in waits.items()
            if wait.needed or now >= wait.since + (_PATIENCE if number in to_come else speaker.restart_time)
        }
        afterwards = _AFTERWARDS if speaker.sent() else _UNSURE
        told = {number for number, wait in waits.items() if wait.answered is not None and now >= wait.answered + afterwards}
        return over | told if told - over and speaker.acknowledged() else over


def _by_port(changes: Iterable[Change]) -> dict[str, list[Change]]:
    found: dict[str, list[Change]] = {}
    for one in changes:
        found.setdefault(one.port, []).append(one)
    return found


def _comes(change: Change) -> bool:
    return change.verb in (Verb.ADD, Verb.ANNOUNCE)


def _waiting(changes: Sequence[Change], leaving: set[Prefix], billed: set[Prefix]) -> Iterator[Change]:
    """What waits of a port's changes: what goes, but for what another port needs, a policy without it, and what would rest on that."""
    policy = next((one for one in changes if _ends_its_policy(one, leaving)), None)
    covered = policy.was.hosts if policy is not None and isinstance(policy.was, PortPolicy) else ()
    held = [one for one in changes if one is policy or _waits_with(one, policy, covered, billed)]
    yield from held
    adds = [one for one in held if one.verb is Verb.ADD]
    yield from (one for one in changes if one.verb is Verb.ANNOUNCE and one not in held and lacks_ground(one, adds))


def _ends_its_policy(change: Change, leaving: set[Prefix]) -> bool:
    """Whether what leaves is judged by a policy as it is, and would not be any more; else what somebody has changed is put right."""
    if not isinstance(change.item, PortPolicy):
        return False
    if not isinstance(change.was, PortPolicy):
        return True  # it goes, or another port's takes its place
    return bool(change.was.guard and leaving & _prefixes(change.was) - _prefixes(change.item))


def _prefixes(policy: PortPolicy) -> set[Prefix]:
    return {prefix for host in policy.hosts for prefix in host.prefixes()}


def _waits_with(change: Change, policy: Change | None, covered: Sequence[Host], billed: set[Prefix]) -> bool:
    item = change.item
    if change.verb is Verb.REMOVE:
        return not (isinstance(item, Route) and item.prefix in billed)
    if policy is None or change.verb not in (Verb.ADD, Verb.ANNOUNCE) or isinstance(item, PortPolicy):
        return False
    if isinstance(item, Neighbour):
        return not any(item.address == host.link_local or item.address in host.ipv4 for host in covered)
    if isinstance(item, Route | Announcement):
        return not any(item.prefix in host.prefixes() or item.prefix.network_address == host.link_local for host in covered)
    return False


def _perhaps_announced(item: Item) -> Iterator[Announcement]:
    """On the strength of this. What is left of a port stands under its netdev's name but for its policy, which is under its own."""
    if isinstance(item, Route) and item.next_hop is not None:
        yield Announcement(item.prefix, item.next_hop)
    elif isinstance(item, PortPolicy):
        yield from (Announcement(prefix, host.link_local) for host in item.hosts for prefix in host.prefixes())
