"""`python -m tests.faults.soak [--minutes N] [--ports N] [--seed N]`: everything at once, for a long time.

Links flap, customers attack, the inventory changes and programs die or stand still, all at random, while an innocent host is pinged and an
observer looks every 10 ms whether anything is announced without what it rests on. In the end all must be as it should be, the agent must
have no more memory than before, and nothing may have been announced without its neighbour or its policy; without its link or its route,
only for as long as the news takes, or while a program was away that would have told it.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path

from l3ctl.lab.kills import Pings
from l3ctl.lab.observer import Observing
from l3ctl.lab.peered import UPSTREAM4
from tests.faults import inputs, processes, sessions, tables
from tests.faults.fault import Fault
from tests.faults.network import Network
from tests.faults.outcome import Soak
from tests.faults.turmoil import ATTACKERS, LEFT_ALONE, Turmoil

CALM = (0.5, 4.0)
"""seconds between two faults"""
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


def soak(prefix: str, seconds: float, ports: int, seed: int, logs: Path | None = None) -> Soak:
    """All of it, for so long; what the programs said is copied to `logs`."""
    came, chosen = Soak(), random.Random(seed)
    with Network(prefix, ports) as network:
        network.begin()
        six, four = network.pings()
        turmoil = Turmoil(network, came, seed)
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


def _one(network: Network, came: Soak, turmoil: Turmoil, fault: Fault) -> None:
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
