"""What an agent tells of its ports, kept as text: `l3ctl status` takes as long as it takes to see which of them are otherwise by now."""

import json
import time
from collections.abc import Mapping, Sequence

from l3ctl.asking import Answer
from l3ctl.kernel.found import Look
from l3ctl.model import LinkFacts
from l3ctl.router import Router
from l3ctl.status import Apart, Heard, beside, heard, lately, rows
from l3ctl.troubles import troubles

_RARELY = 50
"""times the time that it takes: so long others' routes, and what other hands have put into the filter's maps, are not looked for again"""


class Kept:
    """The ports as they were last told: one is told again for as long as everything reads as it did then that decides on how it stands.

    To understand 10,000 ports anew takes seconds, in which an agent hears of no link; to read them half a one; and to see that none of them
    can be otherwise, a tenth.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._standing: object = None
        self._readings: dict[str, tuple[object, ...]] = {}
        self._rows: dict[str, str] = {}
        """each without its end, so that what is otherwise each time can be added"""
        self._behind: set[str] = set()
        self._next = 0.0
        """when to look again for what is not in what is compared, by the monotonic clock"""

    def status(self, failures: Sequence[dict[str, object]], agent: dict[str, object], apart: Apart, inventory: Answer) -> str:
        """All that `l3ctl status` tells, as the JSON of it: the ports last."""
        router = self._router
        links = dict(router.links) or router.kernel.links()
        self._renew(links, router.kernel.look(), heard(router))
        counters = router.filter.counters() if router.filter is not None else {}
        usual = _text_of(lately("", {}, {}))
        special = {name for name, counts in counters.items() if counts} | apart.held_down.keys()
        now = {name: _text_of(lately(name, counters, apart.held_down)) for name in special}
        ports = ", ".join(self._rows[name] + now.get(name, usual) for name in sorted(self._rows))
        around = beside(router, failures, agent, apart) | {"inventory": inventory}
        around["troubles"] = troubles(around, apart.held_down, sorted(self._behind))
        return f'{json.dumps(around)[:-1]}, "ports": [{ports}]}}'

    def _renew(self, links: Mapping[str, LinkFacts], seen: Look, told: Heard) -> None:
        router = self._router
        standing = links, seen.digest(), told, *router.told(), router.filter and router.filter.attached()
        began = time.monotonic()
        if standing == self._standing and began < self._next:
            return
        if began >= self._next:
            if router.filter is not None:
                router.filter.refresh(whole=False)
            router.present.look_for_rivals(seen)
            self._next = time.monotonic() + _RARELY * (time.monotonic() - began)
        readings = {
            name: (*reading, name in told.behind, *_announced(router, name, told)) for name, reading in router.readings(links, seen).items()
        }
        same = {name for name, reading in readings.items() if name in self._rows and self._readings.get(name) == reading}
        self._rows = {name: self._rows[name] for name in same}
        self._behind &= same
        for name, row in rows(router, links, router.present.but(same, links, seen), told):
            self._rows[name] = json.dumps(row)[:-1]
            if not row["in_sync"]:
                self._behind.add(name)
        self._standing, self._readings = standing, readings


def _announced(router: Router, name: str, told: Heard) -> tuple[object, ...]:
    if told.announced is None:
        return (None,)
    return tuple(prefix in told.announced for host in router.ports[name].hosts for prefix in host.prefixes())


def _text_of(more: dict[str, object]) -> str:
    """To go on with where the text of an object was cut off before its end."""
    return f", {json.dumps(more)[1:]}"
