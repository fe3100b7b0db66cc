"""The last good copy of the inventory on disk, and how it came to be what it is.

An SQLite file: every change is one transaction, so a process that dies in the midst of writing leaves what was before. Each row has a
checksum of its own and the file one of all, since a disk may give back other bytes than it was given; a copy that does not agree with
itself is set aside, and not used.
"""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path

from l3ctl.errors import CopyFailed
from l3ctl.reading.document import Value

LAYOUT = 1
"""of the file; another version's is not read"""
KEPT = 1000
"""changes of the inventory that are remembered"""
_LARGE = 10_000
"""records: a change of more is remembered by its amount alone"""

_TABLES = """
CREATE TABLE record (name TEXT PRIMARY KEY, value TEXT NOT NULL, place TEXT NOT NULL, checksum BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE about (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE version (serial INTEGER PRIMARY KEY, time REAL NOT NULL, source TEXT NOT NULL, why TEXT NOT NULL,
    added INTEGER NOT NULL, changed INTEGER NOT NULL, removed INTEGER NOT NULL);
CREATE TABLE change (serial INTEGER NOT NULL REFERENCES version ON DELETE CASCADE, name TEXT NOT NULL, was TEXT, value TEXT, place TEXT,
    PRIMARY KEY (serial, name)) WITHOUT ROWID;
"""


@dataclass(frozen=True, slots=True)
class Stored:
    """One record of the copy, and where it was read at the time."""

    name: str
    value: Value
    place: str


@dataclass(frozen=True, slots=True)
class Version:
    """One change of the inventory. ``time`` is in seconds since 1970, ``why`` what it was read for."""

    serial: int
    time: float
    source: str
    why: str
    added: int
    changed: int
    removed: int


@dataclass(frozen=True, slots=True)
class Changed:
    """What a version did to one record; None where it was not there, or is no more."""

    name: str
    was: Value
    value: Value
    place: str


