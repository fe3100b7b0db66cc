"""A host's entry in a host database, as many companies keep one: its addresses, and the networks that are routed to it.

Owns the shape of the entry, and what each of its keys means to the network. Other keys are other people's business, unless they look like
one of these misspelt: a network that is overlooked is one that is not routed.
"""

import difflib
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Interface, IPv6Network
from typing import Annotated

from pydantic import BeforeValidator, ValidationError

from l3ctl.errors import Problem
from l3ctl.reading.document import Document, Loc, Value, quoted
from l3ctl.reading.fields import BilledPrefix, Ipv4Unicast, Text
from l3ctl.reading.gathered import Gathered, Origin
from l3ctl.reading.validation import Strict, must, problems_of

_CLOSE = 0.75
"""of 1: how alike a key must be to one of ours to be taken for a slip; ipv4 is to ipv6, and ipmi is not to ip"""
_REMARK = 100
"""characters"""


def _network(value: object) -> str:
    """An address is itself alone; one with a length stands for its network."""
    own = _interface(value)
    if own is None:
        raise must("be an IPv6 address like 2001:db8:11::e, or one with the length of its network")
    return str(own.network)


def _interface(value: object) -> IPv6Interface | None:
    try:
        return IPv6Interface(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        return None


OwnNetwork = Annotated[BilledPrefix, BeforeValidator(_network)]


class HostEntry(Strict):
    """What of an entry concerns the network. Of a mapping by address, the addresses."""

    ip: Ipv4Unicast | None = None
    ipv6: OwnNetwork | None = None
    ipv6_network: BilledPrefix | None = None
    routed_networks6: tuple[BilledPrefix, ...] = ()
    other_ips: tuple[Ipv4Unicast, ...] = ()
    other_ips6: tuple[OwnNetwork, ...] = ()


class _Grouped(Strict):
    groups: tuple[Text, ...] = ()


KEYS = (*_Grouped.model_fields, *HostEntry.model_fields)


@dataclass(slots=True)
class BilledHost:
    """A host of the database: all that is billed to it, and its row in the table of ports once that is found."""

    name: str
    key: Document
    remark: str = ""
    row: Document | None = None
    ipv6: list[tuple[IPv6Network, Origin, str]] = field(default_factory=list)
    """networks, where they are written, and what the database remarks on them"""
    ipv4: list[tuple[IPv4Address, Origin, str]] = field(default_factory=list)
    within: list[tuple[IPv6Address, Origin]] = field(default_factory=list)
    """its addresses that were written with a length, and so are reached as part of a network of its own"""


def groups_of(entry: Document, problems: list[Problem]) -> set[str]:
    """The groups that a host is in; what is wrong with them is added to `problems`."""
    value = {key: value for key, value in entry.value.items() if key == "groups"} if isinstance(entry.value, dict) else entry.value
    try:
        return set(_Grouped.model_validate(value).groups)
    except ValidationError as error:
        problems += problems_of(error, entry, _Grouped)
        return set()


def misspelt(entry: Document, keys: Collection[str], ignored: Collection[str]) -> Iterator[Problem]:
    """Keys that are not ours and look as if one of `keys` was meant."""
    for key, _ in entry.parts():
        written = str(key.value)
        if written not in KEYS and written not in ignored:
            close = difflib.get_close_matches(written.lower().replace("-", "_"), keys, n=1, cutoff=_CLOSE)
            mend = f"did you mean {quoted(close[0])}? If it is another's, --ignore {written}" if close else ""
            if close:
                yield key.problem((), f"unknown key {quoted(written)} in {entry.title}", mend)


def billed_host(key: Document, entry: Document, ignored: Collection[str], problems: list[Problem]) -> BilledHost:
    """What an entry bills; what is wrong with it is added to `problems`, and then it is without addresses."""
    host = BilledHost(str(key.value), key, _remark(entry))
    problems += misspelt(entry, list(HostEntry.model_fields), ignored)
    excerpt, remarks = _excerpt(entry)
    try:
        billed = HostEntry.model_validate(excerpt.value)
    except ValidationError as error:
        problems += problems_of(error, excerpt, HostEntry)
        return host
    # an address with the length of the network that is given beside it says the same once more
    own = billed.ipv6 if billed.ipv6 != billed.ipv6_network else None
    for one, network in (("ipv6", own), ("ipv6_network", billed.ipv6_network)):
        if network is not None:
            host.ipv6.append((network, (excerpt, (one,)), ""))
    for many, networks in (("routed_networks6", billed.routed_networks6), ("other_ips6", billed.other_ips6)):
        for index, network in enumerate(networks):
            host.ipv6.append((network, (excerpt, (many, index)), remarks.get((many, index), "")))
    if billed.ip is not None:
        host.ipv4.append((billed.ip, (excerpt, ("ip",)), ""))
    for index, address in enumerate(billed.other_ips):
        host.ipv4.append((address, (excerpt, ("other_ips", index)), remarks.get(("other_ips", index), "")))
    for loc, written in _with_lengths(excerpt.value):
        at = _interface(written)
        if at is not None and at.network.prefixlen < 128 and at.ip != at.network.network_address:
            host.within.append((at.ip, (excerpt, loc)))
    return host


def _with_lengths(value: Value) -> Iterator[tuple[Loc, Value]]:
    """Addresses that were written with a length, good ones."""
    for key in ("ipv6", "other_ips6"):
        written = value.get(key) if isinstance(value, dict) else None
        several = enumerate(written) if isinstance(written, list) else ()
        yield from (((key, index), one) for index, one in several if "/" in str(one))
        if isinstance(written, str) and "/" in written:
            yield (key,), written


def _excerpt(entry: Document) -> tuple[Document, dict[Loc, str]]:
    """Our keys of an entry, and what is remarked on addresses. A list of addresses does as well as a mapping by address."""
    if not isinstance(entry.value, dict):
        return entry, {}
    value: dict[str, Value] = {}
    origins: dict[Loc, Origin] = {(): (entry, ())}
    remarks: dict[Loc, str] = {}
    for key, part in entry.parts():
        name = str(key.value)
        if name in HostEntry.model_fields:
            value[name] = list(part.value) if isinstance(part.value, dict) else part.value
            for index, (address, about) in enumerate(part.parts()):
                origins[name, index], remarks[name, index] = (address, ()), _remark(about)
    return Gathered(entry.name, value, entry.title, origins=origins), remarks


def _remark(entry: Document) -> str:
    """What the database says of it, as one short line."""
    told = entry.value.get("comment") if isinstance(entry.value, dict) else None
    words = "".join(letter if letter.isprintable() else " " for letter in told).split() if isinstance(told, str) else []
    return " ".join(words)[:_REMARK]
