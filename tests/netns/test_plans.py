"""Whatever two inventories say, the way from one to the other ends right and is safe at every step: real kernel, real filter."""

from collections.abc import Callable, Mapping

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.model import Port
from tests.netns.router_bench import SETTINGS, Bench
from tests.unit.test_diff import inventories, rewired

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@st.composite
def journeys(draw: st.DrawFn) -> tuple[Mapping[str, Port], Mapping[str, Port], float]:
    """Where to begin, where to end, and how much of the way is gone before somebody looks."""
    before = draw(inventories())
    return before, draw(st.one_of(inventories(), rewired(before))), draw(st.floats(0, 1))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(journey=journeys())
def test_any_part_of_a_plan_leaves_the_promise_true_and_all_of_it_leaves_nothing_to_do(
    build: Callable[..., Bench], journey: tuple[Mapping[str, Port], Mapping[str, Port], float]
) -> None:
    before, after, share = journey
    bench = build()
    for ports in (before, after):
        bench.router.replace(ports.values(), SETTINGS)
        plan = bench.router.plan()
        bench.router.links = bench.router.kernel.links()
        bench.router.carry_out(plan[: int(share * len(plan))])
        bench.assert_founded()
        assert bench.full_pass()[1] == []
        assert bench.router.plan() == []
        assert bench.full_pass() == ([], [])
