"""The inventory is read strictly: a record is understood in full, or refused with place and mend; nothing but `BadInput` comes out."""

from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.config import load_config
from l3ctl.configuration import FileSource, Inventory
from l3ctl.errors import BadInput
from l3ctl.inventory import load_inventory, reserved_by
from l3ctl.inventory.faults import Reserved
from l3ctl.model import Host, Port

FILE = Path("inventory.yaml")
ROOT = Path(__file__).parents[2]
RESERVED = Reserved(gateways=frozenset(ip_address(text) for text in ("fe80::1", "198.51.100.1", "2001:db8::1")))
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


def test_a_port_in_full() -> None:
    text = """
ports:
  - name: web1
    router: r1
    interface: tap-web1
    guard: tap-web1g
    mac: 52:54:00:0A:00:0B
    link_local: fe80::b
    ipv6: [2001:db8:11::/64, 2001:DB8:12::1/128]
    ipv4: [192.0.2.11]
"""
    prefixes = (IPv6Network("2001:db8:11::/64"), IPv6Network("2001:db8:12::1/128"))
    host = Host("52:54:00:0a:00:0b", IPv6Address("fe80::b"), prefixes, (IPv4Address("192.0.2.11"),))
    assert load(text) == (Port("web1", "tap-web1", "tap-web1g", None, (host,)),)


@pytest.mark.parametrize(
    ("keys", "interface", "guard", "vlan_id"),
    [
        ("interface: tap1", "tap1", "tap1", None),
        ("interface: br1, guard: tap1", "br1", "tap1", None),
        ("trunk: eth1, vlan: 11", "eth1.11", "eth1", 11),
        ("trunk: eth1, vlan: 11, interface: vlan11", "vlan11", "eth1", 11),
        ("trunk: eth1, vlan: 4094, guard: eth9", "eth1.4094", "eth9", 4094),
    ],
)
def test_where_a_port_is(keys: str, interface: str, guard: str, vlan_id: int | None) -> None:
    (port,) = load(f"ports: [{{name: a, mac: 5254.000a.000b, {keys}}}]")
    assert (port.interface, port.guard, port.vlan_id) == (interface, guard, vlan_id)


def test_several_hosts_and_their_default_link_local() -> None:
    (port,) = load("ports: [{name: a, interface: b, hosts: [{mac: 52-54-00-0a-00-0b}, {mac: 02:00:00:00:00:01, link_local: fe80::7}]}]")
    assert port.hosts == (
        Host("52:54:00:0a:00:0b", IPv6Address("fe80::5054:ff:fe0a:b")),
        Host("02:00:00:00:00:01", IPv6Address("fe80::7")),
    )


@pytest.mark.parametrize("mac", ["52:54:00:10:00:11", "52-54-00-10-00-11", "5254.0010.0011", '"52:54:00:10:00:11"'])
def test_every_usual_notation_of_a_mac(mac: str) -> None:
    assert load(f"ports: [{{name: a, interface: b, mac: {mac}}}]")[0].hosts[0].lladdr == "52:54:00:10:00:11"


def test_ports_come_sorted_and_only_this_routers() -> None:
    text = """
ports:
  - {name: c, router: r1, interface: tap-c, mac: 5254.0010.0011}
  - {name: b, router: r2, interface: tap-b, mac: 5254.0010.0012}
  - {name: a, interface: tap-a, mac: 5254.0010.0013}
"""
    assert [port.name for port in load(text)] == ["a", "c"]
    assert [port.name for port in load(text, "r2")] == ["a", "b"]


