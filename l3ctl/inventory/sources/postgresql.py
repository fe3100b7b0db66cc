"""The inventory as the rows of a query of a PostgreSQL database, and what it says by NOTIFY of single ports.

The server renders each row as JSON, so that a value of any type it has, or will have, is true, false, a list or the text that psql shows.
One connection does both, reading and listening.
"""

import os
import select
from collections.abc import Callable
from contextlib import suppress

from l3ctl.configuration import PostgresqlSource
from l3ctl.errors import MissingRequirement, SourceFailed
from l3ctl.inventory.deadline import within
from l3ctl.inventory.source import Delivery

try:
    from l3ctl.inventory.sources.postgresql_session import Session
except ImportError as missing:
    raise MissingRequirement("the library psycopg is not installed", "install what pyproject.toml has under 'postgresql'") from missing


class Reader:
    """`Source` of one query."""

    def __init__(self, settings: PostgresqlSource, timeout: int) -> None:
        self._settings = settings
        self._timeout = timeout
        self._session: Session | None = None
        self._socket = -1
        # A notification that arrives amid a query is taken off the socket then, which has nothing more to tell; `_more` has. The number
        # that is watched also stays the same over connections.
        self._either = select.epoll()
        self._more = os.fdopen(os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC), "r+b", buffering=0)
        self._either.register(self._more, select.EPOLLIN)

    def read(self) -> Delivery:
        """Each row; over a new connection where there is none."""
        delivery = self._bounded(Session.everything)
        assert delivery
        return delivery

    def fileno(self) -> int | None:
        """Readable when the channel was notified, and when the connection is lost."""
        return self._either.fileno() if self._session and self._settings.channel else None

    def news(self) -> Delivery | None:
        """The ports that the channel named; everything where it said something else, or there is none. Without a connection, a new one."""
        return self._bounded(Session.changed if self.fileno() is not None else Session.everything)

    def close(self) -> None:
        """Let go of the connection, and of what watches it."""
        self._drop()
        self._either.close()
        self._more.close()

    def _bounded(self, work: Callable[[Session], Delivery | None]) -> Delivery | None:
        """Have ``work`` done in time. Whatever goes wrong ends the session: what was told on it may be lost."""
        session = self._session or Session(self._settings, self._timeout)
        with suppress(BlockingIOError):
            os.eventfd_read(self._more.fileno())
        try:
            delivery = within(self._timeout, lambda: session.run(work), session.cut)
        except TimeoutError:
            self._drop()
            raise SourceFailed(f"postgresql: no answer within {self._timeout} s", "see what the server does, or set timeout") from None
        except BaseException:
            self._drop()
            raise
        if not self._session:
            self._session, self._socket = session, session.fileno()
            self._either.register(self._socket, select.EPOLLIN)
        if session.told:
            os.eventfd_write(self._more.fileno(), 1)
        return delivery

    def _drop(self) -> None:
        """The next reading has a new one."""
        if self._session:
            with suppress(OSError, ValueError):  # closed already, by whoever was cut off
                self._either.unregister(self._socket)
            self._session.close()
        self._session = None
