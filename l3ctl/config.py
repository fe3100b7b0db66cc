"""The configuration file, read strictly: what is not understood is an error with its place, never ignored."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Annotated, Self

from pydantic import PlainValidator, StrictBool, ValidationInfo, model_validator

from l3ctl import model
from l3ctl.reading.document import read_document
from l3ctl.reading.fields import (
    LINK_LOCAL,
    AnyPrefix,
    AsNumber,
    InterfaceName,
    Ipv4Prefix,
    Ipv4Unicast,
    Ipv6Unicast,
    Lladdr,
    Name,
    UnicastAddress,
    one_of,
    whole_number,
)
from l3ctl.reading.validation import Fault, Strict, must, refused, validated

SOCKET_PATH_LIMIT = 107
"""bytes, sun_path of unix(7) without its closing zero"""


class PassOrDrop(StrEnum):
    """What happens to packets a table of the filter leaves to the operator."""

    PASS = "pass"  # noqa: S105 - a verdict, not a password
    DROP = "drop"


def _run_dir(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or not value.strip("/"):
        raise must("be an absolute path of a folder")
    path = Path(value)
    if len(bytes(path / "agent.sock")) > SOCKET_PATH_LIMIT:
        raise must(f"leave room for a socket's name in {SOCKET_PATH_LIMIT} bytes", "choose a shorter path")
    return path


def _file(value: object, info: ValidationInfo) -> Path:
    """Relative to the folder given as context, and no more absolute than people wrote both: it appears in every message."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip("/"):
        raise must("be the path of a file")
    return Path(info.context or "", value)


class InventorySource(Strict):
    """Where the ports come from."""

    file: Annotated[Path, PlainValidator(_file)]


class Gateway(Strict):
    """The addresses every host on this router may ask for."""

    ipv6: tuple[Ipv6Unicast, ...] = (IPv6Address("fe80::1"),)
    ipv4: tuple[Ipv4Unicast, ...] = ()
    proxy_arp: tuple[Ipv4Prefix, ...] = ()

    @model_validator(mode="after")
    def _some(self) -> Self:
        faults = [
            Fault(f"gateway address {address} is listed twice", "keep one", (family, index))
            for family, addresses in (("ipv6", self.ipv6), ("ipv4", self.ipv4))
            for index, address in enumerate(addresses)
            if address in addresses[:index]
        ]
        if not self.ipv6 and not self.ipv4:
            faults.append(Fault("no gateway address at all", "leave out 'ipv6' for fe80::1, or list one"))
        if faults:
            raise refused(*faults)
        return self


class Guard(Strict):
    """How the filter judges and attaches."""

    mode: Annotated[model.Mode, one_of(model.Mode)] = model.Mode.ENFORCE
    source_guard: StrictBool = False
    router_solicitations: Annotated[PassOrDrop, one_of(PassOrDrop)] = PassOrDrop.DROP
    unknown_vlan: Annotated[PassOrDrop, one_of(PassOrDrop)] = PassOrDrop.PASS
    xdp_mode: Annotated[model.XdpMode, one_of(model.XdpMode)] = model.XdpMode.AUTO
    answer_rate: Annotated[int, whole_number(1, 1_000_000)] = 100
    answer_burst: Annotated[int, whole_number(1, 1_000_000)] = 200


class Uplink(Strict):
    """An upstream router, by what it is reached at."""

    interface: InterfaceName
    address: UnicastAddress
    mac: Lladdr


class PeerRecord(Strict):
    """One BGP session."""

    address: UnicastAddress
    remote_as: AsNumber
    local_address: UnicastAddress
    next_hop: Ipv6Unicast | None = None
    interface: InterfaceName | None = None
    hear: StrictBool = False

    @model_validator(mode="after")
    def _session(self) -> Self:
        if faults := [*self._address_faults(), *self._next_hop_faults()]:
            raise refused(*faults)
        return self

    def _address_faults(self) -> list[Fault]:
        faults = []
        if self.address.version != self.local_address.version:
            families = f"local_address {self.local_address} and address {self.address} are of two families"
            faults.append(Fault(families, "a session runs over one", ("local_address",)))
        elif self.address == self.local_address:
            faults.append(Fault(f"local_address is the peer's own address {self.address}", "write this router's", ("local_address",)))
        elif self._on_link != (self.local_address in LINK_LOCAL):
            what = f"only one of local_address {self.local_address} and address {self.address} is link-local"
            faults.append(Fault(what, "both are, or neither", ("local_address",)))
        if self._on_link and self.interface is None:
            faults.append(Fault(f"the session with {self.address} is link-local and names no interface", "add 'interface'"))
        if not self._on_link and self.interface is not None:
            what = f"key 'interface' is for link-local sessions, and {self.address} is not one"
            faults.append(Fault(what, "remove it", ("interface",), of_key=True))
        return faults

    def _next_hop_faults(self) -> list[Fault]:
        """A link-local next hop means something on the session's own link only, and IPv4 is announced with an IPv6 one (RFC 8950)."""
        if self.next_hop is None:
            if isinstance(self.local_address, IPv6Address) and self.local_address not in LINK_LOCAL:
                return []
            what = f"missing key 'next_hop': local_address {self.local_address} is not a global IPv6 address and cannot stand in"
            return [Fault(what, "add this router's IPv6 address on that link")]
        if self.next_hop in LINK_LOCAL and not self._on_link:
            what = f"next_hop {self.next_hop} is link-local, and the session with {self.address} is not"
            return [Fault(what, "write a global IPv6 address", ("next_hop",))]
        return []

    @property
    def _on_link(self) -> bool:
        return self.address in LINK_LOCAL

    def peer(self) -> model.Peer:
        """The session as ExaBGP's room is told of it."""
        return model.Peer(self.address, self.remote_as, self.local_address, self.next_hop or self.local_address, self.interface, self.hear)


