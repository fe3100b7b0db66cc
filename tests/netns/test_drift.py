"""What happens to a router heals by itself, whatever it is, and however often.

`L3CTL_INJURIES` and `L3CTL_FLAPS` say how many; by default as many as leave time for the rest.
"""

import os
import secrets

import pytest

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
