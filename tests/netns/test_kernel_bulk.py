"""Thousands of changes at once: each failure at its own change, the rest done."""

from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, IPv6Network

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.kernel.found import Found
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Change, GatewayAddress, Neighbour, Route
from tests.netns.kernel_ports import LLADDR, OTHER_LLADDR, Router, add, gateway, neighbour, remove, replace, route, router_with

pytestmark = pytest.mark.root


@pytest.fixture
def router(namespace: Callable[[], Namespace]) -> Iterator[Router]:
    with router_with(namespace, "p0", "p1", "p2") as one:
        yield one


AT = (0, 1, 399, 400, 401, 777, 1999)
"""The first and last of all, and of a send of 400."""


def test_failed_routes_are_attributed_and_the_rest_are_there(router: Router) -> None:
    router.ip("link set p1 down")
    wanted = [
        Route("p1" if number in AT else "p0", IPv6Network((0x20010DB8 << 96 | number << 64, 64)), IPv6Address("fe80::5"), 201)
        for number in range(2000)
    ]
    changes = [add(one) for one in wanted]
    failures = router.kernel.apply(changes)
    assert [changes.index(failure.change) for failure in failures] == list(AT)
    assert router.kernel.read().routes == {one for number, one in enumerate(wanted) if number not in AT}


def test_failed_neighbours_are_attributed_and_the_rest_are_there(router: Router) -> None:
    wanted = [Neighbour("p0", IPv4Address(0x0A000001 + number), LLADDR) for number in range(2000)]
    router.ip(*(f"neigh add {wanted[number].address} lladdr {OTHER_LLADDR} dev p0" for number in AT))
    changes = [add(one) for one in wanted]
    failures = router.kernel.apply(changes)
    assert [changes.index(failure.change) for failure in failures] == list(AT)
    found = router.kernel.read()
    assert found.neighbours == {one for number, one in enumerate(wanted) if number not in AT}
    assert {one.place for one in found.foreign} == {wanted[number].address for number in AT}


def test_failed_neighbours_among_more_than_are_packed_together_are_attributed(router: Router) -> None:
    at = (7999, 8000, 8399, 8400, 8999)
    wanted = [Neighbour("p0", IPv4Address(0x0A000001 + number), LLADDR) for number in range(9000)]
    router.ip(*(f"neigh add {wanted[number].address} lladdr {OTHER_LLADDR} dev p0" for number in at))
    changes = [add(one) for one in wanted]
    assert [changes.index(failure.change) for failure in router.kernel.apply(changes)] == list(at)
    assert router.kernel.read().neighbours == {one for number, one in enumerate(wanted) if number not in at}


def test_every_change_may_fail(router: Router) -> None:
    router.ip("link set p1 down")
    changes = [add(Route("p1", IPv6Network((0x20010DB8 << 96 | number << 64, 64)), IPv6Address("fe80::5"), 201)) for number in range(2000)]
    assert [failure.change for failure in router.kernel.apply(changes)] == changes


def test_20000_neighbours_are_read_back_and_removed(router: Router) -> None:
    wanted = {
        Neighbour(f"p{number % 3}", IPv6Address(0xFE80 << 112 | 1 << 32 | number), f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}")
        for number in range(20_000)
    }
    assert router.kernel.apply([add(one) for one in wanted]) == []
    assert router.kernel.read() == Found(neighbours=frozenset(wanted))
    assert router.kernel.apply([add(one) for one in wanted]) == []
    gone = {one for one in wanted if one.interface != "p1"}
    assert router.kernel.apply([remove(one) for one in gone]) == []
    assert router.kernel.read() == Found(neighbours=frozenset(wanted - gone))


def test_5000_ipv4_routes_of_one_port_are_read_back(router: Router) -> None:
    wanted = {route("p0", f"10.0.{number >> 8}.{number & 255}/32") for number in range(5_000)}
    assert router.kernel.apply([add(one) for one in wanted]) == []
    assert router.kernel.read() == Found(routes=frozenset(wanted))


def test_5000_routes_in_as_many_tables_are_read_back(router: Router) -> None:
    wanted = {
        route("p0", prefix, table=table)
        for number, table in enumerate(range(1000, 3500))
        for prefix in (f"10.0.{number >> 8}.{number & 255}/32", f"2001:db8:{number:x}::/64")
    }
    assert router.kernel.apply([add(one) for one in wanted]) == []
    assert router.kernel.read() == Found(routes=frozenset(wanted))
    assert router.kernel.read(["p0"]) == Found(routes=frozenset(wanted))
    assert router.kernel.apply([add(one) for one in wanted]) == [], "they are found where they stand"
    assert router.kernel.apply([remove(one) for one in wanted]) == []
    assert router.kernel.read() == Found()


INTERFACES = st.sampled_from(["p0", "p1", "p2"])
NEXT_HOPS = st.sampled_from(["fe80::5", "fe80::6"])
PREFIXES = [f"2001:db8:{number}::/64" for number in range(3)] + ["2001:db8:0:1::/80"] + [f"192.0.2.{number}/32" for number in range(3)]
STATES = st.fixed_dictionaries(
    {
        "neighbours": st.dictionaries(
            st.tuples(INTERFACES, st.sampled_from(["fe80::5", "fe80::6", "192.0.2.1", "192.0.2.2"])),
            st.sampled_from([LLADDR, OTHER_LLADDR]),
        ),
        "routes": st.dictionaries(st.sampled_from(PREFIXES), st.tuples(INTERFACES, NEXT_HOPS)),
        "gateways": st.dictionaries(
            st.tuples(INTERFACES, st.sampled_from(["fe80::1", "fe80::2"])),
            st.sampled_from(["64", "128"]),
        ),
    }
)


def state(drawn: dict[str, dict]) -> dict[object, GatewayAddress | Neighbour | Route]:
    """Items by what there can be only one of."""
    return {
        **{key: neighbour(*key, lladdr) for key, lladdr in drawn["neighbours"].items()},
        **{key: route(interface, key, next_hop) for key, (interface, next_hop) in drawn["routes"].items()},
        **{key: gateway(key[0], f"{key[1]}/{length}") for key, length in drawn["gateways"].items()},
    }


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(have=STATES, want=STATES, in_place=st.booleans())
def test_applying_the_difference_makes_it_so(router: Router, have: dict[str, dict], want: dict[str, dict], in_place: bool) -> None:
    left = router.kernel.read()
    assert router.apply(*(remove(one) for one in (*left.routes, *left.neighbours, *left.addresses))) == []
    assert router.kernel.read() == Found()
    assert router.apply(*(add(one) for one in state(have).values())) == []
    assert router.apply(*difference(state(have), state(want), in_place)) == []
    found = router.kernel.read()
    assert {*found.addresses, *found.neighbours, *found.routes} == set(state(want).values())
    assert found == router.kernel.read(["p0", "p1", "p2"])


def difference(have: dict, want: dict, in_place: bool) -> list[Change]:
    changed = [key for key in have.keys() & want.keys() if have[key] != want[key]]
    gone = [have[key] for key in have.keys() - want.keys()]
    new = [want[key] for key in want.keys() - have.keys()]
    if in_place:
        return [*map(remove, gone), *(replace(have[key], want[key]) for key in changed), *map(add, new)]
    return [*map(remove, gone), *(remove(have[key]) for key in changed), *(add(want[key]) for key in changed), *map(add, new)]
