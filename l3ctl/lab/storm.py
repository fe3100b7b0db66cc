"""A storm of links that go down and up at full speed. What the upstream has in the end: exactly the prefixes of links that are up.

Links are toggled at the customers' ends, by the smallest RTM_NEWLINK there is, many to a system call.
"""

import random
import struct
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from l3ctl.errors import LabFailed
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.wire import RTM_NEWLINK, Message
from l3ctl.lab.excess import Report
from l3ctl.lab.observer import Observing
from l3ctl.lab.peered import Outcome, Peered
from l3ctl.model import Port

_IFINFOMSG = struct.Struct("=BxHiII")
"""ifi_family, ifi_type, ifi_index, ifi_flags, ifi_change"""
_IFF_UP = 0x1
_BURST, _PAUSE = 200, 0.04
"""links toggled without a pause, at most; seconds to the next ones, at most"""
SETTLES_WITHIN = 120.0


class Links:
    """The customers' ends of some ports' links, which only this toggles; all are up at the beginning."""

    def __init__(self, crowd: Peered, ports: Iterable[Port], seed: int) -> None:
        self._chosen = random.Random(seed)  # noqa: S311  links, not secrets
        with crowd.far.entered():
            self._kernel = NetlinkSocket()
        self._ports = list(ports)
        self._indexes = {port.name: self._kernel.index_of(port.interface) or 0 for port in self._ports}
        self._down: set[str] = set()
        self.toggles = 0
        self.seconds = 0.0
        """that toggling alone has taken"""

    def set(self, ports: Iterable[Port], *, up: bool) -> None:
        """Bring these into one state."""
        self._send([(port, up) for port in ports])

    def burst(self, count: int) -> None:
        """Toggle so many, at random; some of them often."""
        steps: list[tuple[Port, bool]] = []
        down = set(self._down)
        for port in self._chosen.choices(self._ports, k=count):
            steps.append((port, port.name in down))
            down ^= {port.name}
        self._send(steps)
        self.toggles += count

    def bursts(self, count: int) -> Iterator[int]:
        """Toggle so many in all, with pauses of random length; how many it are so far, at each."""
        done = 0
        while done < count:
            some = min(count - done, self._chosen.randint(1, _BURST))
            self.burst(some)
            done += some
            yield done
            time.sleep(self._chosen.uniform(0, _PAUSE))

    def _send(self, steps: list[tuple[Port, bool]]) -> None:
        began = time.monotonic()
        packed = (_IFINFOMSG.pack(0, 0, self._indexes[port.name], _IFF_UP * up, _IFF_UP) for port, up in steps)
        refused = self._kernel.batch(Message(RTM_NEWLINK, 0, payload) for payload in packed)
        self.seconds += time.monotonic() - began
        if refused:
            raise LabFailed(f"a link could not be toggled: {next(iter(refused.values())).text}")
        for port, up in steps:
            (self._down.discard if up else self._down.add)(port.name)

    def up(self) -> list[Port]:
        """The ports whose links are up."""
        return [port for port in self._ports if port.name not in self._down]


@dataclass(frozen=True, slots=True)
class Storm:
    """What came of one. `during` of the toggles were done while the bulk came or went, at `rate` a second without the pauses."""

    toggles: int
    during: int
    loads: int
    """times that the bulk began to come"""
    rate: float
    seconds: float
    outcome: Outcome
    unfinished: int
    """what the agent says it has left to do"""
    report: Report

    def summary(self) -> list[str]:
        """For people."""
        end = f"{len(self.outcome.stale)} stale, {len(self.outcome.missing)} missing, {self.unfinished} left to do"
        how = f"{self.toggles} toggles in {self.seconds:.1f} s, {self.rate:.0f} a second without the pauses"
        how += f", {self.during} of them under a bulk that came {self.loads} times"
        return [f"storm: {how}; settled after {self.outcome.took:.1f} s: {end}", *self.report.summary()]


class _Bulk:
    """Further prefixes that come and, when all are there, go again: as long as there is somebody to turn them."""

    def __init__(self, crowd: Peered, links: Links) -> None:
        self._crowd, self._links = crowd, links
        self._all = sum(len(host.prefixes()) for port in crowd.bulk for host in port.hosts)
        self._beside = sum(len(host.prefixes()) for port in crowd.few for host in port.hosts)
        self.times = 0
        self._come()

    def _come(self) -> None:
        self._links.set(self._crowd.bulk, up=True)
        self.times += 1

    def turn(self) -> None:
        """Let them go if all have come, and come if all have gone."""
        learnt = self._crowd.count()
        if self._links.up() and learnt >= self._all:
            self._links.set(self._crowd.bulk, up=False)
        elif not self._links.up() and learnt <= self._beside:
            self._come()

    def finish(self) -> None:
        """Have all of them there, and nothing on its way."""
        if not self._links.up():
            self._come()
        until = time.monotonic() + SETTLES_WITHIN
        while self._crowd.count() < self._all:
            if time.monotonic() > until:
                raise LabFailed(f"of {self._all} further prefixes {self._crowd.count()} have come in {SETTLES_WITHIN:g} s")
            time.sleep(0.05)


def storm(prefix: str, toggles: int, bulk: int, seed: int, ports: int = 300) -> Storm:
    """So many random toggles, half of them while `bulk` further prefixes come and go."""
    with Peered(prefix, ports, bulk) as crowd:
        few, many = Links(crowd, crowd.few, seed), Links(crowd, crowd.bulk, seed)
        many.set(crowd.bulk, up=False)
        crowd.start()
        first = crowd.settles(few.up(), SETTLES_WITHIN)
        if first.stale or first.missing:
            raise LabFailed(f"it did not begin: {len(first.missing)} prefixes are missing, {len(first.stale)} too many")
        with Observing(crowd) as observing:
            began = time.monotonic()
            load = _Bulk(crowd, many)
            for _ in few.bursts(toggles // 2):
                load.turn()
            during = few.toggles
            load.finish()
            for _ in few.bursts(toggles - toggles // 2):
                pass
            seconds = time.monotonic() - began
            outcome = crowd.settles([*few.up(), *many.up()], SETTLES_WITHIN)
            unfinished = len(crowd.plan())
        return Storm(few.toggles, during, load.times, few.toggles / few.seconds, seconds, outcome, unfinished, observing.report)
