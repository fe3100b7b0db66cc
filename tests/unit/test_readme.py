"""What the README and the other documents say is what the repository holds."""

import re
from pathlib import Path
from typing import get_args

import pytest

from l3ctl.bgp.exabgp_config import environment, start_command
from l3ctl.cli import COMMANDS
from l3ctl.configuration import SourceSettings
from l3ctl.site import load_configuration
from l3ctl.xdp.abi import abi
from tests.bench.document import summary, whole
from tests.bench.results import Results, newest

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
FIGURES = [f"{name}-{theme}.svg" for name in ("line", "attack") for theme in ("light", "dark")]
DOCUMENTS = sorted(["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")), "vagrant/README.md"])


def test_its_numbers_are_those_of_the_newest_results() -> None:
    results = Results(newest())
    assert summary(results) in README
    assert (ROOT / "docs/BENCHMARKS.md").read_text() == whole(results)
    assert set(FIGURES) == {path.name for path in (ROOT / "docs/figures").iterdir()}
    assert all(f"docs/figures/{name}" in README for name in FIGURES)


def test_every_table_was_measured_often_enough() -> None:
    tables = Results(newest()).tables
    assert set(tables) >= {"filter", "line", "attack", "kernel", "bgp", "agent"}
    assert {row["name"] for rows in tables.values() for row in rows if row["repeats"] < 5} == set()


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_command_it_names_exists_and_every_target(name: str) -> None:
    text = (ROOT / name).read_text()
    assert set(re.findall(r"(?:`|bin/|^)l3ctl ([a-z][a-z-]+)", text, re.MULTILINE)) <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", text, re.MULTILINE)) <= targets
    units = {path.name for path in (ROOT / "configs/systemd").iterdir()}
    assert {f"{unit}.service" for unit in re.findall(r"\b(l3ctl-(?:agent|exabgp|metrics)\w*)", text)} <= units


@pytest.mark.parametrize("name", DOCUMENTS)
def test_every_file_it_links_to_is_there(name: str) -> None:
    here = (ROOT / name).parent
    assert [link for link in re.findall(r"\]\(([^):]+)\)", (ROOT / name).read_text()) if not (here / link).exists()] == []


def test_every_reason_is_told_what_to_do_about_it() -> None:
    rows = re.findall(r"^\| `([a-z-]+)` \| (normal|look|harm) \| .+ \| .+ \|$", (ROOT / "docs/REASONS.md").read_text(), re.MULTILINE)
    assert sorted(name for name, _ in rows) == sorted(reason.name for reason in abi().reasons if reason.name)


def test_the_units_start_what_exabgp_config_says() -> None:
    """With the user that the package makes."""
    unit = (ROOT / "configs/systemd/l3ctl-exabgp.service").read_text()
    assert f"Environment={' '.join(f'{name}={value}' for name, value in environment('l3ctl').items())}\n" in unit
    start = start_command("/run/l3ctl-exabgp/exabgp.conf")
    assert f"ExecStart={' '.join(['/usr/lib/l3ctl/bin/python', *start[1:]])}\n" in unit
    assert "User=l3ctl\n" in unit


def test_every_source_it_shows_is_a_good_configuration(tmp_path: Path) -> None:
    """That each delivers is tried in tests/sources and tests/netbox."""
    shown = re.findall(r"```yaml\n(inventory:.*?)```", README, re.DOTALL)
    kinds = set()
    for text in shown:
        (tmp_path / "l3ctl.yaml").write_text(f"router: r1\n{text}")
        kinds.add(type(load_configuration(tmp_path / "l3ctl.yaml").inventory.source))
    assert kinds == set(get_args(SourceSettings))
