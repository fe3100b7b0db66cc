"""The ring buffer in which the filter leaves samples of what it counted, read through libbpf."""

import ctypes
from dataclasses import dataclass

from l3ctl.xdp.abi import abi
from l3ctl.xdp.libbpf import Map, library


@dataclass(frozen=True, slots=True)
class Sample:
    """A frame as the filter saw it: `frame` is its beginning, `length` all of it. `index` is its port's, 0 for none."""

    index: int
    reason: str
    ifindex: int
    length: int
    frame: bytes


_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t)


class Samples:
    """Reads a ring. What is read is gone; what was not read when an agent died is the next one's."""

    def __init__(self, ring: Map) -> None:
        self._found: list[Sample] = []
        self._callback = _CALLBACK(self._take)  # held here: libbpf keeps only its address
        self._reasons = {reason.number: reason.name for reason in abi().reasons}
        calls = library()
        calls.ring_buffer__new.restype = ctypes.c_void_p
        self._ring = calls.ring_buffer__new(ring.fd, self._callback, None, None)
        if not self._ring:
            raise OSError(ctypes.get_errno(), "ring_buffer__new")

    def fileno(self) -> int:
        """For a selector."""
        return int(library().ring_buffer__epoll_fd(ctypes.c_void_p(self._ring)))

    def close(self) -> None:
        """Let go of the ring; the filter goes on writing into it until it is full."""
        if self._ring:
            library().ring_buffer__free(ctypes.c_void_p(self._ring))
            self._ring = None

    def read(self) -> list[Sample]:
        """All that is there: at most what the ring holds, however fast it is filled."""
        library().ring_buffer__consume(ctypes.c_void_p(self._ring))
        found, self._found = self._found, []
        return found

    def _take(self, _: int, data: int, size: int) -> int:
        layout = abi().structs["sample"]
        raw = ctypes.string_at(data, size)
        reason = self._reasons.get(layout.number(raw, "reason"), "")
        captured = layout.number(raw, "captured")
        frame = layout.data(raw, "frame")[:captured]
        self._found.append(Sample(layout.number(raw, "port"), reason, layout.number(raw, "ifindex"), layout.number(raw, "length"), frame))
        return 0
