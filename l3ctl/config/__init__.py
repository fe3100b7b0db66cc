"""The configuration file, read strictly: what is not understood is an error with its place, never ignored."""

from enum import StrEnum
from ipaddress import IPv6Address
from pathlib import Path
from typing import Annotated, Self

from pydantic import PlainValidator, StrictBool, model_validator

from l3ctl import model
from l3ctl.config.bgp import Bgp
from l3ctl.config.inventory import InventoryRecord
from l3ctl.configuration import Configuration
from l3ctl.names import RUN_DIR, STATE_DIR
from l3ctl.reading.document import read_document
from l3ctl.reading.fields import (
    AnyPrefix,
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


def _folder(value: object) -> Path:
    if not isinstance(value, str) or not value.startswith("/") or not value.isprintable() or not value.strip("/"):
        raise must("be an absolute path of a folder")
    return Path(value)


def _run_dir(value: object) -> Path:
    path = _folder(value)
    if len(bytes(path / "agent.sock")) > SOCKET_PATH_LIMIT:
        raise must(f"leave room for a socket's name in {SOCKET_PATH_LIMIT} bytes", "choose a shorter path")
    return path


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


class Probe(Strict):
    """How hosts are asked whether they are there."""

    interval: Annotated[int, whole_number(100, 60_000)] = 1000
    """milliseconds"""
    misses: Annotated[int, whole_number(1, 100)] = 3


class Uplink(Strict):
    """An upstream router, by what it is reached at."""

    interface: InterfaceName
    address: UnicastAddress
    mac: Lladdr


class Config(Strict):
    """All of l3ctl.yaml."""

    router: Name
    inventory: InventoryRecord
    gateway: Gateway = Gateway()
    guard: Guard = Guard()
    bgp: Bgp | None = None
    uplinks: tuple[Uplink, ...] = ()
    blackhole: tuple[AnyPrefix, ...] = ()
    run_dir: Annotated[Path, PlainValidator(_run_dir)] = RUN_DIR
    state_dir: Annotated[Path, PlainValidator(_folder)] | None = None
    """None: STATE_DIR, or within run_dir where that is not the usual one, so that two routers on one machine keep apart"""
    liveness: Annotated[model.Liveness, one_of(model.Liveness)] = model.Liveness.CARRIER
    """of the ports that say nothing else"""
    probe: Probe = Probe()
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
        needed = {int(address): address for address in (*self.configuration().upstream, *self.gateway.ipv6, *self.gateway.ipv4)}
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

    def configuration(self) -> Configuration:
        """All of it, in plain types: what everybody but the reader of this file works with."""
        return Configuration(
            router=self.router,
            inventory=self.inventory.settings(),
            run_dir=self.run_dir,
            state_dir=self.state_dir or (STATE_DIR if self.run_dir == RUN_DIR else self.run_dir / "state"),
            full_pass=self.full_pass,
            xdp_mode=self.guard.xdp_mode,
            settings=self.settings(),
            bgp=self.bgp.settings() if self.bgp is not None else None,
        )

    def settings(self) -> model.Settings:
        """What holds for every port."""
        covers = self.bgp.covers if self.bgp is not None else ()
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
            blackholes=tuple(dict.fromkeys((*self.blackhole, *covers))),
            liveness=self.liveness,
            probe_interval=self.probe.interval,
            probe_misses=self.probe.misses,
            covers=covers,
        )


def load_config(path: Path) -> Config:
    """Read and validate the configuration; `BadInput` with every problem found."""
    return validated(Config, read_document(path), context=path.parent)
