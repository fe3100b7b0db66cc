"""Evidence of what the real filter dropped: claimed against billed, exact in number, and short however large the flood."""

import ctypes
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from l3ctl.bgp.others import Duplicate
from l3ctl.evidence import Billing
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.frames import GATEWAY6, HOST_IP4, HOST_LL, HOST_MAC, arp, ethernet, na, ra, redirect, rs
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Change, Host, Mode, Port, PortPolicy, Verb
from l3ctl.violations import AGAIN, LASTING_LINES, LINES, Violation, Violations
from l3ctl.xdp.filter import Filter
from l3ctl.xdp.libbpf import Program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WEB = Host("52:54:00:0a:00:0b", IPv6Address(HOST_LL), (IPv6Network("2001:db8:11::/64"),), (IPv4Address(HOST_IP4),))
DB = Host("52:54:00:0a:00:0c", IPv6Address("fe80::c"), (IPv6Network("2001:db8:12::/64"),), (IPv4Address("203.0.113.12"),))
PORTS = {"web1": Port("web1", "lo", "lo", None, (WEB,)), "db1": Port("db1", "tap-db1", "tap-db1", None, (DB,))}
BILLING = Billing(PORTS.values(), (IPv6Address(GATEWAY6),))
POLICY = PortPolicy(
    "web1", "lo", None, "02:00:00:00:00:01", (WEB,), (IPv6Address(GATEWAY6),), Mode.ENFORCE, False, False, True, 1_000_000, 1_000_000
)
STOLEN = ethernet(arp(sender="203.0.113.12"), 0x0806)


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Bench:
    filter: Filter
    program: Program
    clock: Clock
    violations: Violations

    def send(self, frame: bytes, times: int = 1) -> None:
        """Frames that come in on the loopback, where BPF_PROG_TEST_RUN lets them."""
        self.program.measure(frame, times)

    def told(self, after: float = 0.0) -> list[Violation]:
        self.clock.now += after
        self.violations.read(PORTS, BILLING)
        return list(self.violations.tick())


@pytest.fixture
def bench(namespace: Callable[[], Namespace], tmp_path: Path) -> Iterator[Bench]:
    bpffs = tmp_path / "bpf"
    with namespace().entered():
        filter_ = Filter(bpffs)
        filter_.open(False)
        with Kernel() as kernel:
            filter_.apply(Change("web1", Verb.ADD, POLICY), kernel.links())
        clock = Clock()
        yield Bench(filter_, Program.open(bpffs / "l3ctl" / "program"), clock, Violations(filter_, clock))
        filter_.detach()
    ctypes.CDLL(None).umount2(os.fsencode(bpffs), 2)


def test_a_violation_is_told_at_once_claimed_against_billed(bench: Bench) -> None:
    bench.send(STOLEN)
    (line,) = bench.told()
    assert line.evidence.text == "port web1 claimed 203.0.113.12, billed to db1"
    assert (line.count, bytes.fromhex(line.frame), line.evidence.lladdr) == (1, STOLEN, HOST_MAC.hex(":"))
    assert bench.told() == []


def test_a_million_frames_are_counted_exactly_and_make_two_lines(bench: Bench) -> None:
    bench.send(STOLEN)
    assert [line.count for line in bench.told()] == [1]
    for _ in range(10):
        bench.send(STOLEN, 100_000)
        assert bench.told(0.1) == []
    assert bench.filter.counters()["web1"] == {"arp-ip-spoof": 1_000_001}
    (line,) = bench.told(AGAIN)
    assert line.count == 1_000_000
    assert bench.told(AGAIN) == []
    assert bench.violations.since(0, quiet=True) == bench.violations.since(0, quiet=False)
    assert [one.count for one in bench.violations.since(0, quiet=False)] == [1, 1_000_000]


def test_samples_of_a_flood_are_few_until_they_are_read_and_then_there_are_more(bench: Bench) -> None:
    samples = bench.filter.samples()
    bench.send(STOLEN, 100_000)
    assert len(samples.read()) == 4
    bench.send(STOLEN, 100_000)
    assert samples.read() == []
    bench.filter.refill("web1", ["arp-ip-spoof"])
    bench.send(STOLEN, 100_000)
    assert len(samples.read()) == 4
    samples.close()


