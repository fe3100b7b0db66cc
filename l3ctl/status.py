"""What `l3ctl status` says of a router: every port by link, entries, filter and announcement, from a fresh look at each backend."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from l3ctl.asking import Answer
from l3ctl.desired import is_within
from l3ctl.diff import diff
from l3ctl.model import LinkFacts, PortState, Prefix
from l3ctl.router import Router


@dataclass(frozen=True, slots=True)
class Apart:
    """What only a running agent knows."""

    held_down: Mapping[str, float] = field(default_factory=dict)
    """port -> seconds it is not announced yet, as its link flaps"""
    duplicates: Sequence[str] = ()
    """prefixes that are announced elsewhere too, in words"""


def status(router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object] | None, apart: Apart | None = None) -> Answer:
    """All of it, as plain JSON. `agent` and `apart` are None when a command looks for itself."""
    apart = apart or Apart()
    links = router.kernel.links()
    held = router.speaker.held() if router.speaker is not None else None
    announced = None if held is None else {one.prefix for one in held}
    unheard = {change.port for change in router.unheard()}
    counters = router.filter.counters() if router.filter is not None else {}
    told: dict[str, dict[str, object]] = {}
    for have in router.present.each(links, router.kernel.look(), whole=agent is None):
        for name in have.keys() & router.ports.keys():
            port, state = router.ports[name], have[name]
            want = router.wanted(name, links)
            prefixes = [prefix for host in port.hosts for prefix in host.prefixes()]
            told[name] = {
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
                "announced": None if announced is None else sorted(str(prefix) for prefix in prefixes if prefix in announced),
                "unannounced": unannounced(router, name, prefixes),
                "held_down": round(apart.held_down[name], 1) if name in apart.held_down else None,
                "in_sync": name not in unheard and not diff(name, state, want if router.speaker else _silent(want)),
                "counters": counters.get(name, {}),
            }
    return {
        "agent": agent,
        "ports": [told[name] for name in sorted(told)],
        "bgp": {**router.speaker.status(), "drained": router.drained} if router.speaker is not None else None,
        "failed": list(failures),
        "duplicates": list(apart.duplicates),
        "unheard": router.speaker.unheard() if router.speaker is not None else [],
        "foreign": list(router.present.foreign),
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
