"""What an agent tells of its ports as text that it has kept: the next answer after something has changed says so, without a wait."""

import json
import os
from collections.abc import Iterator
from typing import Any

import pytest

from l3ctl.asking import ask
from l3ctl.errors import LabFailed
from l3ctl.lab.attacks import send
from l3ctl.lab.customers import CUSTOMERS, record
from l3ctl.lab.frames import arp, ethernet
from l3ctl.lab.topology import Lab
from l3ctl.lladdr import parse_lladdr

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WHOLE = 30.0
"""seconds after which something has gone wrong"""
WEB1, DB1, _ = CUSTOMERS


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One for all these tests, each of which leaves it as it was."""
    one = Lab(f"l3t{os.getpid()}k")
    one.up()
    yield one
    one.down()


@pytest.fixture
def standing(lab: Lab) -> dict[str, dict[str, Any]]:
    """The ports by name, told twice in a row, so that the second time they may be told from what was kept."""
    lab.wait("everything", lambda: all(port["in_sync"] and port["announced"] for port in ports(lab).values()), WHOLE)
    first, second = ports(lab), ports(lab)
    assert list(first) == list(second) == sorted(first)
    return second


def ports(lab: Lab) -> dict[str, dict[str, Any]]:
    told = ask(lab.run_dir / "agent.sock", {"command": "status"})["ports"]
    assert len({tuple(sorted(port)) for port in told}) == 1, "each has the same keys"
    return {port["name"]: port for port in told}


def foreign(lab: Lab) -> list[str]:
    return list(ask(lab.run_dir / "agent.sock", {"command": "status"})["foreign"])


def test_a_link_that_is_taken_down(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    assert standing["web1"]["link"] == "up"
    lab.router.ip(f"link set {WEB1.port} down")
    assert ports(lab)["web1"]["link"] == "down"
    lab.router.ip(f"link set {WEB1.port} up")
    lab.wait("its link", lambda: ports(lab)["web1"]["link"] == "up", WHOLE)


def test_a_drain_and_its_end(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    assert {port["unannounced"] for port in standing.values()} == {None}
    lab.l3ctl("drain")
    assert {port["unannounced"] for port in ports(lab).values()} == {"drained"}
    lab.l3ctl("undrain")
    assert {port["unannounced"] for port in ports(lab).values()} == {None}


def test_another_inventory(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    assert standing["db1"]["filter"] == "enforce"
    lab.write_inventory(record(one) | ({"mode": "audit"} if one is DB1 else {}) for one in CUSTOMERS)
    lab.l3ctl("apply")
    assert {name: port["filter"] for name, port in ports(lab).items() if port["filter"] != "enforce"} == {"db1": "audit"}
    lab.write_inventory(record(one) for one in CUSTOMERS)
    lab.l3ctl("apply")
    assert {port["filter"] for port in ports(lab).values()} == {"enforce"}


def test_frames_that_were_refused(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    before = standing["db1"]["counters"].get("arp-reply", 0)
    send(lab, DB1, [ethernet(arp(2, parse_lladdr(DB1.lladdr), str(WEB1.ipv4)), 0x0806, parse_lladdr(DB1.lladdr))] * 3)
    lab.wait("the frames", lambda: ports(lab)["db1"]["counters"].get("arp-reply", 0) == before + 3, WHOLE)
    assert ports(lab)["web1"]["counters"].get("arp-reply", 0) == standing["web1"]["counters"].get("arp-reply", 0)


def test_a_permanent_neighbour_of_somebody_elses(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    before = foreign(lab)
    lab.router.ip(f"neigh add 203.0.113.99 lladdr 52:54:00:00:00:99 nud permanent dev {WEB1.port}")
    (told,) = set(foreign(lab)) - set(before)
    assert told.startswith("permanent neighbour 203.0.113.99 ")
    lab.router.ip(f"link set {DB1.port} down")
    assert (ports(lab)["db1"]["link"], told in foreign(lab)) == ("down", True), "another port that is looked at anew hides nothing"
    lab.router.ip(f"link set {DB1.port} up")
    lab.router.ip(f"neigh del 203.0.113.99 dev {WEB1.port}")
    assert foreign(lab) == before


def test_what_a_full_pass_has_seen_meanwhile_is_not_told_of_later(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    before = foreign(lab)
    for _ in range(2):
        lab.router.ip(f"neigh add 203.0.113.98 lladdr 52:54:00:00:00:98 nud permanent dev {WEB1.port}")
        lab.l3ctl("apply")
        lab.router.ip(f"neigh del 203.0.113.98 dev {WEB1.port}")
        assert foreign(lab) == before
    lab.router.ip(f"neigh add 203.0.113.98 lladdr 52:54:00:00:00:98 nud permanent dev {WEB1.port}")
    there = foreign(lab)
    assert len(there) == len(before) + 1
    lab.router.ip(f"neigh del 203.0.113.98 dev {WEB1.port}")
    lab.l3ctl("apply")
    lab.router.ip(f"neigh add 203.0.113.98 lladdr 52:54:00:00:00:98 nud permanent dev {WEB1.port}")
    assert foreign(lab) == there
    lab.router.ip(f"neigh del 203.0.113.98 dev {WEB1.port}")
    assert foreign(lab) == before


def test_a_filter_that_is_taken_off_by_hand(lab: Lab, standing: dict[str, dict[str, Any]]) -> None:
    ifindex = json.loads(lab.router.run("ip", "-j", "link", "show", WEB1.port))[0]["ifindex"]
    pin = lab.run_dir / f"bpf/l3ctl/link-{ifindex}"
    assert standing["web1"]["filter"] == "enforce"
    pin.unlink()
    lab.wait("the agent's mend", pin.exists, WHOLE)
    lab.wait("it again", lambda: ports(lab)["web1"]["filter"] == "enforce", WHOLE)


def test_a_word_in_the_configuration_that_is_wrong(lab: Lab) -> None:
    good = lab.config.read_text()
    lab.config.write_text(f"{good}\nguard_everything: true\n")
    try:
        assert len(json.loads(lab.l3ctl("status", "--json", ok=(0, 1)))["ports"]) == len(CUSTOMERS), "what works is to be seen"
        with pytest.raises(LabFailed, match="guard_everything"):
            lab.l3ctl("check")
    finally:
        lab.config.write_text(good)
