"""What `l3ctl status` says of a router: every port by link, entries, filter and announcement, from a fresh look at each backend."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from l3ctl.asking import Answer
from l3ctl.desired import is_within
from l3ctl.diff import diff
from l3ctl.model import LinkFacts, PortState, Prefix
from l3ctl.router import Router
from l3ctl.troubles import troubles


@dataclass(frozen=True, slots=True)
class Apart:
    """What only a running agent knows."""

    held_down: Mapping[str, float] = field(default_factory=dict)
    """port -> seconds it is not announced yet, as its link flaps"""
    duplicates: Sequence[str] = ()
    """prefixes that are announced elsewhere too, in words"""


def ports(router: Router) -> list[dict[str, object]]:
    """Every port, as a command finds it that looks for itself."""
    links, seen = router.kernel.links(), router.kernel.look()
    counters = router.filter.counters() if router.filter is not None else {}
    told = heard(router)
    wanted = router.wanting(links)
    looked = rows(router, links, router.present.each(links, seen, wanted), wanted)
    found = {name: row | announced(router, name, told, even=even) | lately(name, counters, {}) for name, row, even in looked}
    return [found[name] for name in sorted(found)]


def status(router: Router, inventory: Answer) -> Answer:
    """All of it, as a command finds it that looks for itself."""
    told = ports(router)
    around = beside(router, [], None, Apart(), router.present.foreign) | {"inventory": inventory}
    return {**around, "troubles": troubles(around, {}, []), "ports": told}


@dataclass(frozen=True, slots=True)
class Heard:
    """What ExaBGP has of what is wished."""

    announced: frozenset[Prefix] | None
    """None where nobody knows"""
    behind: frozenset[str]
    """ports of which it has not got everything"""


def heard(router: Router) -> Heard:
    """The same, as it is now."""
    held = router.speaker.held() if router.speaker is not None else None
    announced = None if held is None else frozenset(one.prefix for one in held)
    return Heard(announced, frozenset(change.port for change in router.unheard()))


def rows(
    router: Router, links: Mapping[str, LinkFacts], looks: Iterable[Mapping[str, PortState]], wanted: Callable[[str], PortState]
) -> Iterator[tuple[str, dict[str, object], bool]]:
    """Each port that is looked at, but for what `announced` and `lately` say of it; and whether it is what it should be."""
    for have in looks:
        for name in have.keys() & router.ports.keys():
            port, state = router.ports[name], have[name]
            want = wanted(name)
            prefixes = [prefix for host in port.hosts for prefix in host.prefixes()]
            yield (
                name,
                {
                    "name": name,
                    "interface": port.interface,
                    "guard": port.guard,
                    "vlan": port.vlan_id,
                    "macs": [host.lladdr for host in port.hosts],
                    "link": _link(links.get(port.interface), links.get(port.guard)),
                    "away": name in router.away,
                    "neighbours": len(state.neighbours),
                    "routes": len(state.routes),
                    "filter": state.policy.mode if state.policy is not None and state.policy.guard else None,
                    "prefixes": [str(prefix) for prefix in prefixes],
                    "unannounced": unannounced(router, name, prefixes),
                },
                not diff(name, state, want if router.speaker else _silent(want)),
            )


def announced(router: Router, name: str, told: Heard, *, even: bool) -> dict[str, object]:
    """What of a port ExaBGP has; and whether all is done, if it is `even` what it should be here."""
    prefixes = (prefix for host in router.ports[name].hosts for prefix in host.prefixes())
    there = None if told.announced is None else sorted(str(prefix) for prefix in prefixes if prefix in told.announced)
    return {"announced": there, "in_sync": even and name not in told.behind}


def lately(name: str, counters: Mapping[str, dict[str, int]], held_down: Mapping[str, float]) -> dict[str, object]:
    """What of a port is otherwise a moment later."""
    return {"held_down": round(held_down[name], 1) if name in held_down else None, "counters": counters.get(name, {})}


def beside(
    router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object] | None, apart: Apart, foreign: Sequence[str]
) -> Answer:
    """What is no port's."""
    return {
        "agent": agent,
        "bgp": {**router.speaker.status(), "drained": router.drained} if router.speaker is not None else None,
        "failed": list(failures),
        "duplicates": list(apart.duplicates),
        "unheard": router.speaker.unheard() if router.speaker is not None else [],
        "foreign": list(foreign),
    }


def _link(layer3: LinkFacts | None, guard: LinkFacts | None) -> str:
    if layer3 is None or guard is None:
        return "missing"
    return "up" if layer3.up and guard.up else "down"


def unannounced(router: Router, name: str, prefixes: Sequence[Prefix]) -> str | None:
    """Why nothing of a port would be announced though its link is up; None where it would."""
    if name in router.away:
        return "away"
    if router.drained:
        return "drained"
    if not router.ports[name].announce:
        return "announce: false"
    covers = router.settings.covers
    return "covered" if prefixes and all(any(is_within(one, cover) for cover in covers) for one in prefixes) else None


def _silent(state: PortState) -> PortState:
    return PortState(state.policy, state.addresses, state.neighbours, state.routes)