class Copy:
    """The file at ``path``. Opened when it is first needed; its folder is made when it is first written."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None

    def records(self) -> list[Stored]:
        """All of them, which agree with the checksums; none where there is no copy yet.

        Raises:
            CopyFailed: it cannot be read, or does not agree. Then it was set aside under another name, if that could be done.
        """
        with self._reading() as connection:
            if connection is None:
                return []
            rows = connection.execute("SELECT name, value, place, checksum FROM record ORDER BY name").fetchall()
            about = dict(connection.execute("SELECT key, value FROM about").fetchall())
            total = 0
            for name, value, _, checksum in rows:
                if checksum != _checksum(name, value):
                    raise sqlite3.DatabaseError(f"record {name!r} is not what was written")
                total ^= int.from_bytes(checksum, "big")
            if (len(rows), f"{total:032x}") != (about.get("count"), about.get("checksum")):
                raise sqlite3.DatabaseError("records are missing, or too many")
            return [Stored(name, json.loads(value), place) for name, value, place, _ in rows]

    def commit(self, fresh: Mapping[str, Stored], gone: Iterable[str], source: str, why: str, now: float | None = None) -> int:
        """Write one change, whole or not at all: its serial. Raises `CopyFailed`."""
        with self._writing() as connection:
            about = dict(connection.execute("SELECT key, value FROM about").fetchall())
            count, total = int(about.get("count", 0)), int(about.get("checksum", "0"), 16)
            changes: list[tuple[str, str | None, str | None, str | None]] = []
            rows = []
            for name, stored in (*fresh.items(), *((name, None) for name in gone)):
                old = connection.execute("SELECT value, checksum FROM record WHERE name = ?", (name,)).fetchone()
                if old is not None:
                    count, total = count - 1, total ^ int.from_bytes(old[1], "big")
                if stored is not None:
                    text = json.dumps(stored.value, ensure_ascii=False, separators=(",", ":"))
                    checksum = _checksum(name, text)
                    count, total = count + 1, total ^ int.from_bytes(checksum, "big")
                    rows.append((name, text, stored.place, checksum))
                    changes.append((name, old and old[0], text, stored.place))
                elif old is not None:
                    changes.append((name, old[0], None, None))
            connection.executemany("DELETE FROM record WHERE name = ?", ((name,) for name, _, value, _ in changes if value is None))
            connection.executemany("INSERT OR REPLACE INTO record VALUES (?, ?, ?, ?)", rows)
            amounts = (
                sum(was is None for _, was, _, _ in changes),
                sum(was is not None and value is not None for _, was, value, _ in changes),
                sum(value is None for _, _, value, _ in changes),
            )
            row = (time.time() if now is None else now, source, why, *amounts)
            words = "INSERT INTO version (time, source, why, added, changed, removed) VALUES (?, ?, ?, ?, ?, ?)"
            serial = connection.execute(words, row).lastrowid or 0
            if len(changes) <= _LARGE:
                connection.executemany("INSERT INTO change VALUES (?, ?, ?, ?, ?)", ((serial, *change) for change in changes))
            connection.execute("DELETE FROM version WHERE serial <= ?", (serial - KEPT,))
            values = [("count", count), ("checksum", f"{total:032x}")]
            connection.executemany("INSERT OR REPLACE INTO about VALUES (?, ?)", values)
            return serial

    def versions(self, most: int) -> list[Version]:
        """The latest ones, newest first."""
        with self._reading() as connection:
            if connection is None:
                return []
            words = "SELECT serial, time, source, why, added, changed, removed FROM version ORDER BY serial DESC LIMIT ?"
            return [Version(*row) for row in connection.execute(words, (most,))]

    def changes(self, serial: int) -> list[Changed]:
        """What a version did, by name; nothing where that is not known, or not any more."""
        with self._reading() as connection:
            if connection is None:
                return []
            words = "SELECT name, was, value, place FROM change WHERE serial = ? ORDER BY name"
            rows = connection.execute(words, (serial,)).fetchall()
            return [Changed(name, _value(was), _value(value), place or "") for name, was, value, place in rows]

    def said(self, key: str) -> object:
        """A word that was left here; None where there is none."""
        with self._reading() as connection:
            row = (
                connection.execute("SELECT value FROM about WHERE key = ?", (f"said {key}",)).fetchone() if connection is not None else None
            )
            return row[0] if row is not None else None

    def say(self, key: str, value: str | float | None) -> None:
        """Leave a word for whoever opens the copy next; None takes it away."""
        with self._writing() as connection:
            connection.execute("DELETE FROM about WHERE key = ?", (f"said {key}",))
            if value is not None:
                connection.execute("INSERT INTO about VALUES (?, ?)", (f"said {key}", value))

    def close(self) -> None:
        """Let go of the file."""
        if self._connection is not None:
            with suppress(sqlite3.Error):
                self._connection.close()
            self._connection = None

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection | None]:
        """None where there is no copy. What is damaged is set aside."""
        try:
            yield self._open() if self._path.exists() else None
        except (sqlite3.DatabaseError, ValueError, OSError) as error:
            self.close()
            # A table that is missing is an OperationalError, too, and the only one of them that no disk or other process is to blame for.
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode != sqlite3.SQLITE_ERROR:
                raise CopyFailed(f"{self._path} cannot be read: {error}", "check its disk and mode") from error
            aside = self._path.with_name(f"{self._path.name}.damaged")
            with suppress(OSError):
                self._path.replace(aside)
                for ending in ("-wal", "-shm"):
                    self._path.with_name(self._path.name + ending).unlink(missing_ok=True)
            raise CopyFailed(f"the last good copy {self._path} is damaged: {error}", f"it is set aside as {aside.name}") from error

    @contextmanager
    def _writing(self) -> Iterator[sqlite3.Connection]:
        try:
            self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
            connection = self._open()
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                yield connection
        except (sqlite3.Error, OSError) as error:
            self.close()
            raise CopyFailed(
                f"the last good copy {self._path} cannot be written: {error}", "check its disk; what stands still stands"
            ) from error

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            connection = sqlite3.connect(self._path, timeout=10, isolation_level=None)
            self._path.chmod(0o600)
            # A write-ahead log, and a sync for each transaction: one that was told of outlives a loss of power.
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA foreign_keys = ON")
            layout = connection.execute("PRAGMA user_version").fetchone()[0]
            if layout == 0:
                connection.executescript(f"BEGIN IMMEDIATE; {_TABLES} PRAGMA user_version = {LAYOUT}; COMMIT;")
            elif layout != LAYOUT:
                connection.close()
                raise sqlite3.DatabaseError(f"it has layout {layout}, and this version reads {LAYOUT}")
            self._connection = connection
        return self._connection


def _checksum(name: str, value: str) -> bytes:
    return blake2b(f"{name}\0{value}".encode(), digest_size=16).digest()


def _value(text: str | None) -> Value:
    return json.loads(text) if text is not None else None
