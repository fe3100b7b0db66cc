"""A connection to PostgreSQL, from its first word to whatever ends it: what it asks, and what it is told meanwhile.

It may only read. Every wait of the server's has an end shorter than the reading's, so that its own words say why there is no answer.
"""

import json
import re
import select
import socket
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from typing import Any, TypeVar

import psycopg
from psycopg import pq, sql

from l3ctl.configuration import PostgresqlSource
from l3ctl.errors import BadInput, L3ctlError, Problem, SourceFailed
from l3ctl.inventory import fetched_ports
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import Document, Value
from l3ctl.reading.json_value import read_json
from l3ctl.reading.secret import read_secret

Outcome = TypeVar("Outcome")
_Row = tuple[str | None, str]
"""a name, and the whole as JSON"""

_PLACE = "inventory.postgresql"
_MOST_NAMES = 1000
"""beyond so many, reading everything is quicker"""
_LONGEST_NAME = 63
_EVERYTHING = ""
"""stands among the names that were told for all that are not one"""
_AT_ONCE = 2000
"""rows"""
_KEEPALIVES: dict[str, Any] = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_ADDRESSES = {number for name in ("inet", "cidr") for number in (psycopg.adapters.types[name].oid, psycopg.adapters.types[name].array_oid)}


class Session:
    """Connects with the first `run`. ``told`` has the names that came over the channel and were not asked for yet."""

    def __init__(self, settings: PostgresqlSource, timeout: int) -> None:
        self.told: set[str] = set()
        self._settings = settings
        self._timeout = timeout
        self._query = re.sub(r"[\s;]+\Z", "", settings.query)
        self._connection: psycopg.Connection | None = None
        self._addresses: set[str] = set()
        self._cut = False

    def run(self, work: "Callable[[Session], Outcome]") -> Outcome:
        """What ``work`` gives, with psycopg's exceptions translated."""
        try:
            self._connection = self._connection or self._connect()
            return work(self)
        except psycopg.Error as error:
            raise _translated(error) from None
        finally:
            if self._cut and self._connection:
                self._connection.close()

    def everything(self) -> Delivery:
        """Each row."""
        self._listen_to_what_came()
        self.told.clear()
        self._look_at_columns()
        cursor = self._cursor()
        cursor.execute("BEGIN")
        cursor.execute(f"DECLARE l3ctl_rows NO SCROLL CURSOR FOR {self._asked()}")
        delivery = Delivery([document for document, _ in self._records(self._batches(cursor))])
        cursor.execute("COMMIT")
        return delivery

    def changed(self) -> Delivery | None:
        """The rows of the ports that were named; everything where something else was said, or too much; None for nothing."""
        self._listen_to_what_came()
        if _EVERYTHING in self.told:
            return self.everything()
        names = sorted(self.told)
        self.told.clear()
        if not names:
            return None
        rows = self._cursor().execute(self._asked(which="WHERE name::text = ANY($1::text[])"), [names]).fetchall()
        found = list(self._records([rows]))
        return Delivery([document for document, _ in found], frozenset(names) - {name for _, name in found}, whole=False)

    def fileno(self) -> int:
        """The connection's socket."""
        assert self._connection
        return self._connection.pgconn.socket

    def cut(self) -> None:
        """End it, from another thread than the one that is in `run`, which then closes what it used."""
        self._cut = True
        with suppress(OSError, psycopg.Error):
            if self._connection:
                with socket.socket(fileno=socket.dup(self.fileno())) as same:
                    same.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Let go of the connection; one that was cut is still in use."""
        if self._connection and not self._cut:
            self._connection.close()

    def _connect(self) -> psycopg.Connection:
        """Listens before anything is read, so that nothing falls between."""
        password = read_secret(self._settings.password_file) if self._settings.password_file else None
        try:
            connection = psycopg.connect(
                self._settings.connection,
                autocommit=True,
                prepare_threshold=None,  # a prepared query fails once a table it reads has changed
                application_name="l3ctl",
                client_encoding="UTF8",  # so the server sees to it that text is text
                connect_timeout=self._timeout,
                tcp_user_timeout=self._timeout * 1000,
                password=password,
                **_KEEPALIVES,
            )
        except psycopg.ProgrammingError as error:
            raise BadInput([Problem(f"{_PLACE}.connection", _words(error), "write it as for psql")]) from None
        except psycopg.Error as error:
            raise SourceFailed(f"postgresql: {_words(error)}", "check connection and password_file, and that the server runs") from None
        connection.pgconn.notify_handler = self._hear
        settings = {
            "default_transaction_read_only": "on",
            "lock_timeout": f"{self._timeout * 800}ms",
            "statement_timeout": f"{self._timeout * 900}ms",
            "jit": "off",  # takes longer than the query
            "cursor_tuple_fraction": "1",  # the planner shall not hurry for the first rows: all are fetched
        }
        asked = "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS _(name, value)"
        connection.execute(asked, [[*settings], [*settings.values()]])
        if self._settings.channel:
            try:
                connection.execute(sql.SQL("LISTEN {}").format(sql.Identifier(self._settings.channel)))
            except psycopg.Error as error:
                mend = "connect to a primary server, past any pooler, or remove channel"
                raise BadInput([Problem(f"{_PLACE}.channel", _words(error), mend)]) from None
        return connection

    def _hear(self, notify: pq.PGnotify) -> None:
        """Too many names, and what cannot be one, stand for everything."""
        name = notify.extra.decode(errors="replace")
        self.told.add(name if len(name) <= _LONGEST_NAME and len(self.told) < _MOST_NAMES else _EVERYTHING)

    def _listen_to_what_came(self) -> None:
        """Without waiting for more."""
        pgconn = self._used().pgconn
        poll = select.poll()
        poll.register(pgconn.socket, select.POLLIN)
        while poll.poll(0):
            pgconn.consume_input()
            while notify := pgconn.notifies():
                self._hear(notify)

    def _look_at_columns(self) -> None:
        columns = self._cursor().execute(self._asked("*", "LIMIT 0")).description or ()
        fetched_ports.check_columns([column.name for column in columns], f"{_PLACE}.query")
        self._addresses = {column.name for column in columns if column.type_code in _ADDRESSES}

    def _asked(self, what: str = "name::text, row_to_json(l3ctl_source)::text", which: str = "") -> str:
        """The query, which the configuration's author may write as he likes, as a part of ours; it may end in a comment."""
        return f"SELECT {what} FROM ({self._query}\n) AS l3ctl_source {which}"  # noqa: S608

    def _cursor(self) -> "psycopg.RawCursor[_Row]":
        """One that takes the percent signs of a person's query as they are."""
        return psycopg.RawCursor(self._used())

    def _used(self) -> psycopg.Connection:
        assert self._connection
        return self._connection

    def _batches(self, cursor: "psycopg.RawCursor[_Row]") -> Iterator[list[_Row]]:
        while rows := cursor.execute(f"FETCH {_AT_ONCE} FROM l3ctl_rows").fetchall():
            yield rows

    def _records(self, batches: Iterable[list[_Row]]) -> Iterator[tuple[Document, str]]:
        """Each row's record, and its name."""
        number = 0
        for rows in batches:
            names = [name or "" for name, _ in rows]
            for name, value in zip(names, self._values([text for _, text in rows], names), strict=True):
                number += 1
                yield fetched_ports.row("postgresql", number, value), name
            if number > fetched_ports.MOST_ROWS:
                raise SourceFailed(f"{_PLACE}.query: gives more than {fetched_ports.MOST_ROWS} rows", "check how it joins its tables")

    def _values(self, texts: list[str], names: list[str]) -> Iterator[Value]:
        """Of rows in JSON. Read all at once, they share the text of their keys."""
        try:
            rows = read_json(f"[{','.join(texts)}]", "postgresql")
        except BadInput:
            rows = [_cautiously(text, name) for text, name in zip(texts, names, strict=True)]
        assert isinstance(rows, list)
        for row in rows:
            assert isinstance(row, dict)
            for key in self._addresses & row.keys():
                row[key] = _addresses(key, row[key])
            yield row


