"""The `inventory` section: where the ports come from, and how much of what comes is taken on trust."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import PlainValidator, StrictBool, model_validator

from l3ctl import configuration
from l3ctl.reading.fields import FilePath, InterfaceName, Name, Text, whole_number
from l3ctl.reading.validation import Fault, Strict, must, refused


def _url(value: object) -> str:
    if not isinstance(value, str) or not value.startswith(("http://", "https://")) or not value.isprintable() or " " in value:
        raise must("be a URL that begins with https:// or http://")
    return value


def _arguments(value: object) -> tuple[str, ...]:
    words = tuple(word for word in value if isinstance(word, str) and "\0" not in word) if isinstance(value, list) else ()
    if not words or not words[0] or len(words) != len(value if isinstance(value, list) else ()):
        raise must("be a list of a program and its arguments, each of them text")
    return words


def _channel(value: object) -> str:
    if not isinstance(value, str) or not 1 <= len(value.encode()) <= 63 or not value.isprintable():
        raise must("be the name of a channel, 1 to 63 bytes")
    return value


Url = Annotated[str, PlainValidator(_url)]


class Http(Strict):
    """JSON from a web server."""

    url: Url
    token_file: FilePath | None = None
    ca_file: FilePath | None = None


class Postgresql(Strict):
    """A query's rows, and the channel on which the database says that they changed."""

    connection: Text
    query: Text
    channel: Annotated[str, PlainValidator(_channel)] | None = None
    password_file: FilePath | None = None


class Sqlite(Strict):
    """A query's rows."""

    file: FilePath
    query: Text


class Netbox(Strict):
    """NetBox's interfaces."""

    url: Url
    token_file: FilePath
    tag: Name = "l3ctl"
    trunk: InterfaceName | None = None
    ca_file: FilePath | None = None


_SOURCES = ("file", "command", "http", "postgresql", "sqlite", "netbox")


class InventoryRecord(Strict):
    """One source, and how it is followed."""

    file: FilePath | None = None
    command: Annotated[tuple[str, ...], PlainValidator(_arguments)] | None = None
    http: Http | None = None
    postgresql: Postgresql | None = None
    sqlite: Sqlite | None = None
    netbox: Netbox | None = None
    interval: Annotated[int, whole_number(1, 86400)] = 60
    timeout: Annotated[int, whole_number(1, 3600)] = 30
    watch: StrictBool = True
    strict: StrictBool = False
    max_shrink: Annotated[int, whole_number(0, 100)] = 10

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        named = [key for key in _SOURCES if key in self.model_fields_set]
        if not named:
            raise refused(Fault("'inventory' names no source", f"add one of {', '.join(_SOURCES)}"))
        if len(named) > 1:
            raise refused(*(Fault(f"'{key}' beside '{named[0]}'", "name one source", (key,), of_key=True) for key in named[1:]))
        return self

    def _source(self) -> configuration.SourceSettings:
        if self.command is not None:
            return configuration.CommandSource(self.command)
        if self.http is not None:
            return configuration.HttpSource(self.http.url, self.http.token_file, self.http.ca_file)
        if (postgresql := self.postgresql) is not None:
            words = postgresql.connection, postgresql.query, postgresql.channel, postgresql.password_file
            return configuration.PostgresqlSource(*words)
        if self.sqlite is not None:
            return configuration.SqliteSource(self.sqlite.file, self.sqlite.query)
        if (netbox := self.netbox) is not None:
            return configuration.NetboxSource(netbox.url, netbox.token_file, netbox.tag, netbox.trunk, netbox.ca_file)
        return configuration.FileSource(self.file or Path())

    def settings(self) -> configuration.Inventory:
        """The same in plain types."""
        return configuration.Inventory(self._source(), self.interval, self.timeout, self.watch, self.strict, self.max_shrink)
