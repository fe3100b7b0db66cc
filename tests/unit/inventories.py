"""Deliveries for the tests of what becomes of them: records by name, as a source would give them."""

from collections.abc import Mapping
from pathlib import Path

from l3ctl.configuration import FileSource, Inventory
from l3ctl.inventory import load_inventory
from l3ctl.inventory.faults import Reserved
from l3ctl.inventory.source import Delivery
from l3ctl.model import Port
from l3ctl.reading.document import Value
from l3ctl.reading.fetched import Fetched


def record(name: str, number: int | None = None, **keys: Value) -> dict[str, Value]:
    """A good one, with a netdev, MAC and /64 by its number, unless given."""
    number = sum(name.encode()) if number is None else number
    own: dict[str, Value] = {
        "name": name,
        "interface": f"tap{number}",
        "mac": f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}",
        "ipv6": [f"2001:db8:0:{number:x}::/64"],
    }
    return own | keys


def delivery(*records: Value, gone: frozenset[str] = frozenset(), whole: bool = True) -> Delivery:
    """Of these records, in this order."""
    return Delivery([Fetched("db", one, base=(at,)) for at, one in enumerate(records)], gone, whole)


def names(mapping: Mapping[str, object]) -> list[str]:
    """Sorted."""
    return sorted(mapping)


def load_file(path: Path, router: str, reserved: Reserved | None = None) -> tuple[Port, ...]:
    """The ports of a router, from a file, with nothing that it keeps for itself unless given."""
    return load_inventory(Inventory(FileSource(path)), router, reserved or Reserved(router))
