"""configs/schema.sql: what is wrong cannot be written, what is right can, and whatever changes is told of by the ports' names."""

import re
from collections.abc import Callable

import psycopg
import pytest

from l3ctl.configuration import Inventory, PostgresqlSource
from l3ctl.inventory import load_inventory
from l3ctl.inventory.sources.postgresql import Reader
from tests.sources.cluster import Cluster
from tests.sources.conftest import SCHEMA
from tests.sources.outcome import names, news, readable, values

Readers = Callable[..., Reader]
QUERY = "SELECT * FROM l3ctl_ports"
A = "'52:54:00:0a:00:0a'"
B = "'52:54:00:0a:00:0b'"
SITE = f"""
INSERT INTO servers VALUES ('s1'), ('s2');
INSERT INTO ports (name, server, router, trunk, vlan) VALUES ('a', 's1', 'r1', 'eth1', 11), ('b', 's2', 'r1', 'eth1', 12);
INSERT INTO hosts (port, vlan, mac) VALUES ('a', 11, {A}), ('b', 12, {B});
INSERT INTO prefixes VALUES ('2001:db8:11::/64', 'a', {A});
INSERT INTO addresses VALUES ('192.0.2.11', 'a', {A});
"""


def port(keys: str, written: str) -> str:
    return f"INSERT INTO ports (name, server, router, {keys}) VALUES ('c', 's1', 'r1', {written})"


def host(keys: str, written: str, name: str = "b") -> str:
    return f"INSERT INTO hosts (port, vlan, {keys}) VALUES ('{name}', {11 if name == 'a' else 12}, {written})"


def prefix(written: str, to: str = f"'b', {B}") -> str:
    return f"INSERT INTO prefixes VALUES ('{written}', {to})"


def address(written: str) -> str:
    return f"INSERT INTO addresses VALUES ('{written}', 'b', {B})"


@pytest.mark.parametrize(
    ("wrong", "constraint", "right"),
    [
        (port("trunk, vlan", "'eth1', 11"), "one_port_a_vlan", port("trunk, vlan", "'eth1', 13")),
        (port("trunk, vlan, interface", "'eth2', 11, 'eth1.11'"), "one_port_an_interface", port("trunk, vlan", "'eth2', 11")),
        (port("interface", "'eth1.12'"), "one_port_an_interface", port("interface", "'tap1'")),
        (port("interface, guard, trunk, vlan", "'x', 'eth1', 'eth2', 11"), "one_port_a_guard", port("interface, guard", "'br1', 'tap1'")),
        (port("trunk", "'eth1'"), "a_trunk_has_a_vlan", port("interface, trunk, vlan", "'vlan13', 'eth1', 13")),
        (port("interface, vlan", "'x', 13"), "a_trunk_has_a_vlan", port("trunk, vlan", "'eth1', 4094")),
        (port("announce", "false"), "netdev", port("interface, announce", "'x', false")),
        (port("trunk, vlan", "'eth1', 4095"), "ports_vlan_check", port("trunk, vlan", "'eth1', 1")),
        (port("interface, qinq", "'x', true"), "two_tags_need_a_trunk", port("trunk, vlan, qinq", "'eth1', 13, true")),
        (port("interface", "'a/b'"), "netdev_check", port("interface", "'a-b'")),
        (port("interface", "'sixteen-letters-'"), "netdev_check", port("interface", "'fifteen-letters'")),
        (port("trunk, vlan", "'twelve-bytes', 1000"), "netdev_check", port("trunk, vlan", "'twelve-byte', 100")),
        (port("interface, mode", "'x', 'off'"), "ports_mode_check", port("interface, mode", "'x', 'audit'")),
        (port("interface, bgp", "'x', '[]'"), "ports_bgp_check", port("interface, bgp", "'x', '{\"med\": 50}'")),
        (port("interface", "'x'").replace("'c'", "'a b'"), "label_check", port("interface", "'x'").replace("'c'", "'a.b'")),
        (port("interface", "'x'").replace("'c'", "'a'"), "ports_pkey", port("interface", "'x'")),
        (port("interface", "'x'").replace("'s1'", "'s3'"), "ports_server_fkey", port("interface", "'x'").replace("'s1'", "'s2'")),
        (host("mac", "'01:54:00:0a:00:0c'"), "a_unicast_mac", host("mac", "'02:54:00:0a:00:0c'")),
        (host("mac", "'ff:ff:ff:ff:ff:ff'"), "a_unicast_mac", host("mac", "'fe:ff:ff:ff:ff:ff'")),
        (host("mac", "'00:00:00:00:00:00'"), "a_unicast_mac", host("mac", "'00:00:00:00:00:01'")),
        (host("mac", B), "hosts_pkey", host("mac", A)),  # the same MAC on another VLAN is another host
        (host("mac", A).replace("12,", "10,"), "hosts_port_vlan_fkey", host("mac", "'02:00:00:00:00:01'")),
        (host("mac, link_local", f"{A}, '2001:db8::1'"), "a_link_local_address", host("mac, link_local", f"{A}, 'fe80::1'")),
        (host("mac, link_local", f"{A}, 'fe80::/64'"), "a_link_local_address", host("mac, link_local", f"{A}, NULL")),
        (prefix("2001:db8:11::/64"), "prefixes_pkey", prefix("2001:db8:12::/64")),
        (prefix("2001:db8:11:0:f::/80"), "no_overlap_across_ports", prefix("2001:db8:11:0:f::/80", f"'a', {A}")),
        (prefix("2001:db8:11::/48"), "no_overlap_across_ports", prefix("2001:db8:11::/48", f"'a', {A}")),
        (prefix("2001:db8:11::1/128"), "no_overlap_across_ports", prefix("2001:db8:11:1::1/128")),
        (prefix("2001:db8::/47"), "from_48_to_128", prefix("2001:db8::/48")),
        (prefix("192.0.2.0/24"), "from_48_to_128", prefix("2001:db8:12::/56")),
        (prefix("2001:db8:12::1/64"), "bits set to right of mask", prefix("2001:db8:12::1/128")),
        (prefix("ff02::/64"), "a_unicast_prefix", prefix("fd00::/64")),
        (prefix("fe80::/64"), "a_unicast_prefix", prefix("fec0::/64")),
        (prefix("::/64"), "a_unicast_prefix", prefix("0:0:0:1::/64")),
        (prefix("::1/128"), "a_unicast_prefix", prefix("::2/128")),
        (prefix("::ffff:192.0.2.1/128"), "a_unicast_prefix", prefix("64:ff9b::192.0.2.1/128")),
        (prefix("2001:db8:12::/64", f"'b', {A}"), "prefixes_port_mac_fkey", prefix("2001:db8:12::/64", f"'b', {B}")),
        (address("192.0.2.11"), "addresses_pkey", address("192.0.2.12")),
        (address("192.0.2.0/24"), "one_ipv4_address", address("192.0.2.0/32")),
        (address("2001:db8::1"), "one_ipv4_address", address("198.51.100.1")),
        (address("127.0.0.1"), "a_unicast_address", address("126.0.0.1")),
        (address("255.255.255.255"), "a_unicast_address", address("223.255.255.255")),
        (address("0.1.2.3"), "a_unicast_address", address("1.2.3.4")),
    ],
)
def test_a_wrong_state_cannot_be_written(billing: psycopg.Connection, wrong: str, constraint: str, right: str) -> None:
    billing.execute(SITE)
    with pytest.raises(psycopg.Error) as caught:
        billing.execute(wrong)
    assert constraint in str(caught.value)
    billing.execute(right)


