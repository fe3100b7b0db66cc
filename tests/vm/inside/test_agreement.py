"""The differential fuzz on this kernel: its verifier took the filter, and its JIT made of it what the model of the contract says."""

import platform
import secrets

import pytest

from l3ctl.xdp.cache import bytecode
from tests.xdp.fuzz import Arena, Tally
from tests.xdp.generators import SCENARIOS

pytestmark = [pytest.mark.root, pytest.mark.bpf]

PART = 600
"""frames a scenario; `python -m tests.vm --kernel NAME -- .venv/bin/python -m tests.xdp.fuzz --seconds 300` makes more of them"""


def test_filter_and_model_agree_on_this_kernel() -> None:
    seed = secrets.token_hex(4)
    print(f"seed {seed}, kernel {platform.release()}")
    arena, tally = Arena(bytecode(source_guard=False), bytecode(source_guard=True)), Tally()
    for number in range(len(SCENARIOS)):
        tally.add(arena.run(seed, number, PART))
    assert not tally.disagreements, f"seed {seed}\n" + "\n".join(map(str, tally.disagreements))
    assert tally.frames == PART * len(SCENARIOS)
