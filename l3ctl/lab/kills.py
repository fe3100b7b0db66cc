"""Agent, relay and ExaBGP killed at random moments, under pings to a customer whose link stays up while others' go down and up.

Each is started again as a service manager would; the relay by ExaBGP itself, which exits at its sixth death within a minute, so that deaths
of ExaBGP are dealt out among those of the relay. A peer with graceful restart forgets what it kept when ExaBGP dies a second time before
its End-of-RIB (RFC 4724, 4.2), so the next death of ExaBGP waits for that; every other may come in the middle of a resync. What a peer that
ended the session itself has not been told again is lost by that, so all wait for it.
"""

import os
import random
import re
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Self

from l3ctl.asking import ask
from l3ctl.errors import L3ctlError, LabFailed
from l3ctl.lab.excess import Report, Span
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.observer import Observing
from l3ctl.lab.peered import RECOVERING, UPSTREAM4, Outcome, Peered
from l3ctl.lab.storm import SETTLES_WITHIN, Links

_INTERVAL = 0.01
_SEQUENCES = 65536
"""ICMP's sequence numbers come again after so many"""
_PORTS = 30
_FEW, _PAUSE = 10, 0.05
"""links toggled without a pause, at most; seconds to the next ones, at most"""
_CALM = 3.0
"""seconds between two troubles, at most"""
_STOPPED = 2.0
_NOTICED = 0.3
"""seconds in which everybody has seen that a program is gone"""
_BACK_WITHIN = 60.0


def _stop_for_a_while(crowd: Peered) -> None:
    """ExaBGP neither reads nor writes, for less than the hold time."""
    pid = crowd.services["exabgp"].process.pid
    os.kill(pid, signal.SIGSTOP)
    time.sleep(_STOPPED)
    os.kill(pid, signal.SIGCONT)


def _kill(*names: str) -> Callable[[Peered], None]:
    def kill(crowd: Peered) -> None:
        for name in names:
            crowd.kill_relay() if name == "relay" else crowd.services[name].kill()

    return kill


KILLS = {name: _kill(name) for name in ("agent", "relay", "exabgp")}
FORGETS = "session ended by the peer"
"""costs packets: the peer itself forgets what it was told"""
TROUBLES: dict[str, Callable[[Peered], object]] = {
    "relay and agent": _kill("relay", "agent"),
    "exabgp and agent": _kill("exabgp", "agent"),
    "exabgp stopped": _stop_for_a_while,
    FORGETS: lambda crowd: crowd.birdc("restart l3ctl"),
}
_DEADLY = ("exabgp", "exabgp and agent")
"""what ExaBGP dies of"""


class Pings:
    """Pings from a namespace to one address, a hundred a second, beside a block; afterwards `sent`, and when those `lost` went."""

    def __init__(self, inside: Namespace, address: str, source: str | None = None) -> None:
        words = [found("ping"), "-n", "-D", "-i", str(_INTERVAL), *(["-I", source] if source else []), address]
        self._words = ["ip", "netns", "exec", inside.name, *words]
        self._missing: dict[int, float] = {}
        self.sent, self.lost = 0, list[float]()

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True)
        self._reader = threading.Thread(target=self._read)
        self._reader.start()
        return self

    def _read(self) -> None:
        """Note each reply; between two of them, what is missing was lost, unless it has only been overtaken."""
        assert self._process.stdout is not None
        wall = time.time() - time.monotonic()
        last = 0
        for line in self._process.stdout:
            if reply := re.match(r"\[([\d.]+)\].* icmp_seq=(\d+) .*ttl=", line):
                ahead = (int(reply[2]) - last) % _SEQUENCES
                if ahead > _SEQUENCES // 2:
                    self._missing.pop(last + ahead - _SEQUENCES, None)
                    continue
                number = last + ahead
                at = float(reply[1]) - wall
                self._missing |= {one: at - _INTERVAL * (number - one) for one in range(last + 1, number)}
                last = self.sent = number

    def __exit__(self, *_: object) -> None:
        time.sleep(10 * _INTERVAL)  # what is lost shows by those that come after
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self.lost = list(self._missing.values())


@dataclass(slots=True)
class Run:
    """What came of one."""

    made: dict[str, int] = field(default_factory=dict)
    exits: int = 0
    """deaths of ExaBGP that nobody had asked for"""
    toggles: int = 0
    went: int = 0
    """ports that were up at a trouble and down at the next rest"""
    outcomes: list[Outcome] = field(default_factory=list)
    """at each rest"""
    unfinished: int = 0
    """what the agent says it has left to do, at the end"""
    sent: int = 0
    lost: dict[str, int] = field(default_factory=dict)
    """pings, by the trouble before them"""
    away: list[Span] = field(default_factory=list)
    report: Report = field(default_factory=Report.of_nothing)

    def stale(self) -> int:
        """Prefixes too many, over all rests."""
        return sum(len(outcome.stale) for outcome in self.outcomes)

    def missing(self) -> int:
        """Prefixes missing, over all rests."""
        return sum(len(outcome.missing) for outcome in self.outcomes)

    def summary(self) -> list[str]:
        """For people."""
        made = ", ".join(f"{count} times {name}" for name, count in self.made.items())
        lost = ", ".join(f"{count} lost after {name}" for name, count in self.lost.items()) or "none lost"
        slowest = max((outcome.took for outcome in self.outcomes), default=0.0)
        rests = f"{len(self.outcomes)} rests, the slowest after {slowest:.1f} s: {self.stale()} stale, {self.missing()} missing"
        return [
            f"killed: {made}; {self.exits} exits of ExaBGP by itself; {self.toggles} toggles, {self.went} ports went down under it",
            f"{rests}, {self.unfinished} left to do; {self.sent} pings, {lost}",
            *self.report.summary(self.away),
        ]


