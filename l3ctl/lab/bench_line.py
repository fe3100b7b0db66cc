"""What a frame costs the router that drops or answers it, end to end: as from a NIC, beside what would be taken instead.

All defences stand at once, each on a line of its own, and are given the same frames in short turns: what else the machine does in a moment
falls on few of them, and the median leaves it out.
"""

import statistics
from collections.abc import Iterator, Sequence
from contextlib import ExitStack

from l3ctl.errors import LabFailed
from l3ctl.lab import frames
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.defences import KERNEL, OURS, PEERS, Defence, policy
from l3ctl.lab.line import Line
from l3ctl.xdp.verdict import Judge

_STRANGER = bytes.fromhex("525400ee0001")
DROPPED = {
    "arp-reply": frames.ethernet(frames.arp(2), 0x0806),
    "na": frames.ethernet(frames.na(), 0x86DD, destination=bytes.fromhex("333300000001")),
    "ns-spoofed": frames.ethernet(
        frames.ns(options=frames.option(1, _STRANGER), source="fe80::bad"), 0x86DD, destination=bytes.fromhex("3333ff000001")
    ),
    "ra": frames.ethernet(frames.ra(), 0x86DD, destination=bytes.fromhex("333300000001")),
}
"""of a host that is billed, or who says to be it"""
ANSWERED = {
    "arp": frames.ethernet(frames.arp(), 0x0806),
    "ns": frames.ethernet(frames.ns(), 0x86DD, destination=bytes.fromhex("3333ff000001")),
}
"""who has the gateway?"""


def missing() -> list[Defence]:
    """Those that this machine has not got."""
    return [one for one in PEERS if not one.is_here()]


def bench_line(rounds: int, turns: int, count: int) -> Iterator[Row]:
    """CPU nanoseconds a frame: in a round `count` by ours and by every peer in turn, so many times, and the median of these."""
    peers = [one for one in PEERS if one.is_here()]
    judge = Judge(policy("lo"))
    for verdict, group in (("drop", DROPPED), ("answer", ANSWERED)):
        for name, frame in group.items():
            if (said := judge.run(frame)[0]) != verdict:
                raise LabFailed(f"{name}: the filter says {said}")
    with ExitStack() as stack:
        lines = {one: stack.enter_context(Line(number)) for number, one in enumerate((OURS, *peers))}
        held = [defence.build(line) for defence, line in lines.items()]
        for name, frame in DROPPED.items():
            yield from _beside(f"line-{name}", frame, lines, peers, rounds, turns, count)
        for name, frame in ANSWERED.items():
            yield from _beside(f"line-answer-{name}", frame, lines, [KERNEL], rounds, turns, count)
        del held


def _beside(
    name: str, frame: bytes, lines: dict[Defence, Line], peers: Sequence[Defence], rounds: int, turns: int, count: int
) -> Iterator[Row]:
    both = (OURS, *peers)
    for one in both:  # once for nothing: caches
        lines[one].cost(frame, count)
    costs: list[dict[Defence, float]] = []
    for _ in range(rounds):
        each = [{one: lines[one].cost(frame, count) for one in both} for _ in range(turns)]
        costs.append({one: statistics.median(turn[one] for turn in each) for one in both})
    for peer in peers:
        yield row_of(f"{name}-{peer.name}", "ns", peer.title, [(each[OURS], each[peer]) for each in costs])
