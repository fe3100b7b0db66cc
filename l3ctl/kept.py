"""What an agent tells of its ports, kept as text: `l3ctl status` takes as long as it takes to see which of them are otherwise by now."""

import json
import time
from collections.abc import Mapping, Sequence

from l3ctl.asking import Answer
from l3ctl.kernel.found import Foreign, Look
from l3ctl.model import LinkFacts
from l3ctl.router import Router
from l3ctl.status import Apart, announced, beside, heard, lately, rows
from l3ctl.troubles import troubles

_RARELY = 50
"""times the time that it takes: so long others' routes, and what other hands have put into the filter's maps, are not looked for again"""
_ALL_ANEW = 20
"""such looks, of which one understands everything"""
_UNTOLD = object()
"""in the place of what ExaBGP holds: whatever that is, it is to be looked at"""


class Kept:
    """The ports as they were last told: one is told again for as long as everything reads as it did then that decides on how it stands.

    To understand 10,000 ports anew takes seconds, in which an agent hears of no link; to read them half a one; and to see that none of them
    can be otherwise, a tenth.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._standing: object = None
        self._readings: dict[str, tuple[object, ...]] = {}
        self._rare = 0
        self._foreign: list[Foreign] = []
        """others' permanent neighbours"""
        self._rows: dict[str, tuple[str, bool]] = {}
        """as `rows` tells them, each as JSON without its end: there goes what is otherwise more often"""
        self._held: object = _UNTOLD
        self._heard: dict[str, tuple[object, ...]] = {}
        self._announced: dict[str, str] = {}
        """the same of `announced`"""
        self._behind: list[str] = []
        self._next = 0.0
        """when to look again for what is not in what is compared, by the monotonic clock"""

    def status(self, failures: Sequence[dict[str, object]], agent: dict[str, object], apart: Apart, inventory: Answer) -> str:
        """All that `l3ctl status` tells, as the JSON of it: the ports last."""
        router = self._router
        self._look_at_ports(dict(router.links) or router.kernel.links(), router.kernel.look())
        if self._held is not _held(router):
            self._look_at_announcements()
        counters = router.filter.counters() if router.filter is not None else {}
        usual = _text_of(lately("", {}, {}))
        special = {name for name, counts in counters.items() if counts} | apart.held_down.keys()
        now = {name: _text_of(lately(name, counters, apart.held_down)) for name in special}
        ports = ", ".join(f"{{{self._rows[name][0]}, {self._announced[name]}, {now.get(name, usual)}}}" for name in sorted(self._rows))
        foreign = [one.text for one in (*self._foreign, *router.present.rivals)]
        around = beside(router, failures, agent, apart, foreign) | {"inventory": inventory}
        around["troubles"] = troubles(around, apart.held_down, self._behind)
        return f'{json.dumps(around)[:-1]}, "ports": [{ports}]}}'

    def _look_at_ports(self, links: Mapping[str, LinkFacts], seen: Look) -> None:
        router, began = self._router, time.monotonic()
        standing = links, seen.digest(), *router.told(), router.filter and router.filter.attached()
        anew = False
        if began >= self._next:
            self._rare += 1
            anew = self._rare % _ALL_ANEW == 0
            if router.filter is not None:
                router.filter.refresh(whole=False)
            router.present.look_for_rivals(seen)
            self._next = time.monotonic() + _RARELY * (time.monotonic() - began)
        elif standing == self._standing:
            return
        readings = router.readings(links, seen)
        # What is understood is looked up a moment after it was read; so every so often nothing is taken for what it was.
        known = {} if anew else self._rows
        told = {name: known[name] for name, reading in readings.items() if name in known and self._readings.get(name) == reading}
        foreign = list(self._foreign)
        wanted = router.wanting(links)
        looks = router.present.but(frozenset(told), links, seen, foreign, None if anew else wanted)
        for name, row, even in rows(router, links, looks, wanted):
            told[name] = _text_of(row), even
        # Together, and only now: what breaks off has changed nothing.
        self._standing, self._readings, self._rows, self._foreign = standing, readings, told, foreign
        self._held = _UNTOLD

    def _look_at_announcements(self) -> None:
        router = self._router
        held, told = _held(router), heard(router)
        for name, (_, even) in self._rows.items():
            port = router.ports[name]
            prefixes = [prefix for host in port.hosts for prefix in host.prefixes()]
            known = (None if told.announced is None else prefix in told.announced for prefix in prefixes)
            heard_of = port, even, name in told.behind, *known
            if name not in self._announced or self._heard.get(name) != heard_of:
                self._heard[name] = heard_of
                self._announced[name] = _text_of(announced(router, name, told, even=even))
        self._behind = sorted(name for name, (_, even) in self._rows.items() if not even or name in told.behind)
        for gone in self._announced.keys() - self._rows.keys():
            del self._announced[gone], self._heard[gone]
        self._held = held


def _held(router: Router) -> object:
    return router.speaker.held() if router.speaker is not None else None


def _text_of(members: dict[str, object]) -> str:
    """Of an object, without its braces."""
    return json.dumps(members)[1:-1]
