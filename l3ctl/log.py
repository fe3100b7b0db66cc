"""The log: events with fields, one line each on stderr, where the service manager dates them; to systemd's journal, field by field.

Their words are VOCABULARY, and no others. Nobody waits for who reads them: a network does not stand still because its log does.
"""

import logging
import os
import select
import time
from collections import Counter, deque
from collections.abc import Collection
from typing import NamedTuple

from l3ctl.journal import Journal, is_read_by_it

_log = logging.getLogger("l3ctl")
_STDERR = 2
_AT_ONCE = 4096
"""bytes that a pipe has room for when it is said to have any (PIPE_BUF of pipe(7))"""


NOTICE = 25
"""between logging's own INFO and WARNING, as in syslog(3)"""
_PRIORITIES = {logging.INFO: 6, NOTICE: 5, logging.WARNING: 4}
"""logging's levels as those of syslog(3)"""
_REMEMBERED = 5_000
"""events, whosever they are"""


class Told(NamedTuple):
    """An event as it was told, and when, by the wall clock."""

    at: float
    text: str


_told: deque[Told] = deque(maxlen=_REMEMBERED)
_counts: Counter[str] = Counter()


VOCABULARY = {
    "start": "the agent works, with a filter that it has loaded",
    "adopt": "the agent works, with the filter that it found",
    "stop": "the agent ends; the network stays as it is",
    "add": "something was added to the kernel, or a policy to the filter",
    "replace": "something there was not as it should be, and is now",
    "remove": "something was removed that should not be there",
    "announce": "ExaBGP was told to announce, and has said that it does",
    "withdraw": "ExaBGP was told to withdraw, and has said that it does",
    "relay": "ExaBGP's helper has called, or is gone",
    "session": "a BGP session has come up or gone down",
    "up": "a host is there, whatever its link says: it answers, or somebody said so",
    "down": "a host is away, whatever its link says",
    "hold": "a port flaps, and is not announced for a while",
    "release": "a port that flapped is quiet again, and is announced",
    "drain": "everything is withdrawn, until `undrain`",
    "undrain": "everything is announced again",
    "confirm": "somebody confirmed what was held back",
    "roll-back": "nobody confirmed in time; the inventory before stands again",
    "violation": "a customer sent what billing cannot vouch for",
    "refuse": "something cannot be done or believed, and stays as it was",
    "overrun": "the kernel had more to tell than there was room for; everything is looked at",
    "stall": "the agent was stopped, or had no processor",
    "lost": "lines that nobody took",
}
_NOTABLE = {"refuse": logging.WARNING, "overrun": logging.WARNING, "stall": logging.WARNING, "violation": NOTICE}
"""words that tell of more than the day's work"""


class _Handler(logging.Handler):
    """`lost` says how many it could not pass on."""

    def __init__(self) -> None:
        super().__init__()
        self.lost = 0
        self._lost = 0
        """since the last that it could"""


class _Lines(_Handler):
    """Writes them to a descriptor, as long as there is room."""

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._fd = fd
        self._room = select.poll()
        self._room.register(fd, select.POLLOUT)
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


class _Fields(_Handler):
    """Tells them to the journal, as long as it has room."""

    def __init__(self, journal: Journal) -> None:
        super().__init__()
        self._journal = journal

    def emit(self, record: logging.LogRecord) -> None:
        """Tell it, or count it as lost."""
        if self._lost and self._journal.tell(
            _PRIORITIES[logging.WARNING], f"lost lines={self._lost}", {"event": "lost", "lines": str(self._lost)}
        ):
            self._lost = 0
        fields: dict[str, str] = getattr(record, "fields", {})
        if not self._journal.tell(_PRIORITIES.get(record.levelno, 6), self.format(record), fields):
            self._lost += 1
            self.lost += 1


def configure() -> None:
    """Send events to stderr, or to the journal where that is what reads it."""
    handler: _Handler = _Fields(Journal()) if is_read_by_it(_STDERR) else _Lines(_STDERR)
    handler.setFormatter(logging.Formatter("%(message)s"))
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False  # nobody asks, and a start tells 60,000 events
    logging._srcfile = None  # logging's HOWTO, "Optimization": where in the source it was told is not looked for
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)


def event(word: str, **fields: object) -> None:
    """Tell one event: `add port=web1 item="neighbour fe80::1 ..."`."""
    said = {name: str(value) for name, value in fields.items() if value is not None}
    line = " ".join((word, *(f"{name}={_quoted(value)}" for name, value in said.items())))
    _told.append(Told(time.time(), line))
    _counts[word] += 1
    _log.log(_NOTABLE.get(word, logging.INFO), line, extra={"fields": {"event": word, **said}})


def counted() -> dict[str, int]:
    """How many of each word there were."""
    return dict(sorted(_counts.items()))


def lost() -> int:
    """Lines that nobody took."""
    return sum(handler.lost for handler in _log.handlers if isinstance(handler, _Handler))


def recall(words: Collection[str], count: int) -> list[Told]:
    """The last so many events that have one of these words, the latest first; of `name=value` the value is a word too."""
    found: list[Told] = []
    for one in reversed(_told):
        if len(found) >= count:
            break
        if any(word in one.text for word in words):  # perhaps within another: a look that costs a twentieth
            said = one.text.replace('"', " ").split()
            if not {*said, *(word.partition("=")[2] for word in said)}.isdisjoint(words):
                found.append(one)
    return found


def _quoted(text: str) -> str:
    if not text.isprintable():
        text = "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)
    elif text and " " not in text and '"' not in text and "=" not in text:
        return text
    return '"' + text.replace('"', "'") + '"'
