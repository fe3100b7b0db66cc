"""From a dropped frame to words an operator acts on: what was claimed, against what is billed. Pure.

A sample is the customer's to write: it may hold anything and end anywhere. So no byte of it reaches a text as it stands, only numbers and
addresses read from it; reading what is not there raises `_MISSING`, which `explain` takes for "no more can be said". Why the frame was
dropped is the filter's word and not judged again; whom things are billed to is the inventory's, as it is now.
"""

import struct
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from typing import NamedTuple

from l3ctl.lladdr import format_lladdr
from l3ctl.model import Address, Port, Prefix, alone

THE_GATEWAY = "the gateway"
LONGEST = 199

_MISSING = (struct.error, LookupError)
_TAGS = (0x8100, 0x88A8, 0x9100)
_IPV4, _ARP, _RARP, _IPV6 = 0x0800, 0x0806, 0x8035, 0x86DD
_ETHERTYPES = {_IPV4: "IPv4", _ARP: "ARP", _RARP: "RARP", _IPV6: "IPv6", -1: "no EtherType"}
_FRAGMENT, _AH, _ICMPV6 = 44, 51, 58
_EXTENSIONS = {0: "hop-by-hop", 43: "routing", 44: "fragment", 51: "AH", 60: "destination", 135: "mobility", 139: "HIP", 140: "shim6"}
_RS, _RA, _NS, _NA, _REDIRECT = 133, 134, 135, 136, 137
_MESSAGES = {_RS: "a router solicitation", _RA: "a router advertisement", _NS: "a neighbour solicitation", _NA: "a neighbour advertisement"}
_MESSAGES |= {_REDIRECT: "a redirect", 141: "an inverse neighbour solicitation", 142: "an inverse neighbour advertisement"}
_MESSAGES |= {148: "a certification path solicitation", 149: "a certification path advertisement", 130: "an MLD query"}
_MESSAGES |= {151: "a multicast router advertisement", 152: "a multicast router solicitation", 153: "a multicast router termination"}
_ND_HEADERS = {_RS: 8, _RA: 16, _NS: 24, _NA: 24, _REDIRECT: 40}
_ARP_OPERATIONS = {1: "request", 2: "reply", 3: "reverse request", 4: "reverse reply", 8: "inverse request", 9: "inverse reply"}
_SAPS = {0x42: ", spanning tree", 0xE0: ", IPX", 0xFE: ", IS-IS"}

_QUIET = ("rs", "ns-target", "arp-target")
"""what every host does that takes its link for a shared one: it looks for a router and for its neighbours"""
_QUIET_OF_THE_PORT, _QUIET_OF_THE_HOST = ("ns-dad", "arp-probe"), ("arp-gratuitous",)
"""what a host does with an address before it uses it, and when it begins to"""


class Billing:
    """Whose an address or a MAC is, over all ports. The tables are made when the first question comes."""

    def __init__(self, ports: Iterable[Port], gateways: Iterable[Address]) -> None:
        self._ports, self._gateways = tuple(ports), frozenset(gateways)

    def is_gateway(self, address: Address) -> bool:
        """Whether the router answers for this address."""
        return address in self._gateways

    def owner(self, address: Address) -> str | None:
        """Name of the port with the longest billed prefix around this address; the first one, where a link-local is on several."""
        number, bits = int(address), address.max_prefixlen
        return next((names[at] for length, names in self._prefixes[bits] if (at := number >> (bits - length)) in names), None)

    def lladdr_owner(self, lladdr: str) -> str | None:
        """Name of the port a MAC is billed to; the first one, where it is on several."""
        return self._lladdrs.get(lladdr)

    @cached_property
    def _prefixes(self) -> dict[int, list[tuple[int, dict[int, str]]]]:
        """By bits of an address, longest first: each prefix length in use, and whose its prefixes are."""
        tables: dict[int, dict[int, dict[int, str]]] = {32: {}, 128: {}}
        for port in self._ports:
            for host in port.hosts:
                for prefix in (*host.prefixes(), alone(host.link_local)):
                    names = tables[prefix.max_prefixlen].setdefault(prefix.prefixlen, {})
                    names.setdefault(int(prefix.network_address) >> (prefix.max_prefixlen - prefix.prefixlen), port.name)
        return {bits: sorted(table.items(), reverse=True) for bits, table in tables.items()}

    @cached_property
    def _lladdrs(self) -> dict[str, str]:
        return {host.lladdr: port.name for port in reversed(self._ports) for host in port.hosts}


