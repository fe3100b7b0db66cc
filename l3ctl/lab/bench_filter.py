"""What the filter costs a frame, beside a program that does nothing: both in BPF_PROG_TEST_RUN on one CPU, in turn, in one run.

The kernel tells a run's duration in whole nanoseconds, too coarse for programs that differ by one. So the thread's own CPU time is taken
over many runs instead; what the call itself costs is the same for both and a ten-thousandth of it. Frames that are answered are changed by
that, and so must be given afresh each time: theirs is the kernel's duration of single runs, the median of many, which includes reading the
clock.
"""

import statistics
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from l3ctl.errors import LabFailed
from l3ctl.lab import frames
from l3ctl.model import Host, Mode, PortPolicy
from l3ctl.xdp.libbpf import Program
from l3ctl.xdp.verdict import Judge

XDP_PASS = 2
_EMPTY = struct.pack("<BBhi", 0xB7, 0, 0, XDP_PASS) + struct.pack("<BBhi", 0x95, 0, 0, 0)
"""r0 = XDP_PASS; exit"""
_VLAN_ID = 11
_POLICY = PortPolicy(
    port="web1",
    guard="lo",
    vlan_id=None,
    router_lladdr="02:00:00:00:00:01",
    hosts=(Host("52:54:00:0a:00:0b", IPv6Address(frames.HOST_LL), (IPv6Network("2001:db8:11::/64"),), (IPv4Address(frames.HOST_IP4),)),),
    gateways=(IPv4Address(frames.GATEWAY4), IPv6Address(frames.GATEWAY6)),
    mode=Mode.ENFORCE,
    source_guard=False,
    router_solicitations_pass=False,
    unknown_vlan_drop=False,
    answer_rate=1_000_000,
    answer_burst=1_000_000,
)
_SINGLE_RUNS = 1000
"""of a frame that is answered, each round"""


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark. `ratio` is ours / reference, the median of `repeats` rounds; `low` and `high` are its extremes."""

    name: str
    unit: str
    ours: float
    reference: float
    reference_name: str
    ratio: float
    low: float
    high: float
    repeats: int


@dataclass(frozen=True, slots=True)
class _Case:
    """A frame, the filter it is given to, and what that must say of it."""

    name: str
    judge: Judge
    frame: bytes

    @property
    def verdict(self) -> str:
        return self.name.partition("-")[0]


def _of(program: Program, case: _Case, runs: int) -> float:
    """Nanoseconds a run."""
    if case.verdict == "answer":
        return float(statistics.median(program.measure(case.frame, 1) for _ in range(_SINGLE_RUNS)))
    began = time.thread_time_ns()
    program.measure(case.frame, runs)
    return (time.thread_time_ns() - began) / runs


def _cases() -> Iterator[_Case]:
    plain, tagged, guarded = Judge(_POLICY), Judge(replace(_POLICY, vlan_id=_VLAN_ID)), Judge(replace(_POLICY, source_guard=True))
    tcp6, udp4 = frames.ethernet(frames.tcp6(), 0x86DD), frames.ethernet(frames.udp4(), 0x0800)
    yield _Case("pass-tcp6", plain, tcp6)
    yield _Case("pass-udp4", plain, udp4)
    yield _Case("pass-tagged", tagged, frames.ethernet(frames.tcp6(), 0x86DD, tags=((0x8100, _VLAN_ID),)))
    yield _Case("pass-tcp6-guard", guarded, tcp6)
    yield _Case("drop-na", plain, frames.ethernet(frames.na(), 0x86DD))
    yield _Case("drop-arp-reply", plain, frames.ethernet(frames.arp(2), 0x0806))
    yield _Case("answer-ns", plain, frames.ethernet(frames.ns(), 0x86DD))
    yield _Case("answer-arp", plain, frames.ethernet(frames.arp(), 0x0806))


def bench_filter(rounds: int, runs: int) -> Iterator[Row]:
    """Every class of frame, `rounds` times `runs` runs of ours and of the empty program in turn."""
    empty = Program.load("empty", _EMPTY)
    for case in _cases():
        if (verdict := case.judge.run(case.frame)[0]) != case.verdict:
            raise LabFailed(f"{case.name}: the filter says {verdict}")
        _of(case.judge.program, case, runs)  # once for nothing: caches
        pairs = [(_of(case.judge.program, case, runs), _of(empty, case, runs)) for _ in range(rounds)]
        ratios = [ours / reference for ours, reference in pairs]
        ours, reference = (round(statistics.median(column), 2) for column in zip(*pairs, strict=True))
        ratio, low, high = (round(one, 3) for one in (statistics.median(ratios), min(ratios), max(ratios)))
        yield Row(case.name, "ns", ours, reference, "empty XDP_PASS", ratio, low, high, rounds)
