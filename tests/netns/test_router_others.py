"""What another put into the kernel where ours would be: it is named and left alone, and gives way where it is told to."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from l3ctl.desired import METRIC_IPV6
from l3ctl.failures import Failed
from l3ctl.model import GatewayAddress, Neighbour, Route
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link
from l3ctl.xdp.program import load_private
from tests.netns.router_bench import DB, DB1, DB_PREFIXES, FOREIGN_LLADDR, SETTINGS, WEB, WEB1, WEB_PREFIXES, Bench, port

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def only(failed: list[Failed]) -> Failed:
    assert len(failed) == 1, failed
    return failed[0]


@pytest.mark.parametrize(
    ("prefix", "route"),
    [
        ("2001:db8:11::/64", f"route add 2001:db8:11::/64 dev q2 metric {METRIC_IPV6} proto static"),
        ("2001:db8:11::/64", f"route add blackhole 2001:db8:11::/64 metric {METRIC_IPV6}"),
        ("192.0.2.11/32", f"route add 192.0.2.11/32 dev q2 metric {int(IPv4Address('192.0.2.11'))} proto static"),
    ],
    ids=["IPv6", "IPv6 blackhole", "IPv4"],
)
def test_a_foreign_route_in_the_way_is_reported_and_left_alone_and_its_prefix_alone_is_not_announced(
    build: Callable[..., Bench], prefix: str, route: str
) -> None:
    bench = build(WEB1, DB1)
    bench.ip("addr add 198.51.100.1/32 dev q2", route)
    before = bench.show("-6" if ":" in prefix else "-4", "route", "show", prefix)
    for _ in range(2):
        made, failed = bench.full_pass()
        failure = only(failed)
        assert failure.change not in made
        assert (failure.change.port, "stands in the way" in failure.reason) == ("web1", True)
        assert prefix in failure.reason
        assert bench.wished() == (WEB_PREFIXES | DB_PREFIXES) - {prefix}
        assert bench.show("-6" if ":" in prefix else "-4", "route", "show", prefix) == before
    assert {str(change.item) for change in bench.router.plan()} == {str(failure.change.item), f"prefix {prefix}"}
    bench.ip(route.replace("route add", "route del"))
    assert bench.router.look_again({"web1"})[1] == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_foreign_route_that_takes_the_place_of_ours_ends_the_announcement(bench: Bench) -> None:
    bench.namespace.run(*f"ip -6 route replace 2001:db8:11::/64 dev q2 metric {METRIC_IPV6} proto static".split())
    bench.until(lambda: bench.wished() == (WEB_PREFIXES | DB_PREFIXES) - {"2001:db8:11::/64"}, bench.look)
    assert "proto static" in bench.show("-6", "route", "show", "2001:db8:11::/64")
    bench.ip("route del 2001:db8:11::/64 dev q2 proto static")
    bench.settle(lambda: bench.router.look_again({"web1"}))
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


@pytest.mark.parametrize("netdev", ["p0", "p2", "q2"], ids=["on its port", "on another netdev", "on no port"])
def test_a_foreign_path_that_joined_our_route_is_reported_and_left_alone(bench: Bench, netdev: str) -> None:
    bench.namespace.run(*f"ip -6 route append 2001:db8:11::/64 via fe80::99 dev {netdev} metric {METRIC_IPV6} proto static".split())
    bench.full_pass()
    for _ in range(3):
        made, failed = bench.full_pass()
        assert made == []
        assert "another's route has joined ours" in only(failed).reason
        assert bench.router.look_again({only(failed).change.port})[0] == []
    assert "fe80::99" in bench.show("-6", "route", "show", "2001:db8:11::/64")
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    bench.namespace.run(*f"ip -6 route del 2001:db8:11::/64 via fe80::99 dev {netdev} proto static".split())
    bench.settle()


def test_a_route_of_ours_that_somebody_brings_back_is_removed_each_time(bench: Bench) -> None:
    for _ in range(3):
        bench.namespace.run(*f"ip -6 route add 2001:db8:99::/64 via fe80::99 dev p0 metric {METRIC_IPV6} proto 201".split())
        made, failed = bench.router.look_again({"web1"})
        assert ([str(change.verb) for change in made], failed) == (["remove"], [])
        assert "2001:db8:99" not in bench.show("-6", "route", "show")


def test_a_foreign_permanent_neighbour_of_an_ipv4_address_holds_back_that_address_alone(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    bench.ip(f"neigh add 192.0.2.11 lladdr {FOREIGN_LLADDR} dev p0 nud permanent")
    for _ in range(2):
        failure = only(bench.full_pass()[1])
        assert "stands in the way" in failure.reason
        assert bench.wished() == (WEB_PREFIXES | DB_PREFIXES) - {"192.0.2.11/32"}
        assert FOREIGN_LLADDR in bench.show("neigh", "show", "192.0.2.11")
    assert "192.0.2.11" not in bench.show("route", "show")
    bench.ip("neigh del 192.0.2.11 dev p0")
    bench.router.look_again({"web1"})
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_foreign_permanent_neighbour_of_a_link_local_holds_back_that_host_and_no_other(build: Callable[..., Bench]) -> None:
    bench = build(port("web1", "p0", WEB, DB))
    bench.ip(f"neigh add {WEB.link_local} lladdr {FOREIGN_LLADDR} dev p0 nud permanent")
    for _ in range(2):
        assert "stands in the way" in only(bench.full_pass()[1]).reason
        assert bench.wished() == DB_PREFIXES
    assert "2001:db8:11:" not in bench.show("-6", "route", "show")
    bench.ip(f"neigh del {WEB.link_local} dev p0")
    bench.router.look_again({"web1"})
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_foreign_address_in_the_gateways_place_is_reported_and_nothing_waits_for_it(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    bench.ip("addr add fe80::1/64 dev p0 nodad")
    assert "stands in the way" in only(bench.full_pass()[1]).reason
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_another_xdp_program_in_the_filters_place_keeps_the_whole_port_back(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    other = Link.attach(load_private(False).program, bench.router.kernel.links()["p0"].ifindex, XDP_FLAGS_SKB_MODE)
    for _ in range(2):
        failure = only(bench.full_pass()[1])
        assert (failure.change.port, "another XDP program" in failure.reason) == ("web1", True)
        assert bench.wished() == DB_PREFIXES
        assert bench.leftovers("p0") == ""
    other.close()
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_filter_that_cannot_be_put_back_ends_the_announcements_of_its_port(bench: Bench) -> None:
    bench.take_filter_off("p0")
    other = Link.attach(load_private(False).program, bench.router.links["p0"].ifindex, XDP_FLAGS_SKB_MODE)
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    other.close()
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_foreign_route_of_the_same_prefix_beside_ours_is_told_of_wherever_it_leads(bench: Bench) -> None:
    bench.ip("route add 2001:db8:11::/64 dev q2 metric 50 proto static")
    assert bench.router.plan() == []
    assert [text for text in bench.router.present.foreign if "2001:db8:11::/64" in text and "q2" in text]


def test_what_is_anothers_gives_way_when_told_to(build: Callable[..., Bench]) -> None:
    bench = build(WEB1)
    bench.ip(
        f"route add 2001:db8:11::/64 via fe80::9 dev p2 metric {METRIC_IPV6} proto 99",
        f"neigh add 192.0.2.11 lladdr {FOREIGN_LLADDR} dev p0 nud permanent",
        "addr add fe80::1/64 dev p0 nodad",
    )
    _, failed = bench.full_pass()
    assert {type(one.change.item) for one in failed} == {Route, Neighbour, GatewayAddress}
    assert all("stands in the way" in one.reason for one in failed)
    bench.router.take_over = True
    assert bench.full_pass()[1] == []
    bench.router.take_over = False
    bench.settle()
    assert "proto 99" not in bench.show("-6", "route", "show") + bench.show("route", "show")
    assert FOREIGN_LLADDR not in bench.show("neigh", "show", "dev", "p0")
    assert bench.wished() == WEB_PREFIXES


def test_an_on_link_route_of_anothers_gives_way_and_ours_on_another_port_stays(build: Callable[..., Bench]) -> None:
    """Hosts on two ports may have one link-local: the routes to it stand beside each other, one for each netdev."""
    link_local = IPv6Address("fe80::1:2")
    ports = [replace(one, hosts=(replace(one.hosts[0], link_local=link_local),)) for one in (WEB1, DB1)]
    bench = build(*ports[:1])
    bench.full_pass()
    bench.ip("route append fe80::1:2 dev p1 metric 201 proto 99")
    bench.router.replace(ports, SETTINGS)
    assert any("of protocol 99 stands in the way" in one.reason for one in bench.full_pass()[1])
    bench.router.take_over = True
    assert bench.full_pass()[1] == []
    bench.router.take_over = False
    assert bench.full_pass() == ([], [])
    shown = bench.show("-6", "route", "show", "fe80::1:2")
    assert "proto 99" not in shown
    assert {"p0", "p1"} == {line.split()[2] for line in shown.splitlines()}


@pytest.mark.parametrize(
    "standing",
    [
        (
            f"route add 2001:db8:11::/64 dev p2 metric {METRIC_IPV6} proto 99",
            f"route append 2001:db8:11::/64 via fe80::2 dev p2 metric {METRIC_IPV6} proto 99",
        ),
        (f"route add blackhole 2001:db8:11::/64 metric {METRIC_IPV6} proto 99",),
        (f"route add 192.0.2.11/32 dev p2 metric {int(IPv4Address('192.0.2.11'))} proto 99",),
        (f"route add prohibit 192.0.2.11/32 metric {int(IPv4Address('192.0.2.11'))} proto 99",),
    ],
)
def test_whatever_stands_there_gives_way_and_nothing_of_it_is_left(build: Callable[..., Bench], standing: tuple[str, ...]) -> None:
    bench = build(WEB1)
    bench.ip(*standing)
    assert bench.full_pass()[1] != []
    bench.router.take_over = True
    assert bench.full_pass()[1] == []
    bench.router.take_over = False
    bench.settle()
    assert "proto 99" not in bench.show("-6", "route", "show") + bench.show("route", "show")
    assert "dev p0" in bench.show("-6", "route", "get", "2001:db8:11::5")
    assert "dev p0" in bench.show("route", "get", "192.0.2.11")
