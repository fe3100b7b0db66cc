"""What must hold between records: every breach is told once, at the later place, with both sides named."""

import itertools
import random
import re
from ipaddress import IPv6Network, ip_address
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.configuration import FileSource, Inventory
from l3ctl.errors import BadInput
from l3ctl.inventory import load_inventory
from l3ctl.inventory.faults import Reserved
from l3ctl.model import Port

FILE = Path("inventory.yaml")
RESERVED = Reserved(gateways=frozenset(ip_address(text) for text in ("fe80::1", "198.51.100.1", "2001:db8::1", "2001:db8:7::")))
SOURCE = Inventory(FileSource(FILE))


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def load(text: str, router: str = "r1") -> tuple[Port, ...]:
    FILE.write_text(text)
    return load_inventory(SOURCE, router, RESERVED)


def lines_of(text: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        load(text)
    return [line.removeprefix("inventory.yaml:") for line in caught.value.lines()]


def record(name: str, **keys: object) -> str:
    """One record in flow style on one line, with a MAC and interface of its own unless given."""
    number = sum(name.encode())
    own = {"name": name, "mac": f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", "interface": f"tap-{name}"} | keys
    written = (f"{key}: {str(value).replace(chr(39), '')}" for key, value in own.items() if value != "-")
    return f"  - {{{', '.join(written)}}}\n"


@pytest.mark.parametrize(
    ("records", "lines"),
    [
        (
            [record("web1"), record("web1", interface="tap2")],
            ["3:12: port name 'web1' is used twice, first at inventory.yaml:2:12; give each port its own"],
        ),
        (
            [record("a", interface="-", trunk="eth1", vlan=11), record("b", interface="-", trunk="eth1", vlan=11)],
            ["3:58: port 'b' is guarded on vlan 11 of eth1, and so is port 'a' (inventory.yaml:2:58); give each its own"],
        ),
        (
            [record("a", guard="tap7"), record("b", interface="tap7")],
            ["3:50: port 'b' is guarded on tap7, and so is port 'a' (inventory.yaml:2:64); give each its own"],
        ),
        (
            [record("a", interface="br0", guard="tap1"), record("b", interface="br0", guard="tap2")],
            ["3:50: port 'b' uses interface br0, and so does port 'a' (inventory.yaml:2:50); give each its own"],
        ),
        (
            [record("a", interface="-", trunk="eth1", vlan=11), record("b", interface="eth1.11")],
            ["3:50: port 'b' uses interface eth1.11, and so does port 'a' (inventory.yaml:2:46); give each its own"],
        ),
        (
            [record("a", interface="br0", router="r2"), record("b", interface="br0")],
            ["3:50: port 'b' is guarded on br0, and so is port 'a' (inventory.yaml:2:50); give each its own"],
        ),
        (
            [record("a", interface="br0"), record("b", interface="br0", router="r2")],
            ["3:50: port 'b' is guarded on br0, and so is port 'a' (inventory.yaml:2:50); give each its own"],
        ),
        (
            [record("a", ipv6="[2001:db8:11::1/128]"), record("b", ipv6="[2001:db8:11::1/128]")],
            [
                (
                    "3:64: port 'b' claims 2001:db8:11::1/128, which overlaps 2001:db8:11::1/128 of port 'a' (inventory.yaml:2:64); "
                    "bill each prefix to one port"
                ),
            ],
        ),
        (
            [record("web1", ipv6="[2001:db8:11::/64]"), record("db1", ipv6="[2001:db8:11::/64]")],
            [
                (
                    "3:68: port 'db1' claims 2001:db8:11::/64, which overlaps 2001:db8:11::/64 of port 'web1' (inventory.yaml:2:70); "
                    "bill each prefix to one port"
                ),
            ],
        ),
        (
            [record("in", ipv6="[2001:db8:11:7::/64]"), record("out", router="r9", ipv6="[2001:db8:11::/48]")],
            [
                (
                    "3:80: port 'out' claims 2001:db8:11::/48, which overlaps 2001:db8:11:7::/64 of port 'in' (inventory.yaml:2:66); "
                    "bill each prefix to one port"
                ),
            ],
        ),
        (
            [record("a", ipv6="[2001:db8:11::/64, 2001:db8:11::/64]")],
            ["2:82: port 'a' is billed 2001:db8:11::/64 twice, first at inventory.yaml:2:64; bill it once"],
        ),
        (
            [record("a", ipv4="[192.0.2.1, 192.0.2.2]"), record("b", ipv4="[192.0.2.2, 192.0.2.3, 192.0.2.3]")],
            [
                "3:64: port 'b' claims 192.0.2.2, which port 'a' claims too (inventory.yaml:2:75); bill each address to one port",
                "3:86: port 'b' is billed 192.0.2.3 twice, first at inventory.yaml:3:75; bill it once",
            ],
        ),
        (
            [record("a", link_local="fe80::1", ipv6="[2001:db8::1/128]", ipv4="[198.51.100.1]")],
            [
                "2:69: port 'a' claims fe80::1, which is a gateway address of the router; bill another",
                "2:85: port 'a' claims 2001:db8::1, which is a gateway address of the router; bill another",
                "2:110: port 'a' claims 198.51.100.1, which is a gateway address of the router; bill another",
            ],
        ),
        (
            [record("a", mac="-", hosts="[{mac: 5254.0010.0011}, {mac: 52:54:00:10:00:11}]")],
            ["2:70: port 'a' has MAC 52:54:00:10:00:11 twice, first at inventory.yaml:2:47; make them one host"],
        ),
        (
            [record("a", mac="-", hosts="[{mac: 5254.0010.0011}, {mac: 5254.0010.0012, link_local: fe80::5054:ff:fe10:11}]")],
            ["2:98: port 'a' has link-local fe80::5054:ff:fe10:11 twice, first at inventory.yaml:2:47; give each host its own"],
        ),
        (
            [record("bad", ipv4="[x]"), record("a", ipv4="[192.0.2.1]"), record("a", interface="tap2", ipv4="[192.0.2.1]")],
            [
                "2:68: item 1 of 'ipv4' must be an IPv4 address, found 'x'",
                "4:12: port name 'a' is used twice, first at inventory.yaml:3:12; give each port its own",
                "4:63: port 'a' claims 192.0.2.1, which port 'a' claims too (inventory.yaml:3:64); bill each address to one port",
            ],
        ),
    ],
)
def test_records_that_contradict_each_other(records: list[str], lines: list[str]) -> None:
    text = "ports:\n" + "".join(records)
    assert lines_of(text) == lines


@pytest.mark.parametrize(
    "records",
    [
        [record("a", interface="br0", router="r1"), record("b", interface="br0", router="r2")],
        [
            record("a", interface="eth1"),
            record("b", interface="-", trunk="eth1", vlan=11),
            record("c", interface="-", trunk="eth1", vlan=12),
        ],
        [
            record("a", mac="5254.0010.0011", interface="-", trunk="eth1", vlan=1),
            record("b", mac="5254.0010.0011", interface="-", trunk="eth1", vlan=2),
        ],
        [record("a", mac="-", hosts="[{mac: 5254.0010.0011, ipv6: [2001:db8:1::/64]}, {mac: 5254.0010.0012, ipv6: [2001:db8:1::7/128]}]")],
        [record("a", ipv6="[2001:db8:1::/64, 2001:db8:1::/96]")],
        [record("a", ipv6="[2001:db8::/64, 2001:db8:7::/64]")],
        [record("a", link_local="fe80::7"), record("b", link_local="fe80::7")],
    ],
    ids=[
        "one name on two routers",
        "untagged and tagged",
        "one MAC on two VLANs",
        "nested on one port",
        "nested in itself",
        "around a gateway",
        "one link-local on two links",
    ],
)
def test_what_only_looks_like_a_contradiction(records: list[str]) -> None:
    assert len(load("ports:\n" + "".join(records), "r1")) >= 1


PREFIXES = st.builds(
    lambda bits, length: IPv6Network((0x20010DB8 << 96 | bits << 71, length), strict=False),
    st.integers(0, 63),
    st.integers(48, 60),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(st.lists(st.lists(PREFIXES, max_size=4), max_size=6))
def test_overlaps_are_found_exactly_where_prefixes_overlap(ports: list[list[IPv6Network]]) -> None:
    """Against every pair compared: a port is told of exactly when it overlaps another one, or repeats itself."""
    text = "ports:\n" + "".join(record(f"p{index}", ipv6=prefixes) for index, prefixes in enumerate(_texts(ports)))
    pairs = itertools.combinations([(index, prefix) for index, prefixes in enumerate(ports) for prefix in prefixes], 2)
    wrong = {(one, two) for (one, a), (two, b) in pairs if (a == b if one == two else a.overlaps(b))}
    told: set[tuple[int, ...]] = set()
    try:
        load(text if ports else "ports: []")
    except BadInput as refused:
        named = ([int(name) for name in re.findall(r"port 'p(\d)'", problem.what)] for problem in refused.problems)
        told = {(min(names), max(names)) for names in named}
    assert told <= wrong
    assert {index for pair in told for index in pair} == {index for pair in wrong for index in pair}


def _texts(ports: list[list[IPv6Network]]) -> list[list[str]]:
    return [[str(prefix) for prefix in prefixes] for prefixes in ports]


def test_many_claims_to_one_prefix_are_each_told_once() -> None:
    """Quadratic work or output would not end here."""
    count = 5_000
    names = [f"n{number}" for number in range(count)]
    random.Random(7).shuffle(names)
    text = "ports:\n" + "".join(record(name, interface=name, ipv6="[2001:db8:1::/64]") for name in names)
    lines = lines_of(text)
    assert len(lines) == count - 1
    assert all(f"of port '{names[0]}' (inventory.yaml:2:" in line for line in lines)
