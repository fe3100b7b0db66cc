"""What an agent has counted since it began: the changes it made, and how long the news of a link took until ExaBGP had it."""

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Sequence

from l3ctl.model import Change, Prefix

BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""seconds; the upper ends of a histogram's buckets"""
_FORGOTTEN_AFTER = 60.0
"""seconds: what was not answered by then was held down, refused, or not to be announced"""
_AT_ONCE = 100_000


class Tally:
    """Numbers that only grow."""

    def __init__(self) -> None:
        self.changes: Counter[tuple[str, str]] = Counter()
        """(verb, kind of item)"""
        self.buckets = [0] * (len(BOUNDS) + 1)
        """the last one is of what took longer"""
        self.seconds = 0.0
        self._news: dict[str, float] = {}
        """by prefix: when the last link event of its port was read"""

    def made(self, changes: Iterable[Change]) -> None:
        """These changes."""
        self.changes.update((change.verb.value, type(change.item).__name__.lower()) for change in changes)

    def link_changed(self, prefixes: Iterable[Prefix], now: float) -> None:
        """The news has come that these are there, or no longer."""
        if len(self._news) > _AT_ONCE:
            self._news.clear()
        self._news.update((str(prefix), now) for prefix in prefixes)

    def answered(self, prefixes: Sequence[str], now: float) -> None:
        """ExaBGP has taken a command about these."""
        for prefix in prefixes:
            began = self._news.pop(prefix, None)
            if began is not None and now - began < _FORGOTTEN_AFTER:
                self.buckets[bisect_left(BOUNDS, now - began)] += 1
                self.seconds += now - began
