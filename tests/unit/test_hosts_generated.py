"""`l3ctl import`, of whatever database: every prefix reaches its host and no other, and each fault gives its error."""

import json
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.inventory.hosts import Choice, import_hosts
from l3ctl.inventory.written import as_json
from tests.unit.host_files import HOSTS, INVENTORY, billed, ports_of
from tests.unit.inventories import load_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


# What is generated: n hosts on up to n ports. Host h has 2001:db8:h::/48 to itself and 192.0.2.h; out of the first come a network, nested
# ones and addresses. So nothing overlaps but by what a fault plants.

LENGTHS = st.sampled_from([48, 56, 64, 80, 96, 112, 127, 128])


@st.composite
def databases(draw: st.DrawFn) -> tuple[dict[str, dict[str, object]], list[dict[str, object]]]:
    hosts: dict[str, dict[str, object]] = {}
    rows: list[dict[str, object]] = []
    for number in range(1, draw(st.integers(1, 6)) + 1):
        base = int(ip_address("2001:db8::")) | number << 80

        def network(bits: int, length: int, base: int = base) -> str:
            return str(IPv6Network((base | bits, length), strict=False))

        nested = {network(bits, length) for bits, length in draw(st.lists(st.tuples(st.integers(0, 2**80 - 1), LENGTHS), max_size=4))}
        addresses = {str(ip_address(base | bits)) for bits in draw(st.sets(st.integers(1, 2**80 - 1), max_size=3))}
        addresses = {address for address in addresses if f"{address}/128" not in nested}
        entry: dict[str, object] = {"comment": draw(st.text(max_size=8)), "monitoring": [], "groups": draw(st.sampled_from([["x"], []]))}
        if draw(st.booleans()):
            entry["ip"] = f"192.0.2.{number}"
        if addresses and draw(st.booleans()):
            entry["ipv6"] = addresses.pop() + draw(st.sampled_from(["", "/128"]))
        own = network(draw(st.integers(0, 2**80 - 1)), 64)
        if own not in nested and draw(st.booleans()):
            entry["ipv6_network"] = own
        if nested:
            entry["routed_networks6"] = {prefix: {"comment": draw(st.text(max_size=8))} for prefix in nested}
        if addresses:
            entry["other_ips6"] = {address: draw(st.sampled_from([None, {}, {"comment": "vip"}])) for address in addresses}
        entry["other_ips"] = {f"198.51.100.{number * 8 + extra}": {} for extra in range(draw(st.integers(0, 3)))}
        hosts[f"h{number}"] = entry
        shared = draw(st.integers(1, number))
        place = {"trunk": "eth1", "vlan": str(shared)} if shared % 2 else {"interface": f"tap{shared}"}
        rows.append({"host": f"h{number}", "mac": f"52:54:00:00:00:{number:02x}", **place})
    return hosts, rows


def billing(hosts: dict[str, dict[str, object]]) -> set[tuple[str, str]]:
    """(MAC, prefix) of everything in a database, by the plainest of readings."""
    found = set()
    for name, entry in hosts.items():
        lladdr = f"52:54:00:00:00:{int(name[1:]):02x}"
        texts = [entry.get("ip"), entry.get("ipv6"), entry.get("ipv6_network")]
        for key in ("routed_networks6", "other_ips", "other_ips6"):
            several = entry.get(key, {})
            texts += several if isinstance(several, dict) else []
        for text in texts:
            if isinstance(text, str):
                found.add((lladdr, str(IPv6Network(text) if ":" in text else IPv4Network(text))))
    return found


def write(hosts: object, rows: object) -> None:
    HOSTS.write_text(yaml.safe_dump(hosts, allow_unicode=True))
    Path("ports.json").write_text(json.dumps(rows, indent=1))


GENERATED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], max_examples=60)


@GENERATED
@given(databases())
def test_every_prefix_reaches_its_host_and_no_other(database: tuple[dict[str, dict[str, object]], list[dict[str, object]]]) -> None:
    hosts, rows = database
    write(hosts, rows)
    imported = import_hosts(HOSTS, Path("ports.json"), Choice())
    ports = ports_of(imported)
    assert billed(ports) == billing(hosts)
    assert (imported.hosts, imported.prefixes, imported.skipped) == (len(hosts), len(billing(hosts)), 0)
    places = {(row.get("trunk"), row.get("vlan"), row.get("interface")) for row in rows}
    assert len(ports) == len(places)
    INVENTORY.write_text(as_json(imported.records))
    assert load_file(INVENTORY, "r1") == ports
    assert import_hosts(HOSTS, Path("ports.json"), Choice()) == imported


