"""The matrix as a table, for a terminal and for docs/."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from l3ctl.lab.excess import KINDS, Report
from tests.faults.fault import Fault

FOLDER = Path(__file__).parents[2] / ".make"
_TITLES = ("fault", "packets lost", "announced wrongly", "healed after", "by", "the operator is told")
_WIDEST = 110
"""characters of what is told"""
_INTRODUCTION = """\
# What fails, and what comes of it

Made by `make faults` in a network of {ports} ports in namespaces, with a real agent, ExaBGP and BIRD, each started again 0.1 s after it
ends. Meanwhile an innocent host is pinged a hundred times a second in each family, through the upstream's kernel, which has its routes from
BIRD, and every 10 ms an observer looks whether anything is announced without its link, route, permanent neighbour or filter policy.
*Healed* counts from the end of the cause (a process that is killed is one at once) until kernel, filter and BIRD are as before, and the
agent has nothing left to do. The BGP hold time is {hold} s. Measured on {where}.

"""


@dataclass(frozen=True, slots=True)
class Row:
    """What came of a fault."""

    fault: Fault
    sent: int
    lost: int
    report: Report
    healed: float
    told: str

    def cells(self) -> tuple[str, ...]:
        """As the table has them."""
        lost = f"{self.lost} of {self.sent}" + (f": {self.fault.costs}" if self.lost else "")
        return (self.fault.name, lost, wrongly(self.report), _seconds(self.healed), self.fault.by, self.told[:_WIDEST])


def wrongly(report: Report) -> str:
    """How many prefixes were announced without what, and how long at most."""
    parts = []
    for kind in KINDS:
        found = [one for one in report.excesses if one.missing == kind]
        if found:
            longest = max(one.at_most() for one in found)
            count = len({one.prefix for one in found})
            parts.append(f"{count} {'prefix' if count == 1 else 'prefixes'} without {kind}, at most {_seconds(longest)}")
    return "; ".join(parts) or "nothing"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def text(rows: Iterable[Row]) -> str:
    """For a terminal."""
    lines = [_TITLES, *(row.cells() for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(_TITLES) - 1)]
    return "".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join([*(cell.ljust(width) for cell, width in zip(cells, widths, strict=False)), cells[-1]]) + "\n"


def markdown(rows: Iterable[Row], *, ports: int, hold: int, where: str) -> str:
    """For docs/."""
    lines = [
        _TITLES,
        ("---",) * len(_TITLES),
        *((*row.cells()[:-1], f"`{row.cells()[-1].replace('|', '¦').replace('`', chr(39))}`") for row in rows),
    ]
    return _INTRODUCTION.format(ports=ports, hold=hold, where=where) + "".join(f"| {' | '.join(line)} |\n" for line in lines)
