"""What NetBox has, as port records, by a convention that needs no custom field. Pure.

What carries the tag counts, whatever its status. An interface of a device or of a virtual machine that does is a port with one host:

    name   DEVICE-INTERFACE, with a - for whatever a name may not have: web1-eth0
    vlan   its untagged VLAN, on the setting's `trunk`
    mac    its primary MAC address, or the only one assigned to it
    ipv4   the IPv4 addresses assigned to it
    ipv6   the prefixes that carry the tag and are of its untagged VLAN, and the IPv6 addresses assigned to it, as /128 whatever mask they
           are written with. One within such a prefix is billed with that; one in fe80::/10 is the host's link_local

Custom fields called l3ctl_KEY, where interfaces have them, are the record's KEY and go before all that: l3ctl_router, l3ctl_name, or
l3ctl_interface for a netdev instead of a VLAN. A prefix with one called l3ctl_port goes to the port of that name instead of its VLAN's.
"""

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, IPv6Network
from typing import Annotated, Any, TypeVar

from pydantic import AliasChoices, BaseModel, BeforeValidator, Field

from l3ctl.inventory.source import plain
from l3ctl.reading.document import Document, Value, quoted
from l3ctl.reading.fetched import Fetched

_PREFIX = "l3ctl_"
_NOT_OF_A_NAME = re.compile(r"[^A-Za-z0-9._:-]+")
_LONGEST_NAME = 63


def _own_fields(value: object) -> object:
    """Of an object's custom fields those that are meant for l3ctl and set, by key."""
    fields = value.items() if isinstance(value, dict) else ()
    return {name.removeprefix(_PREFIX): one for name, one in fields if name.startswith(_PREFIX) and one not in (None, "")}


CustomFields = Annotated[dict[str, Any], BeforeValidator(_own_fields), Field(alias="custom_fields")]


class Named(BaseModel):
    """A device or a virtual machine. A device may have no name; NetBox then displays its type."""

    name: str | None = None
    display: str = ""


class Vlan(BaseModel):
    """A VLAN; `id` is NetBox's own."""

    id: int
    vid: int


class Primary(BaseModel):
    """An interface's primary MAC address."""

    mac_address: str


class Interface(BaseModel):
    """Of a device or a virtual machine."""

    id: int
    name: str
    owner: Named = Field(validation_alias=AliasChoices("device", "virtual_machine"))
    primary: Primary | None = Field(alias="primary_mac_address")
    vlan: Vlan | None = Field(None, alias="untagged_vlan")
    fields: CustomFields


class Assigned(BaseModel):
    """Something assigned to an object: to which, by kind and id."""

    id: int
    kind: str | None = Field(alias="assigned_object_type")
    interface: int | None = Field(alias="assigned_object_id")


class Mac(Assigned):
    """A MAC address."""

    mac_address: str


class Address(Assigned):
    """An IP address, with the mask it is written with."""

    address: IPv4Interface | IPv6Interface


class Prefix(BaseModel):
    """An IPv6 prefix that carries the tag."""

    id: int
    prefix: IPv6Network
    vlan: Vlan | None = None
    fields: CustomFields


Thing = TypeVar("Thing", bound=Assigned)


@dataclass(frozen=True)
class Found:
    """What a reading gave: interfaces by kind, as NetBox calls these, and the MAC addresses of those that have no primary one."""

    interfaces: Mapping[str, Sequence[Interface]]
    macs: Iterable[Mac]
    addresses: Iterable[Address]
    prefixes: Iterable[Prefix]


def records(found: Found, trunk: str | None) -> list[Document]:
    """A record for each interface, and one that is attached to nothing for each prefix that belongs nowhere.

    That is one without a VLAN, or for a port that there is not. One whose VLAN has no port is left out: it waits.
    """
    addresses, macs = _by_interface(found.addresses), _by_interface(found.macs)
    by_vlan: dict[int | None, list[IPv6Network]] = defaultdict(list)
    by_name: dict[object, list[Prefix]] = defaultdict(list)
    for prefix in sorted(found.prefixes, key=lambda each: each.id):
        if prefix.vlan is None or "port" in prefix.fields:
            by_name[prefix.fields.get("port")].append(prefix)
        else:
            by_vlan[prefix.vlan.id].append(prefix.prefix)
    made: list[Document] = []
    for kind, interfaces in found.interfaces.items():
        for interface in interfaces:
            value = _port(interface, macs[kind, interface.id], trunk)
            prefixes = by_vlan[interface.vlan.id] if interface.vlan else []
            prefixes = [*prefixes, *(each.prefix for each in by_name.pop(value["name"], ()))]
            made.append(_record(kind, interface.id, str(value["name"]), {**_billed(addresses[kind, interface.id], prefixes), **value}))
    for name, strays in by_name.items():
        for stray in strays:
            named: Value = f"prefix{stray.id}" if name is None else plain(name)
            made.append(_record("ipam.prefix", stray.id, str(stray.prefix), {"name": named, "ipv6": [str(stray.prefix)]}))
    return made


def _by_interface(things: Iterable[Thing]) -> dict[tuple[str | None, int | None], list[Thing]]:
    by_interface: dict[tuple[str | None, int | None], list[Thing]] = defaultdict(list)
    for each in sorted(things, key=lambda each: each.id):
        by_interface[each.kind, each.interface].append(each)
    return by_interface


def _port(interface: Interface, macs: Sequence[Mac], trunk: str | None) -> dict[str, Value]:
    """The record without what is billed. Where it says nothing of an attachment, the schema says so."""
    parts = (_NOT_OF_A_NAME.sub("-", part).strip("-") for part in (interface.owner.name or interface.owner.display, interface.name))
    name = "-".join(filter(None, parts)).lstrip("._:-")[:_LONGEST_NAME]
    value: dict[str, Value] = {"name": name or f"interface{interface.id}"}
    if interface.primary or len(macs) == 1:
        value["mac"] = (interface.primary or macs[0]).mac_address
    value |= {key: _plain(one) for key, one in interface.fields.items()}
    if "interface" not in value or "trunk" in value:
        if trunk:
            value.setdefault("trunk", trunk)
        if interface.vlan:
            value.setdefault("vlan", str(interface.vlan.vid))
    return value


def _billed(addresses: Iterable[Address], prefixes: Sequence[IPv6Network]) -> dict[str, Value]:
    ipv4: list[Value] = []
    ipv6: list[Value] = [str(prefix) for prefix in prefixes]
    link_local: list[Value] = []
    for each in addresses:
        host = each.address.ip
        if host.version == 4:
            ipv4.append(str(host))
        elif host.is_link_local and not link_local:
            link_local.append(str(host))
        elif not any(host in prefix for prefix in prefixes):
            ipv6.append(f"{host}/128")
    lists: dict[str, Value] = {"ipv4": ipv4, "ipv6": ipv6}
    return {**{key: one for key, one in lists.items() if one}, **({"link_local": link_local[0]} if link_local else {})}


def _plain(value: object) -> Value:
    """A custom field's value; of a selection what was chosen, and of an object, such as the router's device, its name."""
    if isinstance(value, dict):
        if value.keys() == {"value", "label"}:
            return plain(value["value"])
        if {"id", "url", "name"} <= value.keys():
            return plain(value["name"])
    return plain(value)


def _record(kind: str, identifier: int, called: str, value: dict[str, Value]) -> Document:
    return Fetched(f"netbox: {kind} {identifier} ({called})", value, f"port {quoted(str(value['name']))}")
