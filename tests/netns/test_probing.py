"""Hosts behind a switch, whose going no link tells: the agent asks, the filter hears, the kernel's neighbour tables learn nothing."""

import json
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l3ctl.lab.frames import ethernet, icmpv6, ip6, ipv6
from l3ctl.lab.namespaces import Namespace
from l3ctl.lladdr import parse_lladdr
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link
from l3ctl.xdp.program import load_private
from tests.netns.sole_agent import WHOLE, SoleAgent

pytestmark = [pytest.mark.root, pytest.mark.bpf]

INTERVAL, MISSES = 200, 3
PREFIX = {1: "2001:db8:a::/64", 2: "2001:db8:b::/64", 3: "203.0.113.33/32"}
ALL = set(PREFIX.values())


def mac(number: int) -> str:
    return f"52:54:00:00:00:0{number}"


class Site(SoleAgent):
    """Three ports, each with a switch and a host behind it; the third host has nothing but IPv4."""

    def __init__(self, make: Callable[[], Namespace], folder: Path) -> None:
        probe = f"liveness: probe\nprobe: {{interval: {INTERVAL}, misses: {MISSES}}}\n"
        super().__init__(make(), folder, "{file: inventory.json}", f"gateway: {{ipv4: [203.0.113.1]}}\n{probe}")
        self.switch, self.hosts = make(), make()
        records: list[dict[str, object]] = []
        for number in PREFIX:
            self._cable(number)
            billed = {"ipv4": ["203.0.113.33"]} if number == 3 else {"ipv6": [PREFIX[number]]}
            records.append({"name": f"p{number}", "interface": f"p{number}", "mac": mac(number), **billed})
        self.inventory.write_text(json.dumps({"ports": records}))

    def _cable(self, number: int) -> None:
        name = f"p{number}"
        self.router.ip(f"link add {name} type veth peer name {name} netns {self.switch.name}", f"link set {name} up")
        self.switch.ip(
            f"link add b{number} type bridge mcast_snooping 0",
            f"link add h{number} type veth peer name {name} netns {self.hosts.name}",
            *(f"link set {port} master b{number}" for port in (name, f"h{number}")),
            *(f"link set {port} up" for port in (f"b{number}", name, f"h{number}")),
        )
        self.hosts.ip(f"link set {name} address {mac(number)} up")
        if number == 3:
            self.hosts.ip("link set p3 addrgenmode none", "addr add 203.0.113.33/24 dev p3")

    def counted(self, number: int) -> dict[str, int]:
        return dict(self.port(f"p{number}")["counters"])

    def routed(self) -> set[str]:
        shown = [*json.loads(self.router.run("ip", "-6", "-j", "route", "show", "proto", "201"))]
        shown += json.loads(self.router.run("ip", "-4", "-j", "route", "show", "proto", "201"))
        return {one["dst"] if "/" in one["dst"] else f"{one['dst']}/32" for one in shown if not one["dst"].startswith("fe80")}

    def wait_for(self, prefixes: set[str]) -> float:
        """Seconds until just these are routed."""
        began = time.monotonic()
        while self.routed() != prefixes:
            assert time.monotonic() < began + WHOLE, (self.routed(), self.log())
            time.sleep(0.01)
        return time.monotonic() - began

    def unplug(self, number: int) -> None:
        self.switch.ip(f"link set h{number} down")

    def plug(self, number: int) -> None:
        self.switch.ip(f"link set h{number} up")


@pytest.fixture
def site(namespace: Callable[[], Namespace], tmp_path: Path) -> Iterator[Site]:
    one = Site(namespace, tmp_path)
    one.start()
    one.wait_for(ALL)
    yield one
    one.end()


def _raw(netdev: str) -> socket.socket:
    """Sends frames out of a netdev of the namespace that we are in."""
    sender = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    sender.bind((netdev, 0))
    return sender


def test_a_host_that_is_unplugged_behind_a_switch_is_away_and_comes_back(site: Site) -> None:
    for number in PREFIX:
        site.unplug(number)
        site.wait_for(ALL - {PREFIX[number]})
        port = site.port(f"p{number}")
        assert (port["link"], port["away"], port["unannounced"], port["in_sync"]) == ("up", True, "away", True)
        site.plug(number)
        site.wait_for(ALL)
    log = site.log()
    assert 'down port=p1 reason="3 probes without an answer"' in log
    assert 'up port=p3 reason="it answers"' in log


def test_answers_are_counted_and_the_kernel_learns_nothing(site: Site) -> None:
    before = {number: site.counted(number)["probe-answer"] for number in PREFIX}
    time.sleep(INTERVAL / 1000 * 5)
    for number, count in before.items():
        more = site.counted(number)["probe-answer"] - count
        assert more >= 3
        assert not {"na-unsolicited", "arp-reply"} & site.counted(number).keys()
    for family in ("-4", "-6"):
        entries = json.loads(site.router.run("ip", family, "-j", "neigh", "show", "nud", "all"))
        assert all(set(one["state"]) & {"PERMANENT", "NOARP"} for one in entries)


