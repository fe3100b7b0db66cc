"""`python -m tests.bench.twice [FIRST SECOND]`: which ratios of one run come again in another. None named: the newest two of the tree.

A ratio holds where both runs have it alike, or where the rounds of either run reach to what the other says: then the spread says why not.
"""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.bench.results import FOLDER, Results, number

ALIKE = 1.15
"""times that a ratio may be another's"""
ALIKE_ENOUGH, WITHIN_THE_SPREAD, ANOTHER = "alike", "within the spread", "another"


def verdict(first: dict[str, Any], second: dict[str, Any]) -> str:
    """Of a row in both runs, each with a ratio."""
    if max(first["ratio"], second["ratio"]) <= ALIKE * min(first["ratio"], second["ratio"]):
        return ALIKE_ENOUGH
    within = second["low"] <= first["ratio"] <= second["high"] or first["low"] <= second["ratio"] <= first["high"]
    return WITHIN_THE_SPREAD if within else ANOTHER


def compared(first: Results, second: Results) -> Iterator[tuple[str, str, dict[str, Any], dict[str, Any]]]:
    """Each row that both have measured, with a ratio other than nothing: its name, the verdict, and both."""
    copied = copies(first, second)
    for name, row in ((row["name"], row) for table, rows in second.tables.items() if table not in copied for row in rows):
        before = first.rows.get(name)
        if before and before["ratio"] and row["ratio"]:
            yield name, verdict(before, row), before, row


def copies(first: Results, second: Results) -> list[str]:
    """The tables that are the same to the last digit: they were measured once."""
    return [table for table, rows in second.tables.items() if rows and rows == first.tables.get(table)]


def _spread(row: dict[str, Any]) -> str:
    return f"{number(row['ratio'])} ({number(row['low'])} to {number(row['high'])})"


def report(first: Results, second: Results) -> list[str]:
    """Lines of Markdown: how many of each, and every row that is not alike."""
    rows = list(compared(first, second))
    counts = {what: sum(one[1] == what for one in rows) for what in (ALIKE_ENOUGH, WITHIN_THE_SPREAD, ANOTHER)}
    lines = [
        f"{len(rows)} ratios are in [{first.path.name}](../bench/results/{first.path.name}) ({first.machine()}) and in",
        f"[{second.path.name}](../bench/results/{second.path.name}) ({second.machine()}). {counts[ALIKE_ENOUGH]} of them are within",
        f"{ALIKE - 1:.0%} of each other. {counts[WITHIN_THE_SPREAD]} are not, but the rounds of one run reach to what the other says.",
        f"{counts[ANOTHER]} did not come again: the machine, l3ctl, or what a row measures was another, or nobody knows why.",
    ]
    if copied := copies(first, second):
        lines.append(f"One measurement in both, and so not compared: {', '.join(copied)}.")
    if counts[ALIKE_ENOUGH] < len(rows):
        lines += ["", "| row | first (lowest to highest) | second (lowest to highest) | |", "|---|---|---|---|"]
        lines += [
            f"| {name} | {_spread(before)} | {_spread(row)} | {what} |"
            for name, what, before, row in sorted(rows, key=lambda one: (one[1], one[0]))
            if what != ALIKE_ENOUGH
        ]
    return lines


def two_newest() -> tuple[Path, Path] | None:
    """The last two by their names; None where there is one at most."""
    files = sorted(FOLDER.glob("*.json"))[-2:]
    return (files[0], files[1]) if len(files) == 2 else None


def main() -> None:
    """Print the report."""
    named = [Path(word) for word in sys.argv[1:]]
    files = (named[0], named[1]) if len(named) == 2 else two_newest() if not named else None
    if files is None:
        raise SystemExit(f"two results files are compared: name both, or measure again into another of {FOLDER} (`make bench RESULTS=…`)")
    print("\n".join(report(*map(Results, files))))


if __name__ == "__main__":
    main()
