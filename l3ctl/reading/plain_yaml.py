"""YAML inventories in the form nearly all of them have, read eight times as fast.

That form is ``ports:`` and under it one list, whose records are keys with a word, a quoted word or a list of those, each on a line of its
own. A regular expression knows such a record. What it does not know, such as a record with ``hosts``, goes through the YAML parser by
itself, and whatever is not right goes through it as a whole, so that there is one judge of what YAML is and one voice that tells of it.
Each pattern below takes less than YAML does, and never more.
"""

import re
import sys
from collections.abc import Iterator

from l3ctl.errors import BadInput
from l3ctl.reading.document import WORDS, Value, Written, read_yaml, yaml_tree
from l3ctl.reading.text import Mark, Text

# A word does not end in a colon; a comma, bracket or blank is never part of one. In all of these there is one way to read a text, so a
# record that is not plain is found out in linear time. (Possessive repeats would say so, but Python 3.11.2 gets them wrong.)
_WORD = r"[A-Za-z0-9][A-Za-z0-9._/:-]*(?<!:)"
_SCALAR = rf"""(?:{_WORD}|"[^"\\\n\r]*"|'[^'\n\r]*')"""
_LIST = rf"\[ *(?:{_SCALAR} *(?:, *{_SCALAR} *){{0,1000}})?\]"
_KEY = "[A-Za-z_][A-Za-z0-9_]{0,63}"
_VALUE = rf"(?:{_SCALAR}|{_LIST})"
_END = r"(?: *| +#[^\n]*)\r?(?:\n|\Z)"
_BESIDE = r"(?: *(?:#[^\n]*)?\r?\n){0,1000}"
"""comment lines and blank ones. Repeats have an end because `re` remembers every one of them"""

_TOP = re.compile(rf"{_BESIDE}(?:--- *\r?\n{_BESIDE})?(ports):{_END}{_BESIDE}(?=( *)- )")
_NEXT_DOCUMENT = re.compile(r"^(?:---|\.\.\.)", re.MULTILINE)
_ONE_SCALAR = re.compile(_SCALAR)


def read_plain_yaml(text: Text) -> Written:
    """The document in a text, as `read_yaml` gives it."""
    top = _TOP.match(text.text)
    if top is None or _foreign(text.text) or _NEXT_DOCUMENT.search(text.text, top.end()):
        return read_yaml(text)
    records: list[Value] = []
    marks: list[Mark] = []
    blanks = top.group(2)
    following = re.compile(rf"^{blanks}- ", re.MULTILINE)
    located = Text(text.name, text.text, lambda own, offset: _parts(own, offset - len(blanks) - 2, following))
    try:
        for value, mark in _records(located, top.end(), blanks, following):
            records.append(value)
            marks.append(mark)
    except BadInput:
        return read_yaml(text)
    at = top.start(1)
    return Written(text.name, {"ports": records}, "", (at, [at, (top.end() + len(blanks), marks)]), located)


def _foreign(text: str) -> bool:
    """Other line ends than people's; and tabs, which are refused wherever they are."""
    return any(character in text for character in "\t\x85\u2028\u2029") or text.count("\r") != text.count("\r\n")


def _records(text: Text, offset: int, blanks: str, following: re.Pattern[str]) -> Iterator[tuple[Value, Mark]]:
    """Each item and where it begins; `BadInput` where one cannot be read by itself."""
    whole = text.text
    lines = re.compile(rf"^({blanks}(- |  )({_KEY}): +({_VALUE}){_END}{_BESIDE})", re.MULTILINE)
    begin = odd = offset  # where those begin that are not plain: parsed together, for a parser costs as much to make as a record
    while offset < len(whole):
        end = _end(whole, offset, following)
        value = _value(lines.findall(whole, offset, end), end - offset)
        if value is not None:
            yield from _odd(text, odd, offset)
            yield value, offset + len(blanks) + 2
            odd = end
        offset = end
    if odd == begin:
        raise BadInput([])  # nothing is plain
    yield from _odd(text, odd, offset)


def _odd(text: Text, offset: int, end: int) -> Iterator[tuple[Value, Mark]]:
    if offset == end:
        return
    values, mark = yaml_tree(text, text.text[offset:end], offset)
    if not isinstance(values, list) or isinstance(mark, int):
        raise BadInput([])
    yield from zip(values, mark[1], strict=True)


def _end(whole: str, offset: int, following: re.Pattern[str]) -> int:
    """Where the item that begins at ``offset`` ends."""
    after = following.search(whole, offset + 1)
    return after.start() if after else len(whole)


def _value(lines: list[tuple[str, str, str, str]], length: int) -> dict[str, Value] | None:
    """What a plain record says; None where its lines are not all there is, or a key is no text or is there twice."""
    value: dict[str, Value] = {}
    begin = "- "
    for line, dash, key, written in lines:
        if dash != begin:
            return None
        begin = "  "
        length -= len(line)
        value[sys.intern(key)] = WORDS.get(written, written) if written[0] not in "\"'[" else _quoted(written)
    return value if not length and len(value) == len(lines) and value.keys().isdisjoint(WORDS) else None


def _quoted(written: str) -> Value:
    if written[0] != "[":
        return written[1:-1]
    return [WORDS.get(one, one) if one[0] not in "\"'" else one[1:-1] for one in _ONE_SCALAR.findall(written)]


def _parts(text: Text, start: int, following: re.Pattern[str]) -> list[Mark]:
    """The marks of the keys and values of the plain record whose line begins at ``start``."""
    _, mark = yaml_tree(text, text.text[start : _end(text.text, start, following)], start)
    record = mark[1][0] if isinstance(mark, tuple) else 0
    return record[1] if isinstance(record, tuple) else []
