"""The table that says where each host is: its MAC and its port, a row a host. CSV, YAML or JSON, by how the file's name ends.

Owns the reading of the table and the shape of a row. Whether a row's host exists, and what is billed to it, is the business of `hosts`.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Self

from pydantic import TypeAdapter, ValidationError, model_validator

from l3ctl.errors import BadInput, Problem
from l3ctl.inventory.schema import PortRecord
from l3ctl.reading.csv_text import Columns, read_csv
from l3ctl.reading.document import Document, Loc, Value, quoted, read_yaml
from l3ctl.reading.fields import InterfaceName, LinkLocal, Lladdr, Name, Text, VlanId
from l3ctl.reading.gathered import Gathered, Origin
from l3ctl.reading.json_text import read_json
from l3ctl.reading.text import contents, decoded
from l3ctl.reading.validation import Fault, Strict, problems_of, refused

ATTACHMENT = ("router", "interface", "trunk", "vlan", "guard")
"""the keys of a row that say where its port is"""
OF_HOST = ("mac", "link_local")
"""the keys of a row that are its host's own"""
_NAME: TypeAdapter[str] = TypeAdapter(Name)


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


_COLUMNS = Columns(frozenset(Row.model_fields), frozenset(), frozenset(), frozenset())


@dataclass(frozen=True, slots=True)
class Table:
    """The rows as written, and the name of their file."""

    name: str
    rows: tuple[Document, ...]


def read_table(path: Path) -> Table:
    """Every row, none of them validated; `BadInput` where the file cannot be read as a table."""
    text = decoded(str(path), contents(path))
    match path.suffix.lower():
        case ".csv":
            return Table(text.name, _titled(read_csv(text, _COLUMNS, "rows").items("rows")))
        case ".json":
            document = read_json(text)
        case _:
            document = read_yaml(text)
    if not isinstance(document.value, list):
        raise BadInput([document.problem((), "the file must be a list of rows", "begin each with '- host: NAME'")])
    return Table(text.name, _titled(document.at((index,)) for index in range(len(document.value))))


def _titled(rows: Iterable[Document]) -> tuple[Document, ...]:
    return tuple(replace(row, title=f"row {number}") for number, row in enumerate(rows, 1))


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
