"""`l3ctl import`: what a host database bills is what the inventory bills, no more and no less."""

import csv
import io
import json
from ipaddress import IPv6Network
from pathlib import Path

import pytest
import yaml

from l3ctl.inventory.hosts import Choice, import_hosts
from l3ctl.inventory.written import as_json, as_yaml
from tests.unit.host_files import HOSTS, INVENTORY, ROOT, TABLE, import_texts, ports_of, row, table
from tests.unit.inventories import load_file


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("entry", "prefixes"),
    [
        ("{}", []),
        ("{ip: 192.0.2.7}", ["192.0.2.7/32"]),
        ("{ipv6: '2001:db8:a:b::e'}", ["2001:db8:a:b::e/128"]),
        ("{ipv6: '2001:db8:a:b::e/128'}", ["2001:db8:a:b::e/128"]),
        ("{ipv6: '2001:DB8:a:b::e/64'}", ["2001:db8:a:b::/64"]),
        ("{ipv6: '2001:db8:a:b::/64'}", ["2001:db8:a:b::/64"]),
        ("{ipv6: '2001:db8:a:b::e', ipv6_network: '2001:db8:a:b::/64'}", ["2001:db8:a:b::/64", "2001:db8:a:b::e/128"]),
        ("{ipv6: '2001:db8:a:b::e/64', ipv6_network: '2001:db8:a:b::/64'}", ["2001:db8:a:b::/64"]),
        ("{routed_networks6: {'2001:db8:a::/48': {}, '2001:db8:a:1::/112': ~}}", ["2001:db8:a::/48", "2001:db8:a:1::/112"]),
        ("{routed_networks6: ['2001:db8:a::/48', '2001:db8:b::/96']}", ["2001:db8:a::/48", "2001:db8:b::/96"]),
        ("{ipv6: '2001:db8:a::e/64', routed_networks6: {'2001:db8:a:0:f::/96': {}}}", ["2001:db8:a::/64", "2001:db8:a:0:f::/96"]),
        ("{other_ips: {192.0.2.9: {comment: vip}, 192.0.2.10: }, ip: 192.0.2.7}", ["192.0.2.7/32", "192.0.2.9/32", "192.0.2.10/32"]),
        ("{other_ips: [], other_ips6: {'2001:db8::2': {}, '2001:db8::1': {}}}", ["2001:db8::1/128", "2001:db8::2/128"]),
        ("{groups: {a: b}, comment: , mac: x, vlan: , ipmi: 10.0.0.1, monitoring: {ip: [x]}, location: rack}", []),
    ],
)
def test_what_an_entry_bills(entry: str, prefixes: list[str]) -> None:
    (port,) = ports_of(import_texts(f"web1: {entry}\n", table(row("web1"))))
    assert [str(prefix) for host in port.hosts for prefix in host.prefixes()] == prefixes


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"interface": "tap1"}, ("web1", "tap1", "tap1", None)),
        ({"interface": "br1", "guard": "tap1", "router": "r1"}, ("web1", "br1", "tap1", None)),
        ({"interface": "", "trunk": "eth1", "vlan": 11}, ("web1", "eth1.11", "eth1", 11)),
        ({"interface": "", "trunk": "eth1", "vlan": 11, "port": "rack7"}, ("rack7", "eth1.11", "eth1", 11)),
    ],
)
def test_where_a_host_is(keys: dict[str, object], expected: tuple[object, ...]) -> None:
    (port,) = ports_of(import_texts("web1: {}\n", table(row("web1", **keys))))
    assert (port.name, port.interface, port.guard, port.vlan_id) == expected


def test_hosts_of_one_attachment_share_a_port_and_each_keeps_what_is_its_own() -> None:
    hosts = "b: {ip: 192.0.2.2}\nc: {comment: other}\na: {ipv6: '2001:db8::a', comment: the first}\n"
    rows = table(*(row(host, interface="eth2", link_local=link_local) for host, link_local in (("b", "fe80:0::B"), ("c", ""), ("a", ""))))
    imported = import_texts(hosts, rows)
    assert as_yaml(imported.records, imported.remarks, "H") == (
        "# H\n"
        "ports:\n"
        "  - name: a\n"
        "    interface: eth2\n"
        "    hosts:\n"
        "      - mac: 52:54:00:00:00:61 # a: the first\n"
        "        ipv6:\n"
        "          - 2001:db8::a/128\n"
        "      - mac: 52:54:00:00:00:62 # b\n"
        "        link_local: fe80::b\n"
        "        ipv4:\n"
        "          - 192.0.2.2\n"
        "      - mac: 52:54:00:00:00:63 # c: other\n"
    )
    assert (imported.hosts, imported.prefixes, imported.skipped) == (3, 2, 0)


@pytest.mark.parametrize(
    ("other", "alone"),
    [("2001:db8:a:b::/96", True), ("2001:db8:a:b:1::/96", False), ("2001:db8:a:c::/96", False)],
)
def test_an_address_in_its_own_network_is_not_lost_to_a_neighbour_with_a_part_of_it(other: str, alone: bool) -> None:
    hosts = f"a: {{ipv6: '2001:db8:a:b::e/64'}}\nb: {{ipv6_network: '{other}'}}\n"
    (port,) = ports_of(import_texts(hosts, table(row("a", interface="eth2"), row("b", interface="eth2"))))
    assert (IPv6Network("2001:db8:a:b::e/128") in port.hosts[0].ipv6) is alone


