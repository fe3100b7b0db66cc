"""Which ports flap, and for how long each is to stay out of BGP for it. Pure: times come in, in seconds of any one clock.

A customer who pulls a plug each second makes every router of the network work each second. Damping is for that, and for nothing else: a
port's first losses of link are told at once, and so is everything of a port that was quiet for a while (RFC 7196 on why not to be eager).
"""

from collections import deque
from collections.abc import Collection

from l3ctl.peering import Damping


class Damper:
    """Counts losses of link. With no `damping` it holds nobody down."""

    def __init__(self, damping: Damping | None) -> None:
        self._damping = damping
        self._up: dict[str, bool] = {}
        self._losses: dict[str, deque[float]] = {}
        self._until: dict[str, float] = {}
        self._doubled: dict[str, tuple[int, float]] = {}
        """how often a port's time was doubled, and when its last one ended"""

    def saw(self, port: str, up: bool, now: float) -> bool:
        """Take in the state of a port's link. Whether the port is to be held down from now on, or longer than it was."""
        was_up, self._up[port] = self._up.get(port, True), up  # who is heard of first, is so for having lost it
        if self._damping is None or up or not was_up:
            return False
        losses = self._losses.setdefault(port, deque(maxlen=self._damping.flaps + 1))
        losses.append(now)
        flaps = len(losses) > self._damping.flaps and now - losses[0] <= self._damping.within
        if port not in self._until:
            if not flaps:
                return False
            self._doubled[port] = self._times_doubled(port, now), now
        self._until[port] = now + self._hold(port)
        return True

    def _times_doubled(self, port: str, now: float) -> int:
        """One more than the last time, unless that is long ago."""
        assert self._damping is not None
        if port not in self._doubled:
            return 0
        times, ended = self._doubled[port]
        return times + 1 if now - ended <= self._damping.within + self._hold(port) else 0

    def _hold(self, port: str) -> float:
        assert self._damping is not None
        return float(min(self._damping.hold * 2 ** min(self._doubled[port][0], 32), self._damping.max_hold))

    def released(self, now: float) -> set[str]:
        """The ports whose time has ended since this was asked last."""
        over = {port for port, until in self._until.items() if now >= until}
        for port in over:
            del self._until[port]
            del self._losses[port]
            self._doubled[port] = self._doubled[port][0], now
        return over

    def held(self, now: float) -> dict[str, float]:
        """The ports that are held down -> the seconds left, if their link stays quiet."""
        return {port: max(0.0, until - now) for port, until in self._until.items()}

    def forget_all_but(self, ports: Collection[str]) -> None:
        """Know nothing of ports that are no more."""
        for known in (self._up, self._losses, self._until, self._doubled):
            for port in known.keys() - ports:
                del known[port]
