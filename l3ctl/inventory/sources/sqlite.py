"""The inventory as the rows of a query of an SQLite database, which is opened to be read only, and anew for each reading.

Lists are text in SQLite: ``hosts``, ``bgp``, ``ipv6`` and ``ipv4`` may be JSON, the last two also addresses between blanks or commas.
"""

import hashlib
import re
import select
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from inotify_simple import INotify, flags

from l3ctl.configuration import SqliteSource
from l3ctl.errors import BadInput, Problem, SourceFailed
from l3ctl.inventory import fetched_ports
from l3ctl.inventory.alarm import Alarm
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import Value
from l3ctl.reading.json_value import read_json

_Row = tuple[object, ...]
_QUERY = "inventory.sqlite.query"
_LISTS = {"ipv6", "ipv4"}
_JSON = {"hosts", "bgp", *_LISTS}
_BOOLEANS = {"qinq", "source_guard", "announce"}
_WORDS: dict[object, Value] = {0: False, 1: True, "false": False, "true": True}
_STEPS = 10_000
"""of SQLite's machine, between two looks at the clock"""

# What a commit does to the database, its journal or its write-ahead log. A reader opens and makes files there too, but writes to none.
_WRITES = flags.MODIFY | flags.MOVED_TO | flags.DELETE | flags.Q_OVERFLOW
# Seconds after a write until a commit is most likely whole, and until another look: with a write-ahead log it is there for others only
# after a disk's flush, which makes no event.
_SOON = 0.05
_LATER = 1.0


