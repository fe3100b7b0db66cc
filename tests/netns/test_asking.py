"""`l3ctl explain`, `ports` and `metrics`, asked as somebody asks at 3 a.m.: of what works, and of what was taken away or ended by hand."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import termios
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from prometheus_client.parser import text_string_to_metric_families

from l3ctl.asking import ask
from l3ctl.errors import LabFailed
from l3ctl.lab.attacks import send
from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6, UPSTREAM6, record
from l3ctl.lab.frames import arp, ethernet
from l3ctl.lab.programs import PROGRAM
from l3ctl.lab.topology import Lab
from l3ctl.lladdr import parse_lladdr
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link, Program
from tests.faults.tables import PASS_ALL

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SCHEMAS = Path(__file__).parents[2] / "docs/schema"
WHOLE = 30.0
"""seconds after which something has gone wrong"""
WEB1, DB1, _ = CUSTOMERS


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One for all these tests, each of which leaves it as it was."""
    one = Lab(f"l3t{os.getpid()}e")
    one.up()
    yield one
    one.down()


def explained(lab: Lab, what: object) -> list[dict[str, Any]]:
    return list(json.loads(lab.l3ctl("explain", "--json", str(what), ok=(0, 1)))["found"])


def measured(lab: Lab) -> dict[tuple[str, ...], float]:
    """(name, value of each label, by the labels' names) -> value."""
    families = text_string_to_metric_families(lab.l3ctl("metrics", "--once"))
    return {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}


def because(lab: Lab, what: object) -> str:
    (one,) = explained(lab, what)
    return str(one["because"])


@pytest.mark.parametrize(
    ("asked", "host", "prefix"),
    [
        (WEB1.name, None, None),
        (WEB1.port, None, None),
        (WEB1.lladdr, WEB1.lladdr, None),
        (WEB1.lladdr.upper().replace(":", "-"), WEB1.lladdr, None),
        (WEB1.link_local, WEB1.lladdr, None),
        (WEB1.address6, WEB1.lladdr, WEB1.ipv6),
        (WEB1.ipv6, WEB1.lladdr, WEB1.ipv6),
        (WEB1.ipv4, WEB1.lladdr, f"{WEB1.ipv4}/32"),
        (f"{WEB1.ipv4}/30", WEB1.lladdr, f"{WEB1.ipv4}/32"),
    ],
)
def test_whoever_is_meant_is_found(lab: Lab, asked: object, host: str | None, prefix: object) -> None:
    lab.wait("the sessions", lambda: explained(lab, asked)[0]["reachable"], WHOLE)
    (one,) = explained(lab, asked)
    assert (one["port"], one["host"], one["prefix"]) == (WEB1.name, host, None if prefix is None else str(prefix))
    assert {told["prefix"] for told in one["announcements"]} == ({str(prefix)} if prefix else {str(WEB1.ipv6), f"{WEB1.ipv4}/32"})
    assert [told["peers"] for told in one["announcements"]] == [{UPSTREAM6: {"session": "up", "has": True}}] * len(one["announcements"])
    assert all(entry["there"] and entry["wanted"] for entry in (*one["neighbours"], *one["routes"]))
    assert one["differs"] == []
    assert one["filter"]["on"] == WEB1.port
    shown = lab.l3ctl("explain", str(asked))
    assert shown.startswith(f"port {WEB1.name}")
    assert ": reachable: link up, permanent neighbour, route, filter in enforce; 1 of 1 peers have it" in shown


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (GATEWAY6, f"{GATEWAY6} is the gateway's own address"),
        (GATEWAY4, f"{GATEWAY4} is the gateway's own address"),
        ("2001:db8:ffff:ffff::1", "no port of this router is billed for 2001:db8:ffff:ffff::1"),
        ("52:54:00:ff:ff:ff", "no port of this router is billed for 52:54:00:ff:ff:ff"),
        ("nobody", "no port of this router is billed for nobody"),
    ],
)
def test_who_is_no_customer_is_told_so(lab: Lab, asked: str, said: str) -> None:
    with pytest.raises(LabFailed, match=re.escape(said)):
        lab.l3ctl("explain", asked)


def test_a_link_that_is_down_says_so_and_what_happened_last(lab: Lab) -> None:
    lab.link_down(DB1)
    lab.wait("the link's end", lambda: "has no carrier" in because(lab, DB1.address6), WHOLE)
    assert not explained(lab, DB1.ipv4)[0]["reachable"]

    def texts() -> list[str]:
        return [event["text"] for event in explained(lab, DB1.ipv4)[0]["events"]]

    lab.wait("the withdraw", lambda: any(text.startswith("withdraw ") and f"{DB1.ipv4}/32" in text for text in texts()), WHOLE)
    assert not any("port=web1" in text for text in texts())
    lab.link_up(DB1)
    lab.wait("it again", lambda: explained(lab, DB1.name)[0]["reachable"], WHOLE)


