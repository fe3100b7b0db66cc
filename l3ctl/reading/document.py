"""A YAML file as plain values, with the place of every one.

Owns the way from bytes to a tree. YAML's guessing is left out on purpose: it reads the MAC 52:54:00:10:00:11 as a base-60 integer, the
country code NO as false and 011 as nine. Here every scalar stays the text a person wrote, except the plain words true, false, null and ~.
The tree is built from the parser's events rather than by yaml.compose, whose C form recurses without a limit and dies on deep nesting.
"""

import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from l3ctl.errors import BadInput, Problem

Value = str | bool | None | list["Value"] | dict[str, "Value"]
Loc = tuple[str | int, ...]
"""the way to a value from the top, as pydantic gives it: keys and list indices"""

SIZE_LIMIT = 64 << 20
"""bytes"""
DEPTH_LIMIT = 20

# A scalar's place is one integer, line << 32 | column, both from 0; a container's comes with those of its parts, in the order of the
# value: a list's items, or a mapping's keys and values in turn. 100,000 ports have two million places, so they are kept small.
_Mark = int | tuple[int, list["_Mark"]]

_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "~": None, "": None}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_TAB = re.compile(r"^[^#\t\n]*(\t)", re.MULTILINE)  # outside comments; PyYAML's two parsers disagree on which of them are harmless
_MENDS = {
    "mapping values are not allowed in this context": "quote a value that contains ': ' and check the indentation",
    "found unexpected ':'": "quote an address that ends in a colon",
    "found character that cannot start any token": "quote a value that begins with %, @ or `",
    "did not find expected ',' or ']'": "close the list with ]",
    "did not find expected ',' or '}'": "close the mapping with }",
}


@dataclass(frozen=True, slots=True)
class Document:
    """A value with the place of everything in it: a whole file, or by `at` a part of one. ``title`` is what messages call the part."""

    name: str
    value: Value
    title: str = ""
    _mark: _Mark = field(default=0, repr=False)

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """file:line:column of the value at ``loc`` or of its nearest existing parent; with ``of_key``, of the key it stands under."""
        at = _start(self._mark)
        for _, mark, key_at, _ in self._walk(loc):
            at = _start(mark) if key_at is None or not of_key else key_at
        return _place(self.name, at >> 32, at & 0xFFFFFFFF)

    def problem(self, loc: Loc, what: str, mend: str = "", *, of_key: bool = False) -> Problem:
        """A fault found at ``loc``."""
        return Problem(self.place(loc, of_key=of_key), what, mend)

    def at(self, loc: Loc) -> "Document":
        """The part at ``loc``, or at its nearest existing parent."""
        whole = (self.value, self._mark)
        value, mark = [whole, *((value, mark) for value, mark, _, _ in self._walk(loc))][-1]
        return Document(self.name, value, self.describe(loc), mark)

    def settled(self) -> "Document":
        """The same without its value: what is left of its places is where it began."""
        return Document(self.name, None, self.title, _start(self._mark))

    def parts(self, kind: str = "") -> Iterator[tuple["Document", "Document"]]:
        """Each key of a mapping and what stands under it, called ``kind 'key'``. One pass: `at` looks for its key among all of them."""
        if not isinstance(self.value, dict):
            return
        marks = self._mark[1] if isinstance(self._mark, tuple) else [self._mark] * (2 * len(self.value))
        for index, (key, value) in enumerate(self.value.items()):
            title = f"{kind} {quoted(key)}".strip()
            yield Document(self.name, key, title, marks[2 * index]), Document(self.name, value, title, marks[2 * index + 1])

    def describe(self, loc: Loc) -> str:
        """What people call the thing at ``loc``, innermost first: ``host 2 of port 'web1'``. Empty for the whole."""
        words = [self.title] if self.title else []
        kind = ""
        for value, _, _, part in self._walk(loc):
            if isinstance(part, str):
                words.append(part)
            else:
                own = value.get("name") if isinstance(value, dict) else None
                word = f"{kind.removesuffix('s') or 'item'} {quoted(own) if isinstance(own, str) else part + 1}"
                words[len(words) - bool(kind) :] = [word]
            kind = part if isinstance(part, str) else ""
        return " of ".join(reversed(words))

    def _walk(self, loc: Loc) -> Iterator[tuple[Value, _Mark, int | None, str | int]]:
        """Down to ``loc`` as far as it exists: each value, its mark, the place of its key and the step taken."""
        value, mark = self.value, self._mark
        for part in loc:
            parts = mark[1] if isinstance(mark, tuple) else []
            key_at = None
            if isinstance(value, dict) and isinstance(part, str) and part in value:
                index = 2 * list(value).index(part)
                key_at, mark = (_start(parts[index]), parts[index + 1]) if parts else (0, 0)
                value = value[part]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value, mark = value[part], parts[part] if parts else 0
            else:
                return
            yield value, mark, key_at, part


def read_document(path: Path) -> Document:
    """Read one YAML document from a file; `BadInput` with every problem when the file or its YAML cannot be used."""
    name = str(path)
    text = _text(path, name)
    reader = _Reader(name, text)
    try:
        value, mark = reader.document()
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        what = " ".join((error.problem or "cannot be read").split())
        mend = _MENDS.get(what, "check brackets, quotes and indentation here and on the line before")
        place = _place(name, at.line, at.column) if at else _place(name, 0, 0)
        raise BadInput(in_order([*reader.problems, Problem(place, f"not YAML: {what}", mend)])) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: PyYAML's own parser and "\\UFFFFFFFF"
        raise BadInput([Problem(_place(name, 0, 0), f"not YAML: {' '.join(str(error).split())}")]) from None
    if reader.problems:
        raise BadInput(in_order(reader.problems))
    return Document(name, value, "", mark)


