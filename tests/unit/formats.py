"""What the tests of the four formats share."""

from pathlib import Path

import pytest

from l3ctl.errors import BadInput
from l3ctl.inventory.sources.file import COLUMNS
from l3ctl.reading.csv_text import read_csv
from l3ctl.reading.document import Document
from l3ctl.reading.json_text import read_json
from l3ctl.reading.plain_yaml import read_plain_yaml
from l3ctl.reading.text import decoded
from l3ctl.reading.toml_text import read_toml

READERS = {
    "yaml": read_plain_yaml,
    "json": read_json,
    "toml": read_toml,
    "csv": lambda text: read_csv(text, COLUMNS, "ports"),
}


def read(kind: str, written: str | bytes) -> Document:
    raw = written.encode() if isinstance(written, str) else written
    return READERS[kind](decoded(f"a.{kind}", raw))


def refusal(kind: str, written: str | bytes) -> list[str]:
    """The lines that say why, without the file's name."""
    with pytest.raises(BadInput) as caught:
        read(kind, written)
    return [line.removeprefix(f"a.{kind}:") for line in caught.value.lines()]


def at(document: Document, *loc: str | int, of_key: bool = False) -> str:
    """line:column."""
    return document.place(loc, of_key=of_key).removeprefix(f"{document.name}:")


def write(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8")
