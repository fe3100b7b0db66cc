"""What the kernel tells, and what it is not allowed to bother us with."""

import selectors
import time
from collections.abc import Callable, Iterator

import pytest

from l3ctl.kernel.events import EventBatch, Events
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.namespaces import Namespace
from tests.netns.kernel_ports import OTHER_LLADDR, Router, add, neighbour, remove, route, router_with

pytestmark = pytest.mark.root

SMALLEST_BUFFER = 2304


@pytest.fixture
def router(namespace: Callable[[], Namespace]) -> Iterator[Router]:
    with router_with(namespace, "p0", "p1") as one:
        wanted = (neighbour("p0", "fe80::5"), neighbour("p0", "192.0.2.11"), route("p0", "2001:db8:11::/64"), route("p0", "192.0.2.11/32"))
        assert one.apply(*map(add, wanted)) == []
        yield one


@pytest.fixture
def events(router: Router) -> Iterator[Events]:
    with router.namespace.entered():
        listening = router.kernel.watch()
    with listening:
        yield listening


def index(router: Router, name: str) -> int:
    facts = router.kernel.link(name)
    assert facts is not None
    return facts.ifindex


def settle(events: Events, needed: set[int]) -> EventBatch:
    """Read until these interfaces have been told of: carrier is reported by a kernel worker, after the command that changed it."""
    seen = EventBatch()
    with selectors.DefaultSelector() as selector:
        selector.register(events, selectors.EVENT_READ)
        while not needed <= seen.ifindexes and selector.select(timeout=10):
            new = events.read()
            seen = EventBatch(seen.ifindexes | new.ifindexes, seen.links_changed | new.links_changed, seen.overrun or new.overrun)
    return seen


@pytest.mark.parametrize(
    "command",
    [
        "neigh del fe80::5 dev p0",
        "neigh del 192.0.2.11 dev p0",
        f"neigh replace fe80::5 lladdr {OTHER_LLADDR} dev p0 nud reachable",
        f"neigh replace fe80::5 lladdr {OTHER_LLADDR} dev p0 nud permanent protocol static",
        "neigh flush dev p0 nud permanent",
        "route del 2001:db8:11::/64",
        "route del 192.0.2.11/32",
        "addr add 2001:db8:ffff::1/64 dev p0 nodad",
        "addr add 192.0.2.1/24 dev p0",
    ],
)
def test_what_is_done_to_a_port_by_hand_is_told(router: Router, events: Events, command: str) -> None:
    assert events.read() == EventBatch()
    router.ip(command)
    deadline = time.monotonic() + 10  # of an address the kernel tells from a work queue
    while (batch := events.read()) == EventBatch():
        assert time.monotonic() < deadline
    assert batch == EventBatch(frozenset({index(router, "p0")}))


@pytest.mark.parametrize(
    "command", ["link set p0 mtu 1400", "link set p0 address 52:54:00:00:00:01", "link set p0 down", "link set p0 arp off"]
)
def test_what_flushes_neighbours_is_told(router: Router, events: Events, command: str) -> None:
    router.ip(command)
    batch = settle(events, {index(router, "p0")})
    assert index(router, "p0") in batch.links_changed
    assert index(router, "p1") not in batch.ifindexes


def test_carrier_lost_and_back_is_told(router: Router, events: Events) -> None:
    for state, up in (("down", False), ("up", True)):
        events.read()
        router.ip(f"link set q0 {state}")
        batch = settle(events, {index(router, "p0")})
        assert index(router, "p0") in batch.links_changed
        facts = router.kernel.link("p0")
        assert facts is not None
        assert (facts.admin_up, facts.up) == (True, up)


def test_a_device_deleted_and_made_again_is_told_with_both_indexes(router: Router, events: Events) -> None:
    old = index(router, "p0")
    router.ip("link del p0", "link add p0 type veth peer name q0")
    new = index(router, "p0")
    assert new != old
    assert {old, new} <= settle(events, {old, new}).links_changed.keys()


def test_a_route_put_in_the_place_of_ours_means_look_everywhere(router: Router, events: Events) -> None:
    """The event of a replacement is the new route's alone: it says nothing of the port that lost its own."""
    router.ip("route replace 2001:db8:11::/64 via fe80::9 dev p1 metric 201")
    assert "proto 201" not in router.show("-d", "-6", "route", "show", "2001:db8:11::/64")
    assert events.read().overrun
    router.ip("route replace 192.0.2.11/32 dev p1 metric 3221225995")
    assert events.read().overrun


def test_the_work_of_others_is_not_told(router: Router, events: Events) -> None:
    router.ip(
        f"neigh add fe80::77 lladdr {OTHER_LLADDR} dev p0 nud reachable",
        f"neigh replace fe80::77 lladdr {OTHER_LLADDR} dev p0 nud stale",
        "neigh del fe80::77 dev p0",
        "route add 2001:db8:77::/64 dev p1 proto bird metric 32",
        "route replace 2001:db8:77::/64 dev p0 proto bird metric 32",
        "route del 2001:db8:77::/64",
        "route add 198.51.100.0/24 dev p1 proto bird",
        "route replace 198.51.100.0/24 dev p0 proto bird",
    )
    assert events.read() == EventBatch()


def test_our_own_changes_are_not_told_but_anothers_agents_are(router: Router, events: Events) -> None:
    ours = (neighbour("p1", "fe80::8"), route("p1", "2001:db8:88::/64", "fe80::8"), route("p1", "192.0.2.88/32", "fe80::8"))
    assert router.apply(*map(add, ours), *map(remove, ours[1:])) == []
    assert events.read() == EventBatch()
    with router.namespace.entered():
        second = Kernel()
    with second:
        assert second.apply([add(ours[1])]) == []
    assert events.read().ifindexes == {index(router, "p1")}


def test_a_flood_of_learned_neighbours_costs_no_buffer(router: Router) -> None:
    with router.namespace.entered():
        listening = router.kernel.watch(SMALLEST_BUFFER)
    with listening:
        router.ip(*(f"neigh replace 198.51.{n >> 8}.{n & 255} lladdr {OTHER_LLADDR} dev p1 nud stale" for n in range(900)))
        assert listening.read() == EventBatch()
        router.ip("neigh del fe80::5 dev p0")
        assert listening.read() == EventBatch(frozenset({index(router, "p0")}))


def test_an_overrun_is_said_once_and_what_follows_is_told_again(router: Router) -> None:
    assert router.apply(*(add(neighbour("p0", f"fe80::1:{n:x}")) for n in range(200))) == []
    with router.namespace.entered():
        listening = router.kernel.watch(SMALLEST_BUFFER)
    with listening:
        router.ip("neigh flush dev p0 nud permanent")
        assert listening.read().overrun
        assert listening.read() == EventBatch()
        router.ip("route del 2001:db8:11::/64")
        assert listening.read() == EventBatch(frozenset({index(router, "p0")}))
