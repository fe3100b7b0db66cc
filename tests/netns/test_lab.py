"""The main job, end to end, in the lab that `l3ctl lab up` builds: a real agent, ExaBGP, BIRD and the filter on real links."""

import json
import os
import random
import re
import secrets
import signal
import struct
import subprocess
import time
from collections.abc import Iterator

import pytest

from l3ctl.lab.attacks import ATTACKS, attack, send
from l3ctl.lab.customers import CUSTOMERS, GATEWAY6, UPSTREAM4, UPSTREAM6, Customer, record
from l3ctl.lab.frames import arp, ethernet, icmpv6, ipv6
from l3ctl.lab.programs import PROGRAM
from l3ctl.lab.topology import Lab
from l3ctl.lladdr import parse_lladdr
from l3ctl.model import Mode
from tests.netns.traces import leftovers, own_network

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WHOLE = 30.0
"""seconds after which something has gone wrong"""
WEB1, DB1, ROGUE = CUSTOMERS


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One for all these tests, each of which leaves it as it was: every link up, everything in sync."""
    one = Lab(f"l3t{os.getpid()}l")
    one.up()
    yield one
    one.down()


def plan(lab: Lab) -> list[dict[str, object]]:
    return list(json.loads(lab.l3ctl("plan", "--json", ok=(0, 3)))["changes"])


def in_sync(lab: Lab) -> bool:
    return not plan(lab)


def pings(lab: Lab, address: str) -> bool:
    source = UPSTREAM4 if "." in address else UPSTREAM6
    out = lab.upstream.run("ping", "-n", "-q", "-c", "3", "-i", "0.02", "-W", "1", "-I", source, address, ok=(0, 1))
    return " 0% packet loss" in out


def test_the_plan_is_empty_and_every_customer_is_reached(lab: Lab) -> None:
    planned = json.loads(lab.l3ctl("plan", "--json"))
    assert (planned["changes"], planned["notes"], planned["ports"]) == ([], [], 3)
    assert lab.l3ctl("plan") == "3 ports: in sync\n"
    assert all(pings(lab, address) for one in CUSTOMERS for address in (one.address6, str(one.ipv4)))


def test_status_says_the_same_to_people_and_to_programs(lab: Lab) -> None:
    told = lab.status()
    assert [(port["name"], port["link"], port["in_sync"], port["filter"]) for port in told["ports"]] == [
        (name, "up", True, Mode.ENFORCE) for name in ("db1", "rogue", "web1")
    ]
    assert told["bgp"]["peers"] == {UPSTREAM6: "up"}
    shown = lab.l3ctl("status")
    assert all(prefix in shown for one in CUSTOMERS for prefix in (str(one.ipv6), f"{one.ipv4}/32"))
    assert shown.endswith("in sync\n")


@pytest.mark.parametrize("customer", CUSTOMERS, ids=lambda one: one.name)
def test_a_neighbour_removed_by_hand_is_back_without_any_command(lab: Lab, customer: Customer) -> None:
    for address in (customer.link_local, str(customer.ipv4)):
        lab.router.ip(f"neigh del {address} dev {customer.port}")

        def is_back(address: str = address) -> bool:
            return any(entry["dst"] == address and entry["state"] == ["PERMANENT"] for entry in lab.neighbours(lab.router))

        lab.wait(f"{address} again", is_back, WHOLE)
    assert in_sync(lab)


def test_bird_has_exactly_what_is_up_after_each_of_20_random_flips(lab: Lab) -> None:
    seed = secrets.token_hex(4)
    print(f"seed {seed}")
    dice = random.Random(seed)
    up = dict.fromkeys(CUSTOMERS, True)
    for number in range(20):
        one = dice.choice(CUSTOMERS)
        (lab.link_down if up[one] else lab.link_up)(one)
        up[one] = not up[one]
        wanted = {prefix for each in CUSTOMERS if up[each] for prefix in (str(each.ipv6), f"{each.ipv4}/32")}
        lab.wait(f"flip {number} of seed {seed}", lambda wanted=wanted: lab.bird_prefixes() == wanted, WHOLE)  # type: ignore[misc]
        assert lab.expected_prefixes() == wanted, "the router's kernel sees the same links"
    for one in CUSTOMERS:
        lab.link_up(one)
    lab.wait("everything again", lambda: lab.bird_prefixes() == lab.expected_prefixes(), WHOLE)
    lab.wait("the hosts' own addresses", lab.hosts_ready, WHOLE)
    assert len(lab.bird_prefixes()) == 6


@pytest.mark.flood
def test_attacks_are_dropped_counted_to_the_last_frame_and_teach_the_router_nothing(lab: Lab) -> None:
    outcomes = list(attack(lab, 2_000))
    assert [outcome.name for outcome in outcomes] == [one.name for one in ATTACKS]
    for outcome in outcomes:
        assert sum(outcome.counted.values()) >= outcome.sent, outcome
        assert outcome.neighbours_after == outcome.neighbours_before, outcome
    assert all(pings(lab, address) for one in CUSTOMERS[:2] for address in (one.address6, str(one.ipv4)))

    told = [json.loads(line) for line in lab.l3ctl("violations", "--json").splitlines()]
    assert "port rogue claimed 203.0.113.11, billed to web1" in {line["evidence"]["text"] for line in told}
    assert {line["evidence"]["port"] for line in told} == {"rogue"}
    assert len(told) <= 2 * len({line["evidence"]["reason"] for line in told})
    assert lab.l3ctl("violations", "web1") == ""
    logged = [line for line in (lab.run_dir / "agent.log").read_text().splitlines() if line.startswith("violation ")]
    assert len(logged) <= 2 * len(ATTACKS)


def test_violations_are_followed_until_ctrl_c(lab: Lab) -> None:
    following = subprocess.Popen(
        ["ip", "netns", "exec", lab.router.name, str(PROGRAM), "violations", "--follow", "db1"], stdout=subprocess.PIPE, text=True
    )
    assert following.stdout is not None
    stolen = ethernet(arp(2, parse_lladdr(DB1.lladdr), str(WEB1.ipv4)), 0x0806, parse_lladdr(DB1.lladdr))
    send(lab, DB1, [stolen] * 7)
    line = following.stdout.readline()
    following.send_signal(signal.SIGINT)
    assert following.wait(WHOLE) == 130
    assert line.split()[2:] == ["arp-reply", "7x", *["port", "db1", "answered", "ARP", "for", "203.0.113.11,", "billed", "to", "web1"]]


def test_ordinary_packets_of_a_customer_make_the_router_look_for_nobody(lab: Lab) -> None:
    """Whatever link-local a customer names, as destination or as source of what is answered, has no route but the billed one."""
    router = bytes.fromhex(json.loads(lab.router.run("ip", "-j", "link", "show", ROGUE.port))[0]["address"].replace(":", ""))
    billed, stranger = ROGUE.address6, "fe80::dead:{:x}"

    def frame(payload: bytes, kind: int, source: str, destination: str, hop_limit: int) -> bytes:
        return ethernet(ipv6(payload, kind, source, destination, hop_limit), 0x86DD, parse_lladdr(ROGUE.lladdr), router)

    udp = struct.pack("!HHHH", 1, 9, 8, 0)
    frames = []
    for number in range(1, 26):
        there = stranger.format(number)
        echo = icmpv6(128, bytes(8), there, GATEWAY6)
        frames += [
            frame(udp, 17, billed, there, 64),
            frame(udp, 17, ROGUE.link_local, there, 64),
            frame(echo, 58, there, GATEWAY6, 64),
            frame(udp, 17, there, WEB1.address6, 1),
        ]
    before = lab.neighbours(lab.router)
    assert send(lab, ROGUE, frames)[0] == 100
    time.sleep(0.2)
    assert lab.neighbours(lab.router) == before
    assert "fe80::/64" not in lab.router.run("ip", "-6", "route", "show", "dev", ROGUE.port)
    out = lab.hosts["rogue"].run("ping", "-n", "-q", "-c", "2", "-i", "0.02", "-W", "1", f"{GATEWAY6}%eth0")
    assert " 0% packet loss" in out


def test_a_bad_inventory_changes_nothing_and_a_good_one_everything_it_says(lab: Lab) -> None:
    records = [record(one) for one in CUSTOMERS]
    log = lab.run_dir / "agent.log"
    lab.write_inventory([*records, records[0]])
    seen = log.stat().st_size
    os.kill(lab.status()["agent"]["pid"], signal.SIGHUP)
    lab.wait("the refusal", lambda: b"refuse reason=" in log.read_bytes()[seen:], WHOLE)
    (told,) = lab.status()["inventory"]["quarantined"]
    assert "is used twice" in told
    assert "1 fault in the inventory" in lab.l3ctl("status", ok=(1,))
    assert len(lab.bird_prefixes()) == 6
    assert pings(lab, WEB1.address6)

    lab.write_inventory(records[1:])
    os.kill(lab.status()["agent"]["pid"], signal.SIGHUP)
    lab.wait("web1's end", lambda: lab.bird_prefixes() == lab.expected_prefixes() - {str(WEB1.ipv6), f"{WEB1.ipv4}/32"}, WHOLE)
    lab.write_inventory(records)
    os.kill(lab.status()["agent"]["pid"], signal.SIGHUP)
    lab.wait("web1's return", lambda: lab.bird_prefixes() == lab.expected_prefixes(), WHOLE)
    lab.wait("nothing left to do", lambda: in_sync(lab), WHOLE)


def test_plan_and_apply_go_by_the_files_as_they_are_now(lab: Lab) -> None:
    """The agent has read them some time ago; who edits them and plans sees what would change, and who applies has it."""
    records = [record(one) for one in CUSTOMERS]
    lab.write_inventory(records[1:])
    there = {"web1", "-port-web1"}  # the port, and what is left on a netdev that is no port's any more
    assert {change["port"] for change in plan(lab)} == there
    assert all(pings(lab, one.address6) for one in CUSTOMERS), "a plan changes nothing"
    made = json.loads(lab.l3ctl("apply", "--json"))
    assert {change["port"] for change in made["changes"]} == there
    assert made["failed"] == []
    lab.wait("web1's end", lambda: lab.bird_prefixes() == lab.expected_prefixes() - {str(WEB1.ipv6), f"{WEB1.ipv4}/32"}, WHOLE)
    lab.wait("nothing left to do", lambda: in_sync(lab), WHOLE)
    lines = lab.router.log("agent").read_text().splitlines()
    told = [line.split()[0] for line in lines if str(WEB1.ipv6) in line]
    assert told[-2:] == ["withdraw", "remove"], "ExaBGP has taken the withdraw before the route goes"

    text = lab.config.read_text()
    lab.write_inventory(records)
    lab.config.write_text(text.replace("mode: enforce", "mode: audit"))
    assert lab.l3ctl("apply", "--json")
    assert {port["filter"] for port in lab.status()["ports"]} == {"audit"}
    lab.config.write_text(text)
    lab.l3ctl("apply")
    lab.wait("web1's return", lambda: lab.bird_prefixes() == lab.expected_prefixes(), WHOLE)
    lab.wait("nothing left to do", lambda: in_sync(lab), WHOLE)
    assert {port["filter"] for port in lab.status()["ports"]} == {"enforce"}

    lab.config.write_text(text.replace("local_as: 65010", "local_as: 65011"))
    done = subprocess.run(["ip", "netns", "exec", lab.router.name, str(PROGRAM), "apply"], capture_output=True, text=True)
    lab.config.write_text(text)
    assert done.returncode == 2
    assert "a running agent cannot change bgp; restart the agent" in done.stderr
    applied = json.loads(lab.l3ctl("apply", "--json"))
    assert (applied["changes"], applied["failed"]) == ([], [])


def test_a_session_that_is_down_is_no_good_status(lab: Lab) -> None:
    for bird in lab.upstream.pids():
        os.kill(bird, signal.SIGKILL)
    lab.wait("the loss", lambda: any("no BGP session" in trouble for trouble in lab.status()["troubles"]), WHOLE)
    assert "is not heard there" in lab.l3ctl("status", ok=(1,))
    lab.start_bird()
    lab.wait("the session", lambda: lab.status()["troubles"] == [], 60)
    lab.wait("everything again", lambda: lab.bird_prefixes() == lab.expected_prefixes(), WHOLE)


def test_a_second_agent_is_refused(lab: Lab) -> None:
    done = subprocess.run(["ip", "netns", "exec", lab.router.name, str(PROGRAM), "agent"], capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("l3ctl: an agent runs for this router already: pid ")
    assert len(done.stderr.splitlines()) == 1


def test_apply_is_done_by_the_agent_where_one_runs_and_finds_nothing(lab: Lab) -> None:
    applied = json.loads(lab.l3ctl("apply", "--json"))
    assert (applied["changes"], applied["failed"]) == ([], [])


def test_a_router_that_is_released_is_as_it_was_before() -> None:
    one = Lab(f"l3t{os.getpid()}r")
    try:
        one.up()
        one.wait("the prefixes", lambda: one.bird_prefixes() == one.expected_prefixes(), WHOLE)
        settings = [f"/proc/sys/net/ipv6/conf/{WEB1.port}/{name}" for name in ("accept_ra", "accept_dad", "addr_gen_mode")]
        assert one.router.run("cat", *settings).split() == ["0", "0", "1"]
        assert (
            "an agent runs"
            in subprocess.run(
                ["ip", "netns", "exec", one.router.name, str(PROGRAM), "agent", "--release"], capture_output=True, text=True
            ).stderr
        )
        assert one.agent is not None
        one.agent.terminate()
        one.agent.wait(WHOLE)
        assert one.bird_prefixes() == one.expected_prefixes()
        assert one.l3ctl("agent", "--release").startswith("released: ")
        one.wait("the withdrawals", lambda: one.bird_prefixes() == set(), WHOLE)
        shown = [one.router.run("ip", family, kind, "show") for family in ("-4", "-6") for kind in ("route", "neigh", "addr")]
        assert "201" not in re.findall(r"proto(?:col)? (\S+)", "".join(shown))
        assert "xdp" not in one.router.run("ip", "link", "show")
        assert one.router.run("cat", *settings).split() == ["1", "1", "0"]
        assert one.l3ctl("agent", "--release") == "released: 0 things removed\n"
    finally:
        one.down()


@pytest.mark.parametrize("after", [0.15, 0.5, 1.0, 2.5, 4.0])
def test_a_lab_that_was_killed_while_it_was_built_is_removed_without_a_trace(after: float) -> None:
    one = Lab(f"l3t{os.getpid()}k")
    before = own_network()
    building = subprocess.Popen([str(PROGRAM), "lab", "up", "--prefix", one.prefix], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(after)
    building.kill()
    building.wait()
    subprocess.run([str(PROGRAM), "lab", "down", "--prefix", one.prefix], check=True)
    assert leftovers(one) == []
    assert own_network() == before


def test_a_lab_interrupted_from_the_keyboard_removes_itself() -> None:
    one = Lab(f"l3t{os.getpid()}i")
    building = subprocess.Popen(
        [str(PROGRAM), "lab", "up", "--prefix", one.prefix], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    deadline = time.monotonic() + WHOLE
    while not (one.run_dir / "agent.log").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    building.send_signal(signal.SIGINT)
    _, complaint = building.communicate(timeout=WHOLE)
    assert (building.returncode, complaint.strip()) == (130, "")
    assert leftovers(one) == []


def test_the_demo_tells_its_story_to_the_end() -> None:
    """Each of its lines is an observation, and one that is not as promised ends it."""
    one = Lab(f"l3t{os.getpid()}d")
    done = subprocess.run([str(PROGRAM), "lab", "demo", "--prefix", one.prefix], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert [line[:2] for line in done.stdout.splitlines() if line[:1].isdigit()] == [f"{number}." for number in range(1, 7)]
    assert "All as promised" in done.stdout
    assert leftovers(one) == []
