"""What no event tells: a map overwritten, the program taken off a netdev, a pin removed, a sysctl set back. Looked at, time and again."""

import time

from l3ctl.desired import desired_policy
from l3ctl.distrust import restore
from l3ctl.log import event
from l3ctl.present import AT_ONCE
from l3ctl.router import Router
from l3ctl.xdp.filter import Filter

_FEW = 200
"""netdevs with a filter of their own, of which each tick can be asked whether they have it"""
_SHARE, _SHARE_WHERE_IT_DIFFERS = 200, 10
"""Seeing that nothing differs may take one part in so many of our time: each second for a few ports, every 10 seconds for 10,000. Where
something does, seeing what it is takes more, and it may go on."""


class Untold:
    """Of one router. Raises as the backends do."""

    def __init__(self, router: Router) -> None:
        self._router = router
        self._undisturbed: object = None
        self._next = 0.0

    def ports_when_due(self) -> set[str]:
        """As `look`; nothing while it is not yet time for it."""
        return self.look() if time.monotonic() >= self._next or self.displaced() else set()

    def look(self) -> set[str]:
        """The ports whose policy is not what it should be. What is not a port's alone is put right."""
        if self._router.filter is None:
            return set()
        began = seen = time.monotonic()
        try:
            restore(self._router.kernel, self._router.ports)
            if missing := self._router.filter.keep():
                event("replace", what="pins", names=" ".join(missing))
            self._router.filter.take_note()
            now = self._router.filter.digest(self._router.highest()), dict(self._router.links), self._router.edition
            seen = time.monotonic()
            if now == self._undisturbed:
                return set()
            disturbed = self._disturbed(self._router.filter)
            self._undisturbed = None if disturbed else now
            return disturbed
        finally:
            ended = time.monotonic()
            self._next = ended + max(_SHARE * (seen - began), _SHARE_WHERE_IT_DIFFERS * (ended - began))

    def displaced(self) -> bool:
        """Whether the filter was taken off a netdev since it was seen or put there; as long as that can be told at little cost."""
        return self._router.filter is not None and self._router.filter.lost(_FEW)

    def _disturbed(self, filter_: Filter) -> set[str]:
        router = self._router
        filter_.refresh(whole=False)
        names = sorted(router.ports.keys() | filter_.ports())
        disturbed: set[str] = set()
        for start in range(0, len(names), AT_ONCE):
            some = names[start : start + AT_ONCE]
            wanted = {name: desired_policy(router.ports[name], router.links, router.settings) for name in some if name in router.ports}
            found = filter_.remembered(some, router.links, wanted)
            disturbed |= {name for name in some if wanted.get(name) != found.get(name)}
        return disturbed
