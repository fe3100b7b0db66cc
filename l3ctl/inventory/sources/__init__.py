"""One small file for each kind of source. None is imported before the configuration names it: some want libraries of their own."""

from importlib import import_module

from l3ctl import configuration
from l3ctl.inventory.source import Source

_ROOMS: dict[type[configuration.SourceSettings], str] = {
    configuration.FileSource: "file",
    configuration.CommandSource: "command",
    configuration.HttpSource: "http",
    configuration.PostgresqlSource: "postgresql",
    configuration.SqliteSource: "sqlite",
    configuration.NetboxSource: "netbox",
}


def open_source(settings: configuration.Inventory) -> Source:
    """The source the configuration names. Raises `MissingRequirement` where its library is not installed."""
    room = import_module(f"l3ctl.inventory.sources.{_ROOMS[type(settings.source)]}")
    source: Source = room.Reader(settings.source, settings.timeout)
    return source
