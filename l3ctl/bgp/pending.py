"""The order in which changes go to ExaBGP. Pure: it knows neither wishes nor what is held.

Each route has at most one pending change, the newest. Live changes go before the rest of a resync, because an announcement that queues
behind ten thousand others is seconds late; withdraws go before announces, because traffic sent to a dead port is lost.
"""

from l3ctl.bgp.lines import Command, Key
from l3ctl.model import Verb

BATCH = 24
"""Prefixes in one command. In a turn of its loop ExaBGP takes one command and sends a peer 25 updates. Of longer ones it sends less than it
takes, and a withdraw waits behind what is left over: under 20,000 prefixes 0.9 to 1.7 s with 48, 0.04 s with 24."""

_Bucket = tuple[bool, bool, bool, str, str, bool]
"""not live, announce, alone, peer, attributes, IPv6: all that one command has in common, in the order of going out"""


class Pending:
    """The changes still to be sent, at most one for a route."""

    def __init__(self) -> None:
        self._buckets: dict[_Bucket, dict[str, None]] = {}
        self._places: dict[Key, _Bucket] = {}

    def __len__(self) -> int:
        return len(self._places)

    def __contains__(self, key: Key) -> bool:
        return key in self._places

    def put(self, key: Key, verb: Verb, attributes: str, *, live: bool, alone: bool = False) -> None:
        """Replace whatever is pending for this route. `alone`: in a command of its own, because ExaBGP refused it in company."""
        before = self._places.get(key)
        live = live or (before is not None and not before[0])
        self.drop(key)
        peer, prefix = key
        place = (not live, verb is Verb.ANNOUNCE, alone, peer, attributes, ":" in prefix)
        self._places[key] = place
        self._buckets.setdefault(place, {})[prefix] = None

    def drop(self, key: Key) -> None:
        """There is nothing more to change for this route."""
        if (place := self._places.pop(key, None)) is None:
            return
        bucket = self._buckets[place]
        del bucket[key[1]]
        if not bucket:
            del self._buckets[place]

    def is_urgent(self) -> bool:
        """Whether the next command is a live withdraw."""
        return bool(self._buckets) and min(self._buckets)[:2] == (False, False)

    def take(self) -> Command | None:
        """The next command, with as many prefixes as it may carry; None when nothing is pending."""
        if not self._buckets:
            return None
        place = min(self._buckets)
        _, announce, alone, peer, attributes, _ = place
        bucket = self._buckets[place]
        prefixes = tuple(prefix for _, prefix in zip(range(1 if alone else BATCH), bucket, strict=False))
        for prefix in prefixes:
            self.drop((peer, prefix))
        return Command(Verb.ANNOUNCE if announce else Verb.WITHDRAW, peer, attributes, prefixes)

    def clear(self) -> None:
        """Forget every change."""
        self._buckets.clear()
        self._places.clear()
