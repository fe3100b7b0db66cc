"""Ports whose host somebody tells of: his word is taken as their link's, and kept; a real agent, ExaBGP and BIRD, in the lab."""

import json
import os
import threading
import time
from collections.abc import Iterator

import pytest

from l3ctl.errors import LabFailed
from l3ctl.lab.customers import CUSTOMERS, record
from l3ctl.lab.topology import Lab

pytestmark = [pytest.mark.root, pytest.mark.bpf]
WHOLE = 60.0
"""seconds after which something has gone wrong"""
WEB1, DB1, ROGUE = CUSTOMERS
EVERYBODY = {prefix for one in CUSTOMERS for prefix in (str(one.ipv6), f"{one.ipv4}/32")}
MINE = {str(WEB1.ipv6), f"{WEB1.ipv4}/32"}


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One for all these tests, each of which leaves it with everything announced. All ports but db1's are told of."""
    one = Lab(f"l3t{os.getpid()}e", lambda config: f"liveness: external\n{config}")
    one.up()
    one.write_inventory(record(customer) | ({"liveness": "carrier"} if customer is DB1 else {}) for customer in CUSTOMERS)
    one.l3ctl("apply")
    yield one
    one.down()


def wait_for(lab: Lab, prefixes: set[str]) -> None:
    lab.wait(f"{len(prefixes)} prefixes", lambda: lab.bird_prefixes() == prefixes, WHOLE)


def test_a_word_withdraws_and_announces_and_is_nobody_elses(lab: Lab) -> None:
    wait_for(lab, EVERYBODY)
    assert lab.l3ctl("port", "down", "web1") == "port web1: away\n"
    wait_for(lab, EVERYBODY - MINE)
    assert str(WEB1.ipv6) not in lab.router.run("ip", "-6", "route", "show")
    told = {port["name"]: (port["away"], port["unannounced"]) for port in lab.status()["ports"]}
    assert told == {"db1": (False, None), "rogue": (False, None), "web1": (True, "away")}
    assert lab.status()["troubles"] == []
    assert lab.l3ctl("plan") == "3 ports: in sync\n"
    assert json.loads(lab.l3ctl("port", "down", "web1", "--json")) == {"port": "web1", "up": False, "new": False, "reachable": False}
    assert lab.l3ctl("port", "up", "web1") == "port web1: reachable\n"
    wait_for(lab, EVERYBODY)


def test_it_outlives_the_agent_and_the_agents_absence_is_waited_for(lab: Lab) -> None:
    lab.l3ctl("port", "down", "web1")
    wait_for(lab, EVERYBODY - MINE)
    assert lab.agent is not None
    lab.agent.kill()
    lab.agent.wait(WHOLE)
    told = {port["name"]: (port["away"], port["in_sync"]) for port in lab.status()["ports"]}
    assert told == {"db1": (False, True), "rogue": (False, True), "web1": (True, True)}, "without an agent it counts, too"
    assert lab.l3ctl("plan") == "3 ports: in sync\n"
    again = threading.Timer(1.0, lab.start_agent)
    again.start()
    try:
        assert lab.l3ctl("port", "down", "rogue", "--timeout", str(WHOLE)) == "port rogue: away\n"
    finally:
        again.join()
    wait_for(lab, EVERYBODY - MINE - {str(ROGUE.ipv6), f"{ROGUE.ipv4}/32"})
    for name in ("web1", "rogue"):
        lab.l3ctl("port", "up", name)
    wait_for(lab, EVERYBODY)


def test_a_link_that_is_down_counts_whatever_is_said(lab: Lab) -> None:
    lab.link_down(WEB1)
    wait_for(lab, EVERYBODY - MINE)
    lab.l3ctl("port", "down", "web1")
    assert lab.l3ctl("port", "up", "web1") == "port web1: its host is there, and its link is down\n"
    time.sleep(0.3)
    assert lab.bird_prefixes() == EVERYBODY - MINE
    lab.link_up(WEB1)
    wait_for(lab, EVERYBODY)


def test_of_ports_that_go_by_their_link_nobodys_word_is_taken(lab: Lab) -> None:
    with pytest.raises(LabFailed, match=r"port 'db1' goes by its link; write 'liveness: external' into its record"):
        lab.l3ctl("port", "down", "db1")
    with pytest.raises(LabFailed, match=r"there is no port 'db2' on this router"):
        lab.l3ctl("port", "down", "db2")
    assert lab.bird_prefixes() == EVERYBODY


def test_a_port_that_goes_by_its_link_again_is_there(lab: Lab) -> None:
    lab.l3ctl("port", "down", "web1")
    wait_for(lab, EVERYBODY - MINE)
    config = lab.config.read_text()
    lab.config.write_text(config.replace("liveness: external", "liveness: carrier"))
    lab.l3ctl("apply")
    wait_for(lab, EVERYBODY)
    lab.config.write_text(config)
    lab.l3ctl("apply")
    wait_for(lab, EVERYBODY - MINE)
    lab.l3ctl("port", "up", "web1")
    wait_for(lab, EVERYBODY)
