"""The inventory as one YAML file: ``ports:`` and a list of records."""

from collections.abc import Iterator
from pathlib import Path

from l3ctl.reading.document import Document, read_document
from l3ctl.reading.validation import Strict, validated


class _File(Strict):
    ports: tuple[object, ...]


def read_records(file: Path) -> Iterator[Document]:
    """Each record with its places, unvalidated; `BadInput` when the file as a whole cannot be used."""
    document = read_document(file)
    for index in range(len(validated(_File, document).ports)):
        yield document.at(("ports", index))