@dataclass(frozen=True, slots=True)
class Evidence:
    """One dropped frame, or one duplicate. What could not be read of it is None, or an empty `lladdr`, its Ethernet source.

    `vlan_id` is the outermost tag's that is not a priority tag; `claimed` the address, prefix or MAC that the frame claims or asks for;
    `billed` the name of the port that is billed to, `THE_GATEWAY`, or None for nobody. `quiet` is what a healthy host does at boot or by
    a wrong netmask: dropped, and no attack. `text` is one printable line of at most `LONGEST` characters.
    """

    port: str
    reason: str
    lladdr: str
    vlan_id: int | None
    claimed: str | None
    billed: str | None
    quiet: bool
    text: str


class _Claim(NamedTuple):
    words: str
    claimed: str | None = None
    billed: str | None = None
    own: bool = False


def _number(data: bytes, at: int, size: int = 2) -> int:
    return int.from_bytes(struct.unpack_from(f"{size}s", data, at)[0], "big")


def _ipv6(data: bytes, at: int) -> IPv6Address:
    return IPv6Address(_number(data, at, 16))


class _Packet:
    """An IPv6 packet, its headers walked as the contract says; `trouble` is why they lead nowhere. `message` is ICMPv6, or empty."""

    def __init__(self, packet: bytes) -> None:
        self.source, self.destination, self.hop_limit, self.trouble = _ipv6(packet, 8), _ipv6(packet, 24), packet[7], ""
        protocol, at, walked = packet[6], 40, 0
        while protocol in _EXTENSIONS and not self.trouble:
            header, walked = packet[at : at + 8], walked + 1
            if walked > 4 or len(header) < 8:
                self.trouble = "more than 4" if walked > 4 else f"{_EXTENSIONS[protocol]} header cut short"
            elif protocol == _FRAGMENT:  # a later one is data from here on, whatever its header says
                protocol, at = (-1 if _number(header, 2) >> 3 else header[0]), at + 8
            else:
                protocol, at = header[0], at + ((header[1] + 2) * 4 if protocol == _AH else (header[1] + 1) * 8)
        if not self.trouble and at >= len(packet):
            self.trouble = f"header {protocol} past the end"
        self.trouble = self.trouble or f"header {protocol} follows"
        self.message = packet[at : 40 + _number(packet, 4)] if protocol == _ICMPV6 else b""
        self.type = packet[at] if protocol == _ICMPV6 and at < len(packet) else None

    def name(self) -> str:
        return "IPv6" if self.type is None else _MESSAGES.get(self.type, f"ICMPv6 type {self.type}")

    def options(self, kind: int) -> Iterator[bytes]:
        """Every ND option of a kind, up to one cut short."""
        at = _ND_HEADERS.get(self.message[0], len(self.message)) if self.message else 0
        while at + 2 <= len(self.message) and 0 < (size := self.message[at + 1] * 8) <= len(self.message) - at:
            if self.message[at] == kind:
                yield self.message[at : at + size]
            at += size


