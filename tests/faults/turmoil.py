"""What goes on beside a soak's faults: links that flap, customers that attack, an inventory that changes."""

import json
import random
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address
from pathlib import Path

from l3ctl.errors import L3ctlError
from l3ctl.lab.attacks import ATTACKS
from l3ctl.lab.customers import Customer
from l3ctl.lab.storm import Links
from l3ctl.model import Port
from tests.faults.network import Network
from tests.faults.outcome import Soak

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
SAMPLED = 5.0
"""seconds between two looks at the agent's memory"""


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


class Turmoil:
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
