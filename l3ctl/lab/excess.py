"""Excesses: a prefix that is announced while something it rests on is missing. Followed from sample to sample, and summed up. Pure."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self

KINDS = ("link", "route", "neighbour", "policy")
"""what an announcement rests on"""
Span = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Excess:
    """One prefix, one thing missing. It lasted no less than from `began` to `seen`, and no more than from `before` to `after`."""

    missing: str
    prefix: str
    before: float
    began: float
    seen: float
    after: float

    def at_least(self) -> float:
        """Seconds; nothing where one sample alone has seen it."""
        return self.seen - self.began

    def at_most(self) -> float:
        """Seconds; between two samples the worst is supposed."""
        return self.after - self.before

    def meets(self, spans: Iterable[Span]) -> bool:
        """Whether any part of it lies within one of these."""
        return any(start <= self.after and self.before <= end for start, end in spans)


class Ledger:
    """The excesses so far."""

    def __init__(self) -> None:
        self.over: list[Excess] = []
        self._open: dict[tuple[str, str], tuple[float, float, float]] = {}
        self._last = 0.0

    def sample(self, within: Span, found: Mapping[str, Collection[str]]) -> None:
        """What was found missing, of announced prefixes, by a sample that took from and to these times."""
        start, end = within
        here = {(missing, prefix) for missing, prefixes in found.items() for prefix in prefixes}
        for key in self._open.keys() - here:
            before, began, seen = self._open.pop(key)
            self.over.append(Excess(*key, before, began, seen, end))
        for key in here:
            before, began, _ = self._open.get(key, (self._last or start, end, end))
            self._open[key] = before, began, max(began, start)
        self._last = start

    def left(self) -> int:
        """How many there are still."""
        return len(self._open)


@dataclass(frozen=True, slots=True)
class Report:
    """What an observer saw. `left` are excesses that had not ended when it was stopped."""

    samples: int
    lost: int
    """samples that could not be taken, because the kernel's tables changed faster than they could be read"""
    corrected: int
    """entries of those tables that a dump showed to be otherwise than their notifications had told"""
    period: tuple[float, ...]
    """seconds from one sample to the next, in order"""
    excesses: tuple[Excess, ...]
    left: int

    @classmethod
    def of_nothing(cls) -> Self:
        """Before anything is seen."""
        return cls(0, 0, 0, (), (), 0)

    def to_json(self) -> dict[str, Any]:
        """For another process."""
        return asdict(self)

    @classmethod
    def from_json(cls, told: dict[str, Any]) -> Self:
        """And back."""
        excesses = tuple(Excess(**one) for one in told["excesses"])
        return cls(told["samples"], told["lost"], told["corrected"], tuple(told["period"]), excesses, told["left"])

    def summary(self, away: Sequence[Span] = ()) -> list[str]:
        """A line for each kind: how many, and how long at most, in ms. Apart: those that met a time when a program was `away`."""
        failed = f"{self.lost} could not be taken, {self.corrected} entries corrected, {self.left} excesses did not end"
        lines = [f"observer: {self.samples} samples, one each {distribution(self.period)}; {failed}"]
        for apart in (False, True) if away else (False,):
            while_away = " while a program was away" if apart else ""
            for kind in KINDS:
                chosen = [one for one in self.excesses if one.missing == kind and one.meets(away) is apart]
                least, most = (distribution(sorted(map(bound, chosen))) for bound in (Excess.at_least, Excess.at_most))
                told = f"{len(chosen)}, at least {least}, at most {most}" if chosen else "0"
                lines.append(f"announced without {kind}{while_away}: {told}")
        return lines


def distribution(ordered: Sequence[float]) -> str:
    """p50, p99 and the longest, of seconds that are in order."""
    p50, p99, longest = (1000 * one for one in percentiles(ordered))
    return f"p50 {p50:.1f} p99 {p99:.1f} max {longest:.1f} ms"


def percentiles(ordered: Sequence[float]) -> tuple[float, float, float]:
    """p50, p99 and the last, of what is in order; zeroes of nothing."""
    if not ordered:
        return 0.0, 0.0, 0.0
    return ordered[len(ordered) // 2], ordered[min(len(ordered) - 1, len(ordered) * 99 // 100)], ordered[-1]