def in_order(problems: Iterable[Problem]) -> list[Problem]:
    """Sorted by file, then line and column as numbers."""

    def key(problem: Problem) -> tuple[str, int, int, str]:
        with suppress(ValueError):
            name, line, column = problem.place.rsplit(":", 2)
            return name, int(line), int(column), problem.what
        return problem.place, 0, 0, problem.what

    return sorted(problems, key=key)


def quoted(text: str) -> str:
    """What somebody wrote, fit for a one-line message: quoted, escaped and not endless."""
    return repr(text if len(text) <= 80 else text[:77] + "...")


class _Reader:
    """Builds the tree of one text. Faults that leave the rest readable are gathered in ``problems``."""

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.events = yaml.parse(text, Loader=_LOADER)
        self.problems: list[Problem] = []

    def document(self) -> tuple[Value, _Mark]:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), yaml.StreamEndEvent):
            raise BadInput([Problem(_place(self.name, 0, 0), "the file is empty")])
        tree = self._node(next(self.events), 0)
        next(self.events)  # the document's end
        after = next(self.events)
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document begins here", "keep one document in a file")
        return tree

    def _node(self, event: yaml.Event, depth: int) -> tuple[Value, _Mark]:
        at = _packed(event)
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"alias {quoted(f'*{event.anchor}')} is not allowed", "write the value out")
            return None, at
        assert isinstance(event, yaml.ScalarEvent | yaml.CollectionStartEvent)
        if event.anchor is not None:
            self._refuse(event, f"anchor {quoted(f'&{event.anchor}')} is not allowed", "remove it and write each value out")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, f"tag {quoted(tag)} is not allowed", "remove it; a quoted value is always text")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else _WORDS.get(event.value, event.value), at
        if depth == DEPTH_LIMIT:
            self._refuse(event, f"nested deeper than {DEPTH_LIMIT} levels", "nothing l3ctl reads is that deep")
            raise BadInput(in_order(self.problems))
        marks: list[_Mark] = []
        inside = self._sequence if isinstance(event, yaml.SequenceStartEvent) else self._mapping
        return inside(marks, depth + 1), (at, marks)

    def _sequence(self, marks: list[_Mark], depth: int) -> Value:
        values: list[Value] = []
        while not isinstance(event := next(self.events), yaml.SequenceEndEvent):
            value, mark = self._node(event, depth)
            values.append(value)
            marks.append(mark)
        return values

    def _mapping(self, marks: list[_Mark], depth: int) -> Value:
        values: dict[str, Value] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            key, key_mark = self._node(event, depth)
            value, mark = self._node(next(self.events), depth)
            if not isinstance(key, str):
                self._refuse(event, "a key must be text", "quote it" if not isinstance(key, list | dict) else "write one word")
            elif key == "<<" and isinstance(event, yaml.ScalarEvent) and not event.style:
                self._refuse(event, "merge key << is not allowed", "write the keys out")
            elif key in values:
                first = _start(marks[2 * list(values).index(key)])
                where = _place(self.name, first >> 32, first & 0xFFFFFFFF)
                self._refuse(event, f"key {quoted(key)} is written twice, first at {where}", "keep one")
            else:
                values[sys.intern(key)] = value
                marks += (key_mark, mark)
        return values

    def _refuse(self, event: yaml.Event, what: str, mend: str) -> None:
        at = _packed(event)
        self.problems.append(Problem(_place(self.name, at >> 32, at & 0xFFFFFFFF), what, mend))


def _text(path: Path, name: str) -> str:
    """The file's text, known to be UTF-8 that YAML allows."""
    try:
        with path.open("rb") as file:
            raw = file.read(SIZE_LIMIT + 1)
    except FileNotFoundError:
        raise BadInput([Problem(name, "no such file", "check the path")]) from None
    except IsADirectoryError:
        raise BadInput([Problem(name, "is a directory", "name a file in it")]) from None
    except PermissionError:
        raise BadInput([Problem(name, "may not be read", "check its mode, or run as root")]) from None
    except OSError as error:
        raise BadInput([Problem(name, f"cannot be read: {error.strerror}", "check the path")]) from None
    except ValueError:
        raise BadInput([Problem(repr(name), "is not a path", "check it for stray characters")]) from None
    if len(raw) > SIZE_LIMIT:
        raise BadInput([Problem(name, f"is larger than {SIZE_LIMIT >> 20} MiB", "check that it is the file you mean")])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise BadInput([Problem(_place_after(name, before), what, "save the file as UTF-8")]) from None
    if bad := _UNPRINTABLE.search(text):
        what = f"character U+{ord(bad.group()):04X} is not allowed"
        raise BadInput([Problem(_place_after(name, text[: bad.start()]), what, "remove it")])
    if tabs := [_place_after(name, text[: tab.start(1)]) for tab in _TAB.finditer(text)]:
        raise BadInput([Problem(place, "a tab", "write spaces") for place in tabs])
    return text


def _packed(event: yaml.Event) -> int:
    mark = event.start_mark
    assert mark is not None
    return mark.line << 32 | mark.column


def _start(mark: _Mark) -> int:
    return mark if isinstance(mark, int) else mark[0]


def _place(name: str, line: int, column: int) -> str:
    return f"{name}:{line + 1}:{column + 1}"


def _place_after(name: str, before: str) -> str:
    lines = re.split(r"\r\n|\r|\n", before)
    return _place(name, len(lines) - 1, len(lines[-1]))
