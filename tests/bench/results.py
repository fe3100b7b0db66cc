"""A results file, as `l3ctl bench all --output FILE` writes it; and the newest of those in the tree."""

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "bench/results"


def newest() -> Path:
    """The file that README and figures are made of: the last by its name, which is a date."""
    if not (files := sorted(FOLDER.glob("*.json"))):
        raise SystemExit(f"nothing was measured yet: {FOLDER} is empty; `make bench` fills it")
    return files[-1]


class Results:
    """Rows by name, and what they were measured on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.told: dict[str, Any] = json.loads(path.read_text())
        self.tables: dict[str, list[dict[str, Any]]] = self.told["tables"]
        self.rows = {row["name"]: row for rows in self.tables.values() for row in rows}

    def machine(self) -> str:
        """In a sentence's part: what it is, and when and of which commit each table was measured."""
        runs: dict[tuple[str, str], list[str]] = {}
        for table, one in self.told["measured"].items():
            runs.setdefault((one["date"], one["commit"][:7]), []).append(table)
        told = "; ".join(f"{', '.join(tables)} on {date} at {commit}" for (date, commit), tables in sorted(runs.items(), reverse=True))
        return f"{self.told['cpu']}, Linux {self.told['kernel']}; {told}"


def number(value: float) -> str:
    """Three digits that count, without an exponent; a whole number as it is."""
    if value == int(value):
        return f"{value:,.0f}"
    digits = 2 if abs(value) < 10 else 1 if abs(value) < 100 else 0
    return f"{value:,.{3 if abs(value) < 0.1 else digits}f}"
