"""CSV as a list of mappings, with the place of every cell.

The first row names the keys. The standard library reads the rows, strictly; where each begins is kept, and the few rows that messages are
about are taken apart again for more. A cell is text: what makes a list or true and false of it is the columns it is read for.
"""

import csv
import difflib
import io
import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from l3ctl.errors import BadInput, Problem
from l3ctl.reading.document import Value, Written, in_order, quoted
from l3ctl.reading.text import Mark, Text, few

_CELL = re.compile(r'("[^"]*(?:""[^"]*)*"(?!"))|[^,\r\n]*')
_ITEM = re.compile(r"[^;\s]+")
_FLAGS: dict[str, Value] = {"true": True, "false": False}
_LONGEST = csv.field_size_limit()
_NAME_LENGTH = 64
_OTHER_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars"}


@dataclass(frozen=True, slots=True)
class Columns:
    """What a header may name. A cell of `lists` holds words between blanks or semicolons, one of `flags` true or false."""

    words: frozenset[str]
    lists: frozenset[str]
    flags: frozenset[str]
    elsewhere: frozenset[str]
    """keys that do not fit into a cell"""

    def known(self) -> frozenset[str]:
        """All that a header may name."""
        return self.words | self.lists | self.flags


@dataclass(slots=True)
class _Row:
    at: int
    cells: list[str]


def read_csv(text: Text, columns: Columns, key: str) -> Written:
    """The rows of a text as a list under ``key``; `BadInput` with every problem when it cannot be used."""
    rows = _rows(text)
    header = next(rows, None)
    if header is None:
        raise BadInput([text.problem(0, "the file is empty")])
    if problems := few(_header_problems(text, header, columns)):
        raise BadInput(in_order(problems))
    located = Text(text.name, text.text, lambda own, offset: _parts(own, offset, header.cells, columns))
    values: list[Value] = []
    marks: list[Mark] = []
    readings = [(name, _list if name in columns.lists else _flag if name in columns.flags else str) for name in header.cells]

    def wrong() -> Iterator[Problem]:
        for row in rows:
            if len(row.cells) != len(header.cells):
                yield _wrong_length(text, row, header)
                continue
            values.append({name: read(cell) for (name, read), cell in zip(readings, row.cells, strict=True) if cell})
            marks.append(row.at)

    if problems := few(wrong()):
        raise BadInput(in_order(problems))
    return Written(text.name, {key: values}, "", (header.at, [header.at, (header.at, marks)]), located)


def _rows(text: Text) -> Iterator[_Row]:
    """Each row that is not blank; `BadInput` at the first that is not CSV, for where the next begins is then anybody's guess."""
    lines = io.StringIO(text.text, newline="")
    starts = [0]

    def counted() -> Iterator[str]:
        for line in lines:
            starts[0] += len(line)
            yield line

    reader = csv.reader(counted(), strict=True)
    at = 0
    try:
        for cells in reader:
            if cells:
                yield _Row(at, cells)
            at = starts[0]
    except csv.Error:
        raise BadInput([_not_csv(text, at)]) from None


def _not_csv(text: Text, at: int) -> Problem:
    """What the standard library complained of in the row at an offset, with its place."""
    for cell in _cells(text.text, at):
        end = cell.end()
        if end - cell.start() > _LONGEST:
            return text.problem(cell.start(), f"not CSV: a cell of more than {_LONGEST} characters", "check its quotes")
        if cell.group(1) is not None and text.text[end : end + 1] not in {"", ",", "\r", "\n"}:
            return text.problem(end, "not CSV: something stands behind a closing quote", 'write a quote within quotes as ""')
        if cell.group(1) is None and cell.group().startswith('"'):
            return text.problem(cell.start(), "not CSV: a quote that is not closed", "close it")
    return text.problem(at, "not CSV: a row that cannot be read", "check its quotes")


def _cells(text: str, at: int) -> Iterator[re.Match[str]]:
    """The cells of the row at an offset, as they are written."""
    while cell := _CELL.match(text, at):
        yield cell
        at = cell.end() + 1
        if text[at - 1 : at] != ",":
            return


def _header_problems(text: Text, header: _Row, columns: Columns) -> Iterator[Problem]:
    known = columns.known()
    first: dict[str, int] = {}
    if len(header.cells) == 1 and (other := next((name for name in _OTHER_SEPARATORS if name in header.cells[0]), None)):
        yield text.problem(header.at, f"the cells are separated by {_OTHER_SEPARATORS[other]}", "separate them by commas")
        return
    for cell, name in zip(_cells(text.text, header.at), header.cells, strict=True):
        at = cell.start()
        if name in columns.elsewhere:
            yield text.problem(at, f"column {quoted(name)} does not fit into a row", "write these ports as YAML, JSON or TOML")
        elif name not in known:
            close = difflib.get_close_matches(name, known, n=1) if len(name) <= _NAME_LENGTH else []
            mend = f"did you mean '{close[0]}'?" if close else f"known columns: {', '.join(sorted(known))}"
            yield text.problem(at, f"unknown column {quoted(name)}" if name else "a column without a name", mend)
        elif first.setdefault(name, at) != at:
            yield text.problem(at, f"column {quoted(name)} is there twice, first at {text.place(first[name])}", "keep one")


def _wrong_length(text: Text, row: _Row, header: _Row) -> Problem:
    many, wanted = len(row.cells), len(header.cells)
    what = f"{many} cell{'s' if many > 1 else ''}, where the header has {wanted}"
    if many < wanted:
        return text.problem(row.at, what, "write one for each column, an empty one where there is nothing to say")
    extra = next(itertools.islice(_cells(text.text, row.at), wanted, None))
    return text.problem(extra.start(), what, "quote a cell that has a comma in it; within a cell, separate by blanks or ';'")


def _list(cell: str) -> Value:
    return list[Value](_ITEM.findall(cell))


def _flag(cell: str) -> Value:
    return _FLAGS.get(cell, cell)


def _parts(text: Text, offset: int, names: Sequence[str], columns: Columns) -> list[Mark]:
    """The marks of the cells of the row at an offset, and of the words in them; a cell's key is found where the cell is."""
    marks: list[Mark] = []
    for name, cell in zip(names, _cells(text.text, offset), strict=True):
        if cell.group() not in {"", '""'}:
            quote = cell.group(1) is not None
            words: list[Mark] = [item.start() for item in _ITEM.finditer(text.text, cell.start() + quote, cell.end() - quote)]
            marks += (cell.start(), (cell.start(), words) if name in columns.lists else cell.start())
    return marks
