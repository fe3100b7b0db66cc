"""TOML as plain values, with the place of every one. tomllib makes the values; places are looked for when a message needs one."""

import datetime
import re
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass, field

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.document import Document, Loc, Value, Written, in_order
from l3ctl.reading.text import DEPTH_LIMIT, TOO_DEEP, UNPRINTABLE, Text, few
from l3ctl.reading.toml_places import fault, marks

_WHERE = re.compile(r" \((?:at line (\d+), column (\d+)|at end of document)\)$")
_PART = r"""(?:[A-Za-z0-9_-]+|"[^"\\\n]*(?:\\.[^"\\\n]*)*"|'[^'\n]*')"""
_LONG_KEY = re.compile(rf"(?:^|[\[{{,])[ \t]*(?:{_PART}[ \t]*\.[ \t]*){{{DEPTH_LIMIT}}}", re.MULTILINE)
"""tomllib's time with dotted keys goes with the square of their dots"""
_LONG_NUMBER = re.compile(r"[0-9_]{4000}")
_ODD_ESCAPE = re.compile(r"\\[bfuU]")
_MENDS = {
    "Invalid value": "put text, addresses and MACs too, in quotes",
    "Expected newline or end of document after a statement": "put text, addresses and MACs too, in quotes",
    "Invalid statement": "write key = value",
    "Unclosed array": "close the list with ]",
    "Unterminated string": "close the quote",
    "Illegal character '\\n'": "close the quote on its line",
}


class Places:
    """The places in a text, once the first is asked for."""

    def __init__(self, text: Text, value: Value) -> None:
        self.text = text
        self._value = value
        self._written: Written | None = None
        self._sought = False

    def written(self) -> Written | None:
        """The whole with its places; None where they cannot be known."""
        if not self._sought:
            self._sought = True
            mark = marks(self.text, self._value)
            self._written = None if mark is None else Written(self.text.name, self._value, "", mark, self.text)
        return self._written


@dataclass(frozen=True, slots=True)
class Tabled(Document):
    """A `Document` that knows its way from the top of a TOML text, and asks there for places. Without any they are said in words."""

    _base: Loc = ()
    _places: Places = field(default_factory=lambda: Places(Text("", ""), None), repr=False)

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """file:line:column of the value at ``loc`` or of its nearest existing parent; with ``of_key``, of the key it stands under."""
        if written := self._places.written():
            return written.place((*self._base, *loc), of_key=of_key)
        way = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*self._base, *loc)).removeprefix(".")
        return f"{self.name}: {way}" if way else self.name

    def at(self, loc: Loc) -> "Tabled":
        """The part at ``loc``, or at its nearest existing parent."""
        values = [self.value, *(value for value, _ in self._walk(loc))]
        return Tabled(self.name, values[-1], self.describe(loc), (*self._base, *loc[: len(values) - 1]), self._places)


def read_toml(text: Text) -> Document:
    """The tables in a text; `BadInput` with every problem when they cannot be used."""
    if _LONG_KEY.search(text.text) and (problem := fault(text)):
        raise BadInput([problem])
    try:
        value = _plain(tomllib.loads(text.text, parse_float=str), 0)
    except tomllib.TOMLDecodeError as error:
        raise BadInput([fault(text) or _not_toml(text, str(error))]) from None
    except RecursionError:
        raise BadInput([fault(text) or text.problem(0, *TOO_DEEP)]) from None
    except ValueError:  # Python makes no number of so many digits, nor text of such a number
        long = _LONG_NUMBER.search(text.text)
        raise BadInput([text.problem(long.start() if long else 0, "a number of thousands of digits", "check it")]) from None
    document = Tabled(text.name, value, "", (), Places(text, value))
    if _ODD_ESCAPE.search(text.text) and (problems := few(_unprintable(document, value, ()))):
        raise BadInput(in_order(problems))
    return document


def _not_toml(text: Text, message: str) -> Problem:
    where = _WHERE.search(message)
    what = message[: where.start()] if where else message
    place = f"{text.name}:{where[1]}:{where[2]}" if where and where[1] else text.place(len(text.text))
    return Problem(place, f"not TOML: {what[:1].lower()}{what[1:]}", _MENDS.get(what, "check quotes, brackets and '=' here"))


def _plain(value: object, depth: int) -> Value:
    if isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if depth == DEPTH_LIMIT:
        raise RecursionError
    if isinstance(value, dict):
        return {sys.intern(key): _plain(below, depth + 1) for key, below in value.items()}
    assert isinstance(value, list), "TOML has no other values"
    return [_plain(below, depth + 1) for below in value]


def _unprintable(document: Tabled, value: Value, way: Loc) -> Iterator[Problem]:
    """What no file may hold as it is, and none gets in as an escape either."""
    if isinstance(value, str) and (bad := UNPRINTABLE.search(value)):
        yield document.problem(way, f"character U+{ord(bad.group()):04X} is not allowed", "remove it")
    elif isinstance(value, list):
        for index, below in enumerate(value):
            yield from _unprintable(document, below, (*way, index))
    elif isinstance(value, dict):
        for key, below in value.items():
            if bad := UNPRINTABLE.search(key):
                yield document.problem((*way, key), f"character U+{ord(bad.group()):04X} is not allowed", "remove it", of_key=True)
            yield from _unprintable(document, below, (*way, key))