class _Turmoil:
    """Links that go down and up all the time, and troubles meanwhile."""

    def __init__(self, crowd: Peered, seed: int) -> None:
        self._crowd = crowd
        self._chosen = random.Random(seed)  # noqa: S311  moments, not secrets
        self._links = Links(crowd, crowd.few[1:], seed)
        self._up_before: set[str] = set()
        self._since: float | None = None
        """when the trouble began that is not over"""
        self.times: list[tuple[float, str]] = []
        self.run = Run()

    def deal_out(self, troubles: dict[str, Callable[[Peered], object]], count: int) -> None:
        """So many of each, in a random order within each round."""
        names = sorted(troubles)
        for _ in range(count):
            for name in self._chosen.sample(names, len(names)):
                self._toggle(self._chosen.uniform(0, _CALM))
                if "exabgp" in name or (self.times and self.times[-1][1] == FORGETS):
                    self._wait_until_all_work()
                self._begin(name)
                troubles[name](self._crowd)
                if self._chosen.random() < 0.5:
                    self._toggle(self._chosen.uniform(0, _CALM / 2))
                    self.rest()
        self.rest()
        self.run.toggles = self._links.toggles

    def _begin(self, name: str) -> None:
        self._up_before |= {port.name for port in self._links.up()}
        self.run.made[name] = self.run.made.get(name, 0) + 1
        self.times.append((time.monotonic(), name))
        self._since = self._since or time.monotonic()

    def _toggle(self, seconds: float) -> None:
        """Keep links going down and up, and see whether a trouble is over."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._links.burst(self._chosen.randint(1, _FEW))
            time.sleep(self._chosen.uniform(0, _PAUSE))
            self._see()

    def _see(self) -> bool:
        """Whether all programs work; if so, no trouble goes on."""
        now = time.monotonic()
        if self._since is None:
            return True
        if now < self.times[-1][0] + _NOTICED or not _all_work(self._crowd):
            return False
        self.run.away.append((self._since, now))
        self._since = None
        return True

    def _wait_until_all_work(self) -> None:
        until = time.monotonic() + _BACK_WITHIN
        while not self._see():
            if time.monotonic() > until:
                raise LabFailed(f"after '{self.times[-1][1]}' not everything works again within {_BACK_WITHIN:g} s")
            time.sleep(0.02)

    def rest(self) -> None:
        """Let all come to rest: then the upstream has what is up, whatever went down while nobody could tell it."""
        self._wait_until_all_work()
        up = [self._crowd.pinged, *self._links.up()]
        self.run.went += len(self._up_before - {port.name for port in up})
        self._up_before = set()
        self.run.outcomes.append(self._crowd.settles(up, SETTLES_WITHIN))


def _all_work(crowd: Peered) -> bool:
    """Whether agent, relay and session are there, and the peer has what is always up and waits for no End-of-RIB."""
    always = {str(prefix) for host in crowd.pinged.hosts for prefix in host.prefixes()}
    with suppress(L3ctlError, OSError):
        bgp = ask(crowd.run_dir / "agent.sock", {"command": "status"})["bgp"]
        said = crowd.birdc("show protocols all l3ctl")
        return bool(bgp["relay"]) and "Established" in said and RECOVERING not in said and always <= crowd.learnt()
    return False


def kills(prefix: str, count: int, seed: int, *, more: bool = False) -> Run:
    """So many kills of each program; with `more`, the other troubles too."""
    with Peered(prefix, _PORTS) as crowd:
        crowd.start()
        turmoil = _Turmoil(crowd, seed)
        turmoil.rest()
        six, four = crowd.pings()
        with Observing(crowd) as observing, Pings(crowd.upstream, six) as pings6, Pings(crowd.upstream, four, UPSTREAM4) as pings4:
            turmoil.deal_out(KILLS | (TROUBLES if more else {}), count)
        run = turmoil.run
        run.unfinished = len(crowd.plan())
        run.report, run.sent = observing.report, pings6.sent + pings4.sent
        for at in (*pings6.lost, *pings4.lost):
            name = next((name for time_, name in reversed(turmoil.times) if time_ < at), "nothing")
            run.lost[name] = run.lost.get(name, 0) + 1
        run.exits = len(crowd.services["exabgp"].ends) - sum(number for name, number in run.made.items() if name in _DEADLY)
    return run