def test_a_sample_is_the_beginning_of_its_frame(bench: Bench) -> None:
    samples = bench.filter.samples()
    long, short = ethernet(arp(2) + bytes(range(200)), 0x0806), ethernet(arp(2), 0x0806)
    for frame in (long, short):
        bench.send(frame)
    assert [(one.reason, one.length, one.frame) for one in samples.read()] == [
        ("arp-reply", len(long), long[:128]),
        ("arp-reply", len(short), short),
    ]
    samples.close()


def test_one_kind_does_not_use_up_the_evidence_of_another(bench: Bench) -> None:
    bench.send(STOLEN, 1000)
    for frame in (na(), ra(), redirect()):
        bench.send(ethernet(frame, 0x86DD))
    assert {line.evidence.reason for line in bench.told()} == {"arp-ip-spoof", "na-unsolicited", "ra-rogue", "redirect"}


def test_what_a_healthy_host_does_is_kept_apart(bench: Bench) -> None:
    bench.send(ethernet(rs(), 0x86DD))
    (line,) = bench.told()
    assert line.evidence.quiet
    assert bench.violations.since(0, quiet=False) == []
    assert bench.violations.since(0, quiet=True) == [line]


def test_lines_have_a_limit_and_what_waits_is_not_lost(bench: Bench) -> None:
    """As from many ports at once: here every line has been used up before."""
    bench.violations._allowance = 0
    bench.send(STOLEN, 10)
    assert bench.told() == []
    assert [line.count for line in bench.told(1 / LINES)] == [10]


def test_the_next_agent_tells_nothing_twice(bench: Bench) -> None:
    bench.send(STOLEN, 10)
    bench.told()
    again = Bench(bench.filter, bench.program, Clock(), Violations(bench.filter, Clock()))
    bench.violations._samples.close()
    assert again.told() == []
    again.send(STOLEN, 3)
    assert [line.count for line in again.told(1)] == [3]


def test_frames_of_no_port_are_told_as_nobodys(bench: Bench) -> None:
    bench.send(ethernet(na(), 0x86DD, tags=((0x8100, 77),)))
    (line,) = bench.told()
    assert (line.evidence.port, line.evidence.reason, line.evidence.vlan_id) == ("-", "unknown-port", 77)


def test_what_lasts_is_told_when_it_begins_and_again_until_it_ends(bench: Bench) -> None:
    found = [Duplicate("2001:db8:11::/64", "2001:db8:ffff::3", "2001:db8:ffff::1")]
    bench.violations.duplicates(found, BILLING)
    (line,) = bench.told()
    said = "port web1's 2001:db8:11::/64 is announced by 2001:db8:ffff::3 too (heard from 2001:db8:ffff::1)"
    assert (line.evidence.text, line.evidence.port, line.count, line.frame) == (said, "web1", 1, "")
    assert bench.violations.lasting() == [said]
    assert bench.told(AGAIN / 2) == []
    for gone_and_back in ([], list(found)):
        bench.violations.duplicates(gone_and_back, BILLING)
        assert bench.told() == [], "one that flaps is told no more often"
    assert [one.evidence.text for one in bench.told(AGAIN / 2)] == [said]
    bench.violations.duplicates([], BILLING)
    assert bench.told(AGAIN) == []
    assert bench.violations.lasting() == []
    assert [one.evidence.text for one in bench.violations.since(0, quiet=False)] == [said] * 2


def test_however_many_last_each_has_its_turn_and_frames_are_told_meanwhile(bench: Bench) -> None:
    found = [Duplicate(f"2001:db8:{number:x}::/64", "2001:db8:ffff::3", "2001:db8:ffff::1") for number in range(1, 201)]
    bench.violations.duplicates(found, BILLING)
    bench.send(STOLEN)
    told = bench.told()
    assert [line.evidence.reason for line in told] == [*["duplicate"] * LASTING_LINES, "arp-ip-spoof"]
    for _ in range(200 // LASTING_LINES - 1):
        told += bench.told(1.0)
    assert {line.evidence.claimed for line in told if line.evidence.reason == "duplicate"} == {one.prefix for one in found}
