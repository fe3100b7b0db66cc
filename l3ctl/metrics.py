"""What a monitoring system asks of an agent every few seconds: numbers alone, and as many of them for ten thousand ports as for ten."""

import os
from collections import Counter

from l3ctl import __version__
from l3ctl.asking import Answer
from l3ctl.desired import is_up
from l3ctl.failures import Failures
from l3ctl.log import counted, lost
from l3ctl.model import Port
from l3ctl.names import ANSWERS
from l3ctl.report import Report
from l3ctl.router import Router
from l3ctl.tally import BOUNDS, Tally

OFFENDERS = 20
"""ports that are told one by one: those whose customers were refused most"""


def metrics(router: Router, failures: Failures, report: Report, tally: Tally, held_down: int, violations: int) -> Answer:
    """All of them, as plain JSON."""
    states = Counter(dict.fromkeys(("up", "away", "down", "missing"), 0))
    states.update(_state(router, port) for port in router.ports.values())
    totals: Counter[str] = Counter()
    refused: dict[str, dict[str, int]] = {}
    if router.filter is not None:
        for port, counts in router.filter.counters().items():
            totals.update(counts)
            if bad := {reason: count for reason, count in counts.items() if reason not in ANSWERS}:
                refused[port] = bad
    worst = sorted(refused, key=lambda name: (-sum(refused[name].values()), name))[:OFFENDERS]
    return {
        "router": {"pid": os.getpid(), "version": __version__, "drained": router.drained},
        "ports": dict(states),
        "held_down": held_down,
        "waits": len({change.port for change in router.leaving.held()}),
        "bgp": router.speaker.status() if router.speaker is not None else None,
        "failures": len(failures.as_json()),
        "inventory": {
            "read": report.read,
            "changed": report.changed,
            "records": report.records,
            "quarantined": len(report.quarantined),
            "trouble": len(report.trouble),
        },
        "changes": [[verb, kind, count] for (verb, kind), count in sorted(tally.changes.items())],
        "events": counted(),
        "lines_lost": lost(),
        "violations": violations,
        "verdicts": dict(sorted(totals.items())),
        "offenders": {name: refused[name] for name in worst},
        "latency": {"bounds": BOUNDS, "buckets": tally.buckets, "seconds": tally.seconds},
    }


def _state(router: Router, port: Port) -> str:
    if not {port.interface, port.guard} <= router.links.keys():
        return "missing"
    if router.is_up(port.name):
        return "up"
    return "away" if port.name in router.away and is_up(port, router.links, router.settings) else "down"
