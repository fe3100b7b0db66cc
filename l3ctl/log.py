"""The log: events with fields, one line each on stderr, where the service manager dates them.

The words are a fixed vocabulary: announce, withdraw, add, replace, remove, refuse, violation, adopt, and start, stop, full-pass, overrun,
stall for the agent itself; `lost` says how many lines nobody took. For nobody waits for who reads them: a network does not stand still
because its log does.
"""

import logging
import os
import select
import time
from collections import Counter, deque
from collections.abc import Callable
from typing import NamedTuple

_log = logging.getLogger("l3ctl")
_STDERR = 2
_AT_ONCE = 4096
"""bytes that a pipe has room for when it is said to have any (PIPE_BUF of pipe(7))"""


_REMEMBERED = 5_000
"""events, whosever they are"""


class Told(NamedTuple):
    """An event as it was told, and when, by the wall clock."""

    at: float
    text: str


_told: deque[Told] = deque(maxlen=_REMEMBERED)
_counts: Counter[str] = Counter()


class _Lines(logging.Handler):
    """Writes them to a descriptor, as long as there is room."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._room = select.poll()
        self._room.register(fd, select.POLLOUT)
        self._lost = 0
        self.lost = 0
        """of all lines"""
        self._cut = False
        """the line before was not written to its end"""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line, or count it as lost."""
        line = f"{self.format(record)}\n"
        if self._lost:
            line = f"{chr(10) * self._cut}lost lines={self._lost}\n{line}"
        raw = line.encode(errors="backslashreplace")
        for start in range(0, len(raw), _AT_ONCE):
            if not self._write(raw[start : start + _AT_ONCE]):
                self._lost += 1
                self.lost += 1
                self._cut = self._cut or start > 0
                return
        self._lost, self._cut = 0, False

    def _write(self, some: bytes) -> bool:
        try:
            return bool(self._room.poll(0)) and os.write(self._fd, some) == len(some)
        except OSError:  # whoever read it is gone
            return False


def configure() -> None:
    """Send events to stderr."""
    handler = _Lines(_STDERR)
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)


def event(word: str, **fields: object) -> None:
    """Tell one event: `add port=web1 item="neighbour fe80::1 ..."`."""
    line = " ".join((word, *(f"{name}={_quoted(str(value))}" for name, value in fields.items() if value is not None)))
    _told.append(Told(time.time(), line))
    _counts[word] += 1
    _log.info(line)


def counted() -> dict[str, int]:
    """How many of each word there were."""
    return dict(sorted(_counts.items()))


def lost() -> int:
    """Lines that nobody took."""
    return sum(handler.lost for handler in _log.handlers if isinstance(handler, _Lines))


def recall(is_meant: Callable[[set[str]], bool], count: int) -> list[Told]:
    """The last so many events of which that holds, the latest first. It is given each one's words, of `name=value` the value too."""
    found: list[Told] = []
    for one in reversed(_told):
        if len(found) >= count:
            break
        words = one.text.replace('"', " ").split()
        if is_meant({*words, *(word.partition("=")[2] for word in words)}):
            found.append(one)
    return found


def _quoted(text: str) -> str:
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text).replace('"', "'") + '"'