def test_a_route_of_somebody_else_that_wins_is_told(lab: Lab) -> None:
    lab.router.ip(f"route add {WEB1.ipv6} dev uplink0 metric 1 proto static")
    assert because(lab, WEB1.address6).startswith(f"packets to {WEB1.ipv6} leave by uplink0: a route that is not ours wins")
    lab.router.ip(f"route del {WEB1.ipv6} dev uplink0 metric 1 proto static", f"route add blackhole {WEB1.ipv6} metric 1 proto static")
    assert because(lab, WEB1.address6).startswith(f"packets to {WEB1.ipv6} go nowhere")
    lab.router.ip(f"route del blackhole {WEB1.ipv6} metric 1 proto static")
    assert explained(lab, WEB1.name)[0]["reachable"]


def test_a_mac_that_billing_has_wrong_is_told(lab: Lab) -> None:
    wrong = "52:54:00:0a:00:77"
    lab.write_inventory(record(one) | ({"mac": wrong, "link_local": one.link_local} if one is WEB1 else {}) for one in CUSTOMERS)
    lab.l3ctl("apply")
    for address in (GATEWAY4, f"{GATEWAY6}%eth0"):
        lab.hosts["web1"].run("ip", "neigh", "flush", "dev", "eth0")
        lab.hosts["web1"].run("ping", "-c", "1", "-W", "1", address, ok=(1, 2))
    lab.wait("the evidence", lambda: f"but frames come from {WEB1.lladdr}, which is not billed there" in because(lab, WEB1.ipv4), WHOLE)
    assert f"frames came from {WEB1.lladdr}, which is not billed here" in lab.l3ctl("explain", str(WEB1.ipv4), ok=(0, 1))
    lab.write_inventory(record(one) for one in CUSTOMERS)
    lab.l3ctl("apply")
    assert "but frames" not in because(lab, WEB1.ipv4), "it is billed now"
    lab.wait("the host", lambda: explained(lab, WEB1.name)[0]["reachable"], WHOLE)


def test_a_drained_router_says_so(lab: Lab) -> None:
    lab.l3ctl("drain")
    assert because(lab, WEB1.ipv4) == f"{WEB1.ipv4}/32 is not announced: drained"
    lab.l3ctl("undrain")
    lab.wait("it again", lambda: explained(lab, WEB1.name)[0]["reachable"], WHOLE)


def test_ports_are_listed_a_line_each_and_by_what_is_in_their_way(lab: Lab) -> None:
    told = json.loads(lab.l3ctl("ports", "--json"))["ports"]
    assert [(one["name"], one["macs"], one["state"]) for one in told] == [
        (one.name, [one.lladdr], "up") for one in sorted(CUSTOMERS, key=lambda one: one.name)
    ]
    lab.link_down(DB1)
    lab.wait("the link's end", lambda: json.loads(lab.l3ctl("ports", "db1", "--json"))["ports"][0]["state"] == "down", WHOLE)
    shown = lab.l3ctl("ports", "--not-up")
    assert DB1.lladdr in shown
    assert WEB1.lladdr not in shown
    assert shown.endswith("3 ports: 1 down, 2 up\n")
    lab.link_up(DB1)
    lab.wait("it again", lambda: explained(lab, DB1.name)[0]["reachable"], WHOLE)
    lab.l3ctl("ports", "nobody", ok=(1,))


def test_metrics_say_what_happens(lab: Lab) -> None:
    before = measured(lab)
    assert before["l3ctl_up",] == 1
    assert {state: before["l3ctl_ports", state] for state in ("up", "away", "down", "missing")} == {
        "up": 3,
        "away": 0,
        "down": 0,
        "missing": 0,
    }
    assert before["l3ctl_bgp_session_up", UPSTREAM6] == before["l3ctl_bgp_relay_up",] == 1
    assert before["l3ctl_bgp_announcements_held",] == before["l3ctl_bgp_announcements_wanted",] == 6
    assert time.time() - 3600 < before["l3ctl_inventory_read_timestamp_seconds",] <= time.time()
    send(lab, DB1, [ethernet(arp(2, parse_lladdr(DB1.lladdr), str(WEB1.ipv4)), 0x0806, parse_lladdr(DB1.lladdr))] * 7)
    lab.link_down(DB1)
    lab.wait("the link's end", lambda: measured(lab)["l3ctl_ports", "down"] == 1, WHOLE)
    lab.link_up(DB1)
    lab.wait("it again", lambda: explained(lab, DB1.name)[0]["reachable"], WHOLE)
    after = measured(lab)
    assert after["l3ctl_verdicts_total", "arp-reply"] == before.get(("l3ctl_verdicts_total", "arp-reply"), 0) + 7
    assert after["l3ctl_port_refused_frames_total", "db1", "arp-reply"] >= 7
    assert after["l3ctl_changes_total", "route", "add"] > before.get(("l3ctl_changes_total", "route", "add"), 0)
    news = "l3ctl_link_to_announcement_seconds"
    assert after[f"{news}_count",] >= before[f"{news}_count",] + 4, "two prefixes went and came"
    assert after[f"{news}_bucket", "+Inf"] == after[f"{news}_count",]
    assert 0 < after[f"{news}_sum",] < 60 * after[f"{news}_count",]


