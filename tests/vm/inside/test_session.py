"""What a BGP session meets that needs a kernel of one's own: a clock that is set, and a line that is bad."""

import os
import platform
import random
import time
from collections.abc import Iterator

import pytest

from l3ctl.lab.customers import CUSTOMERS, UPSTREAM6
from l3ctl.lab.programs import Router
from l3ctl.lab.topology import Lab
from tests.vm.inside.street import forget_links, share_pins
from tests.vm.inside.warm import WarmRouter

_ONE_IS_ENOUGH = "a session is user space's: one kernel of the matrix, bookworm's, is enough"
pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.skipif(not platform.release().startswith("6.1."), reason=_ONE_IS_ENOUGH)]

_CHANGES = 30
_DAY = 86_400
_WATCHED = 20.0
"""seconds after a step; ExaBGP looks at its timers each second"""


class _WarmLab(Lab):
    def __init__(self, prefix: str) -> None:
        super().__init__(prefix)
        self.router: Router = WarmRouter(self.router.name, self.run_dir)

    def start_programs(self) -> None:
        share_pins(self.router)
        super().start_programs()


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    one = _WarmLab(f"l3t{os.getpid()}e")
    one.up()
    yield one
    one.down()
    forget_links()


def told_of_sessions(lab: Lab) -> list[str]:
    return [line for line in (lab.run_dir / "agent.log").read_text().splitlines() if line.startswith(("session ", "relay "))]


def test_a_clock_that_is_set_by_a_day_and_back_ends_no_session(lab: Lab) -> None:
    """ExaBGP counts hold times by it, or would; BIRD does not. The hold time is as the configuration has it when it says nothing."""
    lab.wait("the session", lambda: lab.status()["bgp"]["peers"] == {UPSTREAM6: "up"}, 60)
    before = told_of_sessions(lab)
    assert before
    for step in (_DAY, -_DAY):
        time.clock_settime(time.CLOCK_REALTIME, time.time() + step)
        until = time.monotonic() + _WATCHED
        while time.monotonic() < until:
            assert lab.status()["bgp"]["peers"] == {UPSTREAM6: "up"}
            assert lab.bird_prefixes() == lab.expected_prefixes()
            time.sleep(1)
    assert told_of_sessions(lab) == before


def test_with_loss_and_delay_upstream_ends_with_what_is_up(lab: Lab) -> None:
    for namespace, netdev in ((lab.router, "uplink0"), (lab.upstream, "uplink0")):
        namespace.run("tc", "qdisc", "add", "dev", netdev, "root", "netem", "delay", "80ms", "30ms", "loss", "15%")
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    dice, up = random.Random(seed), {customer.name: True for customer in CUSTOMERS}
    for _ in range(_CHANGES):
        customer = dice.choice(CUSTOMERS)
        up[customer.name] = not up[customer.name]
        (lab.link_up if up[customer.name] else lab.link_down)(customer)
        time.sleep(dice.random() / 4)
    lab.wait("the right prefixes", lambda: lab.bird_prefixes() == lab.expected_prefixes(), 60)
    assert lab.status()["bgp"]["peers"] == {UPSTREAM6: "up"}
    assert "Established" in lab.birdc("show", "protocols", "l3ctl")
    lost = [end.run("tc", "-s", "qdisc", "show", "dev", "uplink0") for end in (lab.router, lab.upstream)]
    assert not all("dropped 0" in end for end in lost), "the line lost nothing, so that this shows nothing"
    for customer in CUSTOMERS:
        lab.link_up(customer)
    lab.wait("all of them", lambda: lab.bird_prefixes() == lab.expected_prefixes() and len(lab.bird_prefixes()) == 2 * len(CUSTOMERS), 60)
