"""A line of a benchmark: ours beside a reference, measured in turn in one run."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark. `ratio` is ours / reference, the median of `repeats` rounds; `low` and `high` are its extremes.

    They are None where the reference is nothing.
    """

    name: str
    unit: str
    ours: float
    reference: float
    reference_name: str
    ratio: float | None
    low: float | None
    high: float | None
    repeats: int


def row_of(name: str, unit: str, reference_name: str, pairs: Sequence[tuple[float, float]]) -> Row:
    """The line that these rounds make, each of them (ours, reference)."""
    ratios = [ours / reference for ours, reference in pairs]
    ours, reference = (statistics.median(column) for column in zip(*pairs, strict=True))
    digits = 2 if unit == "ns" else 4
    ratio, low, high = (round(one, 3) for one in (statistics.median(ratios), min(ratios), max(ratios)))
    return Row(name, unit, round(ours, digits), round(reference, digits), reference_name, ratio, low, high, len(pairs))


def worst_row(
    name: str, unit: str, reference_name: str, pairs: Sequence[tuple[float, float]], worst: Callable[[Iterable[float]], float]
) -> Row:
    """The same of what may be nothing: the worst of all rounds, not their median."""
    ours, reference = (round(worst(column), 4) for column in zip(*pairs, strict=True))
    if all(one for _, one in pairs):
        median = row_of(name, unit, reference_name, pairs)
        return Row(name, unit, ours, reference, reference_name, median.ratio, median.low, median.high, len(pairs))
    return Row(name, unit, ours, reference, reference_name, None, None, None, len(pairs))
