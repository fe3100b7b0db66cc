"""One change at a time: what it leaves behind, and what it leaves alone."""

import time
from collections.abc import Callable, Iterator

import pytest

from l3ctl.kernel.found import Found
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Announcement, Item
from tests.netns.kernel_ports import LLADDR, OTHER_LLADDR, Router, add, gateway, neighbour, on_link, remove, replace, route, router_with

pytestmark = pytest.mark.root


@pytest.fixture
def router(namespace: Callable[[], Namespace]) -> Iterator[Router]:
    with router_with(namespace, "p0", "p1") as one:
        yield one


def items(found: Found) -> set[Item]:
    return {*found.addresses, *found.neighbours, *found.routes}


ONE_OF_EACH = [
    gateway("p0"),
    neighbour("p0", "fe80::5"),
    neighbour("p0", "192.0.2.11"),
    route("p0", "2001:db8:11::/64"),
    route("p0", "2001:db8:12::/48"),
    route("p0", "2001:db8:13::7/128"),
    on_link("p0", "fe80::5/128"),
    route("p0", "192.0.2.11/32"),
    route("p0", "255.255.255.254/32"),
    *(
        item
        for table in (7, 255, 256, 4_000_000_000)
        for item in (
            route("p0", "2001:db8:11::/64", table=table),
            on_link("p0", "fe80::5/128", table),
            route("p0", "192.0.2.11/32", table=table),
        )
    ),
]

REPLACEMENTS = [
    (gateway("p0", "fe80::1/64"), gateway("p0", "fe80::1/128")),
    (gateway("p0", "fe80::1/64"), gateway("p0", "fe80::2/64")),
    (neighbour("p0", "fe80::5"), neighbour("p0", "fe80::5", OTHER_LLADDR)),
    (neighbour("p0", "192.0.2.11"), neighbour("p0", "192.0.2.11", OTHER_LLADDR)),
    (neighbour("p0", "fe80::5"), neighbour("p1", "fe80::5")),
    (route("p0", "2001:db8:11::/64"), route("p1", "2001:db8:11::/64")),
    (route("p0", "2001:db8:11::/64"), route("p0", "2001:db8:11::/64", "fe80::6")),
    (route("p0", "2001:db8:11::/64"), route("p0", "2001:db8:11::/64", metric=77)),
    (on_link("p0", "fe80::5/128"), on_link("p1", "fe80::5/128")),
    (route("p0", "2001:db8:11::/64"), route("p0", "2001:db8:11::/64", table=70_000)),
    (route("p0", "2001:db8:11::/64", table=70_000), route("p1", "2001:db8:11::/64", table=7)),
    (on_link("p0", "fe80::5/128", 70_000), on_link("p0", "fe80::5/128")),
    (route("p0", "192.0.2.11/32", table=7), route("p0", "192.0.2.11/32", table=70_000)),
    (route("p0", "192.0.2.11/32"), route("p1", "192.0.2.11/32")),
    (route("p0", "192.0.2.11/32"), route("p0", "192.0.2.11/32", "fe80::6")),
]


@pytest.mark.parametrize("item", ONE_OF_EACH, ids=str)
def test_what_is_added_is_read_back_and_what_is_removed_is_gone(router: Router, item: Item) -> None:
    assert router.apply(add(item)) == []
    assert items(router.kernel.read()) == {item}
    assert items(router.kernel.read(["p0"])) == {item}
    assert items(router.kernel.read(["p1"])) == set()
    assert router.apply(remove(item)) == []
    assert items(router.kernel.read()) == set()


@pytest.mark.parametrize("item", ONE_OF_EACH, ids=str)
def test_adding_what_is_there_and_removing_what_is_gone_are_successes(router: Router, item: Item) -> None:
    assert router.apply(add(item), add(item)) == []
    assert router.apply(add(item)) == []
    assert items(router.kernel.read()) == {item}
    assert router.apply(remove(item), remove(item)) == []
    assert router.apply(remove(item)) == []


@pytest.mark.parametrize(("was", "item"), REPLACEMENTS, ids=str)
def test_a_replacement_leaves_the_new_one_only(router: Router, was: Item, item: Item) -> None:
    assert router.apply(add(was), replace(was, item)) == []
    assert items(router.kernel.read()) == {item}


