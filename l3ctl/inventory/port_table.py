"""The table that says where each host is: its MAC and its port, a row a host. CSV, YAML or JSON, by how the file's name ends.

Owns the reading of the table and the shape of a row. Whether a row's host exists, and what is billed to it, is the business of `hosts`.
"""

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError, model_validator

from l3ctl.errors import BadInput, Problem
from l3ctl.inventory.schema import PortRecord
from l3ctl.reading.document import Document, Loc, Value, in_order, quoted, read_document
from l3ctl.reading.document import _text as read_text
from l3ctl.reading.fields import InterfaceName, LinkLocal, Lladdr, Name, Text, VlanId
from l3ctl.reading.gathered import Gathered, Origin
from l3ctl.reading.validation import Fault, Strict, problems_of, refused

ATTACHMENT = ("router", "interface", "trunk", "vlan", "guard")
"""the keys of a row that say where its port is"""
OF_HOST = ("mac", "link_local")
"""the keys of a row that are its host's own"""
_NAME: TypeAdapter[str] = TypeAdapter(Name)
_CELL = re.compile(r'"(?P<quoted>[^"]*(?:""[^"]*)*)"(?=[,\r\n]|\Z)|(?P<plain>[^",\r\n]*)(?=[,\r\n]|\Z)')
_LINE_END = re.compile(r"\r\n|\r|\n")


class Row(Strict):
    """Where one host is. The port's name is the host's unless it is told."""

    host: Text
    port: Name | None = None
    router: Name | None = None
    interface: InterfaceName | None = None
    trunk: InterfaceName | None = None
    vlan: VlanId | None = None
    guard: InterfaceName | None = None
    mac: Lladdr
    link_local: LinkLocal | None = None

    @model_validator(mode="after")
    def _named(self) -> Self:
        if self.port is None:
            try:
                _NAME.validate_python(self.host)
            except ValidationError:
                raise refused(Fault(f"{quoted(self.host)} cannot be a port's name", "name it in 'port'", ("host",))) from None
        return self


@dataclass(frozen=True, slots=True)
class Table:
    """The rows as written, and the name of their file."""

    name: str
    rows: tuple[Document, ...]


def read_table(path: Path) -> Table:
    """Every row, none of them validated; `BadInput` where the file cannot be read as a table."""
    if path.suffix.lower() == ".csv":
        return Table(str(path), _csv_rows(path))
    document = read_document(path)
    if not isinstance(document.value, list):
        raise BadInput([document.problem((), "the file must be a list of rows", "begin each with '- host: NAME'")])
    rows = (document.at((index,)) for index in range(len(document.value)))
    return Table(str(path), tuple(replace(row, title=f"row {number}") for number, row in enumerate(rows, 1)))


def record_of(row: Document) -> tuple[dict[str, Value], dict[Loc, Origin]]:
    """The part of a port's record that a row says, and where."""
    value = row.value if isinstance(row.value, dict) else {}
    record = {key: value[key] for key in (*ATTACHMENT, *OF_HOST) if key in value}
    named = "port" if "port" in value else "host"
    origins: dict[Loc, Origin] = {(): (row, ()), ("name",): (row, (named,))}
    origins |= {(key,): (row, (key,)) for key in record}
    return {"name": value.get(named), **record}, origins


def row_problems(row: Document) -> list[Problem]:
    """Everything that is wrong with a row in itself."""
    try:
        Row.model_validate(row.value)
    except ValidationError as error:
        return list(problems_of(error, row, Row))
    record, origins = record_of(row)
    try:
        PortRecord.model_validate(record)
    except ValidationError as error:
        return list(problems_of(error, Gathered(row.name, record, origins=origins), PortRecord))
    return []


def _csv_rows(path: Path) -> tuple[Document, ...]:
    """The rows of a file with a header. An empty cell is no value, a line without any text no row."""
    name = str(path)
    problems: list[Problem] = []
    (header, *lines) = [cells for cells in _cells(name, read_text(path, name)) if any(cell.value for cell in cells)] or [[]]
    if not header:
        raise BadInput([Problem(f"{name}:1:1", "the file is empty", "begin it with host,mac,router,trunk,vlan")])
    columns: dict[str, Document] = {}
    for cell in header:
        column = str(cell.value)
        if not column:
            problems.append(cell.problem((), "a column without a name", "name it"))
        elif column not in Row.model_fields:
            close = difflib.get_close_matches(column, Row.model_fields, n=1)
            mend = f"did you mean '{close[0]}'?" if close else f"known columns: {', '.join(Row.model_fields)}"
            problems.append(cell.problem((), f"unknown column {quoted(column)}", mend))
        elif column in columns:
            problems.append(cell.problem((), f"column '{column}' is there twice, first at {columns[column].place()}", "keep one"))
        columns.setdefault(column, cell)
    problems += (header[0].problem((), f"missing column '{column}'", "add it") for column in ("host", "mac") if column not in columns)
    rows: list[Document] = []
    for number, cells in enumerate(lines, 1):
        if len(cells) != len(header):
            mend = "quote a value that has a comma in it" if len(cells) > len(header) else "write a comma for each empty one"
            problems.append(cells[0].problem((), f"row {number} has {len(cells)} cells, the header {len(header)}", mend))
        given = {column: cell for column, cell in zip(columns, cells, strict=False) if cell.value}
        value: dict[str, Value] = {column: cell.value for column, cell in given.items()}
        origins: dict[Loc, Origin] = {(): (cells[0], ())}
        origins |= {(column,): (cell, ()) for column, cell in given.items()}
        rows.append(Gathered(name, value, f"row {number}", origins=origins))
    if problems:
        raise BadInput(in_order(problems))
    return tuple(rows)


def _cells(name: str, text: str) -> list[list[Document]]:
    """Each line's cells with their places, by RFC 4180; blanks around a cell are not its own."""
    at, line, line_start = 0, 0, 0
    lines: list[list[Document]] = [[]]
    while True:
        cell = _CELL.match(text, at)
        mark = line << 32 | at - line_start
        if cell is None:
            what = "not CSV: a quotation mark that is not closed, or within a cell"
            mend = 'quote the whole cell, and write "" for each within it'
            raise BadInput([Document(name, None, "", mark).problem((), what, mend)])
        quoted_text = cell["quoted"]
        value = cell["plain"].strip() if quoted_text is None else quoted_text.replace('""', '"')
        lines[-1].append(Document(name, value, "", mark))
        for end in _LINE_END.finditer(text, at, cell.end()):
            line, line_start = line + 1, end.end()
        at = cell.end()
        if at == len(text):
            return lines
        if text[at] == ",":
            at += 1
        elif end_of_line := _LINE_END.match(text, at):
            at = end_of_line.end()
            line, line_start = line + 1, at
            lines.append([])
