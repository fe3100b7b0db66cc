"""What an agent costs its machine: until everything is in place, in memory, while nothing happens, and for a record that changes.

On a router with many ports. `start`: from nothing, since what the agent before it had installed was given back. Beside it iproute2 installs
the same addresses, neighbours and routes from a file; it has neither links, sysctls nor a filter to look after. `restart`: all is in place
already, as when the service is upgraded. Beside it iproute2 shows the neighbours and routes. What an interpreter takes to import the agent
is left out of both. Memory is what the first of the two needs, which has installed everything; rest and a change are the second's.
"""

import math
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from l3ctl.desired import desired
from l3ctl.errors import LabFailed
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.bench_kernel import SHOWN, command_of, shown
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.crowd import Crowd

_IDLE = 10.0
"""seconds"""
_AT_REST = 0.05
"""seconds of CPU in one"""
_WITHIN = 120.0
_IMPORTED = (sys.executable, "-c", "import l3ctl.agent, l3ctl.cli.agent")
_NOTHING = (sys.executable, "-c", "print(open('/proc/self/status').read())")


def bench_agent(ports: int, repeats: int) -> Iterator[Row]:
    """Every row, of a router with so many ports."""
    with Crowd(f"l3bench{os.getpid()}", ports) as crowd, tempfile.TemporaryDirectory(prefix="l3bench") as folder:
        batch, addresses = Path(folder) / "batch", Path(folder) / "addresses"
        given, rest = _commands(crowd)
        batch.write_text("".join(f"addr add {words} nodad noprefixroute\n" for words in given) + "".join(f"{words}\n" for words in rest))
        addresses.write_text("".join(f"addr del {words}\n" for words in given))
        starts, restarts, resident, idle, changes = [], [], [], [], []
        for _ in range(repeats):
            started = crowd.start_agent()
            resident.append((crowd.resident()["now"] / (1 << 20), _resident_of_nothing()))
            _stop(crowd)
            restarted = crowd.start_agent()
            idle.append((_idle(crowd), 1.0))
            changes.append(_changed(crowd))
            _stop(crowd)
            imported = _took(*_IMPORTED)  # no agent runs, which would have its own work to do
            restarts.append((restarted - imported, shown(crowd.router)))
            crowd.l3ctl("agent", "--release")
            starts.append((started - imported, _installed(crowd, batch, addresses)))
        yield row_of("start-10k", "s", "ip -batch", starts)
        yield row_of("restart-10k", "s", SHOWN, restarts)
        yield row_of("rss-10k", "MiB", "python -c pass", resident)
        yield row_of("idle-10k", "%", "a hundredth of a CPU", idle)
        yield row_of("change-10k", "ms", "one `ip neigh replace`", changes)


def _commands(crowd: Crowd) -> tuple[list[str], list[str]]:
    """The router's addresses, each with its netdev; and what iproute2 is told to add neighbours and routes."""
    with crowd.router.entered(), Kernel() as kernel:
        links = kernel.links()
    addresses: list[str] = []
    rest: list[str] = []
    for port in crowd.ports:
        want = desired(port, links, crowd.settings)
        addresses += (f"{one.address} dev {one.interface}" for one in want.addresses)
        rest += map(command_of, want.neighbours)
        rest += map(command_of, sorted(want.routes, key=lambda route: route.next_hop is not None))  # what the others rest on
    return addresses, rest


def _took(*words: str) -> float:
    """Seconds."""
    began = time.monotonic()
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)
    return time.monotonic() - began


def _stop(crowd: Crowd) -> None:
    assert crowd.agent is not None
    crowd.agent.terminate()
    crowd.agent.wait()


def _installed(crowd: Crowd, batch: Path, addresses: Path) -> float:
    """Seconds that iproute2 takes to install the same, which then goes."""
    took = _took("ip", "-n", crowd.router.name, "-batch", str(batch))
    crowd.flush()
    crowd.router.run("ip", "-batch", str(addresses))
    return took


def _resident_of_nothing() -> float:
    """MiB of an interpreter."""
    told = subprocess.run(_NOTHING, capture_output=True, text=True, check=True).stdout
    return int(told.partition("VmRSS:")[2].split()[0]) / 1024


def _idle(crowd: Crowd) -> float:
    """Hundredths of a CPU that the agent uses while nothing happens, once it has done what the start has left to do."""
    until, before = time.monotonic() + _WITHIN, -math.inf
    while (spent := crowd.cpu_seconds()) - before > _AT_REST:
        if time.monotonic() > until:
            raise LabFailed(f"the agent does not come to rest within {_WITHIN:.0f} s")
        before = spent
        time.sleep(1.0)
    before = crowd.cpu_seconds()
    time.sleep(_IDLE)
    return 100 * (crowd.cpu_seconds() - before) / _IDLE


def _changed(crowd: Crowd) -> tuple[float, float]:
    """Milliseconds from one record that is written to the neighbour that it makes; and of iproute2 to make one, its start included."""
    port = crowd.ports[len(crowd.ports) // 2]
    (host,) = port.hosts
    file = crowd.run_dir / "inventory.yaml"
    before = file.read_text()
    lladdr = f"52:55{host.lladdr[5:]}"
    fresh = file.with_suffix(".new")
    fresh.write_text(before.replace(host.lladdr, lladdr))
    shown = ("ip", "-n", crowd.router.name, "neigh", "show", "dev", port.interface)
    began = time.monotonic()
    fresh.rename(file)
    while lladdr not in subprocess.run(shown, capture_output=True, text=True, check=True).stdout:
        if time.monotonic() > began + _WITHIN:
            raise LabFailed(f"a changed record is not in the kernel after {_WITHIN:.0f} s")
    ours = time.monotonic() - began
    words = ("neigh", "replace", str(host.link_local), "lladdr", host.lladdr, "dev", port.interface, "nud", "permanent", "protocol", "201")
    theirs = _took("ip", "-n", crowd.router.name, *words)
    fresh.write_text(before)
    fresh.rename(file)
    return 1000 * ours, 1000 * theirs
