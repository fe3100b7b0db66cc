"""A line of a benchmark: ours beside a reference, measured in turn in one run."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


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


def row_of(name: str, unit: str, reference_name: str, pairs: Sequence[tuple[float, float]]) -> Row:
    """The line that these rounds make, each of them (ours, reference)."""
    ratios = [ours / reference for ours, reference in pairs]
    ours, reference = (statistics.median(column) for column in zip(*pairs, strict=True))
    digits = 2 if unit == "ns" else 4
    ratio, low, high = (round(one, 3) for one in (statistics.median(ratios), min(ratios), max(ratios)))
    return Row(name, unit, round(ours, digits), round(reference, digits), reference_name, ratio, low, high, len(pairs))
