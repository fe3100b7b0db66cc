"""Which hosts do not answer: of ports with `liveness: probe`, each is asked once an interval, and away after some misses in a row.

The ports are dealt out over the interval, a slot for every hundredth of it, so that ten thousand do not ask at once; within its slot the
moment is drawn anew each time. A slot's questions leave in one system call; the answers stay in the filter, which notes in memory that we
share when a host was last there. So an answer costs us nothing, and the kernel's neighbour tables hear of none.

An agent that begins takes for there whose routes stand, and for away whose do not: what it finds was true when its predecessor ended.
"""

import math
import random
import zlib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field

from l3ctl.desired import liveness_of
from l3ctl.kernel.probes import Batch, ProbeSocket, request, solicitation
from l3ctl.log import event
from l3ctl.model import Host, Settings
from l3ctl.present import AT_ONCE
from l3ctl.router import Router
from l3ctl.xdp import clock

_SLOTS = 100
_TRIED_AGAIN = 10.0
"""seconds"""
_PATIENCE = 250
"""milliseconds an answer may take; a later one shows at the next look"""


@dataclass(slots=True)
class _Slot:
    ports: list[str] = field(default_factory=list)
    asked: dict[str, int] = field(default_factory=dict)
    """of these, who can be asked, and is; and the netdev that their answers come in on"""
    batch: Batch | None = None
    """the questions; None where links or ports have changed since it was made"""
    whose: list[str] = field(default_factory=list)
    """of each question, the port"""
    made_at: float = -math.inf
    unasked: set[str] = field(default_factory=set)
    """whose question did not go out this time: their silence says nothing"""
    due: float = math.inf
    """when its turn is; by the monotonic clock, like the next two"""
    send_at: float = math.inf
    look_at: float = math.inf
    looked: int = 0
    """when, by the clock that the filter reads"""


