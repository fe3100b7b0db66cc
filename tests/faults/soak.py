"""`python -m tests.faults.soak [--minutes N] [--ports N] [--seed N]`: everything at once, for a long time.

Links flap, customers attack, the inventory changes and programs die or stand still, all at random, while an innocent host is pinged and an
observer looks every 10 ms whether anything is announced without what it rests on. In the end all must be as it should be, the agent must
have no more memory than before, and nothing may have been announced without its neighbour or its policy; without its link or its route,
only for as long as the news takes, or while a program was away that would have told it.
"""

import argparse
import json
import os
import random
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import IPv4Address
from pathlib import Path

from l3ctl.errors import L3ctlError
from l3ctl.lab.attacks import ATTACKS
from l3ctl.lab.customers import Customer
from l3ctl.lab.excess import Excess, Report, Span
from l3ctl.lab.kills import Pings
from l3ctl.lab.observer import Observing
from l3ctl.lab.peered import UPSTREAM4
from l3ctl.lab.storm import Links
from l3ctl.model import Port
from tests.faults import inputs, processes, sessions, tables
from tests.faults.fault import Fault
from tests.faults.network import Network

LEFT_ALONE = 4
"""ports at the beginning that nothing happens to; the first is the innocent host's"""
ATTACKERS = 8
ATTACK_RATE = 2000
"""frames a second, of all attackers"""
TOGGLES = (1, 6)
CHANGED = 5
"""ports whose record changes at a time"""
GOING = 20
"""one port in so many may be gone at a time: less than max_shrink lets go"""
CALM = (0.5, 4.0)
"""seconds between two faults"""
NEWS = 2.0
"""seconds that the news of a link may take to the peer under all this"""
SAMPLED = 5.0
"""seconds between two looks at the agent's memory"""
FLAT = 1.05
"""what the last third's memory may be of the second third's"""
_UNFIT = {
    "all neighbours flushed",  # they take away themselves what announcements rest on
    "all routes flushed",
    "a netdev deleted and made anew",
    "filter taken off one netdev",
    "another XDP program in the filter's place for 2 s",
    "the filter's pins removed",
    "bpffs unmounted under the agent",
    "the filter's maps wiped",
    f"{tables.FLAPS} link events on other ports at full speed",  # links flap all the time, and these would come up by it
    "who reads the log stands still, and links flap",
    "disk full, and a change of the inventory",  # these wait for a change of their own, among all the others
    "/var read-only, and a change of the inventory",
    "agent upgraded to one with another layout of maps",
}
_FORGETFUL = "the peer itself forgets"
"""where the innocent host loses packets, and for as long as the peer knows nothing"""
_ENDS_AGENT = ("agent killed", "relay and agent", "ExaBGP and agent")


def _is_fit(fault: Fault) -> bool:
    return fault.name not in _UNFIT and not fault.costs.startswith(_FORGETFUL) and "a link goes down" not in fault.name


FAULTS = [one for one in (*processes.FAULTS, *tables.FAULTS, *sessions.FAULTS, *inputs.FAULTS) if _is_fit(one)]