def _router_id(value: object) -> IPv4Address:
    try:
        router_id = IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        router_id = None
    if not router_id or not int(router_id):
        raise must("be a router id, written as an IPv4 address other than 0.0.0.0")
    return router_id


class Bgp(Strict):
    """Who this router is in BGP, and whom it tells."""

    router_id: Annotated[IPv4Address, PlainValidator(_router_id)]
    local_as: AsNumber
    med: Annotated[int, whole_number(0, 4294967295)] = 0
    hold_time: Annotated[int, whole_number(3, 65535)] = 90
    restart_time: Annotated[int, whole_number(1, 4095)] = 120
    peers: tuple[PeerRecord, ...]

    @model_validator(mode="after")
    def _unique_peers(self) -> Self:
        """By address alone, also on different links: that is how commands to ExaBGP name a peer."""
        addresses = [peer.address for peer in self.peers]
        faults = [
            Fault(f"peer {address} is listed twice", "keep one", ("peers", index, "address"))
            for index, address in enumerate(addresses)
            if address in addresses[:index]
        ]
        if not addresses:
            faults.append(Fault("no peers to announce to", "list one, or remove 'bgp'", ("peers",)))
        if faults:
            raise refused(*faults)
        return self


class Config(Strict):
    """All of l3ctl.yaml."""

    router: Name
    inventory: InventorySource
    gateway: Gateway = Gateway()
    guard: Guard = Guard()
    bgp: Bgp | None = None
    uplinks: tuple[Uplink, ...] = ()
    blackhole: tuple[AnyPrefix, ...] = ()
    run_dir: Annotated[Path, PlainValidator(_run_dir)] = Path("/run/l3ctl")
    full_pass: Annotated[int, whole_number(1, 86400)] = 60
    """seconds between full comparisons"""

    @model_validator(mode="after")
    def _once(self) -> Self:
        uplinks = [(uplink.interface, uplink.address) for uplink in self.uplinks]
        faults = [
            Fault(f"{address} on {interface} is listed twice", "keep one", ("uplinks", index, "address"))
            for index, (interface, address) in enumerate(uplinks)
            if (interface, address) in uplinks[:index]
        ]
        faults += (
            Fault(f"prefix {prefix} is listed twice", "keep one", ("blackhole", index))
            for index, prefix in enumerate(self.blackhole)
            if prefix in self.blackhole[:index]
        )
        faults += (
            Fault("lo leads nowhere", "name the netdev of the uplink", ("uplinks", index, "interface"))
            for index, uplink in enumerate(self.uplinks)
            if uplink.interface == "lo"
        )
        own = {peer.local_address for peer in self.bgp.peers} if self.bgp is not None else set()
        faults += (
            Fault(f"{uplink.address} is this router's own address", "write the upstream router's", ("uplinks", index, "address"))
            for index, uplink in enumerate(self.uplinks)
            if uplink.address in own
        )
        needed = {int(address): address for address in (*self.session_addresses, *self.gateway.ipv6, *self.gateway.ipv4)}
        faults += (
            Fault(
                f"prefix {prefix} is {needed[int(prefix[0])]}, which this router needs",
                "cover prefixes, not addresses",
                ("blackhole", index),
            )
            for index, prefix in enumerate(self.blackhole)
            if prefix.num_addresses == 1 and needed.get(int(prefix[0])) == prefix[0]
        )
        if faults:
            raise refused(*faults)
        return self

    def configuration(self) -> model.Configuration:
        """All of it, in plain types: what everybody but the reader of this file works with."""
        return model.Configuration(
            router=self.router,
            inventory_file=self.inventory.file,
            run_dir=self.run_dir,
            full_pass=self.full_pass,
            xdp_mode=self.guard.xdp_mode,
            settings=self.settings(),
            bgp=self.bgp_settings(),
        )

    @property
    def session_addresses(self) -> tuple[model.Address, ...]:
        """Every address that this router needs to reach upstream, by BGP or as a neighbour: none may be routed to a host."""
        peers = self.bgp.peers if self.bgp is not None else ()
        upstream = [address for peer in peers for address in (peer.address, peer.local_address)]
        upstream += (uplink.address for uplink in self.uplinks)
        return tuple(address for address in dict.fromkeys(upstream) if address not in LINK_LOCAL)

    def settings(self) -> model.Settings:
        """What holds for every port."""
        return model.Settings(
            gateway_ipv6=self.gateway.ipv6,
            gateway_ipv4=self.gateway.ipv4,
            mode=self.guard.mode,
            source_guard=self.guard.source_guard,
            router_solicitations_pass=self.guard.router_solicitations is PassOrDrop.PASS,
            unknown_vlan_drop=self.guard.unknown_vlan is PassOrDrop.DROP,
            answer_rate=self.guard.answer_rate,
            answer_burst=self.guard.answer_burst,
            proxy_arp=self.gateway.proxy_arp,
            uplinks=tuple(model.Neighbour(uplink.interface, uplink.address, uplink.mac) for uplink in self.uplinks),
            blackholes=self.blackhole,
        )

    def bgp_settings(self) -> model.BgpSettings | None:
        """What ExaBGP is told; None where nothing is to be announced."""
        if self.bgp is None:
            return None
        return model.BgpSettings(
            router_id=self.bgp.router_id,
            local_as=self.bgp.local_as,
            peers=tuple(peer.peer() for peer in self.bgp.peers),
            med=self.bgp.med,
            hold_time=self.bgp.hold_time,
            restart_time=self.bgp.restart_time,
        )


def load_config(path: Path) -> Config:
    """Read and validate the configuration; `BadInput` with every problem found."""
    return validated(Config, read_document(path), context=path.parent)