class Probing:
    """Keeps `away`. Whoever owns it calls `run` at `next`, by the monotonic clock, and looks again at the ports that it names."""

    def __init__(self, router: Router, random_: Callable[[], float] = random.random) -> None:
        self._router, self._random = router, random_
        self._socket: ProbeSocket | None = None
        self._slots = [_Slot() for _ in range(_SLOTS)]
        self._slot_of: dict[str, _Slot] = {}
        self._misses: dict[str, int] = {}
        self.away: set[str] = set()
        self.next = math.inf

    def replace(self, now: float) -> None:
        """The router has other ports or settings."""
        self.change(now, {*self._slot_of, *self._router.ports})

    def change(self, now: float, names: Collection[str]) -> None:
        """It has others of these ports, or has them no more."""
        router, settings = self._router, self._router.settings
        wanted = {name for name in names if name in router.ports and liveness_of(router.ports[name], settings).probes}
        new = wanted - self._slot_of.keys()
        for name in self._slot_of.keys() & (set(names) - wanted):
            slot = self._slot_of.pop(name)
            slot.ports.remove(name)
            slot.asked.pop(name, None)
            slot.batch = None
            del self._misses[name]
            self.away.discard(name)
        for name in sorted(new):
            number = zlib.crc32(name.encode()) % _SLOTS
            slot = self._slot_of[name] = self._slots[number]
            slot.ports.append(name)
            self._misses[name] = 0
            if slot.due == math.inf:
                self._plan_slot(slot, now + self._width() * number)
        self.away |= self._without_routes(new)
        self.links_changed(names)
        for slot in self._slots:
            if not slot.ports:
                slot.due = slot.send_at = slot.look_at = math.inf
        self._plan()

    def _plan_slot(self, slot: _Slot, due: float) -> None:
        slot.due = due
        slot.send_at = due + self._width() * self._random()

    def _without_routes(self, names: Collection[str]) -> set[str]:
        if not names:
            return set()
        router = self._router
        links = router.kernel.links()
        few = len(names) <= AT_ONCE
        looks = [router.present.states(names, links)] if few else router.present.each(links, router.kernel.look(), router.wanting(links))
        return {*names} - {name for found in looks for name, state in found.items() if state.routes}

    def _width(self) -> float:
        """Seconds of a slot."""
        return self._router.settings.probe_interval / 1000 / _SLOTS

    def _plan(self) -> None:
        self.next = min((min(slot.send_at, slot.look_at) for slot in self._slots), default=math.inf)

    def links_changed(self, ports: Iterable[str]) -> None:
        """What goes out on these has to be laid out anew."""
        for name in ports:
            if name in self._slot_of:
                self._slot_of[name].batch = None

    def run(self, now: float) -> set[str]:
        """Ask and look, where it is time; the ports whose hosts have come or gone."""
        changed: set[str] = set()
        interval = self._router.settings.probe_interval / 1000
        for number, slot in enumerate(self._slots):
            if now >= slot.look_at:
                slot.look_at = math.inf
                changed |= self._look(slot)
            if now >= slot.send_at:
                self._ask(slot, now)
                slot.look_at = now + min(_PATIENCE / 1000, interval / 4)
                late = now > slot.due + interval  # stopped for a while: what was left out is not made up for
                self._plan_slot(slot, now + self._width() * number if late else slot.due + interval)
        self._plan()
        return changed

    def _ask(self, slot: _Slot, now: float) -> None:
        if self._socket is None:
            self._socket = ProbeSocket()
        # Who could not be asked may be now: links tell, and where that was lost it is tried again after a while.
        if slot.batch is None or (len(slot.asked) < len(slot.ports) and now > slot.made_at + _TRIED_AGAIN):
            slot.made_at = now
            questions = {name: [*self._questions(name)] for name in slot.ports}
            links, ports = self._router.links, self._router.ports
            slot.asked = {name: links[ports[name].guard].ifindex for name, frames in questions.items() if frames}
            slot.whose = [name for name, frames in questions.items() for _ in frames]
            slot.batch = Batch([frame for frames in questions.values() for frame in frames])
        assert self._router.filter is not None
        coarse = clock.now()
        if not slot.looked:
            slot.looked = coarse
        # Until the next one is asked, and its answer may have come: who answers late is no violator.
        self._router.filter.ask(slot.asked, coarse + (self._router.settings.probe_interval + _PATIENCE) * 1_000_000)
        slot.unasked = {slot.whose[position] for position in self._socket.send(slot.batch)}

    def _questions(self, name: str) -> Iterable[tuple[int, bytes]]:
        """None where they cannot go out."""
        port = self._router.ports[name]
        facts, guard = self._router.links.get(port.interface), self._router.links.get(port.guard)
        if facts is not None and facts.admin_up and guard is not None:
            for host in port.hosts:
                if frame := question(host, facts.lladdr, self._router.settings):
                    yield facts.ifindex, frame

    def _look(self, slot: _Slot) -> set[str]:
        """Who of a slot has been there since it was looked at last."""
        assert self._router.filter is not None
        since, slot.looked = slot.looked, clock.now()
        limit = self._router.settings.probe_misses
        changed = set()
        for name, ifindex in slot.asked.items():
            if self._router.filter.seen(name) >= since:
                self._misses[name] = 0
                if name in self.away:
                    self.away.discard(name)
                    changed.add(name)
                    event("up", port=name, reason="it answers")
            elif name not in self.away and name not in slot.unasked:
                self._misses[name] += 1
                if self._misses[name] >= limit and self._router.filter.is_on(ifindex):  # else nobody would have heard an answer
                    self.away.add(name)
                    changed.add(name)
                    event("down", port=name, reason=f"{limit} probes without an answer")
        return changed

    def close(self) -> None:
        """Ask no more."""
        if self._socket is not None:
            self._socket.close()


def question(host: Host, router_lladdr: str, settings: Settings) -> bytes | None:
    """What a host is asked: for its link-local, or where it has nothing but IPv4, for its first address. None: nobody could ask."""
    gateways6 = sorted(settings.gateway_ipv6, key=lambda gateway: not gateway.is_link_local)
    if host.ipv4 and settings.gateway_ipv4 and (not host.ipv6 or not gateways6):
        return request(router_lladdr, settings.gateway_ipv4[0], host.lladdr, host.ipv4[0])
    return solicitation(router_lladdr, gateways6[0], host.lladdr, host.link_local) if gateways6 else None
