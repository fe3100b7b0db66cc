"""What every format of a file begins with: bytes that are UTF-8 text fit for people, no larger than anything l3ctl reads.

Owns the limits, and the way from an offset in the text to file:line:column.
"""

import os
import re
import stat
from bisect import bisect_right
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from l3ctl.errors import BadInput, Problem

Mark = int | tuple[int, list["Mark"]]
"""Where a value begins in its text; with those of its parts in the order of the value: items, or keys and values in turn."""

SIZE_LIMIT = 64 << 20
"""bytes"""
DEPTH_LIMIT = 20
VALUE_LIMIT = 8 << 20
"""commas, brackets and lines, so values too; the densest 64 MiB that anybody means have fewer"""
PROBLEM_LIMIT = 1000
"""after so many, the rest of a file is not looked at"""
TOO_DEEP = f"nested deeper than {DEPTH_LIMIT} levels", "nothing l3ctl reads is that deep"

UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufefe\uff00-\ufffd\U00010000-\U0010ffff]")
_PRINTABLE = bytes([*b"\t\n\r", *range(0x20, 0x7F)])
_FEW = 32
_LINE_END = re.compile(r"\r\n|\r|\n")


class Text:
    """A file's text under the name that messages give it. What is only needed for messages is looked for when it is asked for, once.

    `scan` finds the marks of the parts of what begins at an offset.
    """

    def __init__(self, name: str, text: str, scan: "Callable[[Text, int], list[Mark]] | None" = None) -> None:
        self.name = name
        self.text = text
        self._scan = scan
        self._starts: list[int] = []
        self._parts: dict[int, list[Mark]] = {}
        self._orders: dict[int, tuple[object, dict[str, int]]] = {}

    def place(self, offset: int) -> str:
        """file:line:column of the character at ``offset``."""
        if not self._starts:
            self._starts = [0, *(end.end() for end in _LINE_END.finditer(self.text))]
        line = bisect_right(self._starts, offset)
        return f"{self.name}:{line}:{offset - self._starts[line - 1] + 1}"

    def parts(self, offset: int) -> "list[Mark]":
        """The marks of the parts of the container that begins at ``offset``."""
        if offset not in self._parts:
            self._parts[offset] = self._scan(self, offset) if self._scan else []
        return self._parts[offset]

    def order(self, mapping: dict[str, Any], key: str) -> int:
        """The how manieth key of a mapping of this text a key is. A mapping may have a million, and each of them a fault."""
        if len(mapping) <= _FEW:
            return list(mapping).index(key)
        if id(mapping) not in self._orders:  # kept together with the mapping, whose id is then no other's
            self._orders[id(mapping)] = mapping, {name: index for index, name in enumerate(mapping)}
        return self._orders[id(mapping)][1][key]

    def problem(self, offset: int, what: str, mend: str = "") -> Problem:
        """A fault found at ``offset``."""
        return Problem(self.place(offset), what, mend)


def contents(path: Path, *, pipes: bool = True) -> bytes:
    """The file's bytes; `BadInput` when they cannot be had or are too many. Without ``pipes`` it never waits for a writer."""
    name = str(path)
    try:
        with open(path, "rb", opener=None if pipes else _at_once) as file:
            if not pipes and not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadInput([Problem(name, "is not a regular file", "name a file or a folder")])
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
    return raw


def _at_once(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def decoded(name: str, raw: bytes) -> Text:
    """The text in a file's bytes, known to be UTF-8 without control characters; a byte order mark is left out."""
    try:
        text = Text(name, raw.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        before = Text(name, raw[: error.start].decode("utf-8-sig"))
        what = f"byte 0x{raw[error.start]:02x} is not UTF-8"
        raise BadInput([before.problem(len(before.text), what, "save the file as UTF-8")]) from None
    if (raw.translate(None, _PRINTABLE) or not raw.isascii()) and (bad := UNPRINTABLE.search(text.text)):
        raise BadInput([text.problem(bad.start(), f"character U+{ord(bad.group()):04X} is not allowed", "remove it")])
    if sum(map(text.text.count, ",[{\n")) > VALUE_LIMIT:
        what = f"has more than {VALUE_LIMIT >> 20} million values or lines"
        raise BadInput([Problem(name, what, "check that it is the file you mean")])
    return text


def few(problems: Iterable[Problem]) -> list[Problem]:
    """So many of them that nobody reads more, and then that there are more. What makes them is left off there."""
    told: list[Problem] = []
    for problem in problems:
        if len(told) == PROBLEM_LIMIT:
            told.append(Problem(problem.place, f"from here on nothing was looked at, after {PROBLEM_LIMIT} problems", "mend those first"))
            break
        told.append(problem)
    return told
