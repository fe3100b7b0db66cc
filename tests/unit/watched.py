"""What the tests of watching share: a source that is watched, and what it tells."""

import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from l3ctl.configuration import FileSource
from l3ctl.errors import BadInput
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.sources.file import Reader

PATIENCE = 10
"""seconds: a limit, not a measure"""
A_WHILE = 0.25
"""seconds in which what is not to be told is not told"""
Told = tuple[list[str], set[str], bool]


@contextmanager
def watched(path: str, timeout: int = 5) -> Iterator[Reader]:
    reader = Reader(FileSource(Path(path)), timeout)
    try:
        yield reader
    finally:
        reader.close()


def csv(*names: str) -> str:
    return "name\n" + "".join(f"{name}\n" for name in names)


def put(path: str, *names: str) -> None:
    """As most programs do: in place."""
    Path(path).write_text(csv(*names))


def told(delivery: Delivery | None) -> Told:
    assert delivery is not None
    return [str(record.at(("name",)).value) for record in delivery.records], set(delivery.gone), delivery.whole


def readable(reader: Reader, seconds: float) -> bool:
    descriptor = reader.fileno()
    assert descriptor is not None
    return bool(select.select([descriptor], [], [], seconds)[0])


def news(reader: Reader) -> Told:
    """The next that is any."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if readable(reader, end - time.monotonic()) and (delivery := reader.news()) is not None:
            return told(delivery)
    raise AssertionError("nothing was told")


def nothing(reader: Reader) -> None:
    """No news for a while, whatever is heard."""
    end = time.monotonic() + A_WHILE
    while (left := end - time.monotonic()) > 0:
        if readable(reader, left):
            assert reader.news() is None


def nothing_but_refusals(reader: Reader) -> None:
    end = time.monotonic() + A_WHILE
    while (left := end - time.monotonic()) > 0:
        if readable(reader, left):
            try:
                assert reader.news() is None
            except BadInput:
                continue


def news_after_refusals(reader: Reader) -> Told:
    while True:
        try:
            return news(reader)
        except BadInput:
            continue
