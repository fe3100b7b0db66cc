"""One inventory record: its keys, its defaults, and what must hold inside it. Between records is `checks`."""

from ipaddress import IPv6Address
from typing import Annotated, Self

from pydantic import StrictBool, model_validator

from l3ctl.lladdr import eui64_link_local
from l3ctl.model import Host, Liveness, Mode, PathAttributes, Port
from l3ctl.reading.document import Loc
from l3ctl.reading.fields import (
    BilledPrefix,
    Communities,
    InterfaceName,
    Ipv4Unicast,
    LargeCommunities,
    LinkLocal,
    Lladdr,
    Name,
    VlanId,
    one_of,
    whole_number,
)
from l3ctl.reading.validation import Fault, Strict, refused

_AS_THE_SETTINGS_SAY = PathAttributes()


class HostRecord(Strict):
    """A MAC and what is billed to it."""

    mac: Lladdr
    link_local: LinkLocal | None = None
    ipv6: tuple[BilledPrefix, ...] = ()
    ipv4: tuple[Ipv4Unicast, ...] = ()


class BgpRecord(Strict):
    """What a port's announcements carry, where it is not what all carry."""

    med: Annotated[int, whole_number(0, 4294967295)] | None = None
    local_preference: Annotated[int, whole_number(0, 4294967295)] | None = None
    communities: Communities | None = None
    large_communities: LargeCommunities | None = None

    def attributes(self) -> PathAttributes:
        """The same in plain types."""
        return PathAttributes(self.med, self.local_preference, self.communities, self.large_communities)


class PortRecord(Strict):
    """A port with one host written flat, or several in ``hosts``."""

    name: Name
    router: Name | None = None
    interface: InterfaceName | None = None
    trunk: InterfaceName | None = None
    vlan: VlanId | None = None
    guard: InterfaceName | None = None
    mac: Lladdr | None = None
    link_local: LinkLocal | None = None
    ipv6: tuple[BilledPrefix, ...] = ()
    ipv4: tuple[Ipv4Unicast, ...] = ()
    hosts: tuple[HostRecord, ...] | None = None
    qinq: StrictBool = False
    mode: Annotated[Mode, one_of(Mode)] | None = None
    source_guard: StrictBool | None = None
    announce: StrictBool = True
    liveness: Annotated[Liveness, one_of(Liveness)] | None = None
    bgp: BgpRecord | None = None

    @model_validator(mode="after")
    def _forms(self) -> Self:
        if faults := [*self._attachment_faults(), *self._host_faults()]:
            raise refused(*faults)
        return self

    def _attachment_faults(self) -> list[Fault]:
        faults = []
        if self.trunk is not None and self.vlan is None:
            faults.append(Fault(f"port '{self.name}' has 'trunk' without 'vlan'", "add 'vlan'", ("trunk",), of_key=True))
        elif self.vlan is not None and self.trunk is None:
            mend = "add 'trunk', or remove 'vlan'"
            faults.append(Fault(f"port '{self.name}' has 'vlan' without 'trunk'", mend, ("vlan",), of_key=True))
        elif self.qinq and self.trunk is None:
            mend = "add 'trunk' and 'vlan', the outer tag's, or remove 'qinq'"
            faults.append(Fault(f"port '{self.name}' has 'qinq' without an outer VLAN", mend, ("qinq",), of_key=True))
        elif self.interface is None and self.trunk is None:
            faults.append(Fault(f"port '{self.name}' is attached to nothing", "add 'interface', or 'trunk' and 'vlan'"))
        elif "lo" in (self.interface, self.trunk, self.guard):
            key = next(key for key in ("interface", "trunk", "guard") if getattr(self, key) == "lo")
            faults.append(Fault(f"port '{self.name}' is on lo, which leads nowhere", "name the netdev that it is plugged into", (key,)))
        elif len(self._interface().encode()) > 15:
            what = f"interface {self._interface()} of port '{self.name}' is longer than 15 bytes"
            faults.append(Fault(what, "name the netdev in 'interface'", ("trunk",)))
        return faults

    def _host_faults(self) -> list[Fault]:
        if self.hosts is None:
            return [] if self.mac else [Fault(f"port '{self.name}' has no host", "add 'mac' or 'hosts'")]
        faults = [
            Fault(f"port '{self.name}' has '{key}' beside 'hosts'", "move it into the host it belongs to", (key,), of_key=True)
            for key in HostRecord.model_fields
            if key in self.model_fields_set
        ]
        if not self.hosts:
            faults.append(Fault(f"port '{self.name}' has no host", "list one, or remove the port", ("hosts",)))
        return faults

    def _interface(self) -> str:
        return self.interface or f"{self.trunk}.{self.vlan}"

    def host_locs(self) -> tuple[Loc, ...]:
        """Of each host, the place of its keys within the record."""
        return ((),) if self.mac is not None else tuple(("hosts", index) for index in range(len(self.hosts or ())))

    def _hosts(self) -> tuple[Host, ...]:
        if self.mac is not None:
            return (_host(self.mac, self.link_local, self),)
        return tuple(_host(host.mac, host.link_local, host) for host in self.hosts or ())

    def port(self) -> Port:
        """The port as everything else knows it."""
        return Port(
            name=self.name,
            interface=self._interface(),
            guard=self.guard or self.trunk or self._interface(),
            vlan_id=self.vlan,
            hosts=self._hosts(),
            qinq=self.qinq,
            mode=self.mode,
            source_guard=self.source_guard,
            announce=self.announce,
            liveness=self.liveness,
            attributes=self.bgp.attributes() if self.bgp is not None else _AS_THE_SETTINGS_SAY,
        )


def _host(lladdr: str, link_local: IPv6Address | None, billed: HostRecord | PortRecord) -> Host:
    return Host(lladdr, link_local or eui64_link_local(lladdr), billed.ipv6, billed.ipv4)
