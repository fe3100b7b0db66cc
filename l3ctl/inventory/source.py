"""What a source of the inventory is to the rest: something that delivers records, all of them or those that changed, and nothing more.

A source knows its protocol and no record's meaning. It gives every scalar as the text a person would write, so that one schema reads all:
a number is ``"11"``, what is NULL or absent is no key at all, only true and false stay what they are.
"""

import datetime
import ipaddress
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Protocol

from l3ctl.reading.document import Document, Value


@dataclass(frozen=True, slots=True)
class Delivery:
    """Records with their places, unvalidated.

    `whole`: there are no others. Else `records` are the ones that are new or changed, and `gone` names those that are no more; whatever is
    in neither is as it was.
    """

    records: Sequence[Document]
    gone: frozenset[str] = frozenset()
    whole: bool = True


class Source(Protocol):
    """Opened by its constructor without waiting for anything; connects when it is first read."""

    def read(self) -> Delivery:
        """Everything, as it is now. Takes at most as long as its timeout.

        Raises:
            SourceFailed: it cannot be reached, or does not answer with an inventory.
            BadInput: what it gave cannot be used as a whole, such as a file that is not YAML.
        """

    def fileno(self) -> int | None:
        """What becomes readable when something changed; None where only another reading can tell, or while there is no connection."""

    def news(self) -> Delivery | None:
        """After that: what changed, or everything; None where it was nothing. Never waits for more to come. Raises as `read` does."""

    def close(self) -> None:
        """Let go of everything held."""


def plain(value: object) -> Value:
    """What a database or a JSON parser gave, as `Document` holds it: text, true, false, lists and mappings. NULLs within mappings go.

    Raises:
        TypeError: it is of a kind nobody would write an inventory with, such as bytes.
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int | float | Decimal | _ADDRESSES | uuid.UUID | datetime.date | datetime.timedelta):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    raise TypeError(f"a value of type {type(value).__name__}")


_ADDRESSES = (
    ipaddress.IPv4Address
    | ipaddress.IPv6Address
    | ipaddress.IPv4Network
    | ipaddress.IPv6Network
    | ipaddress.IPv4Interface
    | ipaddress.IPv6Interface
)
