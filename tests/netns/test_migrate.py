"""A host moves from one router to another and back, in the lab of `l3ctl lab migrate`. How long it takes is not a test's affair."""

import json
import os
import subprocess

import pytest

from l3ctl.lab.migrate import PREFIXES
from l3ctl.lab.pair import Pair
from l3ctl.lab.programs import PROGRAM
from tests.netns.traces import leftovers, own_network

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_host_that_moves_takes_its_prefixes_along() -> None:
    """That each move ends with one router announcing it, no stale route, and answers in both families, the command itself requires."""
    lab, before = Pair(f"l3t{os.getpid()}m"), own_network()
    argv = [str(PROGRAM), "lab", "migrate", "--moves", "2", "--prefix", lab.prefix, "--json"]
    done = subprocess.run(argv, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    moves = json.loads(done.stdout)["moves"]
    assert [(move["old"], move["new"], move["announcing"]) for move in moves] == [("r1", "r2", ["r2"]), ("r2", "r1", ["r1"])]
    assert all([one["prefix"] for one in move["passages"]] == list(PREFIXES) for move in moves)
    assert leftovers(lab) == []
    assert own_network() == before
