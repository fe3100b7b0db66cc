"""What the README says is what the repository holds."""

import json
import re
from pathlib import Path
from typing import get_args

from l3ctl.cli import COMMANDS
from l3ctl.configuration import SourceSettings
from l3ctl.site import load_configuration

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()


def test_its_numbers_are_those_of_the_results_file() -> None:
    rows = json.loads((ROOT / "docs/results/filter.json").read_text())["rows"]
    told = re.findall(r"\| ([\d.]+) ns \| ([\d.]+) ns \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", README)
    assert told == [
        (f"{row['ours']:.1f}", f"{row['reference']:.1f}", *(f"{row[key]:.2f}" for key in ("ratio", "low", "high"))) for row in rows
    ]
    assert len(rows) == 10


def test_its_numbers_of_the_kernel_are_those_of_the_results_file() -> None:
    rows = {row["name"]: row for row in json.loads((ROOT / "docs/results/kernel.json").read_text())["rows"]}
    told = re.findall(r"\| ([\d.]+) s \| ([\d.]+) s \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", README)
    shown = [rows[name] for name in ("neighbours-100k", "routes6-100k", "routes4-20k", "noop-10k", "heal-p99")]
    assert told == [
        (f"{row['ours']:.3f}", f"{row['reference']:.3f}", *(f"{row[key]:.2f}" for key in ("ratio", "low", "high"))) for row in shown
    ]
    growth = re.search(r"exponent of ([\d.]+) for neighbours and ([\d.]+) for routes", README)
    assert growth
    assert growth.groups() == tuple(f"{rows[name]['ours']:.2f}" for name in ("neighbours-growth", "routes6-growth"))


def test_its_numbers_of_announcing_are_those_of_the_results_file() -> None:
    rows = {row["name"]: row for row in json.loads((ROOT / "docs/results/bgp.json").read_text())["rows"]}
    told = re.findall(r"\| ([\d.]+) ms \| ([\d.]+) ms \| ([\d.]+) \| ([\d.]+) to ([\d.]+) \|", README)
    shown = [rows[name] for name in ("link-to-update-p50", "link-to-update-p99", "cold-10k")]
    assert told == [
        (*(f"{row[key]:.1f}" for key in ("ours", "reference")), *(f"{row[key]:.2f}" for key in ("ratio", "low", "high"))) for row in shown
    ]


def test_every_command_it_names_exists_and_every_target() -> None:
    assert set(re.findall(r"(?:`|bin/)l3ctl ([a-z][a-z-]+)", README)) <= set(COMMANDS)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"(?:`|^)make ([a-z-]+)", README, re.MULTILINE)) <= targets


def test_every_file_it_links_to_is_there() -> None:
    assert [link for link in re.findall(r"\]\(([^):]+)\)", README) if not (ROOT / link).exists()] == []


def test_every_source_it_shows_is_a_good_configuration(tmp_path: Path) -> None:
    """That each delivers is tried in tests/sources and tests/netbox."""
    shown = re.findall(r"```yaml\n(inventory:.*?)```", README, re.DOTALL)
    kinds = set()
    for text in shown:
        (tmp_path / "l3ctl.yaml").write_text(f"router: r1\n{text}")
        kinds.add(type(load_configuration(tmp_path / "l3ctl.yaml").inventory.source))
    assert kinds == set(get_args(SourceSettings))
