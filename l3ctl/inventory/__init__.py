"""The inventory: sources yield records, one schema validates them, ports come out."""

import gc
from collections.abc import Iterator
from contextlib import closing, contextmanager

from pydantic import ValidationError

from l3ctl.configuration import Configuration, Inventory
from l3ctl.errors import BadInput, Problem
from l3ctl.inventory.claims import Entry
from l3ctl.inventory.faults import NOTHING, Reserved, conflicts
from l3ctl.inventory.schema import PortRecord
from l3ctl.inventory.sources import open_source
from l3ctl.model import Port
from l3ctl.reading.document import in_order
from l3ctl.reading.validation import problems_of

_MANY = 100_000
"""objects"""


def load_inventory(settings: Inventory, router: str, reserved: Reserved = NOTHING) -> tuple[Port, ...]:
    """The ports of ``router``, by name; `BadInput` with every problem of the whole inventory, other routers' records included.

    No host may be billed what the router keeps for itself. A prefix billed on two routers means that billing is wrong, whichever router
    asks. Records that are faulty in themselves are reported and left out of the checks between records.
    """
    with collector_paused():
        return _load(settings, router, reserved)


def _load(settings: Inventory, router: str, reserved: Reserved) -> tuple[Port, ...]:
    entries: list[Entry] = []
    problems: list[Problem] = []
    with closing(open_source(settings)) as source:
        records = source.read().records
    for record in records:
        try:
            entries.append(Entry(PortRecord.model_validate(record.value), record))
        except ValidationError as error:
            problems += problems_of(error, record, PortRecord)
    problems += conflicts(entries, reserved)
    if problems:
        raise BadInput(in_order(problems))
    ports = (entry.port for entry in entries if entry.router in (None, router))
    return tuple(sorted(ports, key=lambda port: port.name))


def reserved_by(config: Configuration) -> Reserved:
    """What a router keeps for itself, by its configuration."""
    return Reserved(
        config.router,
        frozenset(config.gateways),
        frozenset(config.upstream),
        frozenset(uplink.interface for uplink in config.settings.uplinks),
        config.settings.blackholes,
    )


@contextmanager
def collector_paused() -> Iterator[None]:
    """For the time of reading. A large inventory makes millions of objects and no cycles; the collector would take half the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            if gc.get_count()[0] > _MANY:
                gc.freeze()  # what came of it stays, and would be walked again and again later, too
            gc.enable()
