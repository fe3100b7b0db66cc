"""The inventory as a file, or as every file in a folder: ``ports:`` and a list of records, or the rows of a CSV file.

What a file said is kept until it says something else, so that of a folder only the changed files are read again. A file that somebody is
still writing is read when it is closed.
"""

import hashlib
import os
import stat
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from l3ctl.configuration import FileSource
from l3ctl.errors import BadInput, Problem, SourceFailed
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.watching import Changes, Place, Watch
from l3ctl.reading.csv_text import Columns, read_csv
from l3ctl.reading.document import Document, in_order
from l3ctl.reading.json_text import read_json
from l3ctl.reading.plain_yaml import read_plain_yaml
from l3ctl.reading.text import Text, contents, decoded
from l3ctl.reading.toml_text import read_toml
from l3ctl.reading.validation import Strict, validated

COLUMNS = Columns(
    words=frozenset({"name", "router", "interface", "trunk", "vlan", "guard", "mac", "link_local", "mode", "liveness"}),
    lists=frozenset({"ipv6", "ipv4"}),
    flags=frozenset({"qinq", "source_guard", "announce"}),
    elsewhere=frozenset({"hosts", "bgp"}),
)
SETTLE = 0.05
"""seconds: what an editor does in several steps is one change"""
_FORMATS: dict[str, Callable[[Text], Document]] = {
    ".yaml": read_plain_yaml,
    ".yml": read_plain_yaml,
    ".json": read_json,
    ".toml": read_toml,
    ".csv": lambda text: read_csv(text, COLUMNS, "ports"),
}
_ENDINGS = "{}, {}, {}, {} or {}".format(*_FORMATS)


class _File(Strict):
    ports: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Said:
    """What a file said, and which file that was."""

    node: tuple[int, int, int]
    digest: bytes
    records: list[Document]

    def names(self) -> list[str | None]:
        """Of each record, where it has one."""
        names = (record.value.get("name") if isinstance(record.value, dict) else None for record in self.records)
        return [name if isinstance(name, str) else None for name in names]