def test_a_mac_has_one_port_in_a_vlan(billing: psycopg.Connection) -> None:
    billing.execute(SITE)
    billing.execute(
        "INSERT INTO ports (name, server, router, trunk, vlan) VALUES ('c', 's1', 'r2', 'eth1', 11), ('d', 's1', 'r1', 'eth2', 13)"
    )
    with pytest.raises(psycopg.errors.UniqueViolation, match="one_port_a_mac_and_vlan"):
        billing.execute(f"INSERT INTO hosts (port, vlan, mac) VALUES ('c', 11, {A})")
    billing.execute(f"INSERT INTO hosts (port, vlan, mac) VALUES ('d', 13, {A})")


def test_two_hosts_of_a_port_have_two_link_locals(billing: psycopg.Connection) -> None:
    billing.execute(SITE)
    billing.execute("UPDATE hosts SET link_local = 'fe80::1'")
    with pytest.raises(psycopg.errors.UniqueViolation, match="one_host_a_link_local"):
        billing.execute(host("mac, link_local", f"{A}, 'fe80::1'"))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ("UPDATE ports SET announce = false WHERE name = 'a'", "a"),
        ("UPDATE ports SET name = 'z' WHERE name = 'a'", "a z"),
        ("UPDATE ports SET vlan = 20 WHERE name = 'a'", "a"),
        ("DELETE FROM ports WHERE name = 'a'", "a"),
        (port("interface", "'x'"), "c"),
        (host("mac", A), "b"),
        ("UPDATE hosts SET link_local = 'fe80::1' WHERE port = 'a'", "a"),
        (f"UPDATE hosts SET port = 'b', vlan = 12 WHERE mac = {A}", "a b"),
        ("DELETE FROM hosts", "a b"),
        (prefix("2001:db8:12::/64"), "b"),
        (f"UPDATE prefixes SET port = 'b', mac = {B}", "a b"),
        ("DELETE FROM prefixes", "a"),
        (address("192.0.2.12"), "b"),
        (f"UPDATE addresses SET port = 'b', mac = {B}", "a b"),
        ("DELETE FROM addresses", "a"),
        ("UPDATE servers SET in_service = false WHERE name = 's2'", "b"),
        ("UPDATE servers SET name = 's9' WHERE name = 's1'", "a"),
        ("DELETE FROM servers WHERE name = 's1'", "a"),
        ("INSERT INTO servers VALUES ('s3')", ""),
        ("TRUNCATE addresses", "*"),
        ("TRUNCATE servers CASCADE", "*"),
    ],
)
def test_a_change_tells_the_ports_it_is_about(billing: psycopg.Connection, cluster: Cluster, change: str, told: str) -> None:
    billing.execute(SITE)
    with psycopg.connect(cluster.where(billing.info.dbname, "l3ctl"), autocommit=True) as listener:
        listener.execute("LISTEN l3ctl")
        billing.execute(change)
        payloads = [note.payload or "*" for note in listener.notifies(timeout=0.05 if not told else 5, stop_after=1 if told else 0)]
        payloads += [note.payload or "*" for note in listener.notifies(timeout=0)]
    assert sorted(payloads) == told.split()


