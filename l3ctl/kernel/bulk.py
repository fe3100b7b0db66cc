"""Additions by the hundred thousand: messages of one kind and length as a template, repeated, and the columns in which they differ.

A column is written into all messages of a send by a few strided assignments. That is 100 ns a message, and its values' making 300, where
packing each takes 1,200, and the kernel itself 2,100.
"""

import struct
from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network
from itertools import repeat
from math import gcd
from typing import Literal, TypeVar

from l3ctl.kernel import neighbours, routes
from l3ctl.kernel.wire import HEADER, NLM_F_ACK, NLM_F_REQUEST, Message
from l3ctl.model import MAIN_TABLE, Address, Neighbour, Route

T = TypeVar("T")
_TOGETHER = 8_000
"""items whose columns are made at a time: of more, what one pass over them has read is out of the cache when the next needs it"""
_SEQUENCE_AT, _FLAGS_AT = 8, 6
_FLAGS = struct.Struct("=H")
_UNITS: dict[int, Literal["B", "H", "I", "Q"]] = {1: "B", 2: "H", 4: "I", 8: "Q"}
"""bytes -> the format of an integer that is so wide"""


@dataclass(frozen=True, slots=True)
class Column:
    """What stands at this offset of each payload: the values side by side, `width` bytes each."""

    offset: int
    width: int
    values: bytes

    def strips(self, raw: memoryview, stride: int) -> Iterator[tuple[memoryview, memoryview]]:
        """Its places in a row of messages, and what comes there, in pieces as wide as these places allow."""
        at = HEADER.size + self.offset
        common = gcd(stride, at, self.width)
        unit = min(common & -common, 8)
        there, values = raw.cast(_UNITS[unit]), memoryview(self.values).cast(_UNITS[unit])
        for piece in range(self.width // unit):
            yield there[at // unit + piece :: stride // unit], values[piece :: self.width // unit]


@dataclass(frozen=True, slots=True)
class Uniform:
    """Many requests that differ in these columns only. `places` says where each came from."""

    sample: Message
    columns: tuple[Column, ...]
    places: Sequence[int]

    def sends(self, most: int, sequence: int) -> Iterator[memoryview]:
        """The requests, at `most` so many at a time, numbered from `sequence`; the last one of each time asks for an ACK.

        They are made in the same memory each time: what is not sent before the next is asked for is gone.
        """
        kind, flags, payload = self.sample
        total = len(self.places)
        length = HEADER.size + len(payload)
        stride = (length + 3) & ~3
        request = HEADER.pack(length, kind, flags | NLM_F_REQUEST, 0, 0) + payload
        raw = memoryview(bytearray(request.ljust(stride, b"\0") * min(most, total)))
        numbers = array("I", range(sequence, sequence + total)).tobytes()
        columns = (Column(_SEQUENCE_AT - HEADER.size, 4, numbers), *self.columns)
        strips = [strip for column in columns for strip in column.strips(raw, stride)]
        for start in range(0, total, most):
            count = min(most, total - start)
            for there, values in strips:
                there[:count] = values[start : start + count]
            _FLAGS.pack_into(raw, (count - 1) * stride + _FLAGS_AT, flags | NLM_F_REQUEST | NLM_F_ACK)
            yield raw[: count * stride]


def uniform_neighbours(items: Sequence[Neighbour], ifindexes: Sequence[int]) -> Iterator[Uniform]:
    """Permanent neighbours, only where there are none; a group for each family."""

    def kinds(chosen: Sequence[Neighbour]) -> Sequence[object]:
        return [*map(type, [one.address for one in chosen])]

    def group(places: Sequence[int], chosen: Sequence[Neighbour]) -> Uniform:
        first = chosen[0]
        # a blank in place of each colon, since no text has to be moved for that
        lladdrs = bytes.fromhex(":".join([one.lladdr for one in chosen]).replace(":", " "))
        own = {"address": _packed([one.address for one in chosen]), "lladdr": lladdrs}
        return _uniform(places, neighbours.pack_add(first, 0, replace=False), neighbours.columns(first), _indexes(ifindexes, places) | own)

    return _grouped(items, kinds, group)


def uniform_routes(items: Sequence[Route], ifindexes: Sequence[int]) -> Iterator[Uniform]:
    """Routes, as `routes.pack_add` makes them; a group for each family, those without a next hop apart, and those that are not in main."""

    def kinds(chosen: Sequence[Route]) -> Sequence[object]:
        return [
            (type(one.prefix) is IPv6Network) + 2 * (one.next_hop is None) + 4 * (not one.interface) + 8 * (one.table != MAIN_TABLE)
            for one in chosen
        ]

    def group(places: Sequence[int], chosen: Sequence[Route]) -> Uniform:
        first = chosen[0]
        own = {
            "destination": _packed([one.prefix.network_address for one in chosen]),
            "length": bytes([one.prefix.prefixlen for one in chosen]),
            "metric": array("I", [one.metric for one in chosen]).tobytes(),
            "next_hop": _packed([one.next_hop for one in chosen if one.next_hop is not None]),
        }
        if first.table != MAIN_TABLE:
            own["table"] = array("I", [one.table for one in chosen]).tobytes()
        return _uniform(places, routes.pack_add(first, 0), routes.columns(first), _indexes(ifindexes, places) | own)

    return _grouped(items, kinds, group)


def alike(values: Sequence[object]) -> bool:
    """Whether there are any, and all are the same: ten times as fast as a set of those whose hash is not C's."""
    return bool(values) and values.count(values[0]) == len(values)


def _grouped(
    items: Sequence[T], kinds: Callable[[Sequence[T]], Sequence[object]], group: Callable[[Sequence[int], Sequence[T]], Uniform]
) -> Iterator[Uniform]:
    """A group of each kind that there is among so many items; mostly there is one, and nothing to sort."""
    for start in range(0, len(items), _TOGETHER):
        together = items[start : start + _TOGETHER]
        found = kinds(together)
        if alike(found):
            yield group(range(start, start + len(together)), together)
            continue
        places: dict[object, list[int]] = {}
        for place, kind in enumerate(found, start):
            places.setdefault(kind, []).append(place)
        for chosen in places.values():
            yield group(chosen, [items[place] for place in chosen])


def _packed(addresses: Sequence[Address]) -> bytes:
    """As `address.packed` of each of one family, in half the time."""
    width = addresses[0].max_prefixlen // 8 if addresses else 0
    return b"".join(map(int.to_bytes, map(int, addresses), repeat(width)))


def _indexes(ifindexes: Sequence[int], places: Sequence[int]) -> dict[str, bytes]:
    chosen = ifindexes[places.start : places.stop] if isinstance(places, range) else [ifindexes[place] for place in places]
    return {"ifindex": array("I", chosen).tobytes()}


def _uniform(places: Sequence[int], sample: Message, layout: dict[str, tuple[int, int]], values: dict[str, bytes]) -> Uniform:
    return Uniform(sample, tuple(Column(*layout[name], values[name]) for name in layout), places)
