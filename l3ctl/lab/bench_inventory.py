"""What an inventory costs: to read, validate and hold against what stands, beside a library that only reads; and how that grows.

Each measurement is a process of its own, as its memory is part of what it costs. Needs no root.
"""

import gc
import json
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from ipaddress import IPv4Address, IPv6Address
from math import log
from pathlib import Path
from typing import TypeVar

from l3ctl.errors import LabFailed
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.model import Address
from l3ctl.reading.document import Value

_SCALE = (1_000, 10_000, 100_000)
_ROUTERS = 40
_CHANGES = 1_000
_GATEWAYS: frozenset[Address] = frozenset((IPv6Address("fe80::1"), IPv4Address("198.51.100.1")))
_SESSIONS: frozenset[Address] = frozenset((IPv6Address("2001:db8:ffff::1"), IPv6Address("2001:db8:ffff::2")))
"""what a router keeps for itself, and every record is held against"""
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class _Ours:
    """Seconds of the first reading, of a second that finds the same, and of the 99th of a hundred single changes; and megabytes."""

    first: float
    again: float
    change: float
    peak: float


@dataclass(frozen=True, slots=True)
class _Theirs:
    """Seconds, and megabytes."""

    read: float
    peak: float


def _peak() -> float:
    """The most memory that this process has had, in megabytes."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) / 1024


def _ours(path: Path, count: int, changes: int) -> _Ours:
    from l3ctl.configuration import FileSource, Inventory
    from l3ctl.inventory import collector_paused
    from l3ctl.inventory.faults import Reserved
    from l3ctl.inventory.source import Delivery
    from l3ctl.inventory.sources import open_source
    from l3ctl.inventory.standing import Standing
    from l3ctl.reading.fetched import Fetched

    source, standing = open_source(Inventory(FileSource(path))), Standing(Reserved("r1", _GATEWAYS, _SESSIONS))

    def took(deliver: Callable[[], Delivery], fresh: int) -> float:
        began = time.perf_counter()
        proposal = standing.consider(deliver())
        standing.take(proposal)
        took = time.perf_counter() - began
        if proposal.quarantined or len(proposal.fresh) != fresh:
            raise LabFailed(f"{len(proposal.fresh)} records are new, not {fresh}", "", *map(str, proposal.problems()[:3]))
        return took

    with collector_paused():
        first, again = took(source.read, count), took(source.read, 0)
    each = []
    for number in range(changes):
        told = _record(7, f"2001:dc8:0:{number:x}::/64")
        each.append(took(partial(Delivery, [Fetched("a change", told)], whole=False), 1))
    return _Ours(first, again, sorted(each)[-1 - changes // 100], _peak())


def _theirs(path: Path) -> _Theirs:
    import yaml

    gc.disable()
    began = time.perf_counter()
    with path.open() as file:
        read = json.load(file) if path.suffix == ".json" else yaml.load(file, yaml.CSafeLoader)
    return _Theirs(time.perf_counter() - began if read["ports"] else 0, _peak())


def _apart(measure: Callable[..., Result], *arguments: object) -> Result:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        return fresh.submit(measure, *arguments).result()


def _record(number: int, prefix: str = "") -> dict[str, Value]:
    return {
        "name": f"h{number}",
        "router": f"r{number % _ROUTERS}",
        "trunk": f"eth{number // 4000}",
        "vlan": str(number % 4000 + 1),
        "mac": (0x525400000000 + number).to_bytes(6).hex(":"),
        "ipv6": [prefix or f"2001:db8:{number >> 16:x}:{number & 0xFFFF:x}::/64"],
        "ipv4": [f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"],
    }


def _written(folder: Path, count: int) -> tuple[Path, Path]:
    """The same records as YAML and as JSON."""
    as_yaml, as_json = folder / f"{count}.yaml", folder / f"{count}.json"
    records = [_record(number) for number in range(count)]
    lines = ("    ".join(f"{key}: {json.dumps(value).strip(chr(34))}\n" for key, value in record.items()) for record in records)
    as_yaml.write_text("ports:\n" + "".join(f"  - {one}" for one in lines))
    as_json.write_text(json.dumps({"ports": records}, indent=1))
    return as_yaml, as_json


def bench_inventory(repeats: int, counts: tuple[int, ...] = _SCALE) -> Iterator[Row]:
    """Every row. ``counts`` of records: the last is the one that is timed, and beside the first it makes the growth."""
    with tempfile.TemporaryDirectory(prefix="l3bench") as name:
        files = {count: _written(Path(name), count) for count in (counts[0], counts[-1])}
        as_yaml, as_json = files[counts[-1]]
        few, _ = files[counts[0]]
        rounds = []
        for _ in range(repeats):
            least = min(_apart(_ours, few, counts[0], 100).first for _ in range(3))
            beside_yaml = _apart(_ours, as_yaml, counts[-1], _CHANGES), _apart(_theirs, as_yaml)
            rounds.append((*beside_yaml, _apart(_ours, as_json, counts[-1], 100), _apart(_theirs, as_json), least))
        yield row_of("inventory-yaml", "s", "PyYAML in C, reading only", [(ours.first, theirs.read) for ours, theirs, *_ in rounds])
        yield row_of("inventory-json", "s", "json, reading only", [(ours.first, theirs.read) for _, _, ours, theirs, _ in rounds])
        yield row_of("inventory-again", "s", "the first reading", [(ours.again, ours.first) for ours, *_ in rounds])
        yield row_of("inventory-change-p99", "ms", "50 ms", [(1000 * ours.change, 50.0) for ours, *_ in rounds])
        yield row_of("inventory-memory", "MB", "PyYAML in C", [(ours.peak, theirs.peak) for ours, theirs, *_ in rounds])
        slopes = [(log(ours.first / least) / log(counts[-1] / counts[0]), 1.0) for ours, *_, least in rounds]
        yield row_of("inventory-growth", "exponent", "linear", slopes)
