"""A host on two routers at once is noticed by both, with the upstream of configs/bird-two-routers.conf between them."""

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from l3ctl.lab.customers import UPSTREAM6
from l3ctl.lab.pair import ADDRESSES, HOST, R1, R2, Pair
from l3ctl.lab.programs import Router

pytestmark = [pytest.mark.root, pytest.mark.bpf]

BIRD_CONF = Path(__file__).parents[2] / "configs" / "bird-two-routers.conf"
PREFIXES = {str(HOST.ipv6), f"{HOST.ipv4}/32"}
WHOLE = 30.0
"""seconds after which something has gone wrong"""


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Its host is on r1 before and after each of these tests."""
    one = Pair(f"l3t{os.getpid()}p", BIRD_CONF.read_text())
    one.up()
    one.plug(R1)
    yield one
    one.down()


def announced_by(pair: Pair, *routers: str) -> bool:
    shown = pair.upstream.birdc("show", "route")
    return all(shown.count(f"[{name} ") == (len(PREFIXES) if name in routers else 0) for name in ADDRESSES)


def duplicates(router: Router) -> list[str]:
    return list(router.status()["duplicates"])


def expected(other: str) -> list[str]:
    told = f"port {HOST.name}'s {{}} is announced by {ADDRESSES[other][0]} too (heard from {UPSTREAM6})"
    return sorted(told.format(prefix) for prefix in PREFIXES)


def violations(router: Router) -> list[str]:
    lines = [json.loads(line) for line in router.l3ctl("violations", "--json").splitlines()]
    return [line["evidence"]["text"] for line in lines if line["evidence"]["reason"] == "duplicate"]


def test_both_routers_notice_and_forget_when_one_withdraws(pair: Pair) -> None:
    pair.wait("the first announcement", lambda: announced_by(pair, R1), WHOLE)
    pair.plug(R2)
    for name, other in ((R1, R2), (R2, R1)):
        router = pair.by_name[name]
        pair.wait(f"what {name} notices", lambda router=router, other=other: sorted(duplicates(router)) == expected(other), WHOLE)
        told = router.status()
        assert told["troubles"] == ["2 prefixes announced elsewhere too, listed above"]
        assert set(violations(router)) == set(expected(other)), "once, and again where this takes long"
        assert all(f'violation port=web1 reason=duplicate text="{text}"' in router.log("agent").read_text() for text in expected(other))
        shown = router.l3ctl("status", ok=(1,))
        assert all(f"duplicate: {text}" in shown for text in expected(other))
    pair.pull(R2)
    pair.wait("the end of it", lambda: not any(duplicates(router) for router in pair.routers()), WHOLE)
    assert announced_by(pair, R1)
    assert all(router.status()["troubles"] == [] for router in pair.routers())


def test_an_agent_that_comes_back_hears_what_was_said_before(pair: Pair) -> None:
    pair.plug(R2)
    router = pair.by_name[R1]
    pair.wait("what r1 notices", lambda: sorted(duplicates(router)) == expected(R2), WHOLE)
    assert router.agent is not None
    router.agent.kill()
    router.agent.wait()
    router.start_agent()
    pair.wait("what r1 notices again", lambda: sorted(duplicates(router)) == expected(R2), WHOLE)
    pair.pull(R2)
    pair.wait("the end of it", lambda: not duplicates(router), WHOLE)


def test_a_host_that_moves_leaves_no_duplicate_behind(pair: Pair) -> None:
    pair.wait("r1 alone", lambda: announced_by(pair, R1), WHOLE)
    for old, new in ((R1, R2), (R2, R1)):
        pair.move(old, new)
        pair.wait(f"{new} alone", lambda new=new: announced_by(pair, new), WHOLE)
        pair.wait("everything in order", lambda: all(router.status()["troubles"] == [] for router in pair.routers()), WHOLE)
