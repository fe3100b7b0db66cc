"""Whoever dies, announcements stay right: no packet to a customer is lost, and no route of a link that went down meanwhile comes back.

`L3CTL_KILLS` says how often each program is killed; 20 times takes ten minutes.
"""

import os
import secrets

import pytest

from l3ctl.lab.kills import Run, kills

pytestmark = [pytest.mark.root, pytest.mark.bpf]

COUNT = int(os.environ.get("L3CTL_KILLS", "2"))


def check(run: Run) -> None:
    """What holds after any trouble."""
    assert set(run.made.values()) == {COUNT}
    assert run.toggles > 0
    assert run.went > 0
    assert run.stale() == run.missing() == run.unfinished == 0
    assert run.exits == 0
    assert run.report.left == 0
    assert not [one for one in run.report.excesses if one.missing in ("neighbour", "policy")]


def test_kills_lose_no_packet_and_leave_nothing_stale(capsys: pytest.CaptureFixture[str]) -> None:
    seed = secrets.randbits(32)
    run = kills(f"l3t{os.getpid()}k", COUNT, seed)
    with capsys.disabled():
        print("", f"seed {seed}", *run.summary(), sep="\n")
    check(run)
    assert run.sent > 100
    assert not run.lost


def test_other_troubles_among_kills_leave_nothing_stale(capsys: pytest.CaptureFixture[str]) -> None:
    seed = secrets.randbits(32)
    run = kills(f"l3t{os.getpid()}j", COUNT, seed, more=True)
    with capsys.disabled():
        print("", f"seed {seed}", *run.summary(), sep="\n")
    check(run)
    assert set(run.lost) <= {"session ended by the peer"}
