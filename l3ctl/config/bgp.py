"""The `bgp` section: who this router is in BGP, whom it tells, and in what words."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address
from typing import Annotated, Self

from pydantic import BeforeValidator, PlainValidator, StrictBool, model_validator

from l3ctl import model, peering
from l3ctl.reading.fields import (
    LINK_LOCAL,
    AnyPrefix,
    AsNumber,
    Communities,
    FilePath,
    InterfaceName,
    LargeCommunities,
    UnicastAddress,
    UserName,
    whole_number,
    word_or_ipv6,
)
from l3ctl.reading.validation import Fault, Strict, must, refused


class NextHopWord(StrEnum):
    """What may be written for an address."""

    SELF = "self"
    LINK_LOCAL = "link-local"
    HOST = "host"


class PeerRecord(Strict):
    """One BGP session."""

    address: UnicastAddress
    remote_as: AsNumber
    local_address: UnicastAddress
    next_hop: Annotated[IPv6Address | NextHopWord, word_or_ipv6(NextHopWord)] = NextHopWord.SELF
    interface: InterfaceName | None = None
    password_file: FilePath | None = None
    ttl_security: StrictBool = False
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
        if not self._on_link and self.interface is not None and self.next_hop is not NextHopWord.LINK_LOCAL:
            what = f"key 'interface' is for link-local sessions, and {self.address} is not one"
            faults.append(Fault(what, "remove it", ("interface",), of_key=True))
        return faults

    def _next_hop_faults(self) -> list[Fault]:
        """A link-local next hop means something on the session's own link only, and IPv4 is announced with an IPv6 one (RFC 8950)."""
        if self.next_hop is NextHopWord.HOST and self.local_address.version != 6:
            what = f"next_hop host: local_address {self.local_address} cannot stand in where a prefix is of no host"
            return [Fault(what, "run the session over IPv6", ("next_hop",))]
        if self.next_hop is NextHopWord.LINK_LOCAL and self.local_address.version != 6 and self.interface is None:
            what = f"next_hop link-local: the link of local_address {self.local_address} is not looked for"
            return [Fault(what, "name it in 'interface'", ("next_hop",))]
        if self.next_hop is NextHopWord.SELF and self.local_address.version != 6:
            what = f"missing key 'next_hop': local_address {self.local_address} is not an IPv6 address and cannot stand in"
            return [Fault(what, "add this router's IPv6 address on that link, or link-local")]
        if isinstance(self.next_hop, IPv6Address) and self.next_hop in LINK_LOCAL and not self._on_link:
            what = f"next_hop {self.next_hop} is link-local, and the session with {self.address} is not"
            return [Fault(what, "write link-local, and it is looked up, or a global IPv6 address", ("next_hop",))]
        return []

    @property
    def _on_link(self) -> bool:
        return self.address in LINK_LOCAL

    def peer(self) -> peering.Peer:
        """The session as ExaBGP's room is told of it."""
        next_hop: model.Address | peering.NextHop
        match self.next_hop:
            case NextHopWord.HOST:
                next_hop = peering.NextHop.HOST
            case NextHopWord.LINK_LOCAL if not self._on_link:
                next_hop = peering.NextHop.LINK_LOCAL
            case NextHopWord.LINK_LOCAL | NextHopWord.SELF:
                next_hop = self.local_address
            case IPv6Address() as address:
                next_hop = address
        return peering.Peer(
            self.address,
            self.remote_as,
            self.local_address,
            next_hop,
            interface=self.interface,
            password_file=self.password_file,
            ttl_security=self.ttl_security,
            hear=self.hear,
        )


def _router_id(value: object) -> IPv4Address:
    try:
        router_id = IPv4Address(value) if isinstance(value, str) else None
    except ValueError:
        router_id = None
    if not router_id or not int(router_id):
        raise must("be a router id, written as an IPv4 address other than 0.0.0.0")
    return router_id


def _or_off(value: object) -> object:
    if value == "off":
        return None
    if isinstance(value, str):
        raise must("be a mapping, or off")
    return value


class DampingRecord(Strict):
    """When a port that flaps is held down."""

    flaps: Annotated[int, whole_number(1, 1000)] = 10
    within: Annotated[int, whole_number(1, 86400)] = 60
    hold: Annotated[int, whole_number(1, 86400)] = 10
    max_hold: Annotated[int, whole_number(1, 86400)] = 600

    @model_validator(mode="after")
    def _order(self) -> Self:
        if self.max_hold < self.hold:
            raise refused(Fault(f"max_hold {self.max_hold} is less than hold {self.hold}", "write the longest time", ("max_hold",)))
        return self

    def damping(self) -> peering.Damping:
        """The same in plain types."""
        return peering.Damping(self.flaps, self.within, self.hold, self.max_hold)


class Bgp(Strict):
    """Who this router is in BGP, and whom it tells."""

    router_id: Annotated[IPv4Address, PlainValidator(_router_id)]
    local_as: AsNumber
    med: Annotated[int, whole_number(0, 4294967295)] = 0
    hold_time: Annotated[int, whole_number(3, 65535)] = 90
    restart_time: Annotated[int, whole_number(1, 4095)] = 120
    local_preference: Annotated[int, whole_number(0, 4294967295)] | None = None
    communities: Communities = ()
    large_communities: LargeCommunities = ()
    covers: tuple[AnyPrefix, ...] = ()
    damping: Annotated[DampingRecord | None, BeforeValidator(_or_off)] = DampingRecord()
    """None: off"""
    user: UserName | None = None
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

    def settings(self) -> peering.BgpSettings:
        """The same as the rooms of BGP are told of it."""
        return peering.BgpSettings(
            router_id=self.router_id,
            local_as=self.local_as,
            peers=tuple(peer.peer() for peer in self.peers),
            med=self.med,
            hold_time=self.hold_time,
            restart_time=self.restart_time,
            local_preference=self.local_preference,
            communities=self.communities,
            large_communities=self.large_communities,
            damping=self.damping.damping() if self.damping is not None else None,
            user=self.user,
        )
