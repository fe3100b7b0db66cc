"""Programs that end, stand still, or come back as others."""

import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from l3ctl.lab.crowd import PROGRAM
from tests.faults.fault import Fault
from tests.faults.memory import out_of_memory
from tests.faults.network import HOLD_TIME, Network

STOPPED = 3.0
"""seconds"""
Meanwhile = Callable[[Network], AbstractContextManager[None]]
_ROOT = Path(__file__).parents[2]
_PEER_FORGETS = "the peer itself forgets what it was told"


def nothing(_network: Network) -> AbstractContextManager[None]:
    return nullcontext()


def killed(*names: str, meanwhile: Meanwhile = nothing) -> Callable[[Network], None]:
    def happen(network: Network) -> None:
        waiting = [network.gone(name) for name in names]
        for name in names:
            network.signal(name, signal.SIGKILL)
        with meanwhile(network):
            network.waits("they are started again", lambda: all(again() for again in waiting))

    return happen


def stopped(name: str, seconds: float = STOPPED, meanwhile: Meanwhile = nothing) -> Callable[[Network], None]:
    def happen(network: Network) -> None:
        pid = network.pid(name)
        network.signal(name, signal.SIGSTOP)
        with meanwhile(network):
            time.sleep(seconds)
            assert network.pid(name) == pid
            network.signal(name, signal.SIGCONT)

    return happen


@contextmanager
def link_down(network: Network) -> Iterator[None]:
    """A link that is not the innocent host's goes down, and comes up again when its prefix is withdrawn."""
    with network.link_down():
        yield
        network.waits("the prefix is withdrawn", lambda: str(network.other.hosts[0].ipv6[0]) not in network.learnt())


def starved(name: str) -> Callable[[Network], None]:
    def happen(network: Network) -> None:
        again = network.gone(name)
        out_of_memory(network.pid(name), network.router.name)
        network.waits("it is started again", again)

    return happen


def second_agent(network: Network) -> str:
    words = ["ip", "netns", "exec", network.router.name, str(PROGRAM), "agent", "--config", str(network.config)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    return done.stderr.strip()


def other_layout(network: Network) -> None:
    """A version whose maps are of another layout comes, and then this one again."""
    other = network.run_dir / "other-version"
    for folder in ("l3ctl", "bpf"):
        shutil.copytree(_ROOT / folder, other / folder, ignore=shutil.ignore_patterns("__pycache__"))
    header = other / "bpf" / "abi.h"
    before = header.read_text()
    header.write_text(before.replace("reserved2[2]", "reserved2[4]"))
    assert header.read_text() != before
    for code in (other, None):
        network.code = code
        network.mark()
        killed("agent")(network)
        network.hears("replace what=filter")
        network.waits("the filter is settled", (network.run_dir / "bpf" / "l3ctl" / "program").exists)
        network.waits("its agent answers", lambda: not network.left())


def clock_stepped(network: Network) -> None:
    """A day forward, and back; each for longer than the hold time."""
    clock = network.run_dir / "clock"
    network.put(clock, b"+0\n")
    again = killed("agent", "exabgp")
    network.clock = clock
    try:
        again(network)
        network.waits("they work", network.works)
        before = network.pid("exabgp")
        for step in (b"+1d\n", b"+0\n"):
            network.put(clock, step)
            time.sleep(HOLD_TIME + 2)
        assert network.pid("exabgp") == before
        assert network.works()
    finally:
        network.clock = None
        again(network)


FAULTS = (
    Fault("agent killed", killed("agent"), "^adopt "),
    Fault("agent killed by the kernel, out of memory", starved("agent"), "^adopt "),
    Fault("agent stopped for 3 s", stopped("agent"), "^stall "),
    Fault("agent stopped for 3 s, a link goes down meanwhile", stopped("agent", meanwhile=link_down), "^stall ", wrong=("link", "route")),
    Fault("agent killed, a link goes down before it is back", killed("agent", meanwhile=link_down), "^withdraw ", wrong=("link", "route")),
    Fault("its reader of the inventory killed", killed("reader"), "the process that reads"),
    Fault("its reader killed by the kernel, out of memory", starved("reader"), "the process that reads"),
    Fault("reading the inventory hangs for 3 s", stopped("reader"), None),
    Fault("relay killed", killed("relay"), "relay", by="ExaBGP"),
    Fault("relay stopped for 3 s", stopped("relay"), None),
    Fault("relay and agent killed at once", killed("relay", "agent"), "^adopt ", by="ExaBGP"),
    Fault("ExaBGP killed", killed("exabgp"), "relay", by="the service manager"),
    Fault("ExaBGP killed by the kernel, out of memory", starved("exabgp"), "relay", by="the service manager"),
    Fault("ExaBGP and agent killed at once", killed("exabgp", "agent"), "^adopt ", by="the service manager"),
    Fault("ExaBGP stopped for 3 s", stopped("exabgp"), None),
    Fault(
        f"ExaBGP stopped for {HOLD_TIME + 4} s, longer than the hold time", stopped("exabgp", HOLD_TIME + 4), "peer", costs=_PEER_FORGETS
    ),
    Fault("peer killed", killed("bird"), "peer", by="the service manager", costs=_PEER_FORGETS),
    Fault("clock stepped a day forward, and back", clock_stepped, None),
    Fault("a second agent started", second_agent, "an agent runs for this router already"),
    Fault("agent upgraded to one with another layout of maps", other_layout, "^replace what=filter"),
)
