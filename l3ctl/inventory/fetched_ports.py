"""Records that came from no file: how they are named in messages, how JSON lists them, and a query."""

from collections.abc import Sequence

from l3ctl.errors import BadInput, Problem
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import Document, Loc, Value, quoted
from l3ctl.reading.fetched import Fetched
from l3ctl.reading.json_value import read_json
from l3ctl.reading.validation import Strict, validated

MOST_ROWS = 1_000_000
"""a query that gives more joins its tables wrongly"""


class _Answer(Strict):
    ports: tuple[object, ...]


def record(name: str, value: Value, number: int, base: Loc = ()) -> Document:
    """A record, the ``number``-th from 1. Messages begin with ``name`` and, if it is a part of more, with the ``base`` in that."""
    own = value.get("name") if isinstance(value, dict) else None
    return Fetched(name, value, f"port {quoted(own) if isinstance(own, str) else number}", base=base)


def delivery(raw: bytes, name: str) -> Delivery:
    """JSON's records: ``{"ports": [...]}``, or the list alone. `BadInput` when it is neither."""
    value = read_json(raw, name)
    base: Loc = ()
    if not isinstance(value, list):
        validated(_Answer, Fetched(name, value, "the answer"))
        assert isinstance(value, dict)
        value, base = value["ports"], ("ports",)
    assert isinstance(value, list)
    return Delivery([record(name, one, index + 1, (*base, index)) for index, one in enumerate(value)])


def row(name: str, number: int, value: Value) -> Document:
    """A query's row, the ``number``-th from 1."""
    own = value.get("name") if isinstance(value, dict) else None
    called = f" ({own if len(own) <= 63 and own.isprintable() else quoted(own)})" if isinstance(own, str) else ""
    return record(f"{name}: row {number}{called}", value, number)


def check_columns(names: Sequence[str], place: str) -> None:
    """`BadInput` unless a query's columns can be a record's keys: each once, and ``name`` among them."""
    twice = sorted({name for name in names if names.count(name) > 1})
    problems = [Problem(place, f"gives the column {quoted(name)} twice", "name each once, with AS") for name in twice]
    if "name" not in names:
        problems.append(Problem(place, f"gives no column 'name', only {', '.join(names)[:200]}", "name one so, with AS"))
    if problems:
        raise BadInput(problems)