class _Case:
    """A frame, and what billing says of the things in it."""

    def __init__(self, port: Port | None, frame: bytes, billing: Billing) -> None:
        self.frame, self.billing, self.name, self.hosts = frame, billing, port.name if port else "-", port.hosts if port else ()
        self.lladdr = format_lladdr(frame[6:12]) if len(frame) >= 12 else ""
        self.host = next((host for host in self.hosts if host.lladdr == self.lladdr), None)
        self.tags, at = list[int](), 14
        while len(frame) >= at + 4 and _number(frame, at - 2) in _TAGS:
            self.tags.append(_number(frame, at) & 0xFFF)
            at += 4
        self.packet, self.vlan_id = frame[at:], next((vlan_id for vlan_id in self.tags if vlan_id), None)
        self.ethertype = _number(frame, at - 2) if len(frame) >= at else -1

    @cached_property
    def ipv6(self) -> _Packet:
        return _Packet({_IPV6: self.packet}[self.ethertype])

    def arp(self, at: int) -> Address:
        return IPv4Address(_number({_ARP: self.packet}[self.ethertype], at, 4))

    @property
    def target(self) -> Address:
        if self.ethertype == _ARP:
            return self.arp(24)
        return _ipv6(dict.fromkeys((_NS, _NA, _REDIRECT), self.ipv6.message)[self.ipv6.type or 0], 8)

    def kind(self) -> str:
        other = f"EtherType 0x{self.ethertype:04x}" if self.ethertype >= 0x0600 else "802.3"
        readable = self.ethertype == _IPV6 and len(self.packet) >= 40
        return self.ipv6.name() if readable else _ETHERTYPES.get(self.ethertype, other)

    def owner(self, address: Address) -> str | None:
        """Whom an address is billed to. On the port's own link a link-local is the port's, whoever else has it on theirs."""
        if self.billing.is_gateway(address):
            return THE_GATEWAY
        return self.name if any(address == host.link_local for host in self.hosts) else self.billing.owner(address)

    def claim(self, words: str, address: Address) -> _Claim:
        """Words that end in an address, and whose it is."""
        owner = self.owner(address)
        mine = [host for host in self.hosts if address == host.link_local or any(address in prefix for prefix in host.prefixes())]
        own = owner == self.name and self.host in mine
        whose = f"{address}, billed to {owner or 'nobody'}" if owner != THE_GATEWAY else f"{address}, the gateway's address"
        if owner == self.name and mine:
            whose = f"its own {address}" if own else f"{address}, billed to MAC {mine[0].lladdr}"
        elif owner is None and self.host and address.version == 6 and address.is_link_local:
            whose += f" (its own: {self.host.link_local})"
        return _Claim(f"{words} {whose}", str(address), owner, own)

    def claim_source(self, words: str) -> _Claim:
        """Words that end in the frame's source, which is not billed to the port, and what is."""
        owner, here = self.billing.lladdr_owner(self.lladdr), [host.lladdr for host in self.hosts]
        billed = ", ".join(here[:2]) + (f" and {len(here) - 2} more" if len(here) > 2 else "")
        whose = f"billed to {owner}" if owner else "not billed there"
        return _Claim(f"{words} from MAC {self.lladdr}, which is {whose} (billed: {billed or 'none'})", self.lladdr, owner)

    def claim_lladdr(self, packet: str, raw: bytes) -> _Claim:
        """That a packet names a MAC which is not its frame's."""
        lladdr = format_lladdr(struct.unpack("6s", raw)[0])
        owner = self.name if any(lladdr == host.lladdr for host in self.hosts) else self.billing.lladdr_owner(lladdr)
        return _Claim(f"put MAC {lladdr} into {packet}, but sent it from MAC {self.lladdr}", lladdr, owner)

    def llc(self) -> str:
        sap = _number(self.packet, 0, 1)
        return f"SNAP, EtherType 0x{_number(self.packet, 6):04x}" if sap == 0xAA else f"LLC SAP 0x{sap:02x}{_SAPS.get(sap, '')}"

    def arp_head(self) -> str:
        hardware, protocol, *lengths = struct.unpack_from("!HHBB", self.packet)
        return f"{len(self.packet)} bytes, hardware type {hardware}, protocol 0x{protocol:04x}, lengths {lengths[0]} and {lengths[1]}"

    def arp_operation(self) -> str:
        number = _number(self.packet, 6)
        return f"operation {number}" + (f", {_ARP_OPERATIONS[number]}" if number in _ARP_OPERATIONS else "")

    def nd_fault(self) -> str:
        hop_limit, code = self.ipv6.hop_limit, self.ipv6.message[1] if len(self.ipv6.message) > 1 else 0
        why = f"hop limit {hop_limit}" if hop_limit != 255 else f"code {code}" if code else "length, options or checksum"
        return f"{self.ipv6.name()}: {why}"

    def router_advertisement(self) -> _Claim:
        source, lifetime = self.ipv6.source, _number(self.ipv6.message, 6)
        words = f"advertised itself as {THE_GATEWAY if self.owner(source) == THE_GATEWAY else 'a router'} (RA, lifetime {lifetime} s"
        option = next((option for option in self.ipv6.options(3) if len(option) == 32 and option[2] <= 128), None)
        if option is None:
            return _Claim(f"{words})", str(source), self.owner(source))
        prefix = IPv6Network((_number(option, 16, 16), option[2]), strict=False)
        owner = self.owner(prefix.network_address)
        return _Claim(f"{words}, prefix {prefix}{f' billed to {owner}' if owner else ''})", str(prefix), owner)

    def source_lladdr_options(self) -> _Claim | str:
        named = [option[2:8] for option in self.ipv6.options(1)]
        other = [lladdr for lladdr in named if lladdr != self.frame[6:12]]
        facts = f"{self.ipv6.name()} from {self.ipv6.source} with {len(named)}"
        return self.claim_lladdr(self.ipv6.name(), other[0]) if other else facts

    def spoofed_source(self) -> _Claim:
        if self.host is None:
            return self.claim_source(f"sent {self.kind()}")
        source = IPv4Address(_number(self.packet, 12, 4)) if self.ethertype == _IPV4 else self.ipv6.source
        return self.claim(f"sent IPv{source.version} from", source)