@pytest.mark.parametrize(("was", "item"), REPLACEMENTS, ids=str)
def test_a_replacement_whose_predecessor_is_gone_adds(router: Router, was: Item, item: Item) -> None:
    assert router.apply(replace(was, item)) == []
    assert items(router.kernel.read()) == {item}


def test_nothing_is_read_in_a_fresh_namespace_which_has_no_main_table_yet(namespace: Callable[[], Namespace]) -> None:
    with router_with(namespace) as bare:
        assert bare.kernel.read() == Found()
        assert bare.kernel.read(["lo", "nowhere"]) == Found()


def test_many_interfaces_are_read_as_each_is_alone(router: Router) -> None:
    names = [f"p{number}" for number in range(2, 30)]
    router.ip(*(f"link add {name} type veth peer name {name.replace('p', 'q')}" for name in names))
    router.ip(*(f"link set {end} up" for name in names for end in (name, name.replace("p", "q"))))
    wanted = [item for name in names for item in (gateway(name), neighbour(name, "fe80::5"), route(name, f"2001:db8:{name[1:]}::/64"))]
    assert router.apply(*map(add, wanted)) == []
    assert items(router.kernel.read(names[:20])) == {item for item in wanted if item.interface in names[:20]}
    assert items(router.kernel.read(names[:3])) == {item for item in wanted if item.interface in names[:3]}


@pytest.mark.parametrize("state", ["reachable", "stale", "failed", "noarp"])
@pytest.mark.parametrize("address", ["fe80::5", "192.0.2.11"])
def test_an_entry_that_is_not_permanent_is_overwritten(router: Router, address: str, state: str) -> None:
    router.ip(f"neigh add {address} lladdr {OTHER_LLADDR} dev p0 nud {state}")
    assert router.apply(add(neighbour("p0", address))) == []
    assert items(router.kernel.read()) == {neighbour("p0", address)}


def test_an_entry_learned_from_a_packet_is_overwritten(router: Router, namespace: Callable[[], Namespace]) -> None:
    host = namespace()
    router.ip(f"link set q0 netns {host.name}", "addr add 192.0.2.1/24 dev p0")
    host.ip("link set q0 up", "addr add 192.0.2.11/24 dev q0")
    router.namespace.run("ping", "-c", "1", "-W", "5", "192.0.2.11")
    assert "REACHABLE" in router.show("neigh", "show", "192.0.2.11", "dev", "p0")
    assert router.apply(add(neighbour("p0", "192.0.2.11"))) == []
    assert items(router.kernel.read()) == {neighbour("p0", "192.0.2.11")}


def test_what_another_made_of_our_own_neighbour_is_put_right(router: Router) -> None:
    assert router.apply(add(neighbour("p0", "fe80::5"))) == []
    router.ip(f"neigh replace fe80::5 lladdr {OTHER_LLADDR} dev p0 nud permanent")
    assert items(router.kernel.read()) == {neighbour("p0", "fe80::5", OTHER_LLADDR)}
    router.ip(f"neigh replace fe80::5 lladdr {OTHER_LLADDR} dev p0 nud reachable")
    assert items(router.kernel.read()) == set()
    assert router.apply(add(neighbour("p0", "fe80::5"))) == []
    assert items(router.kernel.read()) == {neighbour("p0", "fe80::5")}