@pytest.mark.parametrize(
    "name",
    ["ports.csv", "ports.yaml", "ports.json"],
)
def test_a_table_may_be_csv_yaml_or_json(name: str) -> None:
    rows = [
        {"host": "b", "mac": "52:54:00:00:00:02", "trunk": "eth1", "vlan": 12},
        {"host": "a", "mac": "52:54:00:00:00:01", "interface": "t"},
    ]
    if name.endswith(".csv"):
        text = io.StringIO()
        writer = csv.DictWriter(text, ["host", "mac", "interface", "trunk", "vlan"])
        writer.writeheader()
        writer.writerows(rows)
        Path(name).write_text(text.getvalue(), newline="")
    else:
        Path(name).write_text(yaml.safe_dump(rows) if name.endswith(".yaml") else json.dumps(rows, indent=2))
    HOSTS.write_text("a: {}\nb: {}\n")
    ports = ports_of(import_hosts(HOSTS, Path(name), Choice()))
    assert [(port.name, port.interface, port.hosts[0].lladdr[-2:]) for port in ports] == [("a", "t", "01"), ("b", "eth1.12", "02")]


@pytest.mark.parametrize(
    ("choice", "names", "skipped"),
    [
        (Choice(), ["a", "b", "c", "d"], 0),
        (Choice(groups=frozenset({"x"})), ["a", "b"], 2),
        (Choice(groups=frozenset({"x", "y"})), ["a", "b", "c"], 1),
        (Choice(router="r1"), ["a", "c", "d"], 1),
        (Choice(frozenset({"x"}), "r2"), ["b"], 3),
    ],
)
def test_what_is_chosen(choice: Choice, names: list[str], skipped: int) -> None:
    hosts = "a: {groups: [x]}\nb: {groups: [x, y]}\nc: {groups: [y]}\nd: {}\n"
    rows = table(row("a", router="r1"), row("b", router="r2"), row("c"), row("d"))
    imported = import_texts(hosts, rows, choice)
    assert [record["name"] for record in imported.records] == names
    assert imported.skipped == skipped


def test_ports_come_in_the_order_of_their_own_names() -> None:
    imported = import_texts("a: {}\nb: {}\n", table(row("a", port="z"), row("b")))
    assert [record["name"] for record in imported.records] == ["b", "z"]


def test_hosts_that_are_not_chosen_may_be_as_they_like() -> None:
    hosts = "a: {groups: [x]}\nb: {groups: [y], ip: nonsense, routed_network6: {}}\nc: {groups: [y]}\n"
    imported = import_texts(hosts, table(row("a"), row("b", mac="nonsense")), Choice(groups=frozenset({"x"})))
    assert [record["name"] for record in imported.records] == ["a"]
    assert imported.skipped == 2


def test_the_order_of_both_files_is_nobodys_business() -> None:
    hosts = {
        "b": {"routed_networks6": {"2001:db8:2::/64": {}, "2001:db8:1::/64": {}}, "ip": "192.0.2.9", "other_ips": {"192.0.2.10": {}}},
        "a": {"ipv6": "2001:db8::1"},
    }
    turned = {
        "a": hosts["a"],
        "b": {"ip": "192.0.2.10", "other_ips": {"192.0.2.9": {}}, "routed_networks6": {"2001:db8:1::/64": {}, "2001:db8:2::/64": {}}},
    }
    one = import_texts(yaml.safe_dump(hosts, sort_keys=False), table(row("a"), row("b")))
    other = import_texts(yaml.safe_dump(turned, sort_keys=False), table(row("b"), row("a")))
    assert as_yaml(one.records, one.remarks, "") == as_yaml(other.records, other.remarks, "")


def test_remarks_cannot_break_out_of_their_comment() -> None:
    comment = "a\nb: c\u2028d\x85e # f\x07\tg" + "x" * 200
    HOSTS.write_text(yaml.safe_dump({"a": {"comment": comment, "routed_networks6": {"2001:db8:a::/48": {"comment": comment}}}}))
    TABLE.write_text(table(row("a")))
    imported = import_hosts(HOSTS, TABLE, Choice())
    text = as_yaml(imported.records, imported.remarks, "H")
    assert "name: a # a b: c d e # f gx" in text
    assert max(map(len, text.splitlines())) < 150
    assert [port.name for port in ports_of(imported)] == ["a"]


@pytest.mark.parametrize(
    "interface", ["true", "null", "a#b", "[x", "*x", "&x", "x,y", "'", '"', "~", "-", "- ", "@x", "0", "%x", "ä", "{", "!x", "\\x"]
)
def test_any_interface_that_the_kernel_takes_is_written_so_that_it_is_read_again(interface: str) -> None:
    quoted = json.dumps(interface.strip())
    Path("ports.yaml").write_text(f"- {{host: a, mac: 5254.0000.0001, interface: {quoted}}}\n")
    HOSTS.write_text("a: {}\n")
    imported = import_hosts(HOSTS, Path("ports.yaml"), Choice())
    assert ports_of(imported)[0].interface == interface.strip()
    INVENTORY.write_text(as_json(imported.records))
    assert load_file(INVENTORY, "r1")[0].interface == interface.strip()


def test_the_example_makes_an_inventory() -> None:
    imported = import_hosts(ROOT / "configs/hosts.yaml", ROOT / "configs/hosts-ports.csv", Choice())
    assert (imported.hosts, len(imported.records), imported.prefixes) == (7, 6, 22)
    rack = next(port for port in ports_of(imported) if port.name == "rack7")
    assert [[str(prefix) for prefix in host.ipv6] for host in rack.hosts] == [["2001:db8:25:0:f::/96"], ["2001:db8:25::/64"]]
    assert {port.name for port in ports_of(imported, "r2")} == {"ci1.example.net", "db2.example.net"}
