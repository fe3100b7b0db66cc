"""Announcements are right after any storm: the upstream has the prefixes of links that are up, none missing, and none too many.

`L3CTL_TOGGLES` and `L3CTL_BULK` say how many links are toggled and how many further prefixes come meanwhile; 20,000 each is a long run.
"""

import os
import secrets

import pytest

from l3ctl.lab.storm import storm

pytestmark = [pytest.mark.root, pytest.mark.bpf]

TOGGLES = int(os.environ.get("L3CTL_TOGGLES", "600"))
BULK = int(os.environ.get("L3CTL_BULK", "2000"))


def test_a_storm_ends_with_exactly_the_prefixes_of_links_that_are_up(capsys: pytest.CaptureFixture[str]) -> None:
    seed = secrets.randbits(32)
    came = storm(f"l3t{os.getpid()}s", TOGGLES, BULK, seed)
    with capsys.disabled():
        print("", f"seed {seed}", *came.summary(), sep="\n")
    assert came.toggles == TOGGLES
    assert not came.outcome.stale
    assert not came.outcome.missing
    assert came.unfinished == 0
    report = came.report
    assert report.samples > 10
    assert report.left == 0
    # Carrier alone comes and goes: the neighbours and the filter stay, and so nothing may be announced without them for one moment.
    assert not [one for one in report.excesses if one.missing in ("neighbour", "policy")]
