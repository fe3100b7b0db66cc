"""What happens to a router heals by itself, whatever it is, and however often.

`L3CTL_INJURIES` and `L3CTL_FLAPS` say how many; by default as many as leave time for the rest.
"""

import os
import secrets
import signal
import time

import pytest

from l3ctl.lab.crowd import Crowd
from l3ctl.lab.drift import INJURIES, drift, flap

pytestmark = [pytest.mark.root, pytest.mark.bpf]

COUNT = int(os.environ.get("L3CTL_INJURIES", "60"))
FLAPS = int(os.environ.get("L3CTL_FLAPS", "2000"))
GROWTH = 40 << 20
"""bytes that the agent may grow in a storm: events wait in the kernel, not here"""


def test_every_injury_heals(capsys: pytest.CaptureFixture[str]) -> None:
    seed = secrets.randbits(32)
    with capsys.disabled():
        print(f"\ndrift: seed {seed}")
    healed = [name for name, _ in drift(f"l3t{os.getpid()}w", COUNT, seed)]
    assert len(healed) == COUNT
    assert len(set(healed)) > min(len(INJURIES), COUNT) // 2


def test_a_storm_of_flaps_ends_with_every_port_right_and_in_bounded_memory() -> None:
    before, after = flap(f"l3t{os.getpid()}v", FLAPS, secrets.randbits(32))
    assert after["peak"] - before["peak"] < GROWTH


def test_an_end_does_not_wait_behind_a_hundred_reloads() -> None:
    with Crowd(f"l3t{os.getpid()}u", 3, trunks=False) as crowd:
        crowd.start_agent()
        assert crowd.agent is not None
        for _ in range(300):
            crowd.agent.send_signal(signal.SIGHUP)
            time.sleep(0.001)  # else the kernel makes one of them
        crowd.agent.terminate()
        crowd.agent.wait(10)
        assert (crowd.run_dir / "agent.log").read_text().splitlines()[-1].startswith("stop ")
