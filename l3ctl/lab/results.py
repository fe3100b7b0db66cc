"""Every benchmark in a file of its own, with what it was measured on: the figures and README's table are made of such a file."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterator
from dataclasses import asdict
from importlib.metadata import version
from itertools import chain
from pathlib import Path
from typing import Any

from l3ctl import __version__
from l3ctl.errors import LabFailed
from l3ctl.lab.bench_agent import bench_agent
from l3ctl.lab.bench_attack import bench_attack
from l3ctl.lab.bench_bgp import bench_bgp
from l3ctl.lab.bench_filter import bench_filter
from l3ctl.lab.bench_forward import bench_forward
from l3ctl.lab.bench_kernel import bench_kernel
from l3ctl.lab.bench_line import bench_line
from l3ctl.lab.bench_programming import bench_programming
from l3ctl.lab.bench_row import Row
from l3ctl.lab.machine import found

_PROGRAMS = {
    "iproute2": ("ip", "-V"),
    "nftables": ("nft", "--version"),
    "ebtables": ("ebtables-nft", "--version"),
    "BIRD": ("bird", "--version"),
    "GoBGP": ("gobgpd", "--version"),
}
_LIBRARIES = ("exabgp", "pyroute2", "pydantic")


def tables(*, quick: bool) -> dict[str, Iterator[Row]]:
    """Each table by its name. Nothing is measured before its rows are asked for."""
    if quick:
        return {
            "filter": bench_filter(3, 5_000, crowded=False),
            "line": bench_line(1, 1, 20_000),
            "forward": bench_forward(1),
            "attack": bench_attack(1, ("ns",), ("20k",)),
            "kernel": chain(bench_kernel(1, 0.02), bench_programming(1, 0.02)),
            "bgp": bench_bgp(2, 20, 1, 0.02),
            "agent": bench_agent(200, 1),
        }
    return {
        "filter": bench_filter(11, 200_000),
        "line": bench_line(9, 5, 50_000),
        "forward": bench_forward(7),
        "attack": bench_attack(5),
        "kernel": chain(bench_kernel(5), bench_programming(5)),
        "bgp": bench_bgp(10, 100, 5),
        "agent": bench_agent(10_000, 5),
    }


def machine() -> dict[str, object]:
    """What this is, and which versions of what."""
    cpus = [line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = int(Path("/proc/meminfo").read_text().split()[1]) // 1024
    versions = {"l3ctl": __version__, "python": platform.python_version()} | {name: version(name) for name in _LIBRARIES}
    for name, words in _PROGRAMS.items():
        if Path(found(words[0])).is_absolute():
            done = subprocess.run([found(words[0]), *words[1:]], capture_output=True, text=True, check=False)
            versions[name] = (done.stdout or done.stderr).strip().partition("\n")[0]
    return {
        "date": time.strftime("%Y-%m-%d"),
        "commit": _commit(),
        "kernel": platform.release(),
        "cpu": f"{len(cpus)} x {cpus[0] if cpus else platform.machine()}",
        "cpus": os.cpu_count(),
        "memory_mib": memory,
        "versions": versions,
    }


def _commit() -> str:
    """Of the tree that is measured; with a + where it was changed since."""
    here = Path(__file__).parent
    words = ["git", "-C", str(here), "describe", "--always", "--dirty=+", "--abbrev=12", "--exclude=*"]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


def earlier(path: Path) -> dict[str, Any]:
    """What a results file says already; nothing where there is none. Raises `LabFailed` for what is no such file."""
    if not path.exists():
        return {}
    try:
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise LabFailed(f"{path}: not a results file ({error}); name another, or remove it") from error
    if not isinstance(told, dict) or not all(isinstance(told.get(key), dict) for key in ("measured", "tables")):
        raise LabFailed(f"{path}: not a results file; name another, or remove it")
    return told


def write(path: Path, rows: dict[str, list[Row]]) -> None:
    """Whole or not at all. What the file has of other tables stays, with when they were measured and of which commit."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = earlier(path)
    now = machine()
    made = before.get("measured", {}) | {name: {"date": now["date"], "commit": now["commit"]} for name in rows}
    found_ = before.get("tables", {}) | {name: [asdict(row) for row in one] for name, one in rows.items()}
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps(now | {"measured": made, "tables": found_}, indent=1) + "\n")
    fresh.replace(path)
