"""What attacks do to a router and to those who share it, beside routers that are guarded otherwise: the same attack for each, in turn.

The neighbour table and its limits belong to the whole machine: nothing else that needs neighbours should run beside this.
"""

import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack

from l3ctl.lab.bench_row import Row, row_of, worst_row
from l3ctl.lab.besieger import ATTACKS
from l3ctl.lab.machine import found
from l3ctl.lab.siege import DESIGNS, Outcome, Siege

_OURS = "l3ctl"
_TITLES = {
    "on-link": "on-link, as by default",
    "routed": "routed, permanent neighbours, no filter",
    "routed-nft": "routed, permanent neighbours, nftables",
}
RATES = {"2k": 2_000, "20k": 20_000, "100k": 100_000, "max": 0}
"""frames a second; 0: as many as go"""
_COUNTS: dict[str, tuple[str, Callable[[Outcome], float], Callable[[Iterable[float]], float]]] = {
    "neighbours": ("more neighbours, worst", lambda one: one.neighbours, max),
    "cold": ("of 40 cold hosts, worst", lambda one: one.reached, min),
    "lost": ("of innocent pings lost, worst", lambda one: one.lost, max),
}
_COSTS: dict[str, tuple[str, Callable[[Outcome], float]]] = {
    "p50": ("ms", lambda one: one.p50),
    "p99": ("ms", lambda one: one.p99),
    "cpu": ("ns", lambda one: one.cpu),
}


def bench_attack(rounds: int, attacks: Sequence[str] = tuple(ATTACKS), rates: Sequence[str] = tuple(RATES)) -> Iterator[Row]:
    """Without an attack, and each attack at each rate, `rounds` times for each router."""
    designs = {name: make for name, make in DESIGNS.items() if name != "routed-nft" or found("nft").startswith("/")}
    with ExitStack() as stack:
        sieges = {
            name: stack.enter_context(Siege(f"l3bench{os.getpid()}{tag}", f"l3{tag}", make))
            for tag, (name, make) in zip("abcd", designs.items(), strict=False)
        }
        for name, rate in [("none", None), *((attack, rate) for attack in attacks for rate in rates)]:
            outcomes: dict[str, list[Outcome]] = {design: [] for design in sieges}
            for _ in range(rounds):
                for design, siege in sieges.items():
                    for each in sieges.values():
                        each.forget()
                    outcomes[design].append(siege.attack(name, None if rate is None else RATES[rate]))
            yield from _rows(f"attack-{name}" if rate is None else f"attack-{name}-{rate}", outcomes)


def _rows(name: str, outcomes: dict[str, list[Outcome]]) -> Iterator[Row]:
    ours = outcomes[_OURS]
    for design, title in _TITLES.items():
        if design not in outcomes:
            continue
        both = list(zip(ours, outcomes[design], strict=True))
        for measure, (unit, of, worst) in _COUNTS.items():
            yield worst_row(f"{name}-{measure}-{design}", unit, title, [(of(one), of(other)) for one, other in both], worst)
        for measure, (unit, of) in _COSTS.items():
            pairs = [(of(one), of(other)) for one, other in both]
            if all(0 < one < math.inf for pair in pairs for one in pair):  # else there was no attack, or nobody was answered
                yield row_of(f"{name}-{measure}-{design}", unit, title, pairs)