IN_THE_WAY = [
    (f"neigh add fe80::5 lladdr {OTHER_LLADDR} dev p0", neighbour("p0", "fe80::5"), OTHER_LLADDR),
    (f"neigh add fe80::5 lladdr {LLADDR} dev p0", neighbour("p0", "fe80::5"), "protocol 0"),
    (f"neigh add 192.0.2.11 lladdr {OTHER_LLADDR} dev p0 protocol bird", neighbour("p0", "192.0.2.11"), "protocol 12"),
    ("route add 2001:db8:11::/64 via fe80::5 dev p1 metric 201", route("p0", "2001:db8:11::/64"), "dev p1"),
    ("route add 2001:db8:11::/64 via fe80::5 dev p0 metric 201 proto bird", route("p0", "2001:db8:11::/64"), "protocol 12"),
    ("route add blackhole 2001:db8:11::/64 metric 201", route("p0", "2001:db8:11::/64"), "metric 201"),
    ("route add 192.0.2.11/32 dev p1 metric 3221225995", route("p0", "192.0.2.11/32"), "dev p1"),
    (
        "route add 2001:db8:11::/64 via fe80::5 dev p1 metric 201 proto bird table 70000",
        route("p0", "2001:db8:11::/64", table=70_000),
        "dev p1 metric 201 table 70000 of protocol 12",
    ),
    ("route add blackhole 2001:db8:11::/64 metric 201 table 7", route("p0", "2001:db8:11::/64", table=7), "metric 201 table 7"),
    ("route add 192.0.2.11/32 dev p1 metric 3221225995 table 7", route("p0", "192.0.2.11/32", table=7), "metric 3221225995 table 7"),
    ("addr add fe80::1/64 dev p0 nodad", gateway("p0"), "fe80::1/64"),
    ("addr add fe80::1/128 dev p0 nodad", gateway("p0"), "fe80::1/128"),
]


@pytest.mark.parametrize(("standing", "item", "told"), IN_THE_WAY)
def test_what_is_anothers_is_neither_overwritten_nor_removed(router: Router, standing: str, item: Item, told: str) -> None:
    router.ip(standing)
    before = tables(router)
    (reason,) = router.apply(add(item))
    assert told in reason
    assert "stands in the way" in reason
    assert router.apply(remove(item)) == []
    (reason,) = router.apply(replace(item, item))
    assert told in reason
    assert tables(router) == before


def tables(router: Router) -> tuple[str, ...]:
    addresses = router.show("-6", "-o", "addr", "show", "scope", "link").splitlines()
    fixed = "\n".join(line for line in addresses if "nodad" in line)
    routes = [router.show("-d", family, "route", "show", "table", "all") for family in ("-4", "-6")]
    return router.show("-d", "neigh"), *("\n".join(line for line in one.splitlines() if "table local" not in line) for one in routes), fixed


@pytest.mark.parametrize(
    "standing",
    [
        "2001:db8:11::/64 via fe80::5 dev p0 metric 201 proto 202",
        "2001:db8:11::/64 via fe80::5 dev p1 metric 201 proto 201",
        "2001:db8:11::/64 via fe80::6 dev p0 metric 201 proto 201",
        "2001:db8:11::/64 via fe80::5 dev p0 metric 202 proto 201",
        "2001:db8:11::/64 via fe80::5 dev p0 metric 201 proto 201 table 7",
        "192.0.2.11/32 via inet6 fe80::5 dev p0 metric 3221225995 proto 202",
        "192.0.2.11/32 via inet6 fe80::5 dev p1 metric 3221225995 proto 201",
        "192.0.2.11/32 via inet6 fe80::6 dev p0 metric 3221225995 proto 201",
        "192.0.2.11/32 via inet6 fe80::5 dev p0 metric 3221225994 proto 201",
        "192.0.2.11/32 via inet6 fe80::5 dev p0 metric 3221225995 proto 201 table 7",
    ],
)
def test_a_removal_never_takes_a_route_that_differs_in_anything(router: Router, standing: str) -> None:
    router.ip(f"route add {standing}")
    before = router.show("-d", "-6", "route", "show", "table", "all"), router.show("-d", "route", "show", "table", "all")
    assert router.apply(remove(route("p0", standing.split()[0]))) == []
    assert (router.show("-d", "-6", "route", "show", "table", "all"), router.show("-d", "route", "show", "table", "all")) == before


@pytest.mark.parametrize("prefix", ["2001:db8:11::/64", "192.0.2.11/32"])
def test_a_prefix_moves_from_one_port_to_another(router: Router, prefix: str) -> None:
    assert router.apply(add(route("p0", prefix, "fe80::5"))) == []
    assert router.apply(remove(route("p0", prefix, "fe80::5")), add(route("p1", prefix, "fe80::6"))) == []
    assert items(router.kernel.read()) == {route("p1", prefix, "fe80::6")}