@dataclass
class Soak:
    """What came of one."""

    faults: dict[str, int] = field(default_factory=dict)
    away: list[Span] = field(default_factory=list)
    toggles: int = 0
    attacked: int = 0
    changes: int = 0
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    """(moment, the agent's bytes, its reader's)"""
    sent: int = 0
    lost: list[float] = field(default_factory=list)
    """when pings went that were not answered, by the monotonic clock"""
    report: Report = field(default_factory=Report.of_nothing)
    healed: float = 0.0

    def thirds(self) -> tuple[float, float, float]:
        """The mean of the memory in each third of the time, in bytes."""
        agents, readers = self._thirds(1), self._thirds(2)
        first, second, last = (agent + reader for agent, reader in zip(agents, readers, strict=True))
        return first, second, last

    def _thirds(self, whose: int) -> list[float]:
        began, ended = self.memory[0][0], self.memory[-1][0]
        third = (ended - began) / 3 or 1.0
        means = []
        for number in range(3):
            here = [sample[whose] for sample in self.memory if number == min(2, int((sample[0] - began) / third))]
            means.append(sum(here) / max(1, len(here)))
        return means

    def when_lost(self) -> str:
        """The moments at which pings were lost, each with how many."""
        bursts: list[list[float]] = []
        for at in sorted(self.lost):
            if bursts and at - bursts[-1][-1] < 1.0:
                bursts[-1].append(at)
            else:
                bursts.append([at])
        wall = time.time() - time.monotonic()
        told = (
            f"{len(one)} from {time.strftime('%H:%M:%S', time.localtime(one[0] + wall))} for {one[-1] - one[0]:.2f} s" for one in bursts
        )
        return ", ".join(told) or "none"

    def breaches(self) -> list[Excess]:
        """What must not be."""
        return [
            one
            for one in self.report.excesses
            if one.missing in ("neighbour", "policy") or (one.at_least() > NEWS and not one.meets(self.away))
        ]

    def summary(self) -> list[str]:
        """For people."""
        first, second, last = (size / 1e6 for size in self.thirds())
        return [
            f"{sum(self.faults.values())} faults: " + ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items())),
            f"{self.toggles} links toggled, {self.changes} changes of the inventory, {self.attacked} frames of attackers",
            f"{self.sent} pings, {len(self.lost)} lost ({self.when_lost()}); healed {self.healed:.1f} s after the last fault",
            (
                f"agent and reader: {first:.1f}, {second:.1f}, {last:.1f} MB in the three thirds of the time, x {last / second:.3f}; "
                f"of that the agent {', '.join(f'{size / 1e6:.1f}' for size in self._thirds(1))} MB"
            ),
            *self.report.summary(self.away),
            f"{len(self.breaches())} breaches, {self.report.left} that did not end",
        ]