def test_nothing_to_install_is_no_error() -> None:
    assert load("ports: []\n") == ()


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file is empty"]),
        ("[]", ["1:1: the file must be a mapping, found a list"]),
        ("hosts: []", ["1:1: missing key 'ports'; add it", "1:1: unknown key 'hosts'; did you mean 'ports'?"]),
        ("ports:\n", ["1:1: key 'ports' has no value; give it one"]),
        ("ports: {web1: {}}", ["1:8: 'ports' must be a list, found a mapping"]),
        (
            "ports: [web1, [], {}]",
            [
                "1:9: port 1 must be a mapping, found 'web1'",
                "1:15: port 2 must be a mapping, found a list",
                "1:19: missing key 'name' in port 3; add it",
            ],
        ),
        ("ports: [{name: a, interface: b, mca: x}]", ["1:33: unknown key 'mca' in port 'a'; did you mean 'mac'?"]),
        (
            "ports: [{name: a, interface: b, zone: x, mac: 52:54:00:10:00:11}]",
            [
                (
                    "1:33: unknown key 'zone' in port 'a'; known keys: "
                    "name, router, interface, trunk, vlan, guard, mac, link_local, ipv6, ipv4, hosts, qinq, mode, source_guard, "
                    "announce, liveness, bgp"
                ),
            ],
        ),
        (
            "ports: [{name: a, interface: b, hosts: [{mac: 5254.0010.0011, ip: x}]}]",
            ["1:63: unknown key 'ip' in host 1 of port 'a'; did you mean 'ipv6'?"],
        ),
        (
            "ports: [{name: a, interface: b, router: , mac: 5254.0010.0011}]",
            ["1:33: key 'router' has no value; give it one, or remove the key"],
        ),
        (
            "ports: [{name: a b, interface: b, mac: 5254.0010.0011}]",
            ["1:16: 'name' must be 1 to 63 letters, digits, or any of . _ : -, and begin with a letter or digit, found 'a b'"],
        ),
        ("ports: [{name: a, interface: b, hosts: []}]", ["1:40: port 'a' has no host; list one, or remove the port"]),
        ("ports: [{name: a, interface: b}]", ["1:9: port 'a' has no host; add 'mac' or 'hosts'"]),
        ("ports: [{name: a, mac: 5254.0010.0011}]", ["1:9: port 'a' is attached to nothing; add 'interface', or 'trunk' and 'vlan'"]),
        ("ports: [{name: a, mac: 5254.0010.0011, trunk: b}]", ["1:40: port 'a' has 'trunk' without 'vlan'; add 'vlan'"]),
        (
            "ports: [{name: a, mac: 5254.0010.0011, interface: b, vlan: 1}]",
            ["1:54: port 'a' has 'vlan' without 'trunk'; add 'trunk', or remove 'vlan'"],
        ),
        (
            "ports: [{name: a, mac: 5254.0010.0011, trunk: enp129s0f1np1, vlan: 11}]",
            ["1:47: interface enp129s0f1np1.11 of port 'a' is longer than 15 bytes; name the netdev in 'interface'"],
        ),
        (
            "ports:\n- name: a\n  interface: b\n  mac: 5254.0010.0011\n  ipv4: [192.0.2.1]\n  hosts: [{mac: 5254.0010.0012}]\n",
            [
                "4:3: port 'a' has 'mac' beside 'hosts'; move it into the host it belongs to",
                "5:3: port 'a' has 'ipv4' beside 'hosts'; move it into the host it belongs to",
            ],
        ),
    ],
)
def test_records_that_are_wrong_in_themselves(text: str, lines: list[str]) -> None:
    assert lines_of(text) == lines


PREFIX = "must be an IPv6 prefix like 2001:db8:11::/64, found"
UNICAST = "only unicast can be routed to a host"


