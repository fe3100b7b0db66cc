"""What `l3ctl status` says of a router: every port by link, entries, filter and announcement, from a fresh look at each backend."""

from collections.abc import Sequence

from l3ctl.control import Answer
from l3ctl.desired import desired
from l3ctl.diff import diff
from l3ctl.model import PortState
from l3ctl.router import Router


def status(router: Router, failures: Sequence[dict[str, object]], agent: dict[str, object] | None) -> Answer:
    """All of it, as plain JSON. `agent` is None when a command looks for itself."""
    have = router.states()
    held = router.speaker.held() if router.speaker is not None else None
    counters = router.filter.counters() if router.filter is not None else {}
    ports = []
    for name, port in sorted(router.ports.items()):
        state, facts = have.get(name, PortState()), router.links.get(port.interface)
        want = desired(port, router.links, router.settings)
        prefixes = [prefix for host in port.hosts for prefix in host.prefixes()]
        announced = None if held is None else sorted(str(one.prefix) for one in held if one.prefix in prefixes)
        ports.append(
            {
                "name": name,
                "interface": port.interface,
                "link": "missing" if facts is None else "up" if facts.up else "down",
                "neighbours": len(state.neighbours),
                "routes": len(state.routes),
                "filter": state.policy.mode if state.policy is not None and state.policy.guard else None,
                "prefixes": [str(prefix) for prefix in prefixes],
                "announced": announced,
                "in_sync": not diff(name, state, want if router.speaker else _silent(want)),
                "counters": counters.get(name, {}),
            }
        )
    return {
        "agent": agent,
        "ports": ports,
        "bgp": router.speaker.status() if router.speaker is not None else None,
        "failed": list(failures),
        "foreign": list(router.foreign),
    }


def _silent(state: PortState) -> PortState:
    return PortState(state.policy, state.addresses, state.neighbours, state.routes)
