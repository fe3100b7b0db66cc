"""What a link's change calls for at once: withdraw what has gone, announce what has come.

Before anything is looked at, since a look costs in proportion to all that is installed. The rest is left to the look that follows, and so
is every port where something else is missing than here expected.
"""

from collections.abc import Collection, Iterator
from dataclasses import replace

from l3ctl.diff import diff_all
from l3ctl.model import Change, PortState, Verb
from l3ctl.present import AT_ONCE
from l3ctl.router import Made, Router

FEW = 50
"""ports that are looked at before events are heard again. More than the kernel is asked for one by one: where many links change, each
question waits for its turn among those who change them, and one for everything is the same few questions for all"""


class Waiting:
    """The ports to look at again, in the order in which they were heard of. Withdrawing does not wait its turn: it is done for all first.

    Where many links change, each change of a route waits for whoever changes links, and a hundred ports may take seconds.
    """

    def __init__(self, router: Router) -> None:
        self._router = router
        self._ports: dict[str, None] = {}

    def __bool__(self) -> bool:
        return bool(self._ports)

    def add(self, ports: Collection[str]) -> None:
        """Something was heard of these, whose links were just read."""
        withdraw(self._router, ports)
        self._ports.update(dict.fromkeys(ports))

    def take(self) -> set[str]:
        """Whose turn it is: a few, or all where there are so many that it costs less to look at everything."""
        taken = set(self._ports) if len(self._ports) > AT_ONCE else {name for name, _ in zip(self._ports, range(FEW), strict=False)}
        for name in taken:
            del self._ports[name]
        return taken


def look_at(router: Router, ports: Collection[str]) -> Iterator[Made]:
    """Announce what has come, and look at these ports again."""
    yield announce(router, ports)
    yield from router.look_again_at(ports)


def withdraw(router: Router, ports: Collection[str]) -> list[Change]:
    """What was announced of ports whose link is down."""
    if router.speaker is None:
        return []
    announced = router.present.wishes
    down = [name for name in ports if name in announced and name in router.ports and not router.is_up(name)]
    return router.carry_out([Change(name, Verb.WITHDRAW, one) for name in down for one in announced[name]])[0]


def announce(router: Router, ports: Collection[str]) -> Made:
    """Routes and announcements of ports whose link is up. What failed is left for the look to try, and to tell."""
    if router.speaker is None:
        return [], []
    announced = router.present.wishes
    up = [name for name in ports if name not in announced and name in router.ports and router.is_up(name)]
    want = {name: state for name, state in ((name, router.wanted(name, router.links)) for name in up) if state.announcements}
    have = {name: _as_after_down(state) for name, state in want.items()}
    wanted = {name: state.policy for name, state in want.items()}
    policies = router.filter.remembered(want, router.links, wanted) if router.filter is not None else {}
    ready = [name for name, state in have.items() if state.policy == policies.get(name) and router.kernel.holds(state.neighbours)]
    return router.carry_out(diff_all({name: have[name] for name in ready}, {name: want[name] for name in ready}))[0], []


def _as_after_down(state: PortState) -> PortState:
    """A port keeps its policy and neighbours while its link is down."""
    return replace(state, routes=frozenset(), announcements=frozenset())
