"""JSON that a program or a server wrote, read strictly, as plain values: what is ambiguous in it is refused, not guessed.

RFC 8259 leaves open what a key written twice means, how deep values nest and how exact a number is. Here such a key is an error, the depth
has a limit, and every number stays the text it was written as. null is no key at all. Where in its text a value stood is not kept: nobody
opens this at a line. See `l3ctl.reading.fetched`.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, NoReturn

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.document import Loc, Value, quoted
from l3ctl.reading.fetched import Fetched
from l3ctl.reading.text import DEPTH_LIMIT

_CONTAINERS = (dict, list)
_CONTROL_UNESCAPED = re.compile("[\x7f-\x9f\ud800-\udfff]")  # of the others the grammar says that they are escaped
_CONTROL = re.compile("[\0-\x1f\x7f-\x9f\ud800-\udfff]")
_MOST_PROBLEMS = 1000
_TOO_DEEP = f"nested deeper than {DEPTH_LIMIT} levels", "nothing l3ctl reads is that deep"


class _Refused(Exception):
    """Raised for what has no value, or put in its place, until the tree is walked and that place is known."""

    def __init__(self, what: str, mend: str) -> None:
        self.what = what
        self.mend = mend


def read_json(raw: bytes | str, name: str) -> Value:
    """The value; `BadInput` with every problem, each at ``NAME: ports[3].mac``, or with the line and column where it is not JSON."""
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        what = f"byte 0x{error.object[error.start]:02x} at offset {error.start} is not UTF-8"
        raise BadInput([Problem(name, what, "JSON is always UTF-8")]) from None
    try:
        value = _sound(text)
        if value is None:
            value = _MARKING.decode(text)
            if problems := list(islice(_problems(Fetched(name, value)), _MOST_PROBLEMS)):
                raise BadInput(problems)
    except json.JSONDecodeError as error:
        raise BadInput([Problem(name, *_not_json(text, error))]) from None
    except RecursionError:
        raise BadInput([Problem(name, *_TOO_DEEP)]) from None
    return value


def _sound(text: str) -> Value:
    """The value, where a quick look is enough to know that there is nothing to refuse, as there mostly is; else None."""
    if "\\" in text or _CONTROL_UNESCAPED.search(text):
        return None
    try:
        value = _STRICT.decode(text)
    except _Refused:
        return None
    inside = [value] if isinstance(value, _CONTAINERS) else []
    for _ in range(DEPTH_LIMIT):
        inside = [part for one in inside for part in (one.values() if isinstance(one, dict) else one) if isinstance(part, _CONTAINERS)]
    return None if inside else value


def _not_json(text: str, error: json.JSONDecodeError) -> tuple[str, str]:
    if not text.strip():
        return "is empty", "check what writes it"
    return f"not JSON: {error.msg[:1].lower()}{error.msg[1:]} at line {error.lineno}, column {error.colno}", "check what writes it"


def _problems(document: Fetched) -> Iterator[Problem]:
    """Every fault that is no fault of grammar."""
    waiting: list[tuple[Any, Loc]] = [(document.value, ())]
    while waiting:
        value, loc = waiting.pop()
        if isinstance(value, str):
            if not value.isprintable() and (bad := _CONTROL.search(value)):
                yield document.problem(loc, f"character U+{ord(bad.group()):04X} is not allowed", "remove it")
        elif isinstance(value, _Refused):
            yield document.problem(loc, value.what, value.mend)
        elif isinstance(value, dict | list):
            if len(loc) == DEPTH_LIMIT:
                yield document.problem(loc[:1], *_TOO_DEEP)
                return
            parts = list(value.items()) if isinstance(value, dict) else list(enumerate(value))
            waiting += [(part, (*loc, key)) for key, part in reversed(parts)]
            if isinstance(value, dict) and (odd := next((key for key in value if _CONTROL.search(key)), None)):
                yield document.problem(loc, f"a key has a character that is not allowed: {quoted(odd)}", "remove it")


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) != len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))  # type: ignore[func-returns-value]
        raise _Refused(f"key {quoted(twice)} is written twice", "keep one")
    if None in mapping.values():
        return {key: value for key, value in pairs if value is not None}
    return mapping


def _constant(word: str) -> NoReturn:
    raise _Refused(f"{word} is not JSON", "write a number")


def _marking(hook: Callable[[Any], Any]) -> Callable[[Any], Any]:
    def mark(value: Any) -> Any:
        try:
            return hook(value)
        except _Refused as refused:
            return refused

    return mark


_STRICT = json.JSONDecoder(object_pairs_hook=_mapping, parse_int=str, parse_float=str, parse_constant=_constant)
_MARKING = json.JSONDecoder(object_pairs_hook=_marking(_mapping), parse_int=str, parse_float=str, parse_constant=_marking(_constant))