@pytest.mark.parametrize("prefix", ["2001:db8:11::/64", "192.0.2.11/32"])
def test_a_prefix_is_not_on_two_ports_whatever_the_order(router: Router, prefix: str) -> None:
    """Without NLM_F_EXCL an IPv6 route would become a multipath route over both ports."""
    assert router.apply(add(route("p0", prefix))) == []
    (reason,) = router.apply(add(route("p1", prefix)))
    assert "dev p0" in reason
    assert router.apply(remove(route("p1", prefix))) == []
    assert items(router.kernel.read()) == {route("p0", prefix)}


def test_our_own_gateway_address_of_another_length_is_told(router: Router) -> None:
    assert router.apply(add(gateway("p0", "fe80::1/64"))) == []
    (reason,) = router.apply(add(gateway("p0", "fe80::1/128")))
    assert reason == "fe80::1/64 of protocol 201 on p0 stands in the way"


def test_a_path_another_appended_to_our_route_outlives_ours(router: Router) -> None:
    assert router.apply(add(route("p0", "2001:db8:11::/64"))) == []
    router.ip("route append 2001:db8:11::/64 via fe80::9 dev p1 metric 201 proto bird")
    assert route("p0", "2001:db8:11::/64") in router.kernel.read().routes
    assert router.apply(remove(route("p0", "2001:db8:11::/64"))) == []
    assert router.show("-6", "route", "show", "2001:db8:11::/64").split()[:5] == ["2001:db8:11::/64", "via", "fe80::9", "dev", "p1"]


def test_what_others_have_where_ours_is_gets_reported_and_nothing_else(router: Router) -> None:
    assert router.apply(add(route("p0", "2001:db8:11::/64")), add(route("p0", "192.0.2.11/32")), add(neighbour("p0", "fe80::5"))) == []
    router.ip(
        f"neigh add fe80::9 lladdr {OTHER_LLADDR} dev p1",
        f"neigh add fe80::8 lladdr {OTHER_LLADDR} dev p1 nud reachable",
        "route add 2001:db8:11::/64 via fe80::9 dev p1 metric 32 proto bird",
        "route add 2001:db8:22::/64 via fe80::9 dev p1 metric 32 proto bird",
        "route add 192.0.2.11/32 dev p1",
        "route add 192.0.2.0/24 dev p1",
    )
    seen = {(one.interface, str(one.place)) for one in router.kernel.read().foreign}
    assert seen == {("p1", "fe80::9"), ("p1", "2001:db8:11::/64"), ("p1", "192.0.2.11/32")}
    assert router.kernel.read(["p0"]).foreign == ()
    (bird,) = (one.text for one in router.kernel.read().foreign if str(one.place) == "2001:db8:11::/64")
    assert bird == "route 2001:db8:11::/64 via fe80::9 dev p1 metric 32 of protocol 12"


def test_what_has_our_number_is_ours_in_whatever_table(router: Router) -> None:
    router.ip(
        "route add 2001:db8:11::/64 via fe80::5 dev p0 proto 201 table 7",
        "route add 192.0.2.11/32 via inet6 fe80::5 dev p0 proto 201 table 70000",
    )
    theirs = {route("p0", "2001:db8:11::/64", metric=1024, table=7), route("p0", "192.0.2.11/32", metric=0, table=70_000)}
    assert router.kernel.read().routes == theirs
    assert router.kernel.read(["p0"]).routes == theirs, "the look at everything told of these tables"
    assert router.apply(*map(remove, theirs)) == []
    assert router.kernel.read() == Found()


def test_an_event_of_a_route_tells_in_which_table_to_look_for_it(router: Router) -> None:
    with router.namespace.entered(), router.kernel.watch() as events:
        router.ip("route add 2001:db8:11::/64 via fe80::5 dev p0 proto 201 table 7")
        assert events.read().ifindexes
        assert router.kernel.read(["p0"]).routes == {route("p0", "2001:db8:11::/64", metric=1024, table=7)}


def test_more_tables_than_are_asked_singly_are_read_all_the_same(router: Router) -> None:
    wanted = {route("p0", f"2001:db8:{table}::/64", table=table) for table in range(300, 320)}
    assert router.apply(*map(add, wanted)) == []
    assert router.kernel.read().routes == wanted
    assert router.kernel.read(["p0"]).routes == wanted
    assert router.apply(*map(add, wanted)) == [], "they stand where they are to go"


