"""What the filter costs a frame, beside a program that does nothing: both in BPF_PROG_TEST_RUN on one CPU, in turn, in one run.

The kernel tells a run's duration in whole nanoseconds, too coarse for programs that differ by one. So the thread's own CPU time is taken
over many runs instead; what the call itself costs, half a millisecond, is the same for both and a twentieth of it. Frames that are
answered are changed by that, and so must be given afresh each time: theirs is the kernel's duration of single runs, the median of many,
which includes reading the clock. A round is many short turns of each, and their median: a busy moment of the machine falls on a few turns,
and on both alike.
"""

import statistics
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from l3ctl.errors import LabFailed
from l3ctl.lab import frames
from l3ctl.lab.bench_row import Row, row_of
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
_TURNS = 20
"""of each program with one frame, in a round; where frames are many, each of them makes a turn longer"""
_SINGLE_RUNS = 50
"""of a frame that is answered, each turn"""
_SCALES = {"10": 10, "1k": 1_000, "100k": 100_000}
_CROWD_ASKED = 10
"""ports of that many whose frames are run in turn"""


@dataclass(frozen=True, slots=True)
class _Case:
    """A frame, the filter it is given to, and what that must say of it."""

    name: str
    judge: Judge
    frames: tuple[bytes, ...]

    @property
    def verdict(self) -> str:
        return self.name.partition("-")[0]


def _of(program: Program, case: _Case, runs: int) -> float:
    """Nanoseconds a run."""
    if case.verdict == "answer":
        return float(statistics.median(program.measure(case.frames[0], 1) for _ in range(_SINGLE_RUNS)))
    began = time.thread_time_ns()
    for frame in case.frames:
        program.measure(frame, runs)
    return (time.thread_time_ns() - began) / runs / len(case.frames)


def _among(scale: str, count: int, *, guard: bool) -> Iterator[_Case]:
    """Frames of some of so many ports, on VLANs of one trunk; the others are on trunks of their own.

    A port's MAC and prefix differ from the next's by their number, which stands in the same bytes of all of them.
    """
    judge = Judge(replace(_POLICY, source_guard=guard, vlan_id=_VLAN_ID))
    asked: dict[str, list[bytes]] = {}
    for number in range(count):
        lladdr, prefix = bytes.fromhex("525400") + number.to_bytes(3), bytes.fromhex("20010db8") + number.to_bytes(4)
        link_local = IPv6Address(b"\xfe\x80" + bytes(11) + lladdr[3:])
        host = Host(lladdr.hex(":"), link_local, (IPv6Network((prefix + bytes(8), 64)),), ())
        chosen, place = number % max(1, count // _CROWD_ASKED) == 0, divmod(number, 4000)
        vlan_id = 100 + len(asked.get("pass-tagged", ())) if chosen else 1 + place[1]
        policy = replace(_POLICY, port=f"port{number}", source_guard=guard, vlan_id=vlan_id, hosts=(host,))
        if not chosen:
            judge.add(policy, 2 + place[0])
            continue
        judge.add(policy)
        ours, another = (str(IPv6Address(begins + bytes(7) + b"\1")) for begins in (prefix, b"\x20\1\r\xb9" + prefix[4:]))
        option = frames.option(1, lladdr)
        packets = {
            "pass-tagged": frames.tcp6(ours),
            "drop-na": frames.na(source=str(link_local)),
            "drop-ns-target": frames.ns(another, option, str(link_local)),
            "drop-ns-spoof": frames.ns(options=option, source=another),
            "answer-ns": frames.ns(options=option, source=str(link_local)),
        }
        if guard:
            packets["drop-source"] = frames.tcp6(another)
        for kind, packet in packets.items():
            asked.setdefault(kind, []).append(frames.ethernet(packet, 0x86DD, lladdr, tags=((0x8100, vlan_id),)))
    for kind, found in asked.items():
        yield _Case(f"{kind}{'-guard' if guard else ''}-{scale}", judge, tuple(found))


def _cases(crowded: bool) -> Iterator[_Case]:
    plain, tagged, guarded = Judge(_POLICY), Judge(replace(_POLICY, vlan_id=_VLAN_ID)), Judge(replace(_POLICY, source_guard=True))
    tcp6, udp4 = frames.ethernet(frames.tcp6(), 0x86DD), frames.ethernet(frames.udp4(), 0x0800)
    with_tag = frames.ethernet(frames.tcp6(), 0x86DD, tags=((0x8100, _VLAN_ID),))
    yield _Case("pass-tcp6", plain, (tcp6,))
    yield _Case("pass-udp4", plain, (udp4,))
    yield _Case("pass-tagged", tagged, (with_tag,))
    yield _Case("pass-tcp6-guard", guarded, (tcp6,))
    yield _Case("pass-tagged-guard", Judge(replace(_POLICY, source_guard=True, vlan_id=_VLAN_ID)), (with_tag,))
    yield _Case("drop-na", plain, (frames.ethernet(frames.na(), 0x86DD),))
    yield _Case("drop-arp-reply", plain, (frames.ethernet(frames.arp(2), 0x0806),))
    yield _Case("answer-ns", plain, (frames.ethernet(frames.ns(), 0x86DD),))
    yield _Case("answer-arp", plain, (frames.ethernet(frames.arp(), 0x0806),))
    for scale, count in _SCALES.items() if crowded else ():
        for guard in (False, True):
            yield from _among(scale, count, guard=guard)


def bench_filter(rounds: int, runs: int, crowded: bool = True) -> Iterator[Row]:
    """Every class of frame: in each round both programs in turn, some times, each `runs` runs; `crowded`: among 100,000 ports too."""
    empty = Program.load("empty", _EMPTY)
    for case in _cases(crowded):
        for frame in case.frames:
            if (verdict := case.judge.run(frame)[0]) != case.verdict:
                raise LabFailed(f"{case.name}: the filter says {verdict}")
        _of(case.judge.program, case, runs)  # once for nothing: caches
        pairs = [_round(case, empty, runs) for _ in range(rounds)]
        yield row_of(case.name, "ns", "empty XDP_PASS", pairs)


def _round(case: _Case, empty: Program, runs: int) -> tuple[float, float]:
    count = max(3, _TURNS // len(case.frames))
    turns = [(_of(case.judge.program, case, runs), _of(empty, case, runs)) for _ in range(count)]
    ours, reference = (statistics.median(column) for column in zip(*turns, strict=True))
    return ours, reference
