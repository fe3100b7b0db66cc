"""The inventory: sources yield records, one schema validates them, ports come out."""

import gc
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from pydantic import ValidationError

from l3ctl.configuration import FileSource, Inventory
from l3ctl.errors import BadInput, Problem
from l3ctl.inventory.checks import Entry, conflicts
from l3ctl.inventory.schema import PortRecord
from l3ctl.inventory.sources import open_source
from l3ctl.model import Address, Port
from l3ctl.reading.document import in_order
from l3ctl.reading.validation import problems_of


def load_inventory(
    source: Inventory | Path, router: str, gateways: Iterable[Address] = (), sessions: Iterable[Address] = ()
) -> tuple[Port, ...]:
    """The ports of ``router``, by name; `BadInput` with every problem of the whole file, other routers' records included.

    No host may be billed a gateway's address, nor a prefix with an address in it that the router's BGP sessions run between. A prefix
    billed on two routers means that billing is wrong, whichever router asks. Records that are faulty in themselves are reported and left
    out of the checks between records.
    """
    with _collector_paused():
        return _load(source if isinstance(source, Inventory) else Inventory(FileSource(source)), router, gateways, sessions)


def _load(settings: Inventory, router: str, gateways: Iterable[Address], sessions: Iterable[Address]) -> tuple[Port, ...]:
    entries: list[Entry] = []
    problems: list[Problem] = []
    with closing(open_source(settings)) as opened:
        records = opened.read().records
    for source in records:
        try:
            entries.append(Entry(PortRecord.model_validate(source.value), source))
        except ValidationError as error:
            problems += problems_of(error, source, PortRecord)
    problems += conflicts(entries, gateways, sessions)
    if problems:
        raise BadInput(in_order(problems))
    ports = (entry.port for entry in entries if entry.router in (None, router))
    return tuple(sorted(ports, key=lambda port: port.name))


@contextmanager
def _collector_paused() -> Iterator[None]:
    """A large inventory makes millions of objects and no cycles; the collector would walk them all, again and again, for half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