@pytest.mark.parametrize(
    ("key", "value", "complaint"),
    [
        ("mac", "ff:ff:ff:ff:ff:ff", "MAC ff:ff:ff:ff:ff:ff is the broadcast address; write the host's own"),
        ("mac", "01:00:5e:00:00:01", "MAC 01:00:5e:00:00:01 is a multicast address; write the host's own"),
        ("mac", "00:00:00:00:00:00", "MAC 00:00:00:00:00:00 is all zero; write the host's own"),
        ("mac", "52:54:00-10:00:11", "'mac' must be a MAC like 52:54:00:0a:00:0b, found '52:54:00-10:00:11'"),
        ("mac", "52:54:00:10:00", "'mac' must be a MAC like 52:54:00:0a:00:0b, found '52:54:00:10:00'"),
        ("mac", "[5254.0010.0011]", "'mac' must be a MAC like 52:54:00:0a:00:0b, found a list"),
        ("vlan", "4095", "'vlan' must be a whole number from 1 to 4094, found '4095'"),
        ("vlan", "011", "'vlan' must be a whole number from 1 to 4094, found '011'"),
        (
            "guard",
            "sixteen-bytes-xx",
            "'guard' must be an interface name, 1 to 15 bytes without '/', ':' or blanks, found 'sixteen-bytes-xx'",
        ),
        ("guard", "äääääää-", ""),
        ("guard", "äääääääää", "'guard' must be an interface name, 1 to 15 bytes without '/', ':' or blanks, found 'äääääääää'"),
        ("guard", "..", "'guard' must be an interface name, 1 to 15 bytes without '/', ':' or blanks, found '..'"),
        ("guard", "a/b", "'guard' must be an interface name, 1 to 15 bytes without '/', ':' or blanks, found 'a/b'"),
        ("guard", "a b", "'guard' must be an interface name, 1 to 15 bytes without '/', ':' or blanks, found 'a b'"),
        ("link_local", "febf::1", ""),
        ("link_local", "fec0::1", "'link_local' must be a link-local address, in fe80::/10, found 'fec0::1'"),
        ("link_local", "fe80::1%eth0", "'link_local' must be an IPv6 address, found 'fe80::1%eth0'"),
        ("link_local", "fe80::1/64", "'link_local' must be an IPv6 address, found 'fe80::1/64'"),
        ("ipv6", "2001:db8::/48", "'ipv6' must be a list, found '2001:db8::/48'; write [2001:db8::/48]"),
        ("ipv6", "[2001:db8::/48, 2001:db8:1::/49, 2001:db8:2::7/128]", ""),
        ("ipv6", "[2001:db8::/47]", "prefix 2001:db8::/47 is shorter than /48; bill each host /48 to /128"),
        ("ipv6", "[2001:db8::/129]", f"item 1 of 'ipv6' {PREFIX} '2001:db8::/129'"),
        ("ipv6", "[2001:db8::/064]", f"item 1 of 'ipv6' {PREFIX} '2001:db8::/064'"),
        ("ipv6", "[2001:db8::/]", f"item 1 of 'ipv6' {PREFIX} '2001:db8::/'"),
        ("ipv6", "[192.0.2.0/24]", f"item 1 of 'ipv6' {PREFIX} '192.0.2.0/24'"),
        ("ipv6", "[2001:db8::5]", "prefix 2001:db8::5 has no length; write 2001:db8::5/128 for the one address, or the length billed"),
        ("ipv6", "[2001:db8:11::1/64]", "prefix 2001:db8:11::1/64 has host bits set; write 2001:db8:11::/64"),
        ("ipv6", "[ff05::/64]", f"prefix ff05::/64 is multicast; {UNICAST}"),
        ("ipv6", "['::/64']", f"prefix ::/64 is the unspecified address; {UNICAST}"),
        ("ipv6", "['::1/128']", f"prefix ::1/128 is loopback; {UNICAST}"),
        ("ipv6", "['::ffff:192.0.2.1/128']", f"prefix ::ffff:c000:201/128 is IPv4-mapped; {UNICAST}"),
        ("ipv6", "['::ff00:0:0/88']", f"prefix ::ff00:0:0/88 is IPv4-mapped; {UNICAST}"),
        ("ipv6", "[fe80::/64]", "prefix fe80::/64 is link-local; a link-local address belongs in link_local"),
        ("ipv4", "[192.0.2.11/32]", "item 1 of 'ipv4' must be one IPv4 address, found '192.0.2.11/32'; write 192.0.2.11"),
        ("ipv4", "[192.0.2.0/24]", "item 1 of 'ipv4' must be one IPv4 address, found '192.0.2.0/24'; list each address"),
        ("ipv4", "[192.0.2.011]", "item 1 of 'ipv4' must be an IPv4 address, found '192.0.2.011'"),
        ("ipv4", "[1]", "item 1 of 'ipv4' must be an IPv4 address, found '1'"),
        ("ipv4", "[224.0.0.1]", f"address 224.0.0.1 is multicast; {UNICAST}"),
        ("ipv4", "[127.0.0.1]", f"address 127.0.0.1 is loopback; {UNICAST}"),
        ("ipv4", "[0.0.0.0]", f"address 0.0.0.0 is of 'this network'; {UNICAST}"),
        ("ipv4", "[0.1.2.3]", f"address 0.1.2.3 is of 'this network'; {UNICAST}"),
        ("ipv4", "[240.0.0.1]", f"address 240.0.0.1 is reserved (class E); {UNICAST}"),
        ("ipv4", "[255.255.255.255]", f"address 255.255.255.255 is broadcast; {UNICAST}"),
    ],
)
def test_values(key: str, value: str, complaint: str) -> None:
    """An empty complaint: the value is fine."""
    others = {"name": "a", "mac": "5254.0010.0011", "trunk": "eth1", "vlan": "7"}
    text = "ports:\n- " + "".join(f"{name}: {given}\n  " for name, given in (others | {key: value}).items())
    if complaint:
        (line,) = lines_of(text)
        assert line.split(": ", 1)[1] == complaint
    else:
        assert len(load(text)) == 1


