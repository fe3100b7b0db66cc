"""A BGP session over a bad line: what is announced is late, and never wrong."""

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
