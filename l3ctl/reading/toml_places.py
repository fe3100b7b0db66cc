"""Where in a TOML text each value stands: tomllib, which judges the text and makes the values, does not tell.

A text is looked through here only after tomllib took it, or up to what tomllib stumbled over. What is found is held against tomllib's
values; where the two do not agree there is no place, rather than a wrong one.
"""

import re
import tomllib
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NoReturn

from l3ctl.errors import Problem
from l3ctl.reading.document import Value, quoted
from l3ctl.reading.text import DEPTH_LIMIT, TOO_DEEP, Mark, Text

_BLANK = re.compile(r"[ \t]*")
_BETWEEN = re.compile(r"(?:[ \t\r\n]+|#[^\n]*)*")
_KEY = re.compile(r"""[A-Za-z0-9_-]+|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\n]*'""")
_SCALAR = re.compile(
    r'"""[^"\\]*(?:(?:\\[\s\S]|"(?!""))[^"\\]*)*"{3,5}'
    r"|'''[^']*(?:'(?!'')[^']*)*'{3,5}"
    r'|"[^"\\\n]*(?:\\.[^"\\\n]*)*"'
    r"|'[^'\n]*'"
    r"|\d{4}-\d\d-\d\d [0-9:.Zz+-]+"
    r"|[^\s,\]}#]+"
)
_Path = list[tuple[str, int]]


@dataclass(slots=True)
class _Table:
    at: int
    keys: dict[str, tuple[int, "_Node"]] = field(default_factory=dict)
    headed: bool = False


@dataclass(slots=True)
class _Array:
    at: int
    items: list["_Node"] = field(default_factory=list)


_Node = int | _Table | _Array


class _Lost(Exception):
    """What comes is not what was expected."""


def marks(text: Text, value: Value) -> Mark | None:
    """The mark of the top of a text that tomllib read as ``value``; None where it could not be found out."""
    look = _Look(text)
    try:
        look.through()
        return _mark(value, look.top)
    except _Lost:
        return None


def fault(text: Text) -> Problem | None:
    """A key that is there twice or a nesting too deep, if there is one before anything else that is wrong."""
    look = _Look(text)
    with suppress(_Lost):
        look.through()
    return look.fault


def _unquoted(key: str) -> str:
    if key[0] not in "\"'":
        return key
    try:
        text: str = tomllib.loads(f"key = {key}")["key"]
    except tomllib.TOMLDecodeError:
        raise _Lost from None
    return text


def _mark(value: Value, node: _Node) -> Mark:
    if isinstance(value, dict) and isinstance(node, _Table) and value.keys() == node.keys.keys():
        parts: list[Mark] = []
        for key, below in value.items():
            at, inside = node.keys[key]
            parts += (at, _mark(below, inside))
        return node.at, parts
    if isinstance(value, list) and isinstance(node, _Array) and len(value) == len(node.items):
        return node.at, [_mark(below, inside) for below, inside in zip(value, node.items, strict=True)]
    if isinstance(value, dict | list) or not isinstance(node, int):
        raise _Lost
    return node


class _Look:
    """One way through a text, from its beginning to its end or to the first thing that is wrong."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.at = 0
        self.top = _Table(0)
        self.fault: Problem | None = None

    def through(self) -> None:
        here = self.top
        self._skip(_BETWEEN)
        while self.at < len(self.text.text):
            if self._next("[["):
                here = self._header(self._path("]]"))
            elif self._next("["):
                path = self._path("]")
                here = self._table(self.top, path)
                if here.headed:
                    self._twice("table", *path[-1], here.at)
                here.at, here.headed = path[0][1], True
            else:
                self._pair(here, 0)
            self._skip(_BETWEEN)

    def _header(self, path: _Path) -> _Table:
        """A new table of an array of tables."""
        key, at = path[-1]
        _, array = self._table(self.top, path[:-1]).keys.setdefault(key, (at, _Array(at)))
        if not isinstance(array, _Array):
            raise _Lost
        array.items.append(table := _Table(path[0][1], headed=True))
        return table

    def _table(self, table: _Table, path: _Path) -> _Table:
        """Down a path, of an array of tables into the last one."""
        for key, at in path:
            _, node = table.keys.setdefault(key, (at, _Table(at)))
            if isinstance(node, _Array) and node.items:
                node = node.items[-1]
            if not isinstance(node, _Table):
                raise _Lost
            table = node
        return table

    def _pair(self, table: _Table, depth: int) -> None:
        path = self._path("=")
        *above, (key, at) = path
        table = self._table(table, above)
        if key in table.keys:
            self._twice("key", key, at, table.keys[key][0])
        self._skip(_BLANK)
        table.keys[key] = at, self._value(depth + len(path))

    def _value(self, depth: int) -> _Node:
        at = self.at
        if self._next("["):
            self._deeper(at, depth)
            array = _Array(at)
            while not self._closed("]", first=not array.items):
                array.items.append(self._value(depth + 1))
            return array
        if self._next("{"):
            self._deeper(at, depth)
            table = _Table(at)
            while not self._closed("}", first=not table.keys):
                self._pair(table, depth)
            return table
        scalar = _SCALAR.match(self.text.text, at)
        if scalar is None:
            raise _Lost
        self.at = scalar.end()
        return at

    def _closed(self, bracket: str, *, first: bool) -> bool:
        self._skip(_BETWEEN)
        comma = not first and self._next(",")
        self._skip(_BETWEEN)
        if self._next(bracket):
            return True
        if not first and not comma:
            raise _Lost
        return False

    def _path(self, end: str) -> _Path:
        """A key with its dots, and what follows it."""
        path: _Path = []
        while True:
            self._skip(_BLANK)
            key = _KEY.match(self.text.text, self.at)
            if key is None:
                raise _Lost
            self._deeper(self.at, len(path))
            path.append((_unquoted(key.group()), self.at))
            self.at = key.end()
            self._skip(_BLANK)
            if self._next(end):
                return path
            if not self._next("."):
                raise _Lost

    def _twice(self, what: str, key: str, at: int, first: int) -> NoReturn:
        self.fault = self.text.problem(at, f"{what} {quoted(key)} is written twice, first at {self.text.place(first)}", "keep one")
        raise _Lost

    def _deeper(self, at: int, depth: int) -> None:
        if depth >= DEPTH_LIMIT:
            self.fault = self.text.problem(at, *TOO_DEEP)
            raise _Lost

    def _skip(self, blank: re.Pattern[str]) -> None:
        found = blank.match(self.text.text, self.at)
        self.at = found.end() if found else self.at

    def _next(self, word: str) -> bool:
        found = self.text.text.startswith(word, self.at)
        self.at += len(word) * found
        return found
