"""A host moves from one router to another and back, in the lab of `l3ctl lab migrate`. How long it takes is not a test's affair."""

import json
import os
import subprocess
import time

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


def test_people_are_shown_a_line_for_each_prefix_of_each_move() -> None:
    done = subprocess.run(
        [str(PROGRAM), "lab", "migrate", "--moves", "1", "--prefix", f"l3t{os.getpid()}n"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert [line.split()[:4] for line in done.stdout.splitlines() if " to " in line] == [["r1", "to", "r2", prefix] for prefix in PREFIXES]
    assert "move 1 of 1: web1 from r1 to r2" in done.stderr


def test_one_that_was_killed_is_removed_by_lab_down() -> None:
    lab = Pair(f"l3t{os.getpid()}o")
    running = subprocess.Popen(
        [str(PROGRAM), "lab", "migrate", "--prefix", lab.prefix], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 30
    while not (lab.run_dir / "r2" / "agent.log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    running.kill()
    running.wait()
    assert lab.exists()
    subprocess.run([str(PROGRAM), "lab", "down", "--prefix", lab.prefix], check=True)
    assert leftovers(lab) == []