_WORDINGS: dict[str, tuple[str, Callable[[_Case], _Claim | Address | str]]] = {
    "truncated": ("sent a frame that ends within its headers", lambda case: f"{len(case.frame)} bytes, {case.kind()}"),
    "vlan-stacked": ("sent stacked VLAN tags", lambda case: f"VLAN {case.tags[1]} within {case.tags[0]}"),
    "llc": ("sent an 802.3 frame", _Case.llc),
    "bad-source-mac": ("sent from no host's MAC", lambda case: _Claim(f"sent from MAC {case.lladdr}, which no host has", case.lladdr)),
    "version-mismatch": ("sent a wrong IP version", lambda case: f"{case.packet[0] >> 4} in {_ETHERTYPES[case.ethertype]}"),
    "rarp": ("sent RARP", _Case.arp_operation),
    "unknown-port": ("sent what belongs to no port", lambda case: f"{case.kind()} from MAC {case.lladdr}, VLAN {case.vlan_id or 'none'}"),
    "arp-malformed": ("sent malformed ARP", _Case.arp_head),
    "arp-mac-spoof": ("sent ARP from a MAC not billed there", lambda case: case.claim_source("sent ARP")),
    "arp-mac-mismatch": ("put another MAC into ARP", lambda case: case.claim_lladdr("ARP", case.packet[8:14])),
    "arp-reply": ("answered ARP for", lambda case: case.arp(14)),
    "arp-operation": ("sent ARP that no host needs here", _Case.arp_operation),
    "arp-ip-spoof": ("claimed", lambda case: case.arp(14)),
    "arp-gratuitous": ("sent a gratuitous ARP for", lambda case: case.arp(14)),
    "arp-probe": ("sent an ARP probe for", lambda case: case.target),
    "arp-target": ("asked by ARP for", lambda case: case.target),
    "rate-limit": ("asked faster than its budget allows", lambda case: case.claim("asked faster than its budget allows for", case.target)),
    "ext-header": ("sent IPv6 extension headers that cannot be read", lambda case: case.ipv6.trouble),
    "nd-fragment": ("sent ND in a fragment", lambda case: case.ipv6.name()),
    "nd-malformed": ("sent malformed ND", _Case.nd_fault),
    "nd-mac-spoof": ("sent ND from a MAC not billed there", lambda case: case.claim_source(f"sent {case.ipv6.name()}")),
    "na-unsolicited": ("sent an unsolicited neighbour advertisement for", lambda case: case.target),
    "ra-rogue": ("advertised itself as a router", _Case.router_advertisement),
    "redirect": ("sent a redirect", lambda case: case.claim(f"sent a redirect to {case.target} for", _ipv6(case.ipv6.message, 24))),
    "nd-type": ("sent ND that no host needs here", lambda case: f"{case.ipv6.name()}, type {case.ipv6.message[0]}"),
    "nd-ip-spoof": ("claimed", lambda case: case.ipv6.source),
    "nd-lladdr-mismatch": ("sent ND with a wrong source link-layer option", _Case.source_lladdr_options),
    "nd-destination": ("sent ND to a wrong address", lambda case: case.claim(f"sent ND to {case.ipv6.destination} for", case.target)),
    "ns-dad": ("did DAD for", lambda case: case.target),
    "ns-target": ("asked by ND for", lambda case: case.target),
    "rs": ("asked for a router", lambda case: f"RS from {case.ipv6.source}"),
    "mld-query": ("spoke as a multicast router", lambda case: case.ipv6.name()),
    "source-spoof": ("sent from a source not billed there", _Case.spoofed_source),
}
"""by reason: words, and what to read of the frame: an address they end in, a fact in brackets behind them, or a claim in their place"""


def explain(port: Port | None, reason: str, frame: bytes, billing: Billing) -> Evidence:
    """What a sample of a dropped frame says, whatever its bytes. Where the port is not known, or no longer, its name is `-`."""
    case = _Case(port, frame, billing)
    words, read = _WORDINGS.get(reason, (f"sent a frame dropped as {reason!a:.60}", _Case.kind))
    try:
        if len(frame) < 14 and reason != "truncated":
            raise LookupError
        found = read(case)
    except _MISSING:
        found = _Claim(f"{words} an address that cannot be read" if words.endswith((" for", "claimed")) else words)
    if not isinstance(found, _Claim):
        found = _Claim(f"{words} ({found})") if isinstance(found, str) else case.claim(words, found)
    quiet = reason in _QUIET or (found.own and reason in _QUIET_OF_THE_HOST)
    quiet |= port is not None and found.billed == port.name and reason in _QUIET_OF_THE_PORT
    text = _line(f"port {case.name} {found.words}")
    return Evidence(case.name, reason, case.lladdr, case.vlan_id, found.claimed, found.billed, quiet, text)


def _line(text: str) -> str:
    printable = "".join(one if one.isprintable() else "?" for one in text[: LONGEST + 1])
    return printable if len(printable) <= LONGEST else f"{printable[: LONGEST - 1]}…"


def duplicate(prefix: Prefix, next_hop: str, peer: str, billing: Billing) -> Evidence:
    """A prefix of ours that somebody else announces too, as a peer says; one that passes routes on as its own does not say who."""
    owner = billing.owner(prefix.network_address) or "-"
    who = "elsewhere" if next_hop == peer else f"by {next_hop}"
    text = _line(f"port {owner}'s {prefix} is announced {who} too (heard from {peer})")
    return Evidence(owner, "duplicate", "", None, str(prefix), owner, False, text)
