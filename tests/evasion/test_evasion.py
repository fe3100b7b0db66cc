"""Real attack tools on a customer's port, against the whole lab: what they send is dropped and counted, and nobody notices anything.

Each case runs one tool in the attacker's namespace. Three observers say what became of its frames: a tap on the attacker's eth0 (what was
sent), the filter's counters (what was dropped or answered), and a tap on the router's port behind the filter (what passed).
"""

import os
import time
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path

import pytest

from l3ctl.asking import ask
from l3ctl.lab.customers import GATEWAY4, GATEWAY6
from l3ctl.lab.topology import Lab
from l3ctl.model import Host, Mode, PortPolicy
from tests.evasion import arp, attacker, thc, toolkit
from tests.evasion.case import ROGUE, Case
from tests.evasion.damage import Watch
from tests.evasion.report import FILE, Outcome, text
from tests.evasion.tap import Tap, kind
from tests.xdp.model import Model

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.flood]

CASES = (*thc.CASES, *toolkit.CASES, *arp.CASES)
ANSWERED = {"arp-answer", "ns-answer", "rate-limit"}
"""which of them is a matter of the budget, and not of the frame"""
BY_ITSELF = "MLD report"
"""what the attacker's kernel sends whenever it likes; by contract it passes"""
WHOLE = 5.0
"""seconds after which frames that were sent should have been counted"""


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    one = Lab(f"l3t{os.getpid()}e")
    one.up()
    yield one
    one.down()


@pytest.fixture(scope="module")
def watch(lab: Lab) -> Watch:
    return Watch(lab)


@pytest.fixture(scope="module")
def model(lab: Lab) -> Model:
    """What the contract says about the attacker's port."""
    return Model(
        PortPolicy(
            port=ROGUE.name,
            guard=ROGUE.port,
            vlan_id=None,
            router_lladdr=attacker.router_mac(lab),
            hosts=(Host(ROGUE.lladdr, IPv6Address(ROGUE.link_local), (ROGUE.ipv6,), (ROGUE.ipv4,)),),
            gateways=(IPv4Address(GATEWAY4), IPv6Address(GATEWAY6)),
            mode=Mode.ENFORCE,
            source_guard=False,
            router_solicitations_pass=False,
            unknown_vlan_drop=False,
            answer_rate=100,
            answer_burst=200,
        )
    )


@pytest.fixture(scope="module")
def outcomes() -> Iterator[list[Outcome]]:
    """Collects what happened, and writes the report when all is done."""
    collected: list[Outcome] = []
    yield collected
    FILE.parent.mkdir(exist_ok=True)
    FILE.write_text(text(collected))


def counted(lab: Lab) -> Counter[str]:
    """What the filter has counted on the attacker's port."""
    ports = ask(lab.run_dir / "agent.sock", {"command": "status"})["ports"]
    return Counter(next(port["counters"] for port in ports if port["name"] == ROGUE.name))


def at_one_moment(lab: Lab) -> tuple[Counter[str], int]:
    """What was counted and sent so far. The attacker's kernel sends something of its own now and then, and not between the two."""
    while True:
        sent = attacker.sent(lab)
        now = counted(lab)
        if attacker.sent(lab) == sent:
            return now, sent


def settled(lab: Lab, before: Counter[str], sent_before: int, behind: Tap) -> tuple[int, Counter[str], int]:
    """Frames sent, counted and passed, as soon as each that was sent has been counted or has passed; else as they are in the end."""
    deadline = time.monotonic() + WHOLE
    while True:
        sent, passed = attacker.sent(lab) - sent_before, behind.count()
        now = counted(lab) - before
        if sent == sum(now.values()) + passed or time.monotonic() > deadline:
            return sent, now, passed
        time.sleep(0.02)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_attack_tool_achieves_nothing(lab: Lab, watch: Watch, model: Model, outcomes: list[Outcome], case: Case, tmp_path: Path) -> None:
    outcome = Outcome(case)
    outcomes.append(outcome)
    watch.repair()
    before, sent_before = at_one_moment(lab)
    front = Tap(lab.hosts[ROGUE.name], "eth0", outgoing=True)
    behind = Tap(lab.router, ROGUE.port, outgoing=False)
    by_tool = attacker.run(lab, case, tmp_path / "log")
    outcome.sent, outcome.counted, passing = settled(lab, before, sent_before, behind)
    # The attacker's kernel may have sent something of its own since: what came later than the count is left out.
    wire, passed = front.close()[: outcome.sent], behind.close()[:passing]
    outcome.passed = Counter(map(kind, passed))
    outcome.damage = watch.damage()

    said = (tmp_path / "log").read_text(errors="replace")
    assert by_tool > 0, f"it sent nothing: {said}"
    assert not case.proof or outcome.counted[case.proof] > 0, f"it sent nothing of its own: {said}"
    assert outcome.damage == []
    assert outcome.sent == sum(outcome.counted.values()) + passing, "every frame was counted, or seen to pass"
    wrong = [frame.hex() for frame in passed if model.judge(frame).verdict != "pass"]
    assert wrong == [], "by the contract's model, these should not have passed"
    assert set(outcome.passed) <= {*case.passes, BY_ITSELF}, [frame.hex() for frame in passed if kind(frame) not in case.passes][:5]
    assert not case.passes or set(outcome.passed) & set(case.passes), "what passes by contract did pass"
    if not front.missed:
        foreseen = Counter(judgement.reason for judgement in map(model.judge, wire) if judgement.reason)
        assert merged(outcome.counted) == merged(foreseen), "the filter and the contract's model say the same of what was on the wire"


def merged(counts: Counter[str]) -> Counter[str]:
    """By reason, with what is answered while the budget lasts as one."""
    told: Counter[str] = Counter()
    for reason, count in counts.items():
        told["answer" if reason in ANSWERED else reason] += count
    return told