class Reader:
    """`Source` of one database file."""

    def __init__(self, settings: SqliteSource, timeout: int) -> None:
        self._path = settings.path
        self._query = settings.query
        self._name = str(settings)
        self._timeout = timeout
        self._digest = b""
        self._watch: _Watch | None = None

    def read(self) -> Delivery:
        """Each row. The watch is laid first, so that nothing falls between."""
        self._follow()
        names, rows = self._rows()
        self._digest = _digest(names, rows)
        return self._delivery(names, rows)

    def fileno(self) -> int | None:
        """The watch, once it has been read for the first time."""
        return self._watch.fileno() if self._watch else None

    def news(self) -> Delivery | None:
        """Everything; None where nothing was written, or it came to the same rows."""
        if self._watch and not self._watch.is_due():
            return None
        self._follow()
        names, rows = self._rows()
        digest = _digest(names, rows)
        if digest == self._digest:
            return None
        self._digest = digest
        return self._delivery(names, rows)

    def close(self) -> None:
        """Let go of the watch."""
        if self._watch:
            self._watch.close()
        self._watch = None

    def _follow(self) -> None:
        with suppress(OSError):  # no such folder, or too many watches on this machine: then only another reading can tell
            self._watch = self._watch or _Watch()
            self._watch.follow(self._path.resolve())

    def _delivery(self, names: list[str], rows: list[_Row]) -> Delivery:
        records = []
        for number, row in enumerate(rows, 1):
            value = {key: self._value(key, cell) for key, cell in zip(names, row, strict=True) if cell is not None}
            records.append(fetched_ports.row(self._name, number, value))
        return Delivery(records)

    def _value(self, key: str, cell: object) -> Value:
        if key in _BOOLEANS and cell in _WORDS:
            return _WORDS[cell]
        if isinstance(cell, bytes):
            return f"X'{cell.hex()}'"
        if key in _JSON and isinstance(cell, str):
            if cell.lstrip().startswith(("[", "{")):
                with suppress(BadInput):  # as text it is refused with its place
                    return read_json(cell, self._name)
            elif key in _LISTS:
                return [word for word in re.split(r"[\s,]+", cell) if word]
        return str(cell)

    def _rows(self) -> tuple[list[str], list[_Row]]:
        """The columns' names, and what the query gives."""
        deadline = time.monotonic() + self._timeout
        path = self._path.absolute()
        try:
            if not path.is_file():
                raise BadInput([Problem(self._name, "no such file" if not path.exists() else "is not a file", "check the path")])
            uri = f"file:{quote(str(path))}?mode=ro"
            with closing(sqlite3.connect(uri, uri=True, timeout=self._timeout, isolation_level=None)) as connection:
                connection.text_factory = lambda raw: raw.decode(errors="replace")
                connection.set_progress_handler(lambda: time.monotonic() > deadline, _STEPS)
                cursor = connection.execute(self._query)
                names = self._columns(cursor)
                rows = cursor.fetchmany(fetched_ports.MOST_ROWS + 1)
        except (sqlite3.Error, sqlite3.Warning, OSError, ValueError) as error:
            raise self._translated(error) from None
        if len(rows) > fetched_ports.MOST_ROWS:
            raise SourceFailed(f"{_QUERY}: gives more than {fetched_ports.MOST_ROWS} rows", "check how it joins its tables")
        return names, rows

    def _columns(self, cursor: sqlite3.Cursor) -> list[str]:
        if not cursor.description:
            raise BadInput([Problem(_QUERY, "gives no rows", "write a SELECT")])
        names = [column[0] for column in cursor.description]
        fetched_ports.check_columns(names, _QUERY)
        return names

    def _translated(self, error: Exception) -> BadInput | SourceFailed:
        if isinstance(error, OSError):
            return SourceFailed(f"{self._name}: {error.strerror}", "check the path and its mode")
        words = " ".join(str(error).split())
        code = getattr(error, "sqlite_errorname", "") or ""
        if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_PROTOCOL")):
            return SourceFailed(f"{self._name}: is locked, for longer than {self._timeout} s", "see who writes to it, or set timeout")
        if code.startswith("SQLITE_INTERRUPT"):
            return SourceFailed(f"{_QUERY}: takes longer than {self._timeout} s", "make it faster, or set timeout")
        if code.startswith(("SQLITE_NOTADB", "SQLITE_CORRUPT")):
            return BadInput([Problem(self._name, words, "check that it is the database you mean, or restore it")])
        if code.startswith(("SQLITE_ERROR", "SQLITE_SCHEMA", "SQLITE_READONLY", "SQLITE_AUTH")) or not code:
            return BadInput([Problem(_QUERY, words, "write one SELECT")])
        return SourceFailed(f"{self._name}: {words}", "check the path, its mode and the disk")


class _Watch:
    """Becomes readable when the database may have changed; after that, `is_due` says whether now is the time to look."""

    def __init__(self) -> None:
        self._notify = INotify(nonblocking=True)
        self._alarm = Alarm()
        self._either = select.epoll()
        for one in (self._notify, self._alarm):
            self._either.register(one.fileno(), select.EPOLLIN)
        self._names: set[str] = set()
        self._soon = False

    def fileno(self) -> int:
        return self._either.fileno()

    def follow(self, path: Path) -> None:
        """The folder there is now; one that is watched already is not watched twice."""
        self._names = {path.name, f"{path.name}-wal", f"{path.name}-journal"}
        self._notify.add_watch(path.parent, _WRITES & ~flags.Q_OVERFLOW)

    def is_due(self) -> bool:
        written = [event for event in self._notify.read(timeout=0) if event.name in self._names or event.mask & flags.Q_OVERFLOW]
        rung = self._alarm.take()
        if rung and self._soon:
            self._soon = False
            self._alarm.set(_LATER)
        if written and not self._soon:
            self._soon = True
            self._alarm.set(_SOON)
        return rung

    def close(self) -> None:
        self._either.close()
        self._alarm.close()
        self._notify.close()


def _digest(names: list[str], rows: list[_Row]) -> bytes:
    digest = hashlib.blake2b(repr(names).encode())
    for row in rows:
        digest.update(repr(row).encode(errors="replace"))
    return digest.digest()
