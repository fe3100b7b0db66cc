"""What the README and the other documents say is what the repository holds."""

import json
import re
from pathlib import Path
from typing import get_args

import pytest

from l3ctl.bgp.exabgp_config import environment, start_command
from l3ctl.cli import COMMANDS
from l3ctl.configuration import SourceSettings
from l3ctl.site import load_configuration
from l3ctl.xdp.abi import abi

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
DOCUMENTS = sorted(["README.md", *(str(path.relative_to(ROOT)) for path in (ROOT / "docs").glob("*.md")), "vagrant/README.md"])


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