class _Attackers:
    """Send what customers must not, from their ends, at a steady rate."""

    def __init__(self, network: Network, seed: int) -> None:
        chosen = random.Random(seed)
        ports = network.ports[LEFT_ALONE : LEFT_ALONE + ATTACKERS]
        victim = _customer(network.pinged)
        self._frames: list[tuple[socket.socket, list[bytes]]] = []
        for port in ports:
            with network.far.entered():
                raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            raw.bind((port.interface, 0))
            made = [frame for attack in ATTACKS for frame in attack.frames(_customer(port), victim, 200)]
            chosen.shuffle(made)
            self._frames.append((raw, made))
        self.sent = 0

    def send(self, seconds: float) -> None:
        """As many as are due in that time."""
        for number in range(self.sent, self.sent + int(seconds * ATTACK_RATE)):
            raw, made = self._frames[number % len(self._frames)]
            with suppress(OSError):  # a link that is down
                raw.send(made[number // len(self._frames) % len(made)])
            self.sent += 1

    def close(self) -> None:
        """No more."""
        for raw, _ in self._frames:
            raw.close()


def _customer(port: Port) -> Customer:
    (host,) = port.hosts
    address = host.ipv4[0] if host.ipv4 else IPv4Address("203.0.113.66")
    return Customer(port.name, host.lladdr, host.ipv6[0], address, arp=True)


class _Records:
    """The inventory as it changes: hosts lose their IPv4 address, ports go altogether, and all of it comes back."""

    def __init__(self, network: Network, seed: int) -> None:
        self._file = network.run_dir / "inventory.yaml"
        self._network = network
        self._chosen = random.Random(seed)
        head, *lines = self._file.read_text().splitlines()
        self._head, self._records = head, [json.loads(line.removeprefix("  - ")) for line in lines]
        self._changeable = [number for number, one in enumerate(self._records) if number >= LEFT_ALONE + ATTACKERS and one["ipv4"]]
        self._goable = self._chosen.sample(range(LEFT_ALONE + ATTACKERS, len(self._records)), len(self._records) // GOING)
        self._without: set[int] = set()
        self._gone: set[int] = set()
        self.changes = 0

    def change(self) -> None:
        """A few of them."""
        self._without ^= set(self._chosen.sample(self._changeable, min(CHANGED, len(self._changeable))))
        self._gone ^= {self._chosen.choice(self._goable)}
        self._write()
        self.changes += 1

    def settle(self) -> None:
        """All as they were."""
        self._without.clear()
        self._gone.clear()
        self._write()

    def _write(self) -> None:
        there = ((number, one) for number, one in enumerate(self._records) if number not in self._gone)
        records = (one | {"ipv4": []} if number in self._without else one for number, one in there)
        self._network.put(self._file, "".join([f"{self._head}\n", *(f"  - {json.dumps(one)}\n" for one in records)]).encode())


class _Turmoil:
    """Links, attacks, changes of the inventory and looks at the memory, in a thread of their own, beside the faults."""

    def __init__(self, network: Network, soak: Soak, seed: int) -> None:
        self._network, self._soak = network, soak
        self._chosen = random.Random(seed)
        self.links = Links(network, network.ports[LEFT_ALONE + ATTACKERS :], seed)
        self.records = _Records(network, seed)
        self._attackers = _Attackers(network, seed)
        self.inventory = threading.Lock()
        """who holds it has the inventory to himself"""
        self._ending = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    @contextmanager
    def going_on(self) -> Iterator[None]:
        """Beside the block; an error in it is the block's at the end."""
        self._thread.start()
        try:
            yield
        finally:
            self._ending.set()
            self._thread.join()
            self._attackers.close()
            self._soak.toggles, self._soak.attacked, self._soak.changes = self.links.toggles, self._attackers.sent, self.records.changes
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            last, next_sample, next_change = time.monotonic(), 0.0, time.monotonic() + 2
            while not self._ending.wait(0.05):
                now = time.monotonic()
                self._attackers.send(min(now - last, 0.2))
                last = now
                self.links.burst(self._chosen.randint(*TOGGLES))
                if now >= next_change and self.inventory.acquire(blocking=False):
                    try:
                        self.records.change()
                    finally:
                        self.inventory.release()
                    next_change = now + self._chosen.uniform(1, 5)
                if now >= next_sample:
                    self._sample(now)
                    next_sample = now + SAMPLED
        except BaseException as error:
            self._error = error

    def _sample(self, now: float) -> None:
        with suppress(L3ctlError, OSError, ValueError):  # while one of them is away there is nothing to see
            agent, reader = (_resident(self._network.pid(name)) for name in ("agent", "reader"))
            self._soak.memory.append((now, agent, reader))


def _resident(pid: int) -> int:
    told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    (line,) = (line for line in told.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1]) * 1024


def soak(prefix: str, seconds: float, ports: int, seed: int, logs: Path | None = None) -> Soak:
    """All of it, for so long; what the programs said is copied to `logs`."""
    came, chosen = Soak(), random.Random(seed)
    with Network(prefix, ports) as network:
        network.begin()
        six, four = network.pings()
        turmoil = _Turmoil(network, came, seed)
        with Observing(network) as observing, Pings(network.upstream, six) as pings6, Pings(network.upstream, four, UPSTREAM4) as pings4:
            began = time.monotonic()
            with turmoil.going_on():
                while time.monotonic() < began + seconds:
                    time.sleep(chosen.uniform(*CALM))
                    # The agent's memory is compared between the second third and the last: it is not to begin anew then.
                    late = time.monotonic() > began + seconds / 3
                    fit = [one for one in FAULTS if not (late and one.name.startswith(_ENDS_AGENT))]
                    _one(network, came, turmoil, chosen.choice(fit))
            turmoil.records.settle()
            turmoil.links.set(network.ports[LEFT_ALONE + ATTACKERS :], up=True)
            came.healed = network.heals()
            if logs is not None:
                for log in network.run_dir.glob("*.log"):
                    shutil.copy(log, logs)
        came.report = observing.report
        came.sent, came.lost = pings6.sent + pings4.sent, [*pings6.lost, *pings4.lost]
    return came


def _one(network: Network, came: Soak, turmoil: _Turmoil, fault: Fault) -> None:
    """One fault, until the programs work again, whatever else goes on."""
    with turmoil.inventory:
        began = time.monotonic()
        network.mark()
        fault.happens(network)
        network.waits("the agent and its session work again", network.works)
        came.away.append((began, time.monotonic()))
    came.faults[fault.name] = came.faults.get(fault.name, 0) + 1
    print(f"{time.strftime('%H:%M:%S')} {time.monotonic() - began:6.1f} s  {fault.name}", flush=True)


def main() -> int:
    """The exit status: 1 where something was not as it should be."""
    parser = argparse.ArgumentParser(prog="python -m tests.faults.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--ports", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "big"))
    parser.add_argument("--logs", type=Path, help="a folder, for what the programs said")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", flush=True)
    came = soak(f"l3t{os.getpid()}s", 60 * chosen.minutes, chosen.ports, chosen.seed, chosen.logs)
    print("\n".join(came.summary()))
    for one in came.breaches()[:20]:
        print(one)
    _, second, last = came.thirds()
    return int(bool(came.breaches() or came.report.left or came.lost or last > FLAT * second))


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
