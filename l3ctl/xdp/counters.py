"""How many frames of each port the filter has counted, by reason: per-CPU arrays of a few thousand ports each, made as ports come."""

import struct
from collections.abc import Iterator

from l3ctl.xdp.abi import abi
from l3ctl.xdp.libbpf import BPF_MAP_TYPE_PERCPU_ARRAY, Map


def _key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def new_chunk() -> Map:
    """An empty array of counters."""
    return Map.create("counters_chunk", BPF_MAP_TYPE_PERCPU_ARRAY, 4, abi().structs["port_counters"].size, abi().numbers["COUNTERS_CHUNK"])


class Counters:
    """The counters of one filter, by port index; 0 is for frames that belong to no port."""

    def __init__(self, chunks: Map) -> None:
        self._chunks = chunks
        self._open: dict[int, Map] = {}

    def chunk(self, number: int) -> Map | None:
        """One of the arrays; None where there is none yet."""
        if number not in self._open:
            told = self._chunks.lookup(_key(number))
            if told is None:
                return None
            self._open[number] = Map.by_id(int.from_bytes(told, "little"))
        return self._open[number]

    def begin(self, index: int) -> None:
        """Let a port count from 0."""
        number, cell = divmod(index, abi().numbers["COUNTERS_CHUNK"])
        chunk = self.chunk(number)
        if chunk is None:
            self._open[number] = new_chunk()
            self._chunks.update(_key(number), _key(self._open[number].fd))
        elif self.read(index):
            chunk.update(_key(cell), bytes(chunk.room))

    def read(self, index: int) -> dict[str, int]:
        """Frames by reason; reasons never met are left out."""
        number, cell = divmod(index, abi().numbers["COUNTERS_CHUNK"])
        chunk = self.chunk(number)
        return _understood(chunk.array(cell, 1)) if chunk is not None else {}

    def every(self, end: int) -> Iterator[tuple[int, dict[str, int]]]:
        """The same of all indexes below `end` that have any, many in a system call."""
        size = abi().numbers["COUNTERS_CHUNK"]
        for number in range(-(-end // size)):
            chunk = self.chunk(number)
            if chunk is not None:
                yield from ((number * size + cell, _understood(values)) for cell, values in chunk.used(end - number * size))


def _understood(values: bytes) -> dict[str, int]:
    """One port's, as every processor has them."""
    if not values.strip(b"\0"):
        return {}
    stride = abi().numbers["REASON_STRIDE"]
    per_cpu = struct.unpack(f"={len(values) // 8}Q", values)
    totals = [sum(per_cpu[number::stride]) for number in range(stride)]
    return {reason.name: totals[reason.number] for reason in abi().reasons if totals[reason.number]}
