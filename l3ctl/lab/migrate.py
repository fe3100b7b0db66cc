"""A host moves from one router to another and back: what it costs, as its correspondents upstream see it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from l3ctl.errors import LabFailed
from l3ctl.lab.pair import HOST, R1, R2, UPLINKS, Pair
from l3ctl.lab.pings import PATIENCE, Ping, Pings
from l3ctl.lab.sightings import Observer, Sight, Ways

PREFIXES = (str(HOST.ipv6), f"{HOST.ipv4}/32")
_REST = 0.5
"""seconds between all being well again and the next move"""
_WITHIN = 30.0
"""seconds after which something has gone wrong"""


@dataclass(frozen=True, slots=True)
class Passage:
    """One prefix in one move. All milliseconds but `overlap_ms` count from the moment the cable was pulled.

    `lost` pings, of one each 2 ms; after `dark_ms` every one is answered again. `withdrawn_ms` and `announced_ms`: the old router's
    route is gone from BIRD, and the new one's there; `installed_ms`: it is the upstream kernel's. `overlap_ms` is how long BIRD had both,
    which is nothing where the withdrawal was `first`.
    """

    prefix: str
    lost: int
    dark_ms: float
    withdrawn_ms: float
    announced_ms: float
    installed_ms: float
    overlap_ms: float
    first: str


@dataclass(frozen=True, slots=True)
class Move:
    """`announcing` are the routers that announce the host's prefixes once it is over."""

    number: int
    old: str
    new: str
    announcing: tuple[str, ...]
    passages: tuple[Passage, ...]


def migrate(lab: Pair, moves: int, tell: Callable[[str], None]) -> list[Move]:
    """Build the lab, move its host that many times, remove it all. Raises `LabFailed` when a move does not end as it should."""
    lab.down()
    try:
        tell("building two routers and their upstream")
        lab.up()
        lab.plug(R1)
        by_netdev = {netdev: router for router, netdev in UPLINKS.items()}
        with Observer(lab.upstream, by_netdev, HOST) as observer, Pings(lab.upstream, HOST) as pings:
            _settle(lab, observer, pings, R1)
            pulled = [(time.time(), R1)]
            for number in range(moves):
                new = (R2, R1)[number % 2]
                tell(f"move {number + 1} of {moves}: {HOST.name} from {pulled[-1][1]} to {new}")
                pulled.append((lab.move(pulled[-1][1], new), new))
                _settle(lab, observer, pings, new)
        return _accounted(pulled, observer.sights, pings.sent())
    finally:
        lab.down()


def _ways(router: str) -> Ways:
    return frozenset((prefix, router) for prefix in PREFIXES)


def _settle(lab: Pair, observer: Observer, pings: Pings, router: str) -> None:
    """Wait until this router alone announces the host and it answers in both families; then a moment longer, in which that stays."""

    def settled() -> bool:
        return observer.last().bird == observer.last().kernel == _ways(router)

    def answers() -> bool:
        return pings.answered_since(time.time() - PATIENCE)

    lab.wait(f"{HOST.name} announced by {router} alone", settled, _WITHIN)
    time.sleep(PATIENCE)
    lab.wait(f"answers from behind {router}", answers, _WITHIN)
    time.sleep(_REST)
    if not settled() or not answers():
        raise LabFailed(f"{HOST.name} was reached through {router} alone, and is no more; BIRD has {sorted(observer.last().bird)}")


def _accounted(pulled: Sequence[tuple[float, str]], sights: Sequence[Sight], pings: Mapping[str, Sequence[Ping]]) -> list[Move]:
    """What each move was like. `pulled`: when, and which router had the host then; the first is no move."""
    ends = [*(at for at, _ in pulled[2:]), math.inf]
    return [
        Move(
            number,
            old,
            new,
            tuple(sorted({router for _, router in [one for one in sights if one.at < end][-1].bird})),
            tuple(_passage(prefix, old, new, began, end, sights, pings[prefix]) for prefix in PREFIXES),
        )
        for number, ((_, old), (began, new), end) in enumerate(zip(pulled, pulled[1:], ends, strict=False), 1)
    ]


def _passage(prefix: str, old: str, new: str, began: float, end: float, sights: Sequence[Sight], pings: Sequence[Ping]) -> Passage:
    seen = [one for one in sights if began <= one.at < end]
    withdrawn = next(one.at for one in seen if (prefix, old) not in one.bird)
    announced = next(one.at for one in seen if (prefix, new) in one.bird)
    installed = next(one.at for one in seen if (prefix, new) in one.kernel)
    lost = [one.at for one in pings if began <= one.at < end and not one.answered]
    back = next((one.at for one in pings if lost and one.at > lost[-1]), began)

    def since(at: float) -> float:
        return round((at - began) * 1000, 1)

    return Passage(
        prefix,
        lost=len(lost),
        dark_ms=since(back),
        withdrawn_ms=since(withdrawn),
        announced_ms=since(announced),
        installed_ms=since(installed),
        overlap_ms=max(0.0, round((withdrawn - announced) * 1000, 1)),
        first="announce" if announced < withdrawn else "withdraw",
    )
