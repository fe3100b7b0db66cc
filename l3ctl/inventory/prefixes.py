"""IPv6 prefixes and who holds them, so that what overlaps another is found without looking at all."""

from bisect import bisect_left, insort
from collections.abc import Iterator
from ipaddress import IPv6Network
from typing import Generic, TypeVar

Holder = TypeVar("Holder")


class Prefixes(Generic[Holder]):
    """IPv6 prefixes and their holders. All are /48 or longer, so those that overlap begin with the same 48 bits: these make the buckets.

    Within one they stand sorted, first address before length, as one number.
    """

    def __init__(self) -> None:
        self._buckets: dict[int, list[int]] = {}
        self._holders: dict[int, Holder] = {}
        self._lengths: tuple[int, ...] = ()

    def add(self, prefix: IPv6Network, holder: Holder) -> None:
        """Let it be held, if nobody holds it."""
        key = _key(prefix)
        if key not in self._holders:
            self._holders[key] = holder
            if prefix.prefixlen not in self._lengths:
                self._lengths = tuple(sorted({*self._lengths, prefix.prefixlen}, reverse=True))
            insort(self._buckets.setdefault(key >> 88, []), key)

    def get(self, prefix: IPv6Network) -> Holder | None:
        """Who holds just this one."""
        return self._holders.get(_key(prefix))

    def remove(self, prefix: IPv6Network) -> None:
        """Let it be held by nobody."""
        key = _key(prefix)
        del self._holders[key]
        bucket = self._buckets[key >> 88]
        del bucket[bisect_left(bucket, key)]
        if not bucket:
            del self._buckets[key >> 88]

    def overlapping(self, prefix: IPv6Network) -> Iterator[tuple[IPv6Network, Holder]]:
        """What it is within, from the inside out, itself first, and then what is within it."""
        first, length = int(prefix.network_address), prefix.prefixlen
        for outer in self._lengths:  # the longest first
            key = first >> (128 - outer) << (136 - outer) | outer
            if outer <= length and key in self._holders:
                yield _prefix(key), self._holders[key]
        bucket = self._buckets.get(first >> 80, [])
        last = first | (1 << 128 - length) - 1
        for at in range(bisect_left(bucket, first << 8 | length + 1), len(bucket)):
            if bucket[at] >> 8 > last:
                return
            yield _prefix(bucket[at]), self._holders[bucket[at]]


def _key(prefix: IPv6Network) -> int:
    return int(prefix.network_address) << 8 | prefix.prefixlen


def _prefix(key: int) -> IPv6Network:
    return IPv6Network((key >> 8, key & 0xFF))
