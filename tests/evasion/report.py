"""The table of what was tried and what came of it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.evasion.case import WHY_IT_PASSES, Case

FILE = Path(__file__).parents[2] / ".make" / "evasion.txt"


@dataclass
class Outcome:
    """One tool run, as it was observed."""

    case: Case
    sent: int = 0
    counted: Mapping[str, int] = field(default_factory=dict)
    """by the filter, on the attacker's port: reason -> frames"""
    passed: Mapping[str, int] = field(default_factory=dict)
    """seen on the router behind the filter: kind -> frames, of as many as there was room for"""
    damage: list[str] = field(default_factory=list)


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])))


def text(outcomes: Iterable[Outcome]) -> str:
    """One line a tool run, and why each kind of frame that passed may pass."""
    rows = [("tool", "what it tried", "frames", "counted by the filter", "passed by contract", "achieved")]
    kinds: set[str] = set()
    for one in outcomes:
        achieved = "; ".join(one.damage) or "nothing"
        rows.append((one.case.name, one.case.aim, str(one.sent), _listed(one.counted), _listed(one.passed), achieved))
        kinds |= set(one.passed)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    lines = ["  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]) for row in rows]
    lines += ["", "What passes, and why:", *(f"  {kind}: {WHY_IT_PASSES.get(kind, 'IT MUST NOT')}" for kind in sorted(kinds))]
    return "\n".join(lines) + "\n"
