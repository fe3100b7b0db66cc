"""Frames a second from counters that only grow, with what each was lately. Pure."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

HISTORY = 20
"""rates that are kept of each port and reason"""
_BARS = "▁▂▃▄▅▆▇█"
Key = tuple[str, str]
"""(port, reason)"""
Counters = Mapping[str, Mapping[str, int]]


@dataclass(slots=True)
class Rate:
    """Of one port and reason: how many so far, how many a second now, and before."""

    port: str
    reason: str
    total: int
    now: float = 0.0
    before: deque[float] = field(default_factory=lambda: deque(maxlen=HISTORY))

    def sparkline(self) -> str:
        """The latest at the right; the highest bar is the highest of its own."""
        most = max(self.before, default=0.0)
        return "".join(_BARS[min(len(_BARS) - 1, int(one / most * len(_BARS)))] if one else " " for one in self.before)


class Rates:
    """Of everything that was ever counted."""

    def __init__(self) -> None:
        self._rates: dict[Key, Rate] = {}
        self._at: float | None = None

    def add(self, counters: Counters, now: float) -> None:
        """The counters as they are at this moment, in seconds of a steady clock."""
        passed = 0.0 if self._at is None else now - self._at
        there = {(port, reason): count for port, counts in counters.items() for reason, count in counts.items()}
        for key, count in there.items():
            rate = self._rates.get(key)
            if rate is None:
                # What was there at the first look came before it; what appears later came since the last one.
                rate = self._rates[key] = Rate(*key, count if self._at is None else 0)
            # Less than before: the port was removed and is there anew.
            grown = count - rate.total if count >= rate.total else count
            rate.now = grown / passed if passed > 0 else 0.0
            rate.total = count
        for key in self._rates.keys() - there.keys():
            del self._rates[key]
        if passed > 0:
            for rate in self._rates.values():
                rate.before.append(rate.now)
        self._at = now

    def all(self, *, by_total: bool = False, containing: str = "") -> Iterator[Rate]:
        """The busiest first; `containing` is part of a port's name or of a reason."""
        found = (one for one in self._rates.values() if containing in one.port or containing in one.reason)
        return iter(sorted(found, key=lambda one: (-(one.total if by_total else one.now), -one.total, one.port, one.reason)))