def test_metrics_are_served_to_whoever_is_on_this_machine(lab: Lab) -> None:
    words = ["ip", "netns", "exec", lab.router.name, str(PROGRAM), "metrics", "--listen", "127.0.0.1:9797"]
    serving = subprocess.Popen(words, stderr=subprocess.PIPE, text=True)
    assert serving.stderr is not None
    assert serving.stderr.readline() == "metrics at http://127.0.0.1:9797/metrics\n"
    with lab.router.entered(), urllib.request.urlopen("http://127.0.0.1:9797/metrics", timeout=WHOLE) as answer:
        told = answer.read().decode()
    assert "\nl3ctl_up 1.0\n" in told
    with pytest.raises(LabFailed, match=re.escape("cannot listen at 127.0.0.1:9797: Address already in use")):
        lab.l3ctl("metrics", "--listen", "127.0.0.1:9797")
    serving.send_signal(signal.SIGTERM)
    assert serving.wait(WHOLE) == 0


def test_without_an_agent_the_router_is_looked_at_all_the_same(lab: Lab) -> None:
    ask(lab.run_dir / "agent.sock", {"command": "stop"})
    assert lab.agent is not None
    lab.agent.wait(WHOLE)
    assert measured(lab) == {("l3ctl_up",): 0}
    (one,) = explained(lab, WEB1.ipv4)
    assert one["reachable"]
    assert one["events"] == []
    lab.router.ip(f"neigh del {WEB1.ipv4} dev {WEB1.port}")
    assert because(lab, WEB1.name).startswith(f"the router lacks the neighbour {WEB1.ipv4} lladdr {WEB1.lladdr} dev {WEB1.port}")
    assert "MISSING" in lab.l3ctl("explain", WEB1.name, ok=(1,))
    lab.start_agent()
    lab.wait("it again", lambda: explained(lab, WEB1.name)[0]["reachable"], WHOLE)


@pytest.mark.parametrize("name", sorted(path.stem for path in SCHEMAS.glob("*.json")))
def test_what_programs_are_told_is_as_its_schema_says(lab: Lab, name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}.json").read_text())
    jsonschema.Draft202012Validator.check_schema(schema)
    steals(lab, 3)
    lab.router.ip(f"route add 2001:db8:aaaa::/64 dev {DB1.port} proto static")
    words = {"violation": ["violations"], "top": ["top", "--interval", "0.2"], "explain": ["explain", WEB1.name]}.get(name, [name])
    shown = lab.l3ctl(*words, "--json", ok=(0, 1, 3))
    told = [json.loads(line) for line in shown.splitlines()] if name == "violation" else [json.loads(shown)]
    assert told
    for one in told:
        jsonschema.Draft202012Validator(schema).validate(one)
    lab.router.ip(f"route del 2001:db8:aaaa::/64 dev {DB1.port} proto static")


def steals(lab: Lab, frames: int) -> None:
    send(lab, DB1, [ethernet(arp(2, parse_lladdr(DB1.lladdr), str(WEB1.ipv4)), 0x0806, parse_lladdr(DB1.lladdr))] * frames)


def test_what_would_be_dropped_is_of_ports_in_audit_alone(lab: Lab) -> None:
    steals(lab, 3)
    lab.wait("the evidence", lambda: "port db1 answered ARP" in lab.l3ctl("violations"), WHOLE)
    assert lab.l3ctl("violations", "--would-drop") == ""
    lab.write_inventory(record(one) | ({"mode": "audit"} if one is DB1 else {}) for one in CUSTOMERS)
    lab.l3ctl("apply")
    assert "port db1 answered ARP" in lab.l3ctl("violations", "--would-drop")
    lab.write_inventory(record(one) for one in CUSTOMERS)
    lab.l3ctl("apply")
    assert lab.l3ctl("violations", "--would-drop") == ""


def test_top_says_what_was_refused_in_the_last_second(lab: Lab) -> None:
    looking = subprocess.Popen(
        ["ip", "netns", "exec", lab.router.name, str(PROGRAM), "top", "--json", "--interval", "3"], stdout=subprocess.PIPE, text=True
    )
    time.sleep(1.5)
    steals(lab, 30)
    told = json.loads(looking.communicate(timeout=WHOLE)[0])["rates"]
    (one,) = (one for one in told if (one["port"], one["reason"]) == ("db1", "arp-reply"))
    assert 1 < one["per_second"] <= 30 / 3 + 1
    assert one["total"] >= 30


