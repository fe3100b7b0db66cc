"""What a person keeps in NetBox, for one test: a tag, devices, addresses and VLANs of its own, written through NetBox's API."""

from collections.abc import Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pynetbox

from l3ctl.configuration import Inventory, NetboxSource
from l3ctl.inventory import load_inventory
from l3ctl.inventory.sources.netbox import Reader
from l3ctl.model import Port

OBJECT_TYPES = ("dcim.interface", "virtualization.vminterface")
_numbers = count(1)
FIELDS = {
    "name": ("text", None),
    "router": ("object", "dcim.device"),
    "interface": ("text", None),
    "trunk": ("text", None),
    "source_guard": ("boolean", None),
    "bgp": ("json", None),
    "mode": ("select", None),
}
VIEWED = (*OBJECT_TYPES, "ipam.ipaddress", "ipam.prefix", "dcim.macaddress", "ipam.vlan", "dcim.device", "virtualization.virtualmachine")


def furnish(api: Any) -> None:
    """What every device and machine needs, and the custom fields that the documentation names."""
    site = api.dcim.sites.create(name="s", slug="s")
    manufacturer = api.dcim.manufacturers.create(name="m", slug="m")
    api.dcim.device_types.create(manufacturer=manufacturer.id, model="t", slug="t")
    api.dcim.device_roles.create(name="r", slug="r")
    kind = api.virtualization.cluster_types.create(name="c", slug="c")
    api.virtualization.clusters.create(name="c", type=kind.id, scope_type="dcim.site", scope_id=site.id)
    choices = api.extras.custom_field_choice_sets.create(name="modes", extra_choices=[["enforce", "Enforce"], ["audit", "Audit"]])
    for key, (kind, related) in FIELDS.items():
        words = {"related_object_type": related} if related else {"choice_set": choices.id} if kind == "select" else {}
        api.extras.custom_fields.create(name=f"l3ctl_{key}", type=kind, object_types=list(OBJECT_TYPES), **words)
    api.extras.custom_fields.create(name="l3ctl_port", type="text", object_types=["ipam.prefix"])
    api.extras.custom_fields.create(name="rack_colour", type="text", object_types=list(OBJECT_TYPES), default="blue")


def token_of(api: Any, url: str, name: str, viewed: Sequence[str] = VIEWED) -> str:
    """A new user's, who may look at objects of these kinds."""
    user = api.users.users.create(username=name, password="secret-Secret-1")
    api.users.permissions.create(name=name, enabled=True, object_types=list(viewed), actions=["view"], users=[user.id])
    own = pynetbox.api(url)
    own.create_token(name, "secret-Secret-1")
    return str(own.token)


class Books:
    """One test's."""

    def __init__(self, api: Any, url: str, token: str, folder: Path) -> None:
        self.api = api
        self.number = next(_numbers)
        self.tag = f"test{self.number}"
        self.url = url
        self.token_file = folder / "token"
        self.write_token(token)
        api.extras.tags.create(name=self.tag, slug=self.tag)

    def write_token(self, token: str) -> None:
        self.token_file.write_text(token + "\n")
        self.token_file.chmod(0o600)

    def settings(self, **words: Any) -> NetboxSource:
        return NetboxSource(**{"url": self.url, "token_file": self.token_file, "tag": self.tag, "trunk": "eth1", **words})

    def reader(self, timeout: int = 60, **words: Any) -> Reader:
        return Reader(self.settings(**words), timeout)

    def ports(self, router: str = "r1", **words: Any) -> tuple[Port, ...]:
        """As the router has them, or `BadInput`."""
        return load_inventory(Inventory(self.settings(**words), timeout=60), router)

    def named(self, name: str) -> str:
        """No two tests' things have one name."""
        return f"t{self.number}-{name}"

    def ipv4(self, host: int) -> str:
        return f"10.{self.number >> 8}.{self.number % 256}.{host}"

    def ipv6(self, rest: str) -> str:
        return f"2001:db8:{self.number:x}:{rest}"

    def vlan(self, vid: int) -> Any:
        return self.api.ipam.vlans.create(vid=vid, name=self.named(f"v{vid}"))

    def device(self, name: str) -> Any:
        words = {"site": {"slug": "s"}, "device_type": {"slug": "t"}, "role": {"slug": "r"}}
        return self.api.dcim.devices.create(name=name, **words)

    def interface(self, device: Any, name: str = "eth0", vlan: Any = None, mac: str | None = None, **words: Any) -> Any:
        """Tagged, with its primary MAC address."""
        told = {"name": name, "tags": [{"slug": self.tag}], "custom_fields": {}, **words}
        if vlan:
            told |= {"mode": "access", "untagged_vlan": vlan.id}
        if "/virtualization/" in device.url:
            made = self.api.virtualization.interfaces.create(virtual_machine=device.id, **told)
        else:
            made = self.api.dcim.interfaces.create(device=device.id, type="1000base-t", **told)
        if mac:
            made.update({"primary_mac_address": self.mac(made, mac).id})
        return made

    def machine(self, name: str) -> Any:
        return self.api.virtualization.virtual_machines.create(name=name, cluster={"name": "c"})

    def mac(self, interface: Any, mac: str) -> Any:
        return self.api.dcim.mac_addresses.create(mac_address=mac, **_assigned(interface))

    def address(self, interface: Any, address: str) -> Any:
        return self.api.ipam.ip_addresses.create(address=address, **_assigned(interface))

    def prefix(self, prefix: str, vlan: Any = None, tagged: bool = True, **fields: str) -> Any:
        words = {"vlan": vlan.id} if vlan else {}
        tags = [{"slug": self.tag}] if tagged else []
        return self.api.ipam.prefixes.create(prefix=prefix, tags=tags, custom_fields=fields, **words)


def _assigned(interface: Any) -> dict[str, Any]:
    kind = "virtualization.vminterface" if "/virtualization/" in interface.url else "dcim.interface"
    return {"assigned_object_type": kind, "assigned_object_id": interface.id}