def _cautiously(text: str, name: str) -> Value:
    """A row of several. With something nobody should rely on, as a key twice in a value of type json, it is given so that it is refused."""
    try:
        return read_json(text, "postgresql")
    except BadInput:
        pass
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return {"name": name, "hosts": text}
    return {key: one if isinstance(one, str | bool) else json.dumps(one) for key, one in row.items() if one is not None}


def _addresses(key: str, value: Value) -> Value:
    """Values of type inet and cidr as a record has them: one address has a length in IPv6 only, and one item may stand for a list."""
    if isinstance(value, list):
        return [_address(key, one) for one in value]
    return [_address(key, value)] if key in {"ipv6", "ipv4"} else _address(key, value)


def _address(key: str, value: Value) -> Value:
    if not isinstance(value, str):
        return value
    if key == "ipv6":
        return value if "/" in value else f"{value}/128"
    return value.removesuffix("/128" if ":" in value else "/32")


def _words(error: psycopg.Error) -> str:
    """The server's own, with its hint, or the library's; on one line."""
    said = [said for said in (error.diag.message_primary, error.diag.message_hint) if said] or [str(error)]
    return " ".join(" ".join(said).split())[:400] or type(error).__name__


def _translated(error: psycopg.Error) -> L3ctlError:
    if isinstance(error, psycopg.errors.QueryCanceled | psycopg.errors.LockNotAvailable):
        return SourceFailed(f"{_PLACE}.query: {_words(error)}", "see who holds a lock or what takes so long, or set timeout")
    of_the_query = psycopg.ProgrammingError | psycopg.DataError | psycopg.NotSupportedError | psycopg.errors.ReadOnlySqlTransaction
    if isinstance(error, of_the_query):
        return BadInput([Problem(f"{_PLACE}.query", _words(error), "write one SELECT that this user may ask")])
    return SourceFailed(f"postgresql: {_words(error)}", "see the server's log")