Database = dict[str, dict[str, object]]
Rows = list[dict[str, object]]


def _set(key: str, value: object) -> Callable[[Database, Rows, str], None]:
    return lambda hosts, _, name: hosts[name].update({key: value})


def _row(key: str, value: object) -> Callable[[Database, Rows, str], None]:
    return lambda _, rows, name: next(row for row in rows if row["host"] == name).update({key: value})


def _no_row(hosts: Database, rows: Rows, name: str) -> None:
    rows[:] = [row for row in rows if row["host"] != name]


def _second_row(hosts: Database, rows: Rows, name: str) -> None:
    rows.append(dict(next(row for row in rows if row["host"] == name)))


def _stranger(hosts: Database, rows: Rows, name: str) -> None:
    rows.append({"host": "stranger", "mac": "52:54:00:00:01:00", "interface": "elsewhere"})


def _theirs(hosts: Database, rows: Rows, name: str) -> None:
    for one, prefix in ((name, "2001:db8:ffff::/64"), ("other", "2001:db8:ffff:0:1::/80")):
        hosts.setdefault(one, {}).setdefault("routed_networks6", {})[prefix] = {}  # type: ignore[index]
    rows.append({"host": "other", "mac": "52:54:00:00:01:00", "interface": "elsewhere"})


def _same_address(hosts: Database, rows: Rows, name: str) -> None:
    hosts[name]["other_ips"] = {"203.0.113.7": {}}
    hosts["other"] = {"ip": "203.0.113.7"}
    rows.append({"host": "other", "mac": "52:54:00:00:01:00", "interface": "elsewhere"})


FAULTS = {
    "'ip' must be an IPv4 address": _set("ip", "x"),
    "'ipv6' must be an IPv6 address like": _set("ipv6", "x"),
    "shorter than /48": _set("ipv6_network", "2001:db8::/32"),
    "has host bits set": _set("ipv6_network", "2001:db8:eeee::1/64"),
    "key 'ip' has no value": _set("ip", None),
    "did you mean 'routed_networks6'?": _set("routed_networks", {}),
    "is multicast": _set("other_ips6", {"ff02::1": {}}),
    "is link-local": _set("ipv6", "fe80::1"),
    "has no row": _no_row,
    "has a second row": _second_row,
    "no host 'stranger'": _stranger,
    "'mac' must be a MAC": _row("mac", "x"),
    "'vlan' must be a whole number": _row("vlan", "0"),
    "unknown key 'vlna'": _row("vlna", "7"),
    "'port' must be 1 to 63": _row("port", "a b"),
    "which overlaps 2001:db8:ffff": _theirs,
    "claims 203.0.113.7": _same_address,
}


@GENERATED
@given(database=databases(), faults=st.sets(st.sampled_from(sorted(FAULTS)), min_size=1, max_size=2), data=st.data())
def test_each_planted_fault_gives_exactly_its_error(database: tuple[Database, Rows], faults: set[str], data: st.DataObject) -> None:
    """Two faults are on two hosts, and then both are told; without the second host there is one fault only."""
    hosts, rows = database
    names = data.draw(st.permutations(sorted(hosts)))
    own_other = {"which overlaps 2001:db8:ffff", "claims 203.0.113.7"}
    planted = dict(zip(sorted(faults) if len(faults & own_other) < 2 else sorted(faults)[:1], names, strict=False))
    for fault, name in planted.items():
        FAULTS[fault](hosts, rows, name)
    write(hosts, rows)
    with pytest.raises(BadInput) as caught:
        import_hosts(HOSTS, Path("ports.json"), Choice())
    lines = caught.value.lines()
    assert len(lines) == len(planted), lines
    for fault in planted:
        assert sum(fault in line for line in lines) == 1, (fault, lines)
    for line in lines:
        file, at, column, _ = line.split(":", 3)
        assert (file in {"hosts.yaml", "ports.json"}, at.isdecimal(), column.isdecimal()) == (True, True, True)
