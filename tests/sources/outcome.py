"""What came of it: an error's lines, or the news that a source's number promised."""

import select
import time
from collections.abc import Callable

import pytest

from l3ctl.errors import BadInput, SourceFailed
from l3ctl.inventory.source import Delivery, Source

WAIT = 20
"""seconds for what takes a moment"""


def lines_of(work: Callable[[], object], kind: type[BadInput] | type[SourceFailed] = SourceFailed) -> list[str]:
    """The error's lines, each fit for a terminal and a log."""
    with pytest.raises(kind) as caught:
        work()
    lines = caught.value.lines()
    assert all(line.isprintable() and len(line) < 700 for line in lines), lines
    return lines


def readable(source: Source, seconds: float = WAIT) -> bool:
    number = source.fileno()
    assert number is not None
    return bool(select.select([number], [], [], seconds)[0])


def news(source: Source) -> Delivery:
    """The next that is any."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if readable(source) and (delivery := source.news()):
            return delivery
    raise AssertionError("no news")


def values(delivery: Delivery | None) -> list[object]:
    assert delivery is not None
    return [record.value for record in delivery.records]


def names(delivery: Delivery | None) -> list[object]:
    assert delivery is not None
    return [record.value["name"] for record in delivery.records if isinstance(record.value, dict)]
