"""JSON as plain values, with the place of every one.

The C parser of the standard library makes the values. It knows no places, so under ``ports`` it is called once for each record, and where
that begins is kept; the few records that messages are about are looked through for more. Numbers stay the text a person wrote, however
long, which also spares Python's slow way with long ones.
"""

import json
import re
import sys
from collections.abc import Iterator

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.document import Value, Written, in_order, quoted
from l3ctl.reading.text import DEPTH_LIMIT, TOO_DEEP, UNPRINTABLE, Mark, Text, few

_PORTS = re.compile(r'[ \t\n\r]*(\{)[ \t\n\r]*("ports")[ \t\n\r]*:[ \t\n\r]*(\[)[ \t\n\r]*')
_BETWEEN = re.compile(r"[ \t\n\r]*([],])[ \t\n\r]*")
_REST = re.compile(r"\}[ \t\n\r]*")
_BLANK = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"')
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[][{}:,]|[^][{}:,"\s]+')
_ODD_ESCAPE = re.compile(r"\\[bfu]")
_CONSTANTS = frozenset({"NaN", "Infinity", "-Infinity"})
_WORDS = {
    "Expecting value": ("a value is missing", "write text in double quotes, a number, true, false, a list or a mapping"),
    "Expecting ',' delimiter": ("a comma is missing", "write one between two values, and close every bracket"),
    "Expecting ':' delimiter": ("a colon is missing", "write one between key and value"),
    "Expecting property name enclosed in double quotes": (
        "a key is missing",
        "put it in double quotes; no comma stands behind a last value",
    ),
    "Illegal trailing comma before end of object": ("a comma behind the last value", "remove it"),
    "Illegal trailing comma before end of array": ("a comma behind the last value", "remove it"),
    "Unterminated string starting at": ("a text without its closing quote", "close it"),
    "Invalid control character at": ("a line end or a tab within a text", "write \\n or \\t"),
    "Extra data": ("something stands behind the end", "remove it"),
}


def read_json(text: Text) -> Written:
    """The value in a text; `BadInput` with every problem when it cannot be used."""
    reader = _Reader(Text(text.name, text.text, _parts))
    document = reader.ports() or reader.whole()
    if _ODD_ESCAPE.search(text.text) and (problems := few(_unprintable(text))):
        raise BadInput(problems)
    return document


class _Reader:
    """Has the C parser read a text."""

    def __init__(self, text: Text) -> None:
        self.text = text
        self.odd = False
        """the C parser saw what only a look through the text can tell of"""
        decoder = json.JSONDecoder(object_pairs_hook=self._mapping, parse_float=str, parse_int=str, parse_constant=self._constant)
        self.parse = decoder.raw_decode

    def ports(self) -> Written | None:
        """What is nothing but good records under ``ports``, each of them marked; None for all else."""
        top = _PORTS.match(self.text.text)
        if top is None:
            return None
        whole = self.text.text
        values: list[Value] = []
        marks: list[Mark] = []
        at = top.end()
        try:
            while True:
                value, end = self.parse(whole, at)
                between = _BETWEEN.match(whole, end)
                if self.odd or between is None or self._too_deep(at, end, 2) is not None:
                    return None
                values.append(value)
                marks.append(at)
                at = between.end()
                if between.group(1) == "]":
                    break
        except (json.JSONDecodeError, RecursionError):
            return None
        if not _REST.fullmatch(whole, at):
            return None
        inside: list[Mark] = [top.start(2), (top.start(3), marks)]
        return Written(self.text.name, {"ports": values}, "", (top.start(1), inside), self.text)

    def whole(self) -> Written:
        """Anything; `BadInput` with every problem."""
        self.odd = False
        whole = self.text.text
        at = _end_of_blank(whole, 0)
        if at == len(whole):
            raise BadInput([self.text.problem(0, "the file is empty")])
        try:
            value, end = self.parse(whole, at)
            if (rest := _end_of_blank(whole, end)) < len(whole):
                raise json.JSONDecodeError("Extra data", whole, rest)
        except json.JSONDecodeError as error:
            what, mend = _WORDS.get(error.msg, (error.msg[:1].lower() + error.msg[1:], "check quotes, commas and brackets here"))
            raise BadInput([self.text.problem(error.pos, f"not JSON: {what}", mend)]) from None
        except RecursionError:
            end = len(whole)
        if (deep := self._too_deep(at, end, 0)) is not None:
            raise BadInput([self.text.problem(deep, *TOO_DEEP)])
        if self.odd:
            raise BadInput(in_order(few(_faults(self.text, at))))
        return Written(self.text.name, value, "", at, self.text)

    def _too_deep(self, at: int, end: int, above: int) -> int | None:
        """Where the nesting is too deep, if it is."""
        whole = self.text.text
        depth = above
        if whole.count("[", at, end) + whole.count("{", at, end) + depth <= DEPTH_LIMIT:
            return None
        for token in _TOKEN.finditer(whole, at, end):
            word = token.group()
            depth += (word in "[{") - (word in "]}")
            if depth > DEPTH_LIMIT:
                return token.start()
        return None

    def _mapping(self, pairs: list[tuple[str, Value]]) -> dict[str, Value]:
        values = {sys.intern(key): value for key, value in pairs}
        self.odd = self.odd or len(values) < len(pairs)
        return values

    def _constant(self, word: str) -> str:
        self.odd = True
        return word


def _end_of_blank(text: str, at: int) -> int:
    blank = _BLANK.match(text, at)
    return blank.end() if blank else at


def _parts(text: Text, offset: int) -> list[Mark]:
    """The marks of what is in the container that begins at ``offset``."""
    tokens = _TOKEN.finditer(text.text, offset)
    mark = _mark(tokens, next(tokens))
    return mark[1] if isinstance(mark, tuple) else []


def _mark(tokens: Iterator[re.Match[str]], first: re.Match[str]) -> Mark:
    if first.group() not in "[{":
        return first.start()
    marks: list[Mark] = []
    for token in tokens:
        word = token.group()
        if word in "]}":
            break
        if word not in ",:":
            marks.append(_mark(tokens, token))
    return first.start(), marks


def _faults(text: Text, offset: int) -> Iterator[Problem]:
    """What JSON's parser takes and l3ctl does not."""
    nest: list[dict[str, int]] = []
    before = None
    for token in _TOKEN.finditer(text.text, offset):
        word = token.group()
        if word in "[{":
            nest.append({})
        elif word in "]}":
            nest.pop()
        elif word == ":" and before is not None:
            key = json.loads(before.group())
            first = nest[-1].setdefault(key, before.start())
            if first != before.start():
                yield text.problem(before.start(), f"key {quoted(key)} is written twice, first at {text.place(first)}", "keep one")
        elif word in _CONSTANTS:
            yield text.problem(token.start(), f"{word} is not a value", "write a number or text")
        before = token


def _unprintable(text: Text) -> Iterator[Problem]:
    """What no file may hold as it is, and none gets in as an escape either."""
    for token in _STRING.finditer(text.text):
        if "\\" in token.group() and (bad := UNPRINTABLE.search(json.loads(token.group()))):
            yield text.problem(token.start(), f"character U+{ord(bad.group()):04X} is not allowed", "remove it")
