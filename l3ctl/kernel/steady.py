"""What of a kernel object stays the same as long as nobody changes it: everything but its counters, ages and random timers.

By this a full comparison tells, before anything is parsed, that nothing has changed since the last one: most of its cost at 10,000 ports.
"""

import struct
from collections.abc import Iterable
from hashlib import blake2b

_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF


class Steady:
    """Takes attributes of these types out of objects whose own header is `header` bytes long.

    Objects as long as one before are taken to be laid out like it, if what is taken out of them begins with the same four bytes.
    """

    def __init__(self, header: int, volatile: Iterable[int]) -> None:
        self._header = header
        self._volatile = frozenset(volatile)
        self._layouts: dict[int, tuple[tuple[int, int, bytes], ...]] = {}

    def __call__(self, payload: bytes) -> bytes:
        """The object without them; still one that can be parsed."""
        layout = self._layouts.get(len(payload), ())
        for start, _, begins in layout:
            if payload[start : start + 4] != begins:
                layout = ()
                break
        if not layout:
            layout = tuple((start, end, payload[start : start + 4]) for start, end in reversed(self._find(payload)))
            self._layouts[len(payload)] = layout
        for start, end, _ in layout:
            payload = payload[:start] + payload[end:]
        return payload

    def _find(self, payload: bytes) -> list[tuple[int, int]]:
        """Where they stand; side by side they are one."""
        spans: list[tuple[int, int]] = []
        offset = self._header
        while offset + 4 <= len(payload):
            length, kind = _ATTRIBUTE.unpack_from(payload, offset)
            if length < 4:
                break
            end = offset + ((length + 3) & ~3)
            if kind & _TYPE_MASK in self._volatile:
                if spans and spans[-1][1] == offset:
                    spans[-1] = (spans[-1][0], end)
                else:
                    spans.append((offset, end))
            offset = end
        return spans


def digest(groups: Iterable[Iterable[bytes]]) -> bytes:
    """One name for all of these objects in their order."""
    made = blake2b(digest_size=16)
    for group in groups:
        made.update(b"".join(group))
        made.update(b"\n")
    return made.digest()
