"""`l3ctl import`: what a host database bills is what the inventory bills, no more and no less; faults are told in the files they are in."""

import csv
import io
import json
from collections.abc import Callable
from ipaddress import IPv4Network, IPv6Network, ip_address
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.inventory.hosts import Choice, Imported, import_hosts
from l3ctl.inventory.written import as_json, as_yaml
from l3ctl.model import Port
from tests.unit.inventories import load_file

HOSTS, TABLE, INVENTORY = Path("hosts.yaml"), Path("ports.csv"), Path("inventory.yaml")
ROOT = Path(__file__).parents[2]
ALL = Choice()
HEADER = "host,mac,interface,trunk,vlan,router,port,guard,link_local"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def row(host: str, **keys: object) -> str:
    number = sum(host.encode())
    own = {"host": host, "mac": f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", "interface": f"tap-{host}"} | keys
    return ",".join(str(own.get(column, "")) for column in HEADER.split(","))


def table(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


def import_texts(hosts: str, rows: str, choice: Choice = ALL) -> Imported:
    HOSTS.write_text(hosts)
    TABLE.write_text(rows)
    return import_hosts(HOSTS, TABLE, choice)


def lines_of(hosts: str, rows: str, choice: Choice = ALL) -> list[str]:
    with pytest.raises(BadInput) as caught:
        import_texts(hosts, rows, choice)
    return caught.value.lines()


def ports_of(imported: Imported, router: str = "r1") -> tuple[Port, ...]:
    """As the inventory's own reader has them."""
    INVENTORY.write_text(as_yaml(imported.records, imported.remarks, "written by a test"))
    return load_file(INVENTORY, router)


def billed(ports: tuple[Port, ...]) -> set[tuple[str, str]]:
    return {(host.lladdr, str(prefix)) for port in ports for host in port.hosts for prefix in host.prefixes()}


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


GOOD = "web1: {ip: 192.0.2.1}\n"
COLUMNS = "guard, host, interface, link_local, mac, port, router, trunk, vlan"
FEWER = "write one for each column, an empty one where there is nothing to say"
MORE = "quote a cell that has a comma in it; within a cell, separate by blanks or ';'"
STRAY = "'mac' must be a MAC like 52:54:00:0a:00:0b, found 'a\"b\"'"


@pytest.mark.parametrize(
    ("hosts", "rows", "lines"),
    [
        ("[]\n", table(), ["hosts.yaml:1:1: the file must be a mapping of host names; begin each host with 'NAME:'"]),
        ("web1: x\n", table(row("web1")), ["hosts.yaml:1:7: host 'web1' must be a mapping, found 'x'"]),
        ("web1:\n", table(row("web1")), ["hosts.yaml:1:6: host 'web1' must be a mapping, found nothing"]),
        ("web1: {ip: 192.0.2.300}\n", table(row("web1")), ["hosts.yaml:1:12: 'ip' must be an IPv4 address, found '192.0.2.300'"]),
        (
            "web1: {ip: 192.0.2.1/24}\n",
            table(row("web1")),
            ["hosts.yaml:1:12: 'ip' must be one IPv4 address, found '192.0.2.1/24'; list each address"],
        ),
        ("web1: {ip: }\n", table(row("web1")), ["hosts.yaml:1:8: key 'ip' has no value; give it one, or remove the key"]),
        (
            "web1: {ipv6: x}\n",
            table(row("web1")),
            ["hosts.yaml:1:14: 'ipv6' must be an IPv6 address like 2001:db8:11::e, or one with the length of its network, found 'x'"],
        ),
        (
            "web1: {ipv6: '2001:db8::1/32'}\n",
            table(row("web1")),
            ["hosts.yaml:1:14: prefix 2001:db8::/32 is shorter than /48; bill each host /48 to /128"],
        ),
        (
            "web1:\n  routed_networks6:\n    2001:db8:a:1::5/64: {}\n    fe80::/64:\n",
            table(row("web1")),
            [
                "hosts.yaml:3:5: prefix 2001:db8:a:1::5/64 has host bits set; write 2001:db8:a:1::/64",
                "hosts.yaml:4:5: prefix fe80::/64 is link-local; a link-local address belongs in link_local",
            ],
        ),
        (
            "web1:\n  other_ips: {224.0.0.1: {}}\n  other_ips6: [x]\n",
            table(row("web1")),
            [
                "hosts.yaml:2:15: address 224.0.0.1 is multicast; only unicast can be routed to a host",
                (
                    "hosts.yaml:3:16: item 1 of 'other_ips6' must be an IPv6 address like 2001:db8:11::e, "
                    "or one with the length of its network, found 'x'"
                ),
            ],
        ),
        (
            "web1: {routed_network6: {'2001:db8:a::/48': {}}}\n",
            table(row("web1")),
            [
                (
                    "hosts.yaml:1:8: unknown key 'routed_network6' in host 'web1'; did you mean 'routed_networks6'? "
                    "If it is another's, --ignore routed_network6"
                ),
            ],
        ),
        (
            "web1: {ipv4: 192.0.2.1, IP: 192.0.2.1, other-ips: {}}\n",
            table(row("web1")),
            [
                "hosts.yaml:1:8: unknown key 'ipv4' in host 'web1'; did you mean 'ipv6'? If it is another's, --ignore ipv4",
                "hosts.yaml:1:25: unknown key 'IP' in host 'web1'; did you mean 'ip'? If it is another's, --ignore IP",
                "hosts.yaml:1:40: unknown key 'other-ips' in host 'web1'; did you mean 'other_ips'? If it is another's, --ignore other-ips",
            ],
        ),
        ("web1: {}\nweb1: {}\n", table(row("web1")), ["hosts.yaml:2:1: key 'web1' is written twice, first at hosts.yaml:1:1; keep one"]),
        ("web1: {}\nweb2: {}\n", table(row("web1")), ["hosts.yaml:2:1: host 'web2' has no row in ports.csv; add one"]),
        (
            GOOD,
            table(row("web1"), row("web2"), row("mail")),
            [
                "ports.csv:3:1: no host 'web2' in hosts.yaml; add it there, or remove the row",
                "ports.csv:4:1: no host 'mail' in hosts.yaml; add it there, or remove the row",
            ],
        ),
        (
            "web1.example.net: {}\n",
            table(row("web1.exmaple.net", interface="t")),
            [
                "hosts.yaml:1:1: host 'web1.example.net' has no row in ports.csv; add one",
                "ports.csv:2:1: no host 'web1.exmaple.net' in hosts.yaml; did you mean 'web1.example.net'?",
            ],
        ),
        (GOOD, table(row("web1"), row("web1")), ["ports.csv:3:1: host 'web1' has a second row, first at ports.csv:2:1; keep one"]),
        (GOOD, "", ["ports.csv:1:1: the file is empty"]),
        (GOOD, "host,interface\nweb1,t\n", ["ports.csv:2:1: missing key 'mac' in row 1; add it"]),
        (GOOD, "host,mca,mac\nweb1,,\n", ["ports.csv:1:6: unknown column 'mca'; did you mean 'mac'?"]),
        (
            GOOD,
            "host,mac,,mac\nweb1,,,\n",
            [
                f"ports.csv:1:10: a column without a name; known columns: {COLUMNS}",
                "ports.csv:1:11: column 'mac' is there twice, first at ports.csv:1:6; keep one",
            ],
        ),
        (
            GOOD,
            "host,mac\nweb1\n",
            [f"ports.csv:2:1: 1 cell, where the header has 2; {FEWER}"],
        ),
        (
            GOOD,
            'host,mac\n"a\nb",x,y\n',
            [f"ports.csv:3:6: 3 cells, where the header has 2; {MORE}"],
        ),
        (
            GOOD,
            'host,mac\nweb1,a"b"\n',
            [f"ports.csv:2:6: {STRAY}"],
        ),
        (GOOD, table(row("web1", mac="x")), ["ports.csv:2:6: 'mac' must be a MAC like 52:54:00:0a:00:0b, found 'x'"]),
        (GOOD, table(row("web1", mac="")), ["ports.csv:2:1: missing key 'mac' in row 1; add it"]),
        (
            GOOD,
            table(row("web1", interface="")),
            ["ports.csv:2:1: port 'web1' is attached to nothing; add 'interface', or 'trunk' and 'vlan'"],
        ),
        (GOOD, table(row("web1", vlan="7")), ["ports.csv:2:34: port 'web1' has 'vlan' without 'trunk'; add 'trunk', or remove 'vlan'"]),
        (
            GOOD,
            table(row("web1", router="r 1")),
            ["ports.csv:2:35: 'router' must be 1 to 63 letters, digits, or any of . _ : -, and begin with a letter or digit, found 'r 1'"],
        ),
        (
            "Web server: {}\n",
            table(row("Web server", interface="t")),
            ["ports.csv:2:1: 'Web server' cannot be a port's name; name it in 'port'"],
        ),
        (
            "a: {ip: 192.0.2.1}\nb: {other_ips: {192.0.2.1: {}}}\n",
            table(row("a"), row("b")),
            ["hosts.yaml:2:17: port 'b' claims 192.0.2.1, which port 'a' claims too (hosts.yaml:1:9); bill each address to one port"],
        ),
        (
            "a: {ipv6: '2001:db8:a:b::e/64'}\nb: {routed_networks6: {'2001:db8:a:b:f::/96': {}}}\n",
            table(row("a"), row("b")),
            [
                (
                    "hosts.yaml:2:24: port 'b' claims 2001:db8:a:b:f::/96, which overlaps 2001:db8:a:b::/64 of port 'a' (hosts.yaml:1:11); "
                    "bill each prefix to one port"
                ),
            ],
        ),
        (
            "a: {ip: 192.0.2.1, other_ips: {192.0.2.1: {}}}\n",
            table(row("a")),
            ["hosts.yaml:1:32: port 'a' is billed 192.0.2.1 twice, first at hosts.yaml:1:9; bill it once"],
        ),
        (
            "a: {}\nb: {}\n",
            table(row("a", interface="", trunk="eth1", vlan=7), row("b", interface="v7", trunk="eth1", vlan=7)),
            ["ports.csv:3:29: port 'b' is guarded on vlan 7 of eth1, and so is port 'a' (ports.csv:2:27); give each its own"],
        ),
        (
            "a: {}\nb: {}\n",
            table(row("a", interface="t", mac="5254.0000.0001"), row("b", interface="t", mac="52:54:00:00:00:01")),
            ["ports.csv:3:3: port 'a' has MAC 52:54:00:00:00:01 twice, first at ports.csv:2:3; make them one host"],
        ),
        (
            "a: {}\nb: {}\n",
            table(row("a", interface="t", port="one"), row("b", interface="t", port="two")),
            ["ports.csv:3:26: the port of host 'b' is called 'two', and 'one' at ports.csv:2:26; give the one port one name"],
        ),
        (
            "a: {}\nb: {}\n",
            table(row("a", port="b"), row("b")),
            ["ports.csv:3:1: port name 'b' is used twice, first at ports.csv:2:30; give each port its own"],
        ),
    ],
)
def test_what_is_wrong_is_told_where_it_was_written(hosts: str, rows: str, lines: list[str]) -> None:
    assert lines_of(hosts, rows) == lines


@pytest.mark.parametrize(
    ("choice", "lines"),
    [
        (Choice(groups=frozenset({"jenkns"})), ["hosts.yaml: no host is in group 'jenkns'; did you mean 'jenkins'?"]),
        (Choice(groups=frozenset({"zzz"})), ["hosts.yaml: no host is in group 'zzz'; there is jenkins, web"]),
        (Choice(router="r7"), ["ports.csv: no row is for router 'r7'; there is r1"]),
    ],
)
def test_a_choice_of_nothing_is_a_slip(choice: Choice, lines: list[str]) -> None:
    hosts = "a: {groups: [jenkins]}\nb: {groups: [web]}\n"
    assert lines_of(hosts, table(row("a", router="r1"), row("b", router="r1")), choice) == lines


def test_groups_that_are_asked_for_are_read_strictly() -> None:
    hosts = "a: {groups: jenkins}\nb: {group: [jenkins]}\nc: {groups: [jenkins]}\n"
    assert lines_of(hosts, table(row("a"), row("b"), row("c")), Choice(groups=frozenset({"jenkins"}))) == [
        "hosts.yaml:1:13: 'groups' must be a list, found 'jenkins'; write [jenkins]",
        "hosts.yaml:2:5: unknown key 'group' in host 'b'; did you mean 'groups'? If it is another's, --ignore group",
    ]


def test_a_key_that_is_anothers_can_be_said_to_be() -> None:
    imported = import_texts("a: {routed_networks: x, ipv4: y}\n", table(row("a")), Choice(ignored=frozenset({"routed_networks", "ipv4"})))
    assert imported.prefixes == 0


def test_both_files_are_looked_at_when_neither_can_be_read() -> None:
    with pytest.raises(BadInput) as caught:
        import_hosts(HOSTS, TABLE, Choice())
    assert caught.value.lines() == ["hosts.yaml: no such file; check the path", "ports.csv: no such file; check the path"]


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


def test_the_example_makes_an_inventory() -> None:
    imported = import_hosts(ROOT / "configs/hosts.yaml", ROOT / "configs/hosts-ports.csv", Choice())
    assert (imported.hosts, len(imported.records), imported.prefixes) == (7, 6, 22)
    rack = next(port for port in ports_of(imported) if port.name == "rack7")
    assert [[str(prefix) for prefix in host.ipv6] for host in rack.hosts] == [["2001:db8:25:0:f::/96"], ["2001:db8:25::/64"]]
    assert {port.name for port in ports_of(imported, "r2")} == {"ci1.example.net", "db2.example.net"}
