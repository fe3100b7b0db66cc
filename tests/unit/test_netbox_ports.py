"""NetBox's objects as port records. The objects are as NetBox 4.7 gives them; tests/netbox has them from a real one."""

from typing import Any

import pytest
from pydantic import TypeAdapter

from l3ctl.inventory.netbox_ports import Address, Found, Interface, Mac, Prefix, records
from l3ctl.inventory.schema import PortRecord

URL = "http://127.0.0.1:8000/api"
INTERFACE = {
    "id": 17,
    "device": {"id": 2, "url": f"{URL}/dcim/devices/2/", "display": "web1", "name": "web1", "description": ""},
    "name": "eth0",
    "primary_mac_address": {"id": 1, "display": "52:54:00:0A:00:0B", "mac_address": "52:54:00:0A:00:0B", "description": ""},
    "untagged_vlan": {"id": 2, "url": f"{URL}/ipam/vlans/2/", "display": "c11 (11)", "vid": 11, "name": "c11", "description": ""},
    "custom_fields": {"l3ctl_bgp": None, "l3ctl_mode": None, "l3ctl_source_guard": None, "rack_colour": "blue"},
}
MACHINE = {"id": 3, "url": f"{URL}/virtualization/virtual-machines/3/", "display": "vm1", "name": "vm1", "description": ""}
ADDRESS = {"id": 5, "address": "192.0.2.11/24", "assigned_object_type": "dcim.interface", "assigned_object_id": 17}
PREFIX = {"id": 8, "prefix": "2001:db8:11::/64", "vlan": INTERFACE["untagged_vlan"], "custom_fields": {"l3ctl_port": None}}
RECORD = {"name": "web1-eth0", "trunk": "eth1", "vlan": "11", "mac": "52:54:00:0A:00:0B"}


def made(
    interface: dict[str, Any] | None = None,
    addresses: list[dict[str, Any]] | None = None,
    prefixes: list[dict[str, Any]] | None = None,
    macs: list[dict[str, Any]] | None = None,
) -> list[Any]:
    """The values, of what differs from the objects above."""
    found = Found(
        {"dcim.interface": [Interface.model_validate({**INTERFACE, **(interface or {})})]},
        TypeAdapter(list[Mac]).validate_python([{**ADDRESS, **mac} for mac in macs or ()]),
        TypeAdapter(list[Address]).validate_python([{**ADDRESS, "id": 5 + n, **each} for n, each in enumerate(addresses or ())]),
        TypeAdapter(list[Prefix]).validate_python([{**PREFIX, "id": 8 + n, **each} for n, each in enumerate(prefixes or ())]),
    )
    return [record.value for record in records(found, "eth1")]


@pytest.mark.parametrize(
    ("objects", "expected"),
    [
        ({}, RECORD),
        ({"addresses": [{}]}, {**RECORD, "ipv4": ["192.0.2.11"]}),
        ({"addresses": [{"assigned_object_id": 18}, {"assigned_object_type": "virtualization.vminterface"}]}, RECORD),
        ({"prefixes": [{}]}, {**RECORD, "ipv6": ["2001:db8:11::/64"]}),
        ({"prefixes": [{"vlan": {"id": 3, "vid": 11}}]}, RECORD),
        (
            {"addresses": [{"address": "2001:db8:11::2/64"}, {"address": "2001:db8:12::2/64"}], "prefixes": [{}]},
            {**RECORD, "ipv6": ["2001:db8:11::/64", "2001:db8:12::2/128"]},
        ),
        ({"addresses": [{"address": "fe80::1:2/64"}]}, {**RECORD, "link_local": "fe80::1:2"}),
        (
            {"interface": {"primary_mac_address": None}, "macs": [{"mac_address": "52:54:00:00:00:01"}]},
            {**RECORD, "mac": "52:54:00:00:00:01"},
        ),
        ({"interface": {"device": {"name": None, "display": "PowerEdge (12)"}}}, {**RECORD, "name": "PowerEdge-12-eth0"}),
        (
            {"interface": {"custom_fields": {"l3ctl_router": {"id": 4, "url": f"{URL}/dcim/devices/4/", "display": "r1", "name": "r1"}}}},
            {**RECORD, "router": "r1"},
        ),
        ({"interface": {"custom_fields": {"l3ctl_mode": {"value": "audit", "label": "Audit"}}}}, {**RECORD, "mode": "audit"}),
        (
            {"interface": {"custom_fields": {"l3ctl_source_guard": False, "l3ctl_announce": True, "l3ctl_guard": ""}}},
            {**RECORD, "source_guard": False, "announce": True},
        ),
        (
            {"interface": {"custom_fields": {"l3ctl_bgp": {"med": 100, "communities": ["64500:1"]}}}},
            {**RECORD, "bgp": {"med": "100", "communities": ["64500:1"]}},
        ),
        (
            {"interface": {"custom_fields": {"l3ctl_interface": "tap-web1"}}},
            {"name": "web1-eth0", "interface": "tap-web1", "mac": "52:54:00:0A:00:0B"},
        ),
        ({"prefixes": [{"vlan": None, "custom_fields": {"l3ctl_port": "web1-eth0"}}]}, {**RECORD, "ipv6": ["2001:db8:11::/64"]}),
    ],
)
def test_an_interface_is_a_port(objects: dict[str, Any], expected: dict[str, Any]) -> None:
    (value,) = made(**objects)
    assert value == expected
    assert PortRecord.model_validate(value).name == expected["name"]


def test_an_interface_of_a_virtual_machine_is_one_too() -> None:
    told = {key: value for key, value in INTERFACE.items() if key != "device"}
    interface = Interface.model_validate({**told, "virtual_machine": MACHINE})
    kind = "virtualization.vminterface"
    address = Address.model_validate({**ADDRESS, "assigned_object_type": kind})
    (record,) = records(Found({"dcim.interface": [], kind: [interface]}, [], [address], []), "eth1")
    assert record.value == {**RECORD, "name": "vm1-eth0", "ipv4": ["192.0.2.11"]}
    assert record.place(("ipv4", 0)) == "netbox: virtualization.vminterface 17 (vm1-eth0): ipv4[0]"


def test_a_prefix_that_belongs_nowhere_is_a_record_that_is_attached_to_nothing() -> None:
    prefixes = [{"vlan": None}, {"prefix": "2001:db8:9::/64", "custom_fields": {"l3ctl_port": "web9"}}]
    assert made(prefixes=prefixes)[1:] == [
        {"name": "prefix8", "ipv6": ["2001:db8:11::/64"]},
        {"name": "web9", "ipv6": ["2001:db8:9::/64"]},
    ]
