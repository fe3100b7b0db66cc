"""What the tests of PostgreSQL ask for, and how they tell of changes."""

from collections.abc import Callable

import psycopg

from l3ctl.inventory.source import Delivery
from l3ctl.inventory.sources.postgresql import Reader
from tests.sources.outcome import names

QUERY = "SELECT * FROM ports ORDER BY name"
LATE = "postgresql: no answer within 1 s; see what the server does, or set timeout"
Readers = Callable[..., Reader]


def notify(writer: psycopg.Connection, *payloads: str) -> None:
    """In one transaction."""
    with writer.transaction():
        writer.cursor().executemany("SELECT pg_notify('Ports', %s)", [[payload] for payload in payloads])


def told(delivery: Delivery | None) -> tuple[list[object], set[str], bool]:
    assert delivery is not None
    return names(delivery), set(delivery.gone), delivery.whole
