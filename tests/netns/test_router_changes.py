"""An inventory or settings that change: what a router then has, and that nothing is left of what it had."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from l3ctl.desired import desired
from l3ctl.model import Change, Neighbour, Verb
from tests.netns.router_bench import DB, DB1, DB_PREFIXES, FOREIGN_LLADDR, SETTINGS, WEB, WEB1, WEB_PREFIXES, Bench, host, port

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_port_that_left_the_inventory_goes_without_a_trace_and_comes_back(bench: Bench) -> None:
    bench.router.replace([DB1], SETTINGS)
    made, failed = bench.full_pass()
    assert failed == []
    assert bench.router.plan() == []
    assert bench.wished() == DB_PREFIXES
    assert bench.leftovers("p0") == ""
    assert bench.attached() == {"p1"}
    assert {change.verb for change in made} == {"withdraw", "remove"}
    bench.router.replace([WEB1, DB1], SETTINGS)
    assert bench.full_pass()[1] == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.router.plan() == []


def test_a_port_that_left_the_inventory_with_its_netdev_goes_all_the_same(bench: Bench) -> None:
    bench.ip("link del p0")
    bench.router.replace([DB1], SETTINGS)
    assert bench.full_pass()[1] == []
    assert bench.router.plan() == []
    assert bench.wished() == DB_PREFIXES


def test_what_a_former_run_left_on_netdevs_without_port_goes(bench: Bench) -> None:
    former = desired(port("gone", "p2", host(77, "2001:db8:77::/64", "192.0.2.77/32")), bench.router.kernel.links(), SETTINGS)
    items = [*former.addresses, *former.neighbours, *former.routes]
    assert bench.router.kernel.apply([Change("gone", Verb.ADD, item) for item in items]) == []
    bench.ip(f"neigh add fe80::78 lladdr {FOREIGN_LLADDR} dev p2 nud permanent")
    made, failed = bench.full_pass()
    assert ({change.port for change in made}, len(made), failed) == ({"-p2"}, 6, [])
    assert bench.leftovers("p2") == ""
    assert "fe80::78" in bench.show("neigh", "show", "dev", "p2", "nud", "permanent")
    assert bench.router.plan() == []


def test_a_port_moves_to_another_netdev_and_leaves_nothing_behind(bench: Bench) -> None:
    bench.router.replace([port("web1", "p2", WEB), DB1], SETTINGS)
    made, failed = bench.full_pass()
    assert failed == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.leftovers("p0") == ""
    assert bench.attached() == {"p1", "p2"}
    assert {str(one.item) for one in made if one.verb == "withdraw"} == {f"prefix {prefix}" for prefix in WEB_PREFIXES}


def test_two_ports_exchange_their_netdevs_in_one_pass(bench: Bench) -> None:
    bench.router.replace([port("web1", "p1", WEB), port("db1", "p0", DB)], SETTINGS)
    assert bench.full_pass()[1] == []
    bench.settle(bench.full_pass)
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.attached() == {"p0", "p1"}
    assert "via fe80::5054:ff:fe0a:b dev p1" in bench.show("-6", "route", "show", "2001:db8:11::/64")


def test_a_prefix_moves_between_ports_in_one_pass(bench: Bench) -> None:
    poorer = replace(WEB, ipv6=WEB.ipv6[1:], ipv4=())
    richer = replace(DB, ipv6=(*DB.ipv6, WEB.ipv6[0]), ipv4=(*DB.ipv4, *WEB.ipv4))
    bench.router.replace([port("web1", "p0", poorer), port("db1", "p1", richer)], SETTINGS)
    assert bench.full_pass()[1] == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    for family, prefix in (("-6", "2001:db8:11::/64"), ("-4", "192.0.2.11")):
        assert f"via {'inet6 ' if family == '-4' else ''}{DB.link_local} dev p1" in bench.show(family, "route", "show", prefix)


def test_a_host_gets_another_mac_and_link_local(bench: Bench) -> None:
    other = replace(WEB, lladdr="52:54:00:0a:00:7b", link_local=IPv6Address("fe80::7b"))
    bench.router.replace([port("web1", "p0", other), DB1], SETTINGS)
    assert bench.full_pass()[1] == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert WEB.lladdr not in bench.show("neigh", "show", "dev", "p0", "nud", "all")


def test_a_renamed_port_stays_what_it_is(bench: Bench) -> None:
    bench.router.replace([replace(WEB1, name="www1"), DB1], SETTINGS)
    made, failed = bench.full_pass()
    assert failed == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert {type(change.item).__name__ for change in made} == {"PortPolicy", "Announcement"}


UPLINK = Neighbour("p2", IPv6Address("fe80::b1"), "02:00:00:00:00:b1")
UPLINK4 = Neighbour("p2", IPv4Address("198.51.100.1"), "02:00:00:00:00:b1")
COVER = (IPv6Network("2001:db8::/32"), IPv4Network("192.0.2.0/24"))


def with_settings(bench: Bench, **changed: object) -> None:
    bench.router.replace((WEB1, DB1), replace(SETTINGS, **changed))
    assert bench.full_pass()[1] == []
    assert bench.router.plan() == []


def test_upstream_routers_are_permanent_neighbours_and_their_netdev_is_otherwise_left_alone(bench: Bench) -> None:
    bench.ip("link set p2 addrgenmode eui64", "link set p2 down", "link set p2 up", "addr add 198.51.100.2/30 dev p2")
    with bench.namespace.entered():
        conf = Path("/proc/sys/net/ipv6/conf/p2")
        before = {file.name: file.read_text() for file in conf.iterdir() if file.name != "stable_secret"}
        with_settings(bench, uplinks=(UPLINK, UPLINK4))
        assert {file.name: file.read_text() for file in conf.iterdir() if file.name != "stable_secret"} == before
    assert "fe80::b1 lladdr 02:00:00:00:00:b1 PERMANENT proto 201" in bench.show("neigh", "show", "dev", "p2").replace("l3ctl", "201")
    assert bench.show("-6", "addr", "show", "dev", "p2", "scope", "link") != ""
    assert bench.attached() == {"p0", "p1"}

    bench.events.read()
    bench.ip("neigh del fe80::b1 dev p2", "link set p2 down", "link set p2 up")
    bench.settle()
    assert "02:00:00:00:00:b1 PERMANENT" in bench.show("neigh", "show", "fe80::b1", "dev", "p2")
    with_settings(bench)
    assert bench.leftovers("p2") == ""


def test_a_neighbour_learned_on_an_uplink_gives_way_to_the_configured_one(bench: Bench) -> None:
    bench.ip("neigh add fe80::b1 lladdr 02:00:00:00:00:66 dev p2 nud reachable")
    with_settings(bench, uplinks=(UPLINK,))
    assert "02:00:00:00:00:b1 PERMANENT" in bench.show("neigh", "show", "fe80::b1", "dev", "p2")


def test_what_covers_the_hosts_is_a_blackhole_and_catches_who_is_not_there(bench: Bench) -> None:
    bench.ip("route add 0.0.0.0/0 via inet6 fe80::b1 dev p2 onlink", "route add ::/0 via fe80::b1 dev p2 onlink")
    with_settings(bench, blackholes=COVER)
    assert "blackhole 192.0.2.0/24" in bench.show("route", "show", "proto", "201")
    assert "blackhole 2001:db8::/32" in bench.show("-6", "route", "show", "proto", "201")
    assert "dev p0" in bench.show("-6", "route", "get", "2001:db8:11::5")
    bench.ip("link set q0 down")
    bench.settle()
    for family, address in (("-6", "2001:db8:11::5"), ("-4", "192.0.2.11")):
        told = bench.namespace.run("ip", family, "route", "get", address, ok=(0, 1, 2))
        assert "dev p2" not in told
    bench.events.read()
    for command in ("route del blackhole 192.0.2.0/24", "route del blackhole 2001:db8::/32"):
        bench.ip(command)
        bench.settle()
    with_settings(bench)
    assert "blackhole" not in bench.show("route", "show") + bench.show("-6", "route", "show")
