"""An inventory that loses its ports is not believed, however it loses them."""

import pytest

from l3ctl.inventory.shrink import WINDOW, Shrink, lost
from l3ctl.inventory.standing import Standing
from l3ctl.model import Port
from tests.unit.inventories import delivery, record
from tests.unit.test_standing import RESERVED


def judged(percent: int, have: int, losing: int) -> str | None:
    return Shrink().judge(percent, [f"p{number}" for number in range(have)], [f"p{number}" for number in range(losing)], 0.0)


@pytest.mark.parametrize(
    ("percent", "have", "losing", "said"),
    [
        (10, 100, 0, None),
        (10, 100, 10, None),
        (10, 100, 11, "11 of 100 ports would go, and max_shrink is 10 %"),
        (10, 100, 100, "all 100 ports of this router would go"),
        (10, 3, 1, None),
        (10, 3, 2, "2 of 3 ports would go, and max_shrink is 10 %"),
        (10, 1, 1, "the one port of this router would go"),
        (0, 100, 1, "1 of 100 ports would go, and max_shrink is 0 %"),
        (100, 100, 100, None),
        (50, 2, 1, None),
    ],
)
def test_how_many_may_go(percent: int, have: int, losing: int, said: str | None) -> None:
    assert judged(percent, have, losing) == said


def test_one_by_one_gets_no_further_than_all_at_once_until_the_hour_is_over() -> None:
    guard, here = Shrink(), {f"p{number}" for number in range(100)}
    for number in range(10):
        name = f"p{number}"
        assert guard.judge(10, here, {name}, float(number)) is None
        guard.let_go({name}, (), float(number))
        here.discard(name)
    assert guard.judge(10, here, {"p50"}, 11.0) == "1 of 100 ports would go, after 10 within the hour, and max_shrink is 10 %"
    guard.let_go((), {"p3"}, 12.0)
    assert guard.judge(10, here | {"p3"}, {"p50"}, 13.0) is None, "one has come back"
    assert guard.judge(10, here, {"p50"}, WINDOW + 5.0) is None
    guard.forgive()
    assert guard.judge(10, here, {"p50"}, 14.0) is None


def port(**keys: object) -> Port:
    one = Standing(RESERVED)
    one.take(one.consider(delivery(record("a", 1) | keys)))  # type: ignore[operator]
    return one.ports()[0]


def test_what_counts_as_lost() -> None:
    a = port()
    bare, moved, other = port(ipv6=[]), port(ipv6=["2001:db8:9::/64"], interface="tap9"), port(name="b")
    assert lost({"a": a}, {"a": None}) == {"a"}
    assert lost({"a": a}, {"a": bare}) == {"a"}, "a port without what it had is as good as gone"
    assert lost({"a": bare}, {"a": bare}) == set()
    assert lost({"a": a}, {"a": moved}) == set()
    assert lost({"a": a}, {"a": None, "b": other}) == set(), "its interface goes on under another name"
    assert lost({}, {"b": other}) == set()
