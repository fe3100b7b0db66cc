"""The file of all benchmarks: what is measured anew stands in it beside what was measured before."""

import json
from pathlib import Path

import pytest

from l3ctl.errors import LabFailed
from l3ctl.lab.bench_row import Row, row_of, worst_row
from l3ctl.lab.results import write
from tests.bench.document import whole
from tests.bench.results import Results, number
from tests.bench.twice import ALIKE_ENOUGH, ANOTHER, WITHIN_THE_SPREAD, compared, report


def row(name: str) -> Row:
    return row_of(name, "s", "a peer", [(1.0, 2.0), (1.0, 4.0), (3.0, 3.0)])


def test_a_table_that_is_measured_anew_takes_the_old_ones_place_and_the_others_stay(tmp_path: Path) -> None:
    file = tmp_path / "bench/results/day.json"
    write(file, {"kernel": [row("one")], "agent": [row("two")]})
    told = json.loads(file.read_text())
    told["measured"]["kernel"]["commit"] = "an older one"
    file.write_text(json.dumps(told))
    write(file, {"agent": [row("three")]})
    told = json.loads(file.read_text())
    assert {name: [one["name"] for one in rows] for name, rows in told["tables"].items()} == {"kernel": ["one"], "agent": ["three"]}
    assert told["measured"]["kernel"]["commit"] == "an older one"
    assert told["measured"]["agent"] == {"date": told["date"], "commit": told["commit"]}
    assert [path.name for path in file.parent.iterdir()] == ["day.json"]


def test_ratios_are_medians_of_rounds_and_there_is_none_to_nothing(tmp_path: Path) -> None:
    assert (row("one").ratio, row("one").low, row("one").high, row("one").repeats) == (0.5, 0.25, 1.0, 3)
    nothing = worst_row("two", "lost", "a peer", [(0.0, 0.0), (0.5, 1.0)], max)
    assert (nothing.ours, nothing.reference, nothing.ratio) == (0.5, 1.0, None)
    write(tmp_path / "day.json", {"kernel": [row("one"), nothing]})
    results = Results(tmp_path / "day.json")
    results.path = Path(__file__).parents[2] / "bench/results/day.json"  # as it is named in a document
    shown = whole(results)
    assert "| one | a peer | 1 | 3 | s | 0.50 (0.25 to 1.00) | 3 |" in shown
    assert "| two | a peer | 0.50 | 1 | lost | – | 2 |" in shown


@pytest.mark.parametrize("said", ["", "{", "[]", "{}", '{"measured": [], "tables": {}}', "\udc80"])
def test_what_is_no_results_file_is_refused_and_stays(tmp_path: Path, said: str) -> None:
    file = tmp_path / "day.json"
    file.write_text(said, errors="surrogateescape")
    with pytest.raises(LabFailed, match=r"day\.json: not a results file"):
        write(file, {"agent": [row("one")]})
    assert file.read_text(errors="surrogateescape") == said


def test_numbers_have_three_digits_that_count() -> None:
    assert [number(value) for value in (0, 40, 1234.6, 12.34, 1.234, 0.0123)] == ["0", "40", "1,235", "12.3", "1.23", "0.012"]


def test_two_runs_are_alike_within_their_spread_or_others(tmp_path: Path) -> None:
    def run(name: str, **pairs: list[tuple[float, float]]) -> Results:
        write(tmp_path / name, {"kernel": [row_of(one, "s", "a peer", pairs[one]) for one in sorted(pairs)]})
        return Results(tmp_path / name)

    first = run(
        "first.json", a=[(1.0, 1.0)] * 3, b=[(1.0, 1.0), (1.0, 1.0), (1.5, 1.0)], c=[(1.0, 1.0)] * 3, d=[(1.0, 1.0)], z=[(0.0, 1.0)]
    )
    second = run("second.json", a=[(1.14, 1.0)] * 3, b=[(1.4, 1.0)] * 3, c=[(1.2, 1.0)] * 3, e=[(1.0, 1.0)], z=[(0.0, 1.0)])
    found = {name: what for name, what, _, _ in compared(first, second)}
    assert found == {"a": ALIKE_ENOUGH, "b": WITHIN_THE_SPREAD, "c": ANOTHER}
    assert {name: what for name, what, _, _ in compared(second, first)} == found, "whichever was first"
    said = "\n".join(report(first, second))
    assert said.startswith("3 ratios are in ")
    assert "| c | 1 (1 to 1) | 1.20 (1.20 to 1.20) | another |" in said
    assert "| a |" not in said
