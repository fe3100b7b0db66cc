"""The story of l3ctl in about half a minute. Every line it tells was observed; what is not as promised ends it with an error."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable

from l3ctl.errors import LabFailed
from l3ctl.lab.attacks import ATTACKS, attack
from l3ctl.lab.customers import CUSTOMERS, ROUTER6, UPSTREAM4, UPSTREAM6
from l3ctl.lab.machine import require_lab
from l3ctl.lab.topology import Lab

_FLOOD = 20_000
Tell = Callable[[str], None]


def _require(true: bool, what: str) -> None:
    if not true:
        raise LabFailed(f"not as promised: {what}")


def _ping(lab: Lab, address: str, count: int = 3) -> str:
    """The summary line of pings from upstream."""
    source = UPSTREAM4 if "." in address else UPSTREAM6
    out = lab.upstream.run("ping", "-n", "-c", str(count), "-i", "0.05", "-W", "1", "-I", source, address, ok=(0, 1))
    return next(line for line in out.splitlines() if "packet loss" in line)


def _lost(summary: str) -> int:
    sent, received = (int(number) for number in re.findall(r"(\d+) (?:packets transmitted|received)", summary))
    return sent - received


def _plan_and_silence(lab: Lab, tell: Tell) -> None:
    changes = json.loads(lab.l3ctl("plan", "--json"))["changes"]
    _require(not changes, "the agent has nothing left to do")
    for port in lab.status()["ports"]:
        tell(f"{port['name']:<6} link {port['link']:<5} {port['neighbours']} neighbours  filter {port['filter']}  {port['routes']} routes")
        _require(port["link"] == "down" and port["neighbours"] == 2 and port["filter"] == "enforce", f"{port['name']} is prepared")
    found = lab.bird_prefixes()
    tell(f"prefixes in BIRD: {len(found)}")
    _require(not found, "nothing is announced while no link is up")


def _links_up(lab: Lab, tell: Tell) -> None:
    began = time.monotonic()
    for customer in CUSTOMERS:
        lab.link_up(customer)
    lab.wait("the announcements", lambda: set(lab.upstream.kernel_routes()) == lab.expected_prefixes(), 20)
    tell(f"in BIRD's kernel table {time.monotonic() - began:.2f} s after the first cable:")
    for prefix, next_hop in sorted(lab.upstream.kernel_routes().items()):
        tell(f"  {prefix:<20} via {next_hop}")
        _require(next_hop == ROUTER6, f"{prefix} is reached through the router")
    lab.wait("the hosts' own addresses", lab.hosts_ready, 10)


def _pings(lab: Lab, tell: Tell) -> None:
    for customer in CUSTOMERS[:2]:
        for address in (customer.address6, str(customer.ipv4)):
            summary = _ping(lab, address)
            tell(f"ping {address:<16} {summary}")
            _require(_lost(summary) == 0, f"{address} answers")
    learnt = [
        f"{namespace.name}: {entry['dst']}"
        for namespace in lab.namespaces()
        for entry in lab.neighbours(namespace)
        if entry["dst"] in {str(customer.ipv4) for customer in CUSTOMERS} and entry["state"] != ["PERMANENT"]
    ]
    tell(f"ARP entries learnt for a customer's address, by anybody: {len(learnt)}")
    _require(not learnt, f"nobody learns: {learnt}")


def _attacks(lab: Lab, tell: Tell) -> None:
    for outcome in attack(lab, _FLOOD):
        reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.counted.items()))
        growth = outcome.neighbours_after - outcome.neighbours_before
        tell(f"{outcome.name:<22} {outcome.sent:>6} sent   dropped: {reasons:<53} neighbour table {growth:+d}")
        _require(sum(outcome.counted.values()) >= outcome.sent, f"every frame of '{outcome.name}' is dropped and counted")
        _require(not growth, "the neighbour table does not grow")
    _require(len(ATTACKS) > 0, "something was tried")
    for customer in CUSTOMERS[:2]:
        summary = _ping(lab, customer.address6)
        tell(f"ping {customer.address6:<16} {summary}")
        _require(_lost(summary) == 0, f"{customer.name} is unharmed")


def _link_down(lab: Lab, tell: Tell) -> None:
    db1 = CUSTOMERS[1]
    began = time.monotonic()
    lab.link_down(db1)
    gone = {str(db1.ipv6), f"{db1.ipv4}/32"}
    lab.wait("the withdrawal", lambda: not gone & set(lab.upstream.kernel_routes()), 10)
    seconds, left = time.monotonic() - began, len(lab.upstream.kernel_routes())
    tell(f"{' and '.join(sorted(gone))} left BIRD's kernel table after {seconds:.2f} s; {left} others stay")
    _require(set(lab.upstream.kernel_routes()) == lab.expected_prefixes(), "the others stay")


def _agent_killed(lab: Lab, tell: Tell) -> None:
    web1 = CUSTOMERS[0]
    agent = lab.status()["agent"]["pid"]
    pinging = subprocess.Popen(
        ["ip", "netns", "exec", lab.upstream.name, "ping", "-n", "-q", "-c", "400", "-i", "0.01", "-W", "1", web1.address6],
        stdout=subprocess.PIPE,
        text=True,
    )
    time.sleep(0.5)
    os.kill(agent, signal.SIGKILL)
    assert lab.agent is not None
    lab.agent.wait()
    time.sleep(1.0)
    status = lab.status()
    tell(f"agent {agent} killed; `l3ctl status` says: agent {'running' if status['agent'] else 'not running'}; ports stay as they were")
    _require(status["agent"] is None, "the agent is dead")
    _require(set(lab.upstream.kernel_routes()) == lab.expected_prefixes(), "announcements stand without the agent")
    lab.start_agent()
    lab.wait("the relay", lambda: bool(lab.status()["bgp"]["relay"]), 10)
    out, _ = pinging.communicate(timeout=60)
    summary = next(line for line in out.splitlines() if "packet loss" in line)
    tell(f"pings meanwhile: {summary}")
    _require(_lost(summary) == 0, "no packet is lost while the agent is dead and returns")
    changes = json.loads(lab.l3ctl("plan", "--json"))["changes"]
    said = (lab.run_dir / "agent.log").read_text().rpartition("\nadopt ")[2].splitlines()[1:]
    made = [line for line in said if not line.startswith(("relay ", "session "))]  # whom it met is no change
    back = lab.status()["agent"]["pid"]
    tell(f"agent {back} is back and adopts what it finds: {len(made)} changes made, {len(changes)} in its plan")
    _require(not made and not changes, "what the agent finds is what it wants")


STORY = (
    ("The plan is carried out: neighbours and filter stand before any link is up", _plan_and_silence),
    ("Links come up: each /64 and /32 is routed and announced", _links_up),
    ("Upstream reaches the customers, over IPv6 and over IPv4", _pings),
    ("A customer attacks: every frame dropped, counted by reason", _attacks),
    ("A link goes down: its prefixes are withdrawn", _link_down),
    ("The agent is killed (SIGKILL) while pings run", _agent_killed),
)


def demo(lab: Lab, tell: Tell, heading: Tell) -> None:
    """Build a lab, tell the story, remove the lab."""
    require_lab()
    heading("A router, an upstream with BIRD, and three customers, in network namespaces")
    began = time.monotonic()
    lab.down()
    try:
        lab.up(links_up=False)
        tell(f"up after {time.monotonic() - began:.1f} s; the BGP session to {UPSTREAM6} stands")
        for number, (title, chapter) in enumerate(STORY, 1):
            heading(f"{number}. {title}")
            chapter(lab, tell)
    finally:
        lab.down()
    _require(not lab.exists(), "the lab leaves nothing behind")
    heading(f"All as promised, in {time.monotonic() - began:.0f} s; nothing of it is left on this machine")
