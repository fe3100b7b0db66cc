"""A BGP session over a bad line: what is announced is late, and never wrong."""

import os
import random
import time
from collections.abc import Iterator

import pytest

from l3ctl.lab.customers import CUSTOMERS, UPSTREAM6
from l3ctl.lab.topology import Lab

pytestmark = [pytest.mark.root, pytest.mark.bpf]

_CHANGES = 30


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    one = Lab(f"l3t{os.getpid()}e")
    one.up()
    yield one
    one.down()


def test_with_loss_and_delay_upstream_ends_with_what_is_up(lab: Lab) -> None:
    for namespace, netdev in ((lab.router, "uplink0"), (lab.upstream, "uplink0")):
        namespace.run("tc", "qdisc", "add", "dev", netdev, "root", "netem", "delay", "80ms", "30ms", "loss", "10%")
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
    lost = lab.router.run("tc", "-s", "qdisc", "show", "dev", "uplink0")
    assert "dropped 0" not in lost, "the line lost nothing, so that this shows nothing"
    for customer in CUSTOMERS:
        lab.link_up(customer)
    lab.wait("all of them", lambda: lab.bird_prefixes() == lab.expected_prefixes() and len(lab.bird_prefixes()) == 2 * len(CUSTOMERS), 60)
