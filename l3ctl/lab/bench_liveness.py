"""How soon a host that falls silent is away, and one that answers again is back; and what it costs to ask ten thousand each second.

Hosts fall silent, and their links stay up, as behind a switch: they lose the address that they are asked for.
"""

import os
import random
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass

from l3ctl.kernel.probes import Batch, ProbeSocket
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.crowd import Crowd
from l3ctl.model import Port
from l3ctl.probing import question
from l3ctl.site import load_site

_FEW = 10
_HOSTS = 10
"""on each port of the many: ten thousand netdevs take half an hour to make"""
_INTERVAL, _MISSES = 1.0, 3
_BATCH = 5_000
_WINDOW = 0.1
_SENT_IN = 100
"""batches an interval, as the agent does"""


class Answering(Crowd):
    """A crowd of which the first host of each port answers; the others are asked all the same."""

    def __init__(self, prefix: str, count: int, liveness: str, hosts: int = 1) -> None:
        super().__init__(prefix, count, trunks=False, hosts=hosts)
        self._liveness = liveness

    def build(self) -> None:
        """The links, and at the far ends the hosts."""
        super().build()
        for start in range(0, len(self.ports), _BATCH):
            commands = []
            for port in self.ports[start : start + _BATCH]:
                host = port.hosts[0]
                commands += [
                    f"link set {port.interface} address {host.lladdr}",
                    f"addr add {host.link_local}/64 dev {port.interface} nodad",
                ]
            self.far.ip(*commands)

    def told(self) -> dict[str, object]:
        """What the configuration says."""
        return super().told() | {"liveness": self._liveness, "probe": {"interval": round(1000 * _INTERVAL), "misses": _MISSES}}

    def routed(self, port: Port) -> bool:
        """Whether the host is there, as the router sees it."""
        host = port.hosts[0]
        return bool(self.router.run("ip", "-6", "route", "show", str(host.ipv6[0])))

    def silence(self, port: Port, *, on: bool) -> None:
        """Let the host answer nobody, or again."""
        host = port.hosts[0]
        address = f"{host.link_local}/64 dev {port.interface}"
        self.far.ip(f"addr del {address}" if on else f"addr add {address} nodad")

    def solicitations(self) -> int:
        """How many have come to the hosts."""
        lines = (self.far.run("cat", "/proc/net/snmp6")).splitlines()
        (line,) = (line for line in lines if line.startswith("Icmp6InNeighborSolicits"))
        return int(line.split()[1])


def _until(crowd: Answering, port: Port, there: bool) -> float:
    began = time.monotonic()
    crowd.wait("the change", lambda: crowd.routed(port) is there, 60)
    return time.monotonic() - began


def _tries(crowd: Answering, count: int, chosen: random.Random) -> tuple[float, float]:
    """The longest that hosts took to be away, and to be back, in seconds."""
    down, up = [], []
    for _ in range(count):
        port = chosen.choice(crowd.ports)
        time.sleep(chosen.uniform(0, _INTERVAL))
        crowd.silence(port, on=True)
        down.append(_until(crowd, port, False))
        time.sleep(chosen.uniform(0, _INTERVAL))
        crowd.silence(port, on=False)
        up.append(_until(crowd, port, True))
    return max(down), max(up)


@dataclass(frozen=True, slots=True)
class _Asking:
    """What asking costs."""

    cpu: float
    """the share of a core that the agent takes, in percent"""
    alone: float
    """that the same frames take when they are only sent"""
    most: float
    """solicitations a second within any tenth of one"""


def _asking(count: int, liveness: str, seconds: float) -> _Asking:
    with Answering(f"l3bench{os.getpid()}", count // _HOSTS, liveness, _HOSTS) as crowd:
        crowd.start_agent()
        crowd.wait("the last host", lambda: crowd.routed(crowd.ports[-1]))
        time.sleep(3 * _INTERVAL)
        began, used = time.monotonic(), crowd.cpu_seconds()
        rates, last, at = [], crowd.solicitations(), time.monotonic()
        while time.monotonic() < began + seconds:
            time.sleep(_WINDOW)
            now, seen = time.monotonic(), crowd.solicitations()
            rates.append((seen - last) / (now - at))
            last, at = seen, now
        cpu = 100 * (crowd.cpu_seconds() - used) / (time.monotonic() - began)
        return _Asking(cpu, _sent_alone(crowd, seconds), max(rates))


def _sent_alone(crowd: Answering, seconds: float) -> float:
    """What the kernel takes to deliver them: on veth the sender's system call runs the receiver's stack, and the answers' way back."""
    with crowd.router.entered(), Kernel() as kernel:
        links, settings = kernel.links(), load_site(crowd.config).config.settings
        questions = [(links[port.interface], host) for port in crowd.ports for host in port.hosts]
        frames = [(facts.ifindex, frame) for facts, host in questions if (frame := question(host, facts.lladdr, settings))]
        sender = ProbeSocket()
    batches = [Batch(frames[number::_SENT_IN]) for number in range(_SENT_IN)]
    began, used = time.monotonic(), time.process_time()
    for number in range(round(seconds / _INTERVAL * _SENT_IN)):
        sender.send(batches[number % _SENT_IN])
        time.sleep(max(0.0, began + (number + 1) * _INTERVAL / _SENT_IN - time.monotonic()))
    sender.close()
    return 100 * (time.process_time() - used) / (time.monotonic() - began)


def bench_liveness(repeats: int, tries: int = 10, count: int = 10_000, seconds: float = 20.0) -> Iterator[Row]:
    """Every row."""
    chosen = random.Random(0)  # noqa: S311  moments, not secrets
    with Answering(f"l3bench{os.getpid()}", _FEW, "carrier+probe") as crowd:
        crowd.start_agent()
        for port in crowd.ports:
            _until(crowd, port, True)
        rounds = [_tries(crowd, tries, chosen) for _ in range(repeats)]
    yield row_of(f"probe-down-{tries}", "s", "interval x misses", [(down, _INTERVAL * _MISSES) for down, _ in rounds])
    yield row_of(f"probe-up-{tries}", "s", "an interval", [(up, _INTERVAL) for _, up in rounds])
    asking = [_asking(count, "carrier+probe", seconds) for _ in range(max(1, repeats // 2))]
    idle = [_asking(count, "carrier", seconds).cpu for _ in asking]
    yield row_of("probe-cpu", "percent", "the frames sent alone", [(one.cpu, one.alone) for one in asking])
    yield row_of(
        "probe-cpu-idle", "percent", "by carrier alone", [(one.cpu, max(0.01, still)) for one, still in zip(asking, idle, strict=True)]
    )
    rate = statistics.median(one.most for one in asking)
    yield row_of("probe-burst", "1/s", "hosts / interval", [(rate, count / _INTERVAL)])