def test_what_is_written_comes_out_as_ports(billing: psycopg.Connection, cluster: Cluster) -> None:
    billing.execute(SITE)
    billing.execute(port("interface, guard, mode, source_guard, bgp", "'br1', 'tap1', 'audit', true, '{\"med\": 50}'"))
    source = PostgresqlSource(cluster.where(billing.info.dbname, "l3ctl"), QUERY)
    assert [found.name for found in load_inventory(Inventory(source), "r1")] == ["a", "b"], "c has no host yet"
    billing.execute(
        "INSERT INTO hosts (port, mac, link_local) VALUES ('c', '02:00:00:00:00:01', 'fe80::c'), ('c', '02:00:00:00:00:02', NULL)"
    )
    billing.execute(prefix("2001:db8:c::/48", "'c', '02:00:00:00:00:01'"))
    billing.execute(prefix("2001:db8:c:0:f::/96", "'c', '02:00:00:00:00:02'"))
    first, second, third = load_inventory(Inventory(source), "r1")
    assert (first.interface, first.guard, first.vlan_id, str(first.hosts[0].ipv4[0])) == ("eth1.11", "eth1", 11, "192.0.2.11")
    assert second.hosts[0].ipv6 == ()
    assert (third.interface, third.guard, third.vlan_id, third.mode, third.attributes.med) == ("br1", "tap1", None, "audit", 50)
    assert [(str(one.link_local), str(one.ipv6[0])) for one in third.hosts] == [
        ("fe80::c", "2001:db8:c::/48"),
        ("fe80::ff:fe00:2", "2001:db8:c:0:f::/96"),
    ]
    billing.execute("UPDATE servers SET in_service = false WHERE name = 's1'")
    assert [found.name for found in load_inventory(Inventory(source), "r1")] == ["b"]


def test_the_router_hears_of_it_all(billing: psycopg.Connection, cluster: Cluster, reader: Readers) -> None:
    source = reader(QUERY, "l3ctl", where=cluster.where(billing.info.dbname, "l3ctl"))
    assert values(source.read()) == []
    with billing.transaction():
        billing.execute(SITE)
    assert sorted(names(news(source))) == ["a", "b"]
    billing.execute("UPDATE ports SET name = 'z' WHERE name = 'a'")
    renamed = news(source)
    assert (names(renamed), renamed.gone, renamed.whole) == (["z"], {"a"}, False)
    billing.execute("UPDATE ports SET name = name")
    assert sorted(names(news(source))) == ["b", "z"]
    with billing.transaction():
        billing.execute("DELETE FROM ports WHERE name = 'b'")
    assert news(source).gone == {"b"}
    billing.execute("BEGIN; DELETE FROM ports; ROLLBACK")
    assert not readable(source, 0.1)


@pytest.mark.parametrize(
    "attempt",
    [
        *(f"{verb} {table}" for table in ("servers", "ports", "hosts", "prefixes", "addresses") for verb in ("DELETE FROM", "TABLE")),
        "DELETE FROM l3ctl_ports",
        "UPDATE l3ctl_ports SET name = 'x'",
        "INSERT INTO l3ctl_ports (name) VALUES ('x')",
        "CREATE TABLE more (x int)",
        "TRUNCATE ports",
    ],
)
def test_the_router_may_only_read(billing: psycopg.Connection, cluster: Cluster, attempt: str) -> None:
    with psycopg.connect(cluster.where(billing.info.dbname, "l3ctl"), autocommit=True) as router:
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.ObjectNotInPrerequisiteState)):
            router.execute(attempt)
        assert router.execute(QUERY).fetchall() == []


def test_the_example_in_its_head_is_as_written(billing: psycopg.Connection, cluster: Cluster, reader: Readers) -> None:
    head = SCHEMA.read_text().partition("\nCREATE ")[0]
    for statement in re.findall(r"^--   (INSERT .*;)$", head, re.MULTILINE):
        billing.execute(statement)
    (port_found,) = load_inventory(Inventory(PostgresqlSource(cluster.where(billing.info.dbname, "l3ctl"), QUERY)), "r1")
    assert (port_found.name, port_found.vlan_id, str(port_found.hosts[0].ipv6[0])) == ("web1", 11, "2001:db8:11::/64")
