"""What people wrote as plain values, with the place of every one; and the reading of YAML as that.

Owns the way from YAML's text to a tree. YAML's guessing is left out on purpose: it reads the MAC 52:54:00:10:00:11 as a base-60 integer,
the country code NO as false and 011 as nine. Here every scalar stays the text a person wrote, except the plain words true, false, null
and ~. The tree is built from the parser's events rather than by yaml.compose, whose C form recurses without a limit and dies on deep
nesting.
"""

import re
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.text import DEPTH_LIMIT, PROBLEM_LIMIT, TOO_DEEP, Mark, Text, contents, decoded, few

Value = str | bool | None | list["Value"] | dict[str, "Value"]
Loc = tuple[str | int, ...]
"""the way to a value from the top, as pydantic gives it: keys and list indices"""

_LOADER: type[yaml.SafeLoader | yaml.CSafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
WORDS: dict[str, Value] = {"true": True, "false": False, "null": None, "~": None, "": None}
_NODES = (yaml.ScalarEvent, yaml.SequenceStartEvent, yaml.MappingStartEvent)  # made once: it is asked of every value
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
    """A value with the place of everything in it: a whole, or by `at` a part of one. ``title`` is what messages call the part."""

    name: str
    value: Value
    title: str = ""

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """Where the value at ``loc`` or its nearest existing parent is; with ``of_key``, the key it stands under."""
        del loc, of_key
        return self.name

    def problem(self, loc: Loc, what: str, mend: str = "", *, of_key: bool = False) -> Problem:
        """A fault found at ``loc``."""
        return Problem(self.place(loc, of_key=of_key), what, mend)

    def at(self, loc: Loc) -> "Document":
        """The part at ``loc``, or at its nearest existing parent."""
        return Document(self.name, [self.value, *(value for value, _ in self._walk(loc))][-1], self.describe(loc))

    def items(self, key: str) -> Iterator["Document"]:
        """What `at` gives for each item of the list under ``key``, of which there may be 100,000."""
        values = self.value.get(key) if isinstance(self.value, dict) else None
        for index in range(len(values) if isinstance(values, list) else 0):
            yield self.at((key, index))

    def settled(self) -> "Document":
        """The same without its value: what is left of its places is where it began."""
        return Document(self.place(), None, self.title)

    def parts(self, kind: str = "") -> Iterator[tuple["Document", "Document"]]:
        """Each key of a mapping and what stands under it, called ``kind 'key'``."""
        for key in self.value if isinstance(self.value, dict) else ():
            title = f"{kind} {quoted(key)}".strip()
            yield Document(self.place((key,), of_key=True), key, title), replace(self.at((key,)), title=title)

    def describe(self, loc: Loc) -> str:
        """What people call the thing at ``loc``, innermost first: ``host 2 of port 'web1'``. Empty for the whole."""
        words = [self.title] if self.title else []
        kind = ""
        for value, part in self._walk(loc):
            if isinstance(part, str):
                words.append(part)
            else:
                words[len(words) - bool(kind) :] = [_item(kind, part, value)]
            kind = part if isinstance(part, str) else ""
        return " of ".join(reversed(words))

    def _walk(self, loc: Loc) -> Iterator[tuple[Value, str | int]]:
        """Down to ``loc`` as far as it exists: each value, and the step taken."""
        value = self.value
        for part in loc:
            if isinstance(value, dict):
                if not isinstance(part, str) or part not in value:
                    return
                value = value[part]
            elif isinstance(value, list) and isinstance(part, int) and part < len(value):
                value = value[part]
            else:
                return
            yield value, part


@dataclass(frozen=True, slots=True)
class Written(Document):
    """A `Document` whose places read file:line:column."""

    _mark: Mark = field(default=0, repr=False)
    _text: Text = field(default_factory=lambda: Text("", ""), repr=False)

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """file:line:column of the value at ``loc`` or of its nearest existing parent; with ``of_key``, of the key it stands under."""
        at = _start(self._mark)
        for mark, key_at in self._marks(loc):
            at = _start(mark) if key_at is None or not of_key else key_at
        return self._text.place(at)

    def at(self, loc: Loc) -> Document:
        """The part at ``loc``, or at its nearest existing parent."""
        value, mark = [self.value, *(value for value, _ in self._walk(loc))][-1], [self._mark, *(mark for mark, _ in self._marks(loc))][-1]
        return Written(self.name, value, self.describe(loc), mark, self._text)

    def items(self, key: str) -> Iterator[Document]:
        """What `at` gives for each item of the list under ``key``, of which there may be 100,000."""
        values = self.value.get(key) if isinstance(self.value, dict) else None
        if not isinstance(values, list):
            return
        mark, _ = next(self._marks((key,)))
        for index, (value, at) in enumerate(zip(values, self._parts(mark), strict=True)):
            title = _item(key, index, value) + (f" of {self.title}" if self.title else "")
            yield Written(self.name, value, title, at, self._text)

    def _marks(self, loc: Loc) -> Iterator[tuple[Mark, int | None]]:
        """Beside `_walk`: the mark of each value, and where its key is."""
        above, mark = self.value, self._mark
        for value, part in self._walk(loc):
            parts = self._parts(mark)
            key_at = None
            if isinstance(above, dict):
                index = 2 * self._text.order(above, str(part))
                key_at, mark = _start(parts[index]), parts[index + 1]
            else:
                mark = parts[int(part)]
            yield mark, key_at
            above = value

    def _parts(self, mark: Mark) -> list[Mark]:
        return self._text.parts(mark) if isinstance(mark, int) else mark[1]


def read_document(path: Path) -> Document:
    """Read one YAML document from a file; `BadInput` with every problem when the file or its YAML cannot be used."""
    return read_yaml(decoded(str(path), contents(path)))


def read_yaml(text: Text) -> Written:
    """The one YAML document in a text; `BadInput` with every problem when it cannot be used."""
    if tabs := [text.problem(tab.start(1), "a tab", "write spaces") for tab in _TAB.finditer(text.text)]:
        raise BadInput(few(tabs))
    value, mark = yaml_tree(text, text.text)
    return Written(text.name, value, "", mark, text)


def yaml_tree(text: Text, part: str, offset: int = 0) -> tuple[Value, Mark]:
    """The tree of a part of a text, as if it stood alone at its ``offset``."""
    reader = _Reader(text, offset)
    try:
        tree = reader.document(part)
    except yaml.MarkedYAMLError as error:
        at = error.problem_mark or error.context_mark
        what = " ".join((error.problem or "cannot be read").split())
        mend = _MENDS.get(what, "check brackets, quotes and indentation here and on the line before")
        problem = text.problem(offset + at.index if at else offset, f"not YAML: {what}", mend)
        raise BadInput(in_order([*reader.problems, problem])) from None
    except (yaml.YAMLError, ValueError, OverflowError) as error:  # the last two: PyYAML's own parser and "\\UFFFFFFFF"
        raise BadInput([text.problem(offset, f"not YAML: {' '.join(str(error).split())}")]) from None
    if reader.problems:
        raise BadInput(in_order(reader.problems))
    return tree


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

    def __init__(self, text: Text, offset: int) -> None:
        self.text = text
        self.offset = offset
        self.problems: list[Problem] = []
        self.next: Callable[[], yaml.Event]

    def document(self, part: str) -> tuple[Value, Mark]:
        loader: Any = _LOADER(part)
        self.next = loader.get_event
        self.next()  # the stream's start
        if isinstance(self.next(), yaml.StreamEndEvent):
            raise BadInput([self.text.problem(self.offset, "the file is empty")])
        tree = self._node(self.next(), 0)
        self.next()  # the document's end
        after = self.next()
        if not isinstance(after, yaml.StreamEndEvent):
            self._refuse(after, "a second document begins here", "keep one document in a file")
        return tree

    def _node(self, event: yaml.Event, depth: int) -> tuple[Value, Mark]:
        at = self._offset(event)
        if isinstance(event, yaml.ScalarEvent) and event.anchor is None and event.tag is None:  # nearly all there is
            return event.value if event.style else WORDS.get(event.value, event.value), at
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, f"alias {quoted(f'*{event.anchor}')} is not allowed", "write the value out")
            return None, at
        assert isinstance(event, _NODES)
        if event.anchor is not None:
            self._refuse(event, f"anchor {quoted(f'&{event.anchor}')} is not allowed", "remove it and write each value out")
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self._refuse(event, f"tag {quoted(tag)} is not allowed", "remove it; a quoted value is always text")
        if isinstance(event, yaml.ScalarEvent):
            return event.value if event.style else WORDS.get(event.value, event.value), at
        if depth == DEPTH_LIMIT:
            self._refuse(event, *TOO_DEEP)
            raise BadInput(in_order(self.problems))
        marks: list[Mark] = []
        inside = self._sequence if isinstance(event, yaml.SequenceStartEvent) else self._mapping
        return inside(marks, depth + 1), (at, marks)

    def _sequence(self, marks: list[Mark], depth: int) -> Value:
        values: list[Value] = []
        while not isinstance(event := self.next(), yaml.SequenceEndEvent):
            value, mark = self._node(event, depth)
            values.append(value)
            marks.append(mark)
        return values

    def _mapping(self, marks: list[Mark], depth: int) -> Value:
        values: dict[str, Value] = {}
        first: dict[str, Mark] = {}  # where each key is, from when one is there twice
        while not isinstance(event := self.next(), yaml.MappingEndEvent):
            key, key_mark = self._node(event, depth)
            value, mark = self._node(self.next(), depth)
            if not isinstance(key, str):
                self._refuse(event, "a key must be text", "quote it" if not isinstance(key, list | dict) else "write one word")
            elif key == "<<" and isinstance(event, yaml.ScalarEvent) and not event.style:
                self._refuse(event, "merge key << is not allowed", "write the keys out")
            elif key in values:
                first = first or dict(zip(values, marks[::2], strict=True))
                where = self.text.place(_start(first[key]))
                self._refuse(event, f"key {quoted(key)} is written twice, first at {where}", "keep one")
            else:
                values[sys.intern(key)] = value
                marks += (key_mark, mark)
                if first:
                    first[key] = key_mark
        return values

    def _refuse(self, event: yaml.Event, what: str, mend: str) -> None:
        self.problems.append(self.text.problem(self._offset(event), what, mend))
        if len(self.problems) > PROBLEM_LIMIT:
            raise BadInput(in_order(few(self.problems)))

    def _offset(self, event: yaml.Event) -> int:
        mark = event.start_mark
        assert mark is not None
        return self.offset + mark.index


def _item(kind: str, index: int, value: Value) -> str:
    """What people call an item of the list under the key ``kind``."""
    own = value.get("name") if isinstance(value, dict) else None
    return f"{kind.removesuffix('s') or 'item'} {quoted(own) if isinstance(own, str) else index + 1}"


def _start(mark: Mark) -> int:
    return mark if isinstance(mark, int) else mark[0]
