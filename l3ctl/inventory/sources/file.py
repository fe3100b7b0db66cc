"""The inventory as one YAML file: ``ports:`` and a list of records."""

from l3ctl.configuration import FileSource
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import read_document
from l3ctl.reading.validation import Strict, validated


class _File(Strict):
    ports: tuple[object, ...]


class Reader:
    """`Source` of one file."""

    def __init__(self, settings: FileSource, timeout: int) -> None:
        del timeout
        self._path = settings.path

    def read(self) -> Delivery:
        """Each record with its places."""
        document = read_document(self._path)
        return Delivery([document.at(("ports", index)) for index in range(len(validated(_File, document).ports))])

    def fileno(self) -> int | None:
        """Not watched."""
        return None

    def news(self) -> Delivery | None:
        """Everything."""
        return self.read()

    def close(self) -> None:
        """Nothing is held."""