def test_nobody_else_keeps_a_host_alive(site: Site) -> None:
    """Neither another port with the host's own words, nor another MAC on the host's port, nor the host's MAC with others' words."""
    site.unplug(1)
    site.wait_for(ALL - {PREFIX[1]})
    victim, router = "fe80::5054:ff:fe00:1", parse_lladdr(json.loads(site.router.run("ip", "-j", "link", "show", "p1"))[0]["address"])

    def advertisement(source: str, target: str, flags: int, destination: str = "fe80::1") -> bytes:
        body = bytes((flags, 0, 0, 0)) + ip6(target)
        return ipv6(icmpv6(136, body, source, destination), 58, source, destination)

    own = parse_lladdr(mac(1))
    lies = [
        ("p2", ethernet(advertisement(victim, victim, 0x60), 0x86DD, own, router)),
        ("p1", ethernet(advertisement(victim, victim, 0x60), 0x86DD, parse_lladdr(mac(2)), router)),
        ("p1", ethernet(advertisement(victim, victim, 0x20), 0x86DD, own, router)),
        ("p1", ethernet(advertisement(victim, "fe80::5054:ff:fe00:2", 0x60), 0x86DD, own, router)),
        ("p1", ethernet(advertisement(victim, victim, 0x60, "fe80::9"), 0x86DD, own, router)),
    ]
    until = time.monotonic() + 2.0
    with site.switch.entered():
        senders = {netdev: _raw(netdev) for netdev in ("p1", "p2")}
    try:
        while time.monotonic() < until:
            for where, frame in lies:
                senders[where].send(frame)
            time.sleep(0.02)
        assert site.routed() == ALL - {PREFIX[1]}
    finally:
        for sender in senders.values():
            sender.close()
    assert site.counted(1)["na-unsolicited"] > 0
    site.plug(1)
    site.wait_for(ALL)


def test_a_host_that_asks_for_its_gateway_needs_no_probe(site: Site) -> None:
    """Its firewall drops what comes in unasked for, the probes, too; it talks."""
    site.hosts.ip("addr flush dev p1")  # nobody answers for it
    site.wait_for(ALL - {PREFIX[1]})
    until = time.monotonic() + WHOLE
    host = parse_lladdr(mac(1))
    source, group = "fe80::5054:ff:fe00:1", "ff02::1:ff00:1"
    body = bytes(4) + ip6("fe80::1") + b"\x01\x01" + host
    frame = ethernet(ipv6(icmpv6(135, body, source, group), 58, source, group), 0x86DD, host, bytes.fromhex("3333ff000001"))
    with site.hosts.entered():
        sender = _raw("p1")
    with sender:
        while site.routed() != ALL:
            assert time.monotonic() < until
            sender.send(frame)
            time.sleep(INTERVAL / 1000)


def test_an_agent_that_comes_back_takes_for_there_and_away_what_its_predecessor_did(site: Site) -> None:
    assert site.agent is not None
    site.unplug(1)
    site.wait_for(ALL - {PREFIX[1]})
    site.agent.kill()
    site.agent.wait()
    site.start()
    began = time.monotonic()
    while time.monotonic() < began + 2.0:
        assert site.routed() == ALL - {PREFIX[1]}
    site.plug(1)
    site.wait_for(ALL)


def test_an_agent_that_was_stopped_for_a_while_takes_nobody_for_away(site: Site) -> None:
    assert site.agent is not None
    site.agent.send_signal(signal.SIGSTOP)
    time.sleep(INTERVAL / 1000 * (MISSES + 3))
    site.agent.send_signal(signal.SIGCONT)
    until = time.monotonic() + 1.5
    while time.monotonic() < until:
        assert site.routed() == ALL


def test_a_filter_that_is_not_there_is_no_silence(site: Site) -> None:
    """With another's program in its place no answer is heard; that says nothing of the host, whose routes stay."""
    program = load_private(False).program
    with site.router.entered():
        ifindex = socket.if_nametoindex("p1")
        (site.run_dir / "bpf" / "l3ctl" / f"link-{ifindex}").unlink()
        until = time.monotonic() + WHOLE
        while True:
            try:
                other = Link.attach(program, ifindex, XDP_FLAGS_SKB_MODE)
                break
            except OSError:
                assert time.monotonic() < until
    try:
        until = time.monotonic() + INTERVAL / 1000 * (MISSES + 5)
        while time.monotonic() < until:
            assert site.routed() == ALL, site.log()
        assert "another XDP program" in site.l3ctl("status", ok=(1,))
    finally:
        other.detach()
        other.close()


def test_a_question_that_did_not_go_out_says_nothing_of_the_host(site: Site) -> None:
    """As where a neighbour's flood has filled the queue: nothing that the host does would be heard."""
    site.router.run("tc", "qdisc", "add", "dev", "p1", "root", "tbf", "rate", "8bit", "burst", "150", "limit", "150")
    asked = site.counted(1)["probe-answer"]
    time.sleep(INTERVAL / 1000 * 5 * MISSES)
    assert site.counted(1)["probe-answer"] - asked < MISSES, "it is not asked"
    assert site.routed() == ALL
    site.router.run("tc", "qdisc", "del", "dev", "p1", "root")
    site.unplug(1)
    site.wait_for(ALL - {PREFIX[1]})
