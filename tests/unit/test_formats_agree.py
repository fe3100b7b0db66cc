"""One inventory, written in four formats, is one inventory; and a column is what the schema has."""

import csv
import io
import json
from pathlib import Path
from typing import Any

import yaml
from hypothesis import given
from hypothesis import strategies as st

from l3ctl.inventory.schema import PortRecord
from l3ctl.inventory.sources.file import COLUMNS
from tests.unit.formats import read
from tests.unit.inventories import load_file

NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,10}", fullmatch=True)
"""NO, 0x1f, 1.10, true, 011, 1e5, 12:34:56 and 2024-01-01 are among them, or might be"""
TRAPS = st.sampled_from(["NO", "y", "0x1f", "1.10", "null", "true", "011", "1e5", "12:34:56", "2024-01-01", "1_000", "11:22:33:44:55:06"])
WORDS = NAMES | TRAPS
RECORDS = st.fixed_dictionaries(
    {"name": WORDS},
    optional={
        **dict.fromkeys(("router", "interface", "trunk", "guard", "mode", "link_local", "mac"), WORDS),
        "vlan": st.integers(0, 10**20),
        **dict.fromkeys(("qinq", "announce", "source_guard"), st.booleans()),
        **dict.fromkeys(("ipv6", "ipv4"), st.lists(WORDS, min_size=1, max_size=3)),
    },
)


def written(records: list[dict[str, Any]]) -> dict[str, str]:
    table = io.StringIO()
    rows = csv.DictWriter(table, sorted(COLUMNS.known()))
    rows.writeheader()
    for record in records:
        rows.writerow(
            {
                key: " ".join(value) if isinstance(value, list) else str(value).lower() if isinstance(value, bool) else value
                for key, value in record.items()
            }
        )
    return {
        "yaml": yaml.safe_dump({"ports": records}, sort_keys=False),
        "json": json.dumps({"ports": records}),
        "toml": "ports = []"
        if not records
        else "".join("[[ports]]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in record.items()) for record in records),
        "csv": table.getvalue(),
    }


def as_read(value: Any) -> Any:
    """Numbers as text."""
    if isinstance(value, list):
        return [as_read(one) for one in value]
    if isinstance(value, dict):
        return {key: as_read(one) for key, one in value.items()}
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


@given(st.lists(RECORDS, max_size=5))
def test_the_same_inventory_reads_the_same_in_every_format(records: list[dict[str, Any]]) -> None:
    for kind, text in written(records).items():
        found = read(kind, text).value
        assert found == {"ports": as_read(records)}, kind
        assert [str(one) for one in flat(found)] == [str(one) for one in flat({"ports": as_read(records)})]


def flat(value: Any) -> list[Any]:
    """Every scalar under its key, whatever the order of keys: 1 == True would go unseen."""
    if isinstance(value, dict):
        return [one for key in sorted(value) for one in flat(value[key])]
    return [one for inside in value for one in flat(inside)] if isinstance(value, list) else [value]


def test_the_columns_are_the_keys_of_a_record() -> None:
    assert COLUMNS.known() | COLUMNS.elsewhere == set(PortRecord.model_fields)
    assert not COLUMNS.known() & COLUMNS.elsewhere


def test_the_same_ports_come_of_every_format(tmp_path: Path) -> None:
    records: list[dict[str, Any]] = [
        {"name": "web1", "router": "r1", "interface": "tap1", "mac": "52:54:00:10:00:11", "ipv6": ["2001:db8:11::/64"], "announce": False},
        {"name": "db1", "trunk": "eth1", "vlan": 12, "mac": "52:54:00:10:00:12", "ipv4": ["198.51.100.12", "198.51.100.13"]},
    ]
    ports = []
    for kind, text in written(records).items():
        path = tmp_path / f"inventory.{kind}"
        path.write_text(text)
        ports.append(load_file(path, "r1"))
    assert len(ports[0]) == 2
    assert ports == [ports[0]] * 4