def test_one_prefix_may_be_on_two_ports_in_two_tables(router: Router) -> None:
    both = [
        route(port, prefix, table=table) for port, table in (("p0", 254), ("p1", 7)) for prefix in ("2001:db8:11::/64", "192.0.2.11/32")
    ]
    assert router.apply(*map(add, both), *map(add, both)) == []
    assert items(router.kernel.read()) == set(both)
    assert router.apply(*map(remove, both[:2])) == []
    assert items(router.kernel.read()) == set(both[2:])


def test_what_others_have_in_another_table_than_ours_is_in_nobodys_way(router: Router) -> None:
    assert router.apply(add(route("p0", "2001:db8:11::/64", table=7)), add(route("p0", "192.0.2.11/32"))) == []
    router.ip(
        "route add 2001:db8:11::/64 via fe80::9 dev p1 metric 201 proto bird",
        "route add 2001:db8:11::/64 via fe80::9 dev p1 metric 32 proto bird table 7",
        "route add 192.0.2.11/32 dev p1 table 7",
    )
    (told,) = router.kernel.read().foreign
    assert told.text == "route 2001:db8:11::/64 via fe80::9 dev p1 metric 32 table 7 of protocol 12"


@pytest.mark.parametrize("prefix", ["2001:db8:11::/64", "192.0.2.11/32"])
@pytest.mark.parametrize("table", [7, 70_000])
def test_what_is_in_the_way_in_a_vrfs_table_gives_way_when_it_is_told_to(router: Router, prefix: str, table: int) -> None:
    ours = route("p0", prefix, table=table)
    standing = f"{prefix} {'' if '/32' in prefix else 'via fe80::9'} dev p1 metric {ours.metric} proto bird"
    router.ip(f"route add {standing} table {table}", f"route add {standing}")
    assert router.kernel.apply([add(ours)], take_over=True) == []
    assert items(router.kernel.read()) == {ours}
    assert "proto bird" in router.show("-6" if ":" in prefix else "-4", "route", "show"), "that of the main table was in nobody's way"


def test_hosts_on_two_ports_may_have_one_link_local(router: Router) -> None:
    both = [on_link("p0", "fe80::5/128"), on_link("p1", "fe80::5/128")]
    assert router.apply(*map(add, both), *map(add, both)) == []
    assert items(router.kernel.read()) == set(both)
    assert router.apply(remove(both[0])) == []
    assert items(router.kernel.read()) == {both[1]}


def test_a_gateways_address_brings_no_route_to_its_prefix_and_the_kernels_own_link_local_can_go(router: Router) -> None:
    router.ip("link add p9 type veth peer name q9", "link set p9 up", "link set q9 up")
    deadline = time.monotonic() + 10
    while not (made_by_kernel := router.kernel.read(["p9"]).link_locals):  # once there is carrier
        assert time.monotonic() < deadline
        time.sleep(0.01)
    (made,) = made_by_kernel
    assert made.on_link
    assert router.apply(remove(made), add(gateway("p9"))) == []
    assert router.kernel.read(["p9"]).link_locals == frozenset()
    assert items(router.kernel.read()) == {gateway("p9")}
    assert router.show("-6", "route", "show", "dev", "p9") == ""


def test_an_interface_that_is_not_there_fails_additions_and_nothing_else(router: Router) -> None:
    failures = router.apply(add(neighbour("gone", "fe80::5")), remove(route("gone", "2001:db8::/64")), add(neighbour("p0", "fe80::5")))
    assert failures == ["there is no interface gone"]
    assert items(router.kernel.read()) == {neighbour("p0", "fe80::5")}


def test_the_kernels_words_reach_the_reason(router: Router) -> None:
    router.ip("link set p1 down")
    (reason,) = router.apply(add(route("p1", "2001:db8:11::/64")))
    assert reason == "Network is down: Nexthop device is not up"


def test_an_announcement_is_not_the_kernels_business(router: Router) -> None:
    one = route("p0", "2001:db8:11::/64")
    with pytest.raises(TypeError):
        router.apply(add(Announcement(one.prefix, one.next_hop)))
