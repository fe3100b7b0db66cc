"""`l3ctl import`: what is wrong is told in the file that it is in, at its place, with the mend."""

from pathlib import Path

import pytest

from l3ctl.errors import BadInput
from l3ctl.inventory.hosts import Choice, import_hosts
from tests.unit.host_files import HOSTS, TABLE, import_texts, lines_of, row, table


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


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
