"""What a link's change calls for at once: withdraw what has gone, announce what has come.

Before anything is looked at, since a look costs in proportion to all that is installed. The rest is left to the look that follows, and so
is every port where something else is missing than here expected.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from l3ctl.diff import diff_all
from l3ctl.model import Change, PortState, Verb
from l3ctl.router import Made, Router


def urgent(router: Router, ports: Collection[str]) -> Iterator[Made]:
    """The same, step by step, of these ports, whose links were just read. What failed is left for the look to try, and to tell."""
    if router.speaker is None:
        return
    announced = router.present.wishes
    down = [name for name in ports if name in announced and name in router.ports and not router.is_up(name)]
    yield router.carry_out([Change(name, Verb.WITHDRAW, one) for name in down for one in announced[name]])[0], []
    up = [name for name in ports if name not in announced and name in router.ports and router.is_up(name)]
    want = {name: state for name, state in ((name, router.wanted(name, router.links)) for name in up) if state.announcements}
    have = {name: _as_after_down(state) for name, state in want.items()}
    policies = router.filter.remembered(want, router.links) if router.filter is not None else {}
    ready = [name for name, state in have.items() if state.policy == policies.get(name) and router.kernel.holds(state.neighbours)]
    yield router.carry_out(diff_all({name: have[name] for name in ready}, {name: want[name] for name in ready}))[0], []


def _as_after_down(state: PortState) -> PortState:
    """A port keeps its policy and neighbours while its link is down."""
    return replace(state, routes=frozenset(), announcements=frozenset())