class Reader:
    """`Source` of a file or a folder."""

    def __init__(self, settings: FileSource, timeout: int) -> None:
        self._path = settings.path
        self._timeout = timeout
        self._watch: Watch | None = None
        self._said: dict[Path, _Said] = {}
        self._owed = True
        """whoever is told of changes does not know all that was before them"""

    def read(self) -> Delivery:
        """Each record with its places. A file that is being written for the first time is waited for."""
        if self._watch is None:
            with suppress(OSError):  # no descriptor left: then only another reading can tell of changes
                self._watch = Watch(_is_inventory)
        self._owed = True
        end = time.monotonic() + self._timeout
        while unfinished := self._look_well(None):
            if time.monotonic() > end:
                raise SourceFailed(f"{unfinished[0]} is being written for longer than {self._timeout} s", "close it in whatever writes it")
            time.sleep(SETTLE)
        return self._everything()

    def fileno(self) -> int | None:
        """An inotify descriptor."""
        return self._watch.fileno() if self._watch else None

    def news(self) -> Delivery | None:
        """The records of the files that changed. Takes up to `SETTLE` longer than reading them."""
        if self._watch is None:
            return self.read()
        changes = self._watch.changes(SETTLE)
        if not changes.any:
            return None
        before, owed = dict(self._said), self._owed
        self._owed = True
        unfinished = self._look_well(changes)
        if owed:
            return None if unfinished else self._everything()
        self._owed = False
        changed = [path for path in {**before, **self._said} if _digest(before.get(path)) != _digest(self._said.get(path))]
        return self._difference(before, changed) if changed else None

    def close(self) -> None:
        """Stop watching."""
        if self._watch is not None:
            self._watch.close()
            self._watch = None

    def _everything(self) -> Delivery:
        self._owed = False
        return Delivery([record for path in sorted(self._said) for record in self._said[path].records])

    def _difference(self, before: dict[Path, _Said], changed: list[Path]) -> Delivery:
        """Of a folder, the changed files' records. Names tell them apart; where one is missing or there twice, only the whole will do."""
        old, new = _names(before.values()), _names(self._said.values())
        if self._said.keys() == {self._path} or not _told_apart(old) or not _told_apart(new):
            return self._everything()
        records = [record for path in sorted(changed) if path in self._said for record in self._said[path].records]
        return Delivery(records, frozenset(name for name in old.keys() - new.keys() if name is not None), whole=False)

    def _look_well(self, changes: Changes | None) -> list[Path]:
        """`_look`, and again at what was heard of while looking."""
        while True:
            unfinished = self._look(changes)
            changes = self._watch.rest() if self._watch is not None else Changes()
            if not changes.any:
                return unfinished

    def _look(self, changes: Changes | None) -> list[Path]:
        """Read what may have changed; everything, where nothing is known of changes. Returns the new files that are still being written.

        Raises:
            BadInput: with the problems of all files; what had been said is then kept only of good ones.
        """
        files = self._files()
        problems: list[Problem] = []
        unfinished = []
        for path, place in files.items():
            try:
                if not self._read_again(path, place, changes):
                    unfinished.append(path)
            except BadInput as error:
                self._said.pop(path, None)
                problems += error.problems
        for path in self._said.keys() - files.keys():
            del self._said[path]
        if problems:
            raise BadInput(in_order(problems))
        return unfinished

    def _files(self) -> dict[Path, Place | None]:
        """Every inventory file and where it stands, with all ways to them watched from now on."""
        watch = self._watch
        if watch is None:
            return dict.fromkeys(self._listed())
        watch.begin()
        try:
            if self._path.is_dir():
                watch.follow_folder(self._path)
            else:
                watch.follow(self._path)
            return {path: watch.follow(path) for path in self._listed()}
        finally:
            watch.finish()

    def _listed(self) -> list[Path]:
        path = self._path
        if not path.is_dir():
            if path.suffix.lower() not in _FORMATS and path.exists():
                raise BadInput([Problem(str(path), "is of no known format", f"its name must end in {_ENDINGS}")])
            return [path]
        try:
            entries = sorted(entry.name for entry in os.scandir(path) if _is_inventory(entry.name) and not entry.is_dir())
        except OSError as error:
            raise BadInput([Problem(str(path), f"cannot be listed: {error.strerror}", "check its mode, or run as root")]) from None
        if not entries:
            raise BadInput([Problem(str(path), "has no inventory in it", f"put in a file whose name ends in {_ENDINGS}")])
        return [path / name for name in entries]

    def _read_again(self, path: Path, place: Place | None, changes: Changes | None) -> bool:
        """Read a file where that is called for. Returns False where it is still being written, and nothing said before can stand for it."""
        known = self._said.get(path)
        try:
            status = path.stat()
        except (OSError, ValueError):
            status = os.stat_result((0,) * 10)  # reading it tells what is wrong
        node = status.st_dev, status.st_ino, stat.S_IFMT(status.st_mode)  # a pipe may get the number of a file that was removed
        complete = changes is not None and place in changes.complete
        if known and known.node == node and not complete and changes is not None and not changes.lost:
            return True
        regular = not node[1] or stat.S_ISREG(status.st_mode)  # of a pipe, nobody will ever be done writing
        if self._watch is not None and regular and not complete:
            if changes is not None and node[1] and not status.st_size:
                return known is not None  # just made, and closed a moment later
            if 0 <= (age := time.time() - status.st_mtime) < SETTLE:  # by somebody who may go on
                time.sleep(SETTLE - age)
        if self._watch is not None and regular and self._watch.being_written(place):
            return known is not None
        raw = contents(path, pipes=False)
        digest = hashlib.blake2b(raw).digest()
        if known and known.digest == digest:
            self._said[path] = _Said(node, digest, known.records)
            return True
        document = _FORMATS[path.suffix.lower()](decoded(str(path), raw))
        validated(_File, document)
        self._said[path] = _Said(node, digest, list(document.items("ports")))
        return True


def _is_inventory(name: str) -> bool:
    """Whether it is a file of a folder that counts: not a hidden one, nor what an editor leaves beside it."""
    return not name.startswith((".", "#")) and Path(name).suffix.lower() in _FORMATS


def _digest(said: _Said | None) -> bytes:
    return said.digest if said else b""


def _names(said: Iterable[_Said]) -> Counter[str | None]:
    return Counter(name for each in said for name in each.names())


def _told_apart(names: Counter[str | None]) -> bool:
    return None not in names and (not names or max(names.values()) == 1)