TOKENS = st.sampled_from(
    [
        "ports",
        "name",
        "mac",
        "hosts",
        "ipv6",
        "ipv4",
        "interface",
        "trunk",
        "vlan",
        "guard",
        "link_local",
        "router",
        ": ",
        ":\n",
        "- ",
        "\n",
        "\n  ",
        "\n  - ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        "a",
        "7",
        "2001:db8::/64",
        "192.0.2.1",
        "52:54:00:10:00:11",
        "fe80::1",
        "''",
        "~",
        "true",
        "#",
    ]
)
SCALARS = st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=5), TOKENS)
KEYS = TOKENS.filter(str.isidentifier)
SHAPES = st.recursive(
    SCALARS, lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=6)), max_leaves=25
)
TEXTS = st.one_of(
    st.lists(TOKENS, max_size=40).map("".join),
    st.text(),
    SHAPES.map(lambda shape: yaml.safe_dump({"ports": shape})),
    st.lists(st.dictionaries(KEYS, SHAPES, min_size=1), max_size=3).map(lambda records: yaml.safe_dump({"ports": records})),
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow], deadline=None, max_examples=150)
@given(TEXTS)
def test_any_text_is_loaded_or_refused_with_places(text: str) -> None:
    FILE.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        ports = load_inventory(SOURCE, "r1", RESERVED)
    except BadInput as refused:
        lines = refused.lines()
        assert lines
        for line in lines:
            name, row, column, _ = line.split(":", 3)
            assert (name, row.isdecimal(), column.isdecimal(), "\n" in line) == ("inventory.yaml", True, True, False)
    else:
        assert all(isinstance(port, Port) and port.hosts for port in ports)


def test_the_example_loads_on_its_routers_and_with_its_configuration() -> None:
    config = load_config(ROOT / "configs/l3ctl.yaml").configuration()
    names = [port.name for port in load_inventory(config.inventory, config.router, reserved_by(config))]
    assert names == ["ci1", "db1", "lab1", "mail1", "rack7", "web1"]
    assert "web2" in {port.name for port in load_inventory(config.inventory, "r2", reserved_by(config))}
