"""What is done at once when a link changes, against the real kernel and the real filter."""

from collections.abc import Callable

import pytest

from l3ctl.present import AT_ONCE
from l3ctl.urgent import FEW, Waiting, announce, withdraw
from l3ctl.xdp.libbpf import Map
from tests.netns.router_bench import DB_PREFIXES, FOREIGN_LLADDR, WEB, WEB_PREFIXES, Bench

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def turn(bench: Bench, state: str) -> set[str]:
    """Turn the far end of web1's port; the ports concerned, when the event has come."""
    bench.events.read()
    bench.ip(f"link set q0 {state}")
    concerned: set[str] = set()

    def look() -> None:
        batch = bench.events.read()
        concerned.update(bench.router.concerned(batch.ifindexes, batch.links_changed))

    bench.until(lambda: "p0" in bench.router.links and bench.router.links["p0"].up == (state == "up"), look)
    return concerned & {"web1"}


def hasten(bench: Bench, ports: set[str]) -> list[str]:
    """What was done at once, as text."""
    return [str(change) for change in (*withdraw(bench.router, ports), *announce(bench.router, ports)[0])]


@pytest.fixture
def down(bench: Bench) -> Bench:
    """web1 is unplugged, and nothing is left to do about that."""
    bench.router.look_again(turn(bench, "down"))
    assert bench.wished() == DB_PREFIXES
    return bench


def test_what_goes_down_is_withdrawn_while_its_routes_are_still_there(bench: Bench) -> None:
    before = bench.leftovers("p0")
    ports = turn(bench, "down")
    assert len(hasten(bench, ports)) == len(WEB_PREFIXES)
    assert bench.wished() == DB_PREFIXES
    assert bench.leftovers("p0").replace(" linkdown", "") == before
    made, failed = bench.router.look_again(ports)
    assert {change.verb for change in made} == {"remove"}
    assert failed == []
    assert hasten(bench, ports) == []


def test_what_comes_up_is_announced_once_its_routes_are_there(down: Bench) -> None:
    ports = turn(down, "up")
    done = hasten(down, ports)
    assert [line.split()[0] for line in done] == ["add"] * (1 + len(WEB_PREFIXES)) + ["announce"] * len(WEB_PREFIXES)
    assert down.wished() == WEB_PREFIXES | DB_PREFIXES
    down.assert_founded()
    assert down.router.look_again(ports) == ([], [])
    assert hasten(down, ports) == []


def wipe_record(bench: Bench) -> None:
    assert bench.router.filter is not None
    records = Map.open(bench.pins / "map-ports")
    for number in (1, 2):
        records.update(number.to_bytes(4, "little"), bytes(records.value_size))
    bench.router.filter.refresh()


@pytest.mark.parametrize(
    "injury",
    [
        lambda bench: bench.ip(f"neigh del {WEB.link_local} dev p0"),
        lambda bench: bench.ip(f"neigh replace 192.0.2.11 lladdr {FOREIGN_LLADDR} dev p0 nud permanent protocol 201"),
        lambda bench: bench.ip(f"neigh replace {WEB.link_local} lladdr {WEB.lladdr} dev p0 nud permanent protocol static"),
        lambda bench: bench.ip(f"neigh change 192.0.2.11 lladdr {WEB.lladdr} dev p0 nud reachable"),
        wipe_record,
    ],
    ids=["a neighbour missing", "another MAC", "another's neighbour", "no longer permanent", "no policy"],
)
def test_where_the_ground_is_missing_nothing_is_announced_at_once(down: Bench, injury: Callable[[Bench], object]) -> None:
    injury(down)
    ports = turn(down, "up")
    assert hasten(down, ports) == []
    assert down.wished() == DB_PREFIXES
    down.router.look_again({"web1", "db1"})
    down.assert_founded()


def test_a_foreign_route_in_the_way_holds_back_its_prefix_alone(down: Bench) -> None:
    down.ip("link set q0 up", "route add 2001:db8:11::/64 dev p1 metric 201 protocol static", "link set q0 down")
    ports = turn(down, "up")
    hasten(down, ports)
    assert down.wished() == (WEB_PREFIXES | DB_PREFIXES) - {"2001:db8:11::/64"}
    (failure,) = down.router.look_again(ports)[1]
    assert "stands in the way" in failure.reason


def test_the_waiting_get_their_turn_in_order_a_few_at_a_time_and_what_is_gone_is_withdrawn_before(bench: Bench) -> None:
    waiting = Waiting(bench.router)
    names = [f"p{number}" for number in range(FEW)]
    waiting.add(names)
    waiting.add(turn(bench, "down"))
    assert bench.wished() == DB_PREFIXES
    waiting.add(names[:1])
    assert waiting.take() == set(names)
    assert waiting
    assert waiting.take() == {"web1"}
    assert not waiting
    assert waiting.take() == set()


def test_of_very_many_all_are_taken(bench: Bench) -> None:
    waiting = Waiting(bench.router)
    names = {f"p{number}" for number in range(AT_ONCE + 1)}
    waiting.add(names)
    assert waiting.take() == names
