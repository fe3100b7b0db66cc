"""Why a port's part of a plan is there."""

from dataclasses import replace

import pytest

from l3ctl.desired import desired
from l3ctl.diff import diff
from l3ctl.model import Mode, PortState, Settings
from l3ctl.names import ORPHAN
from l3ctl.planned import reasons
from tests.unit.test_desired import PORT, SETTINGS, link

UP, DOWN = {"tap1": link("tap1")}, {"tap1": link("tap1", up=False)}
WANTED = desired(PORT, UP, SETTINGS)
UNROUTED = replace(WANTED, routes=frozenset(), announcements=frozenset())
QUIET = replace(WANTED, announcements=frozenset())


def why(
    have: PortState, want: PortState, *, name: str = "web1", links: dict = UP, before: Settings = SETTINGS, news: dict | None = None
) -> str:
    return reasons(diff(name, have, want), news or {}, {"web1": PORT}, links, before, SETTINGS)[name]


@pytest.mark.parametrize(
    ("have", "want", "told"),
    [
        (PortState(), WANTED, "missing on the router"),
        (UNROUTED, WANTED, "missing on the router"),
        (WANTED, UNROUTED, "more is there than it is billed"),
        (replace(WANTED, neighbours=frozenset(list(WANTED.neighbours)[:1])), QUIET, "found otherwise than it is billed"),
        (QUIET, WANTED, "not announced yet"),
        (WANTED, QUIET, "drained, or held down as it flaps"),
    ],
)
def test_what_is_found_is_told_from_what_is_billed(have: PortState, want: PortState, told: str) -> None:
    assert why(have, want) == told


def test_what_the_inventory_says_comes_first() -> None:
    assert why(PortState(), WANTED, news={"web1": "new in the inventory, hosts.yaml:2:5"}) == "new in the inventory, hosts.yaml:2:5"


def test_a_port_without_link_and_one_that_nobody_knows_are_told() -> None:
    assert why(WANTED, UNROUTED, links=DOWN) == "its link is down"
    assert why(WANTED, PortState(), name="web0") == "not in the inventory"


def test_other_settings_are_told_from_a_hand_in_the_kernel() -> None:
    assert why(PortState(), WANTED, before=replace(SETTINGS, mode=Mode.AUDIT)) == "the configuration says otherwise than before"


def test_what_is_of_no_port_is_asked_for_by_the_configuration_or_by_nobody() -> None:
    assert why(PortState(), QUIET, name=ORPHAN) == "the configuration asks for it"
    assert why(QUIET, PortState(), name=ORPHAN + "eth9") == "nobody asks for it"
