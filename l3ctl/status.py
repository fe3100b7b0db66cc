"""What `l3ctl status` says of a router: every port by link, entries, filter and announcement, from a fresh look at each backend."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from l3ctl.asking import Answer
from l3ctl.desired import is_within
from l3ctl.diff import diff
from l3ctl.kernel.found import Look
from l3ctl.model import LinkFacts, PortState, Prefix
from l3ctl.router import Router


@dataclass(frozen=True, slots=True)
class Apart:
    """What only a running agent knows."""

    held_down: Mapping[str, float] = field(default_factory=dict)
    """port -> seconds it is not announced yet, as its link flaps"""
    duplicates: Sequence[str] = ()
    """prefixes that are announced elsewhere too, in words"""


_RARELY = 50
"""times the time it takes: so long it stands at most"""


class Kept:
    """The ports as they were last told, as text: it is told again for as long as everything reads as it did then.

    To understand 10,000 ports anew takes seconds, in which an agent hears of no link; to see that nothing is otherwise, a tenth of one.
    What others have in the way is not in what is compared: for its sake everything is understood anew where that costs little.
    """

    def __init__(self) -> None:
        self.standing: object = None
        self.until = 0.0
        """by the monotonic clock"""
        self.rows: dict[str, str] = {}


def status(router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object] | None, apart: Apart | None = None) -> Answer:
    """All of it, as plain JSON. `agent` and `apart` are None when a command looks for itself."""
    apart = apart or Apart()
    links = router.kernel.links()
    announced, unheard = _announced(router), {change.port for change in router.unheard()}
    counters = router.filter.counters() if router.filter is not None else {}
    rows = dict(_rows(router, links, router.kernel.look(), announced, unheard))
    ports = [rows[name] | _lately(name, counters, apart) for name in sorted(rows)]
    return _beside(router, failures, agent, apart) | {"ports": ports}


def status_as_text(router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object], apart: Apart, kept: Kept) -> str:
    """The same of an agent, which has followed the links, as the JSON of it."""
    links = dict(router.links) or router.kernel.links()
    seen = router.kernel.look()
    announced, unheard = _announced(router), {change.port for change in router.unheard()}
    standing = links, seen.digest(), announced, unheard, *router.told()
    began = time.monotonic()
    if began >= kept.until or kept.standing != (*standing, _guarded(router)):
        kept.rows = {name: json.dumps(row)[:-1] for name, row in _rows(router, links, seen, announced, unheard, whole=False)}
        kept.standing = *standing, _guarded(router)
        kept.until = time.monotonic() + _RARELY * (time.monotonic() - began)
    counters = router.filter.counters() if router.filter is not None else {}
    usual = _text_of(_lately("", {}, Apart()))
    special = {name for name, counts in counters.items() if counts} | apart.held_down.keys()
    lately = {name: _text_of(_lately(name, counters, apart)) for name in special}
    ports = ", ".join(kept.rows[name] + lately.get(name, usual) for name in sorted(kept.rows))
    return f'{json.dumps(_beside(router, failures, agent, apart))[:-1]}, "ports": [{ports}]'


def _text_of(more: dict[str, object]) -> str:
    """To go on with where the text of an object was cut off before its end."""
    return f", {json.dumps(more)[1:]}"


def _announced(router: Router) -> set[Prefix] | None:
    held = router.speaker.held() if router.speaker is not None else None
    return None if held is None else {one.prefix for one in held}


def _guarded(router: Router) -> object:
    """What is known of the filter's records, and where its program is now."""
    return None if router.filter is None else (router.filter.edition(), router.filter.attached())


def _rows(
    router: Router,
    links: Mapping[str, LinkFacts],
    seen: Look,
    announced: set[Prefix] | None,
    unheard: set[str],
    *,
    whole: bool = True,
) -> Iterator[tuple[str, dict[str, object]]]:
    """Each port, but for what `_lately` says of it."""
    for have in router.present.each(links, seen, whole=whole):
        for name in have.keys() & router.ports.keys():
            port, state = router.ports[name], have[name]
            want = router.wanted(name, links)
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
                    "announced": None if announced is None else sorted(str(prefix) for prefix in prefixes if prefix in announced),
                    "unannounced": unannounced(router, name, prefixes),
                    "in_sync": name not in unheard and not diff(name, state, want if router.speaker else _silent(want)),
                },
            )


def _lately(name: str, counters: Mapping[str, dict[str, int]], apart: Apart) -> dict[str, object]:
    """What of a port may be otherwise a moment later."""
    held_down = round(apart.held_down[name], 1) if name in apart.held_down else None
    return {"held_down": held_down, "counters": counters.get(name, {})}


def _beside(router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object] | None, apart: Apart) -> Answer:
    """What is no port's."""
    return {
        "agent": agent,
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
