"""A whole router against the real kernel and the real filter."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from l3ctl.desired import METRIC_IPV6, desired
from l3ctl.failures import Failed
from l3ctl.model import Change, GatewayAddress, Neighbour, Route, Verb
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link, Map
from l3ctl.xdp.program import load_private
from tests.netns.router_bench import DB, DB1, DB_PREFIXES, FOREIGN_LLADDR, SETTINGS, WEB, WEB1, WEB_PREFIXES, Bench, host, port, veth

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_full_pass_installs_everything_from_nothing_and_leaves_nothing_to_do(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    planned = bench.router.plan()
    made, failed = bench.full_pass()
    assert made == planned
    assert failed == []
    assert bench.router.plan() == []
    assert bench.full_pass() == ([], [])
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.attached() == {"p0", "p1"}


def test_a_plan_changes_nothing(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    assert bench.router.plan() == bench.router.plan() != []
    assert bench.leftovers("p0") == ""
    assert bench.attached() == set()


def test_what_the_kernel_would_believe_a_customer_is_turned_off_before_anything_is_installed(bench: Bench) -> None:
    for setting, value in (
        ("ipv6/conf/p0/accept_ra", "0"),
        ("ipv6/conf/p0/accept_redirects", "0"),
        ("ipv4/conf/p1/drop_gratuitous_arp", "1"),
    ):
        assert Path("/proc/sys/net", setting).read_text().strip() == value


def test_a_returning_agent_adopts_what_it_finds_and_only_announces(bench: Bench, build: Callable[..., Bench]) -> None:
    again = build(WEB1, DB1)
    made, failed = again.full_pass()
    assert {change.verb for change in made} == {"announce"}
    assert failed == []
    assert again.wished() == WEB_PREFIXES | DB_PREFIXES


def overwrite_records(bench: Bench) -> None:
    records = Map.open(bench.pins / "map-ports")
    for number in (1, 2):
        records.update(number.to_bytes(4, "little"), bytes(records.value_size))


def wipe_hosts(bench: Bench) -> None:
    hosts = Map.open(bench.pins / "map-hosts")
    for key, _ in list(hosts.items()):
        hosts.delete(key)


def remove_pin(bench: Bench) -> None:
    (bench.pins / f"link-{bench.router.links['p0'].ifindex}").unlink()


INJURIES: dict[str, Callable[[Bench], object]] = {
    "IPv6 neighbour deleted": lambda bench: bench.ip(f"neigh del {WEB.link_local} dev p0"),
    "IPv4 neighbour deleted": lambda bench: bench.ip("neigh del 192.0.2.11 dev p0"),
    "neighbour given another MAC": lambda bench: bench.ip(f"neigh replace {WEB.link_local} lladdr {FOREIGN_LLADDR} dev p0 nud permanent"),
    "neighbour made a learned one": lambda bench: bench.ip(f"neigh replace {WEB.link_local} lladdr {FOREIGN_LLADDR} dev p0 nud reachable"),
    "every neighbour flushed": lambda bench: bench.ip("neigh flush dev p0 nud all"),
    "IPv6 route deleted": lambda bench: bench.ip("route del 2001:db8:11::/64 dev p0"),
    "IPv4 route deleted": lambda bench: bench.ip("route del 192.0.2.11/32 dev p0"),
    "every route flushed": lambda bench: (bench.show("-6", "route", "flush", "dev", "p0"), bench.show("-4", "route", "flush", "dev", "p0")),
    "gateway's address deleted": lambda bench: bench.ip("addr del fe80::1/64 dev p0"),
    "every address flushed": lambda bench: bench.show("addr", "flush", "dev", "p0"),
    "filter taken off": remove_pin,
    "filter's records overwritten": overwrite_records,
    "filter's hosts wiped": wipe_hosts,
    "MAC of the port changed": lambda bench: bench.ip("link set p0 address 02:00:00:00:00:77"),
    "IPv6 turned off and on": lambda bench: [bench.namespace.sysctl(f"net.ipv6.conf.p0.disable_ipv6={value}") for value in (1, 0)],
    "MTU below IPv6's and back": lambda bench: bench.ip("link set p0 mtu 1000", "link set p0 mtu 1500"),
    "administratively down and up": lambda bench: bench.ip("link set p0 down", "link set p0 up"),
    "netdev deleted and made again": lambda bench: bench.ip("link del p0", *veth("p0")),
    "netdevs of two ports exchanged": lambda bench: bench.ip(
        *(f"link set {one} down" for one in ("p0", "p1")),
        *("link set p0 name tmp", "link set p1 name p0", "link set tmp name p1"),
        *(f"link set {one} up" for one in ("p0", "p1")),
    ),
}


@pytest.mark.parametrize("injury", INJURIES.values(), ids=INJURIES.keys())
@pytest.mark.parametrize("by", ["events", "full pass"])
def test_what_is_damaged_by_hand_is_put_right(bench: Bench, injury: Callable[[Bench], object], by: str) -> None:
    injury(bench)
    assert bench.router.plan() != []
    bench.settle(bench.look if by == "events" else bench.full_pass)
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.attached() == {"p0", "p1"}


def test_a_filter_that_is_taken_off_again_before_the_next_comparison_is_missed(bench: Bench) -> None:
    bench.full_pass()
    bench.router.disturbed()
    for _ in range(2):
        assert not bench.router.displaced()
        remove_pin(bench)
        bench.until(bench.router.displaced)
        for _ in bench.router.look_again_at(bench.router.disturbed()):
            pass
    assert not bench.router.displaced()
    assert bench.router.plan() == []


@pytest.mark.parametrize("by", ["events", "full pass"])
@pytest.mark.parametrize(
    ("down", "up"),
    [("link set q0 down", "link set q0 up"), ("link set p0 down", "link set p0 up")],
    ids=["carrier", "administratively"],
)
def test_a_port_is_announced_while_its_link_is_up_and_not_while_it_is_down(bench: Bench, down: str, up: str, by: str) -> None:
    step = bench.look if by == "events" else bench.full_pass
    bench.ip(down)
    bench.until(lambda: bench.wished() == DB_PREFIXES, step)
    bench.settle(step)
    assert "2001:db8:11" not in bench.show("-6", "route", "show")
    assert bench.attached() == {"p0", "p1"}
    bench.ip(up)
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, step)
    bench.settle(step)


def test_without_carrier_the_neighbours_stay(bench: Bench) -> None:
    bench.ip("link set q0 down")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    assert bench.show("neigh", "show", "dev", "p0", "nud", "permanent").count("PERMANENT") == 2


def test_a_netdev_that_goes_takes_its_port_with_it_and_brings_it_back(bench: Bench) -> None:
    bench.ip("link del p0")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    bench.settle()
    assert bench.attached() == {"p1"}
    bench.ip(*veth("p0"))
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, bench.look)
    bench.settle()


@pytest.mark.parametrize("looked_in_between", [False, True])
def test_a_renamed_netdev_is_left_without_anything_of_ours(bench: Bench, looked_in_between: bool) -> None:
    """Also when somebody asked for the status before the event was read: links are then known by their new names already."""
    bench.ip("link set p0 name x0")
    if looked_in_between:
        assert bench.router.plan() != []
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    bench.settle()
    assert bench.leftovers("x0") == ""
    assert bench.attached() == {"p1"}
    bench.ip("link set x0 name p0")
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, bench.look)
    bench.settle()


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
    remove_pin(bench)
    other = Link.attach(load_private(False).program, bench.router.links["p0"].ifindex, XDP_FLAGS_SKB_MODE)
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    other.close()
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_foreign_route_of_the_same_prefix_beside_ours_is_told_of_wherever_it_leads(bench: Bench) -> None:
    bench.ip("route add 2001:db8:11::/64 dev q2 metric 50 proto static")
    assert bench.router.plan() == []
    assert [text for text in bench.router.present.foreign if "2001:db8:11::/64" in text and "q2" in text]


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


def test_with_mtu_too_small_for_ipv6_the_port_is_reported_and_not_announced_until_it_is_large_enough(bench: Bench) -> None:
    bench.ip("link set p0 mtu 1000")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    _, failed = bench.full_pass()
    assert {failure.change.port for failure in failed} == {"web1"}
    bench.ip("link set p0 mtu 1500")
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_many_flaps_end_with_nothing_to_do(bench: Bench) -> None:
    for number in range(30):
        bench.ip(f"link set q{number % 2} down", f"link set p{number % 2} down", f"link set q{number % 2} up", f"link set p{number % 2} up")
        bench.look()
    bench.until(lambda: all(bench.router.kernel.links()[name].up for name in ("p0", "p1")))
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_states_tell_each_port_by_its_own_interface(bench: Bench) -> None:
    links = bench.router.kernel.links()
    states = bench.router.present.states(None, links)
    assert states == {one.name: desired(one, links, SETTINGS) for one in (WEB1, DB1)}
    assert bench.router.present.states({"web1"}, links) == {"web1": states["web1"]}


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


def test_a_pass_that_finds_nothing_new_sees_what_was_done_behind_its_back(bench: Bench) -> None:
    """A look that nothing differs is a comparison of bytes; whatever is injured there, the bytes tell."""
    assert bench.router.filter is not None
    injuries = (
        "neigh del {} dev p0",
        "neigh replace {} lladdr 02:00:00:00:00:66 dev p0 nud permanent protocol 201",
        "neigh replace {} lladdr 52:54:00:0a:00:0b dev p0 nud permanent protocol 3",
        "route del 2001:db8:11::/64 metric 201",
        "addr del fe80::1/64 dev p0",
        "link set p0 address 02:00:00:00:00:77",
        "link set p0 mtu 1000",
    )
    for injury in injuries:
        assert bench.full_pass() == ([], [])
        assert bench.full_pass() == ([], [])
        bench.ip(injury.format(WEB.link_local))
        made, failed = bench.full_pass()
        assert made or failed, injury
        if "mtu" in injury:
            bench.ip("link set p0 mtu 1500")
        if "protocol 3" in injury:
            bench.ip(f"neigh del {WEB.link_local} dev p0")
        bench.settle()
    for name in ("ports", "hosts", "gateways", "prefixes"):
        assert bench.full_pass() == ([], [])
        assert bench.full_pass() == ([], [])
        pinned = Map.open(bench.pins / f"map-{name}")
        key = (1).to_bytes(4, "little") if name == "ports" else next(pinned.items())[0]
        if name == "ports":
            pinned.update(key, bytes(pinned.value_size))
        else:
            pinned.delete(key)
        assert bench.full_pass()[0], name
        bench.settle()


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


def test_a_step_that_broke_off_is_made_up_for_in_the_next_full_pass(bench: Bench) -> None:
    """The agent asks for one; it must not take what the links were by then for what they were when all was well."""
    bench.ip("link set q0 down")
    bench.settle()
    assert bench.full_pass() == ([], [])
    bench.events.read()
    bench.ip("link set q0 up")
    bench.until(lambda: bench.router.kernel.links()["p0"].up)
    batch = bench.events.read()
    bench.router.concerned(batch.ifindexes, batch.links_changed)  # and here it broke off
    made, failed = bench.full_pass()
    assert made
    assert failed == []


def test_a_neighbour_of_ours_with_one_state_too_many_is_made_anew_once(bench: Bench) -> None:
    bench.ip(f"neigh replace {WEB.link_local} lladdr {WEB.lladdr} dev p0 nud noarp protocol 201")
    bench.settle()
    assert bench.full_pass() == ([], [])
    assert "PERMANENT" in bench.show("neigh", "show", str(WEB.link_local), "dev", "p0")