def test_top_fits_a_small_terminal_and_hears_keys(lab: Lab) -> None:
    steals(lab, 5)
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", 24, 80, 0, 0))
    before = termios.tcgetattr(theirs)
    words = ["ip", "netns", "exec", lab.router.name, str(PROGRAM), "top", "--interval", "0.2"]
    running = subprocess.Popen(words, stdin=theirs, stdout=theirs, stderr=subprocess.PIPE, env={**os.environ, "TERM": "xterm"})
    shown = bytearray()

    def until(text: str) -> None:
        deadline = time.monotonic() + WHOLE
        while text.encode() not in shown:
            assert time.monotonic() < deadline, shown.decode(errors="replace")
            if select.select([ours], [], [], 0.2)[0]:
                shown.extend(os.read(ours, 65536))

    try:
        until("frames refused a second")
        until("arp-reply")
        until("s by total")
        os.write(ours, b"s")
        until("s by rate")
        os.write(ours, b"/nothing\r")
        until("/ filter: nothing")
        pages = re.sub(rb"\x1b\[[0-9;]*H", b"\n", bytes(shown))
        lines = re.sub(rb"\x1b\[[0-9;?]*[A-Za-z]", b"", pages).decode(errors="replace").replace("\r", "\n").split("\n")
        assert max(map(len, lines)) <= 80
        os.write(ours, b"q")
        assert running.wait(WHOLE) == 0
        assert termios.tcgetattr(theirs) == before
    finally:
        running.kill()
        os.close(ours)
        os.close(theirs)


def examined(lab: Lab) -> dict[str, list[dict[str, Any]]]:
    """What is found of each thing that is looked at."""
    found: dict[str, list[dict[str, Any]]] = {}
    for one in json.loads(lab.l3ctl("doctor", "--json", ok=(0, 1)))["findings"]:
        found.setdefault(one["what"], []).append(one)
    return found


def test_the_doctor_finds_a_healthy_router_healthy(lab: Lab) -> None:
    found = examined(lab)
    wrong = [one for findings in found.values() for one in findings if one["state"] == "bad"]
    assert wrong == []
    assert set(found) == {
        *("kernel", "compiler", "privileges", "bpffs", "folders", "clock", "forwarding"),
        *("agent", "inventory", "netdevs", "filter", "bgp"),
    }
    assert lab.l3ctl("doctor").count("good") >= len(found) - 1, "but for the clock, which a container may not have"


def test_the_doctor_finds_what_was_broken_and_says_how_to_mend_it(lab: Lab) -> None:
    lab.router.sysctl("net.ipv4.ip_forward=0")
    (one,) = examined(lab)["forwarding"]
    assert (one["state"], one["mend"]) == ("bad", "sysctl -w net.ipv4.ip_forward=1, and the same in /etc/sysctl.d")
    lab.router.sysctl("net.ipv4.ip_forward=1")

    for bird in lab.upstream.pids():
        os.kill(bird, signal.SIGKILL)
    lab.wait("the session's end", lambda: examined(lab)["bgp"][0]["state"] == "bad", WHOLE)
    assert examined(lab)["bgp"][0]["mend"].startswith(f"ping {UPSTREAM6}")
    assert "mend: ping" in lab.l3ctl("doctor", ok=(1,))
    lab.start_bird()
    lab.wait("the session", lambda: examined(lab)["bgp"][0]["state"] == "good", 60)

    ifindex = json.loads(lab.router.run("ip", "-j", "link", "show", WEB1.port))[0]["ifindex"]
    os.kill(lab.status()["agent"]["pid"], signal.SIGKILL)
    (lab.run_dir / f"bpf/l3ctl/link-{ifindex}").unlink()
    lab.wait("room", lambda: "xdp" not in lab.router.run("ip", "link", "show", WEB1.port), WHOLE)
    with lab.router.entered():
        theirs = Link.attach(Program.load("foreign", PASS_ALL), ifindex, XDP_FLAGS_SKB_MODE)
    (one,) = (finding for finding in examined(lab)["filter"] if "another" in finding["text"])
    assert one["text"].endswith(f"is on {WEB1.port}")
    assert one["mend"].startswith(f"take it off: ip link set dev {WEB1.port} xdp off")
    assert {finding["state"] for finding in examined(lab)["agent"]} == {"bad"}
    theirs.detach()
    lab.start_agent()
    lab.wait("the filter", lambda: {finding["state"] for finding in examined(lab)["filter"]} == {"good"}, WHOLE)
