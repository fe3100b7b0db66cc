"""Frames that stand near the borders of the filter's contract, and the ports they are sent to.

A frame begins as a message that would be answered or passed. Each of its fields then has a small chance, drawn anew for each frame, of
being something else from a pool that knows the port's billing: a neighbour's address, the first address beyond a prefix, a MAC one bit
off. Chains of extension headers, tags, option soups, wrong lengths and plain damage come on top, with the checksum put right or left
wrong, so that deep rows are reached as often as shallow ones. The same seed makes the same frames.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from random import Random
from typing import TypeVar

from l3ctl.lladdr import eui64_link_local, parse_lladdr
from l3ctl.model import Host, Mode, PortPolicy

_T = TypeVar("_T")

LONGEST = 3400
"""BPF_PROG_TEST_RUN takes a frame that fits one page beside its head room"""


def _host(lladdr: str, ipv6: Sequence[str] = (), ipv4: Sequence[str] = (), link_local: str = "") -> Host:
    return Host(
        lladdr,
        IPv6Address(link_local) if link_local else eui64_link_local(lladdr),
        tuple(IPv6Network(prefix) for prefix in ipv6),
        tuple(IPv4Address(address) for address in ipv4),
    )


_WEB = _host("52:54:00:0a:00:0b", ["2001:db8:11::/64"], ["203.0.113.11"])
_SHARED = (
    _host("52:54:00:0a:00:0b", ["2001:db8:11::/64", "2001:db8:8000::/33", "2001:db8:11:1::/96"], ["203.0.113.11", "203.0.113.12"]),
    _host("52:54:00:0a:00:0c", ["2001:db8:12::/48", "2001:db8:77::7/128", "fd00:77::/63"], ["203.0.113.13"], "fe80::c"),
    _host("00:00:5e:00:53:01", ["2001:db8:13:1:2:3::/112", "2001:db8:13:1:2:4:0:2/127"]),
)
_WIDE = _host("52:54:00:0a:00:0b", ["2001:db8:11:1::/96", "2001:db8:11:10::/60", "2001:db8:8000::/33"], ["203.0.113.11"])
_BARE = _host("06:00:00:00:00:01")
_GATEWAYS = (IPv4Address("203.0.113.1"), IPv6Address("fe80::1"))
_MORE_GATEWAYS = (
    IPv4Address("203.0.113.1"),
    IPv4Address("203.0.113.254"),
    IPv6Address("2001:db8:11::1"),
    IPv6Address("fe80::1"),
    IPv6Address("fe80::ff:fe00:1"),
)


def _policy(
    port: str,
    *hosts: Host,
    vlan_id: int | None = None,
    gateways: tuple[IPv4Address | IPv6Address, ...] = _GATEWAYS,
    audit: bool = False,
    source_guard: bool = False,
    pass_rs: bool = False,
    unknown_vlan_drop: bool = False,
    starved: bool = False,
    qinq: bool = False,
    proxy_arp: tuple[str, ...] = (),
    hides: bool = False,
    probed: bool = False,
) -> PortPolicy:
    return PortPolicy(
        port=port,
        guard="lo",
        vlan_id=vlan_id,
        router_lladdr="02:00:00:00:00:01",
        hosts=tuple(sorted(hosts, key=lambda host: host.lladdr)),
        gateways=gateways,
        mode=Mode.AUDIT if audit else Mode.ENFORCE,
        source_guard=source_guard,
        router_solicitations_pass=pass_rs,
        unknown_vlan_drop=unknown_vlan_drop,
        answer_rate=1 if starved else 1_000_000_000,
        answer_burst=1 if starved else 1_000_000_000,
        qinq=qinq,
        proxy_arp=tuple(IPv4Network(prefix) for prefix in proxy_arp),
        tags_may_be_hidden=hides,
        probed=probed,
    )


@dataclass(frozen=True, slots=True)
class Scenario:
    """A netdev with its ports. `guard_compiled`: in the program that has the source guard, whatever its ports ask for."""

    name: str
    policies: tuple[PortPolicy, ...]
    guard_compiled: bool = False
    starved: bool = False
    """answers have a budget of next to nothing"""
    asked: bool = False
    """whoever is probed has a probe out"""


SCENARIOS = (
    Scenario("one host", (_policy("one", _WEB),)),
    Scenario("three hosts", (_policy("three", *_SHARED, gateways=_MORE_GATEWAYS),)),
    Scenario("trunk, passes RS", (_policy("trunk", *_SHARED, vlan_id=11, gateways=_MORE_GATEWAYS, pass_rs=True),)),
    Scenario("audit", (_policy("audit", *_SHARED, audit=True),)),
    Scenario("audit and guard", (_policy("ag", *_SHARED, audit=True, source_guard=True, unknown_vlan_drop=True),), True),
    Scenario("guard", (_policy("guard", _WEB, source_guard=True),), True),
    Scenario("guard, three hosts", (_policy("guard3", *_SHARED, gateways=_MORE_GATEWAYS, source_guard=True, pass_rs=True),), True),
    Scenario("guard on a trunk", (_policy("gt", *_SHARED, vlan_id=4094, source_guard=True, unknown_vlan_drop=True, pass_rs=True),), True),
    Scenario("guard on a trunk, one host", (_policy("gt1", _WEB, vlan_id=11, source_guard=True),), True),
    Scenario("guard, wide prefixes", (_policy("wide", _WIDE, source_guard=True),), True),
    Scenario("guard on a trunk, wide", (_policy("gtw", _WIDE, _SHARED[1], vlan_id=11, source_guard=True, unknown_vlan_drop=True),), True),
    Scenario("guard of others", (_policy("others", *_SHARED),), True),
    Scenario("tags may be hidden, guard", (_policy("hg", *_SHARED, vlan_id=11, source_guard=True, hides=True),), True),
    Scenario(
        "tags may be hidden, one of two enforced",
        (_policy("h11", _WEB, vlan_id=11, hides=True, audit=True), _policy("h12", *_SHARED[1:], vlan_id=12, hides=True)),
    ),
    Scenario(
        "tags may be hidden, audit has the guard",
        (
            _policy("hg11", _WEB, vlan_id=11, hides=True, audit=True, source_guard=True),
            _policy("hg12", *_SHARED[1:], vlan_id=12, hides=True),
        ),
        True,
    ),
    Scenario(
        "tags may be hidden, audit",
        (
            _policy("ha11", _WEB, vlan_id=11, hides=True, audit=True, source_guard=True),
            _policy("ha12", *_SHARED[1:], vlan_id=12, hides=True, audit=True),
        ),
        True,
    ),
    Scenario("unknown VLANs drop", (_policy("alone", _WEB, unknown_vlan_drop=True),)),
    Scenario("nothing billed", (_policy("bare", _BARE, gateways=(IPv6Address("fe80::1"),), source_guard=True),), True),
    Scenario("IPv4 gateway", (_policy("v4", _BARE, _WEB, gateways=(IPv4Address("203.0.113.1"),)),)),
    Scenario(
        "three ports",
        (
            _policy("native", _SHARED[0], source_guard=True, unknown_vlan_drop=True),
            _policy("v11", _SHARED[1], vlan_id=11, gateways=_MORE_GATEWAYS, unknown_vlan_drop=True, pass_rs=True),
            _policy("v12", _SHARED[2], _BARE, vlan_id=12, audit=True, source_guard=True, unknown_vlan_drop=True),
        ),
        True,
    ),
    Scenario("two VLANs", (_policy("t11", _WEB, vlan_id=11), _policy("t12", *_SHARED[1:], vlan_id=12, audit=True))),
    Scenario("untagged in audit", (_policy("ua", _WEB, audit=True), _policy("u12", *_SHARED[1:], vlan_id=12, gateways=_MORE_GATEWAYS))),
    Scenario("audit on a trunk", (_policy("at", *_SHARED, vlan_id=11, audit=True, unknown_vlan_drop=True),)),
    Scenario("QinQ", (_policy("qinq", *_SHARED, vlan_id=11, gateways=_MORE_GATEWAYS, qinq=True, pass_rs=True),)),
    Scenario("QinQ, guard", (_policy("qg", *_SHARED, vlan_id=11, qinq=True, source_guard=True, unknown_vlan_drop=True),), True),
    Scenario("proxy ARP", (_policy("proxy", *_SHARED, gateways=_MORE_GATEWAYS, proxy_arp=("203.0.113.8/29", "203.0.113.77/32")),)),
    Scenario("probed", (_policy("p1", *_SHARED, gateways=_MORE_GATEWAYS, probed=True),), asked=True),
    Scenario("probed, not asked", (_policy("p2", *_SHARED, gateways=_MORE_GATEWAYS, probed=True),)),
    Scenario("asked, one of two probed", (_policy("p11", _WEB, vlan_id=11), _policy("p12", *_SHARED, vlan_id=12, probed=True)), asked=True),
    Scenario("probed, guard", (_policy("pg", *_SHARED, vlan_id=11, source_guard=True, audit=True, probed=True),), True, asked=True),
    Scenario("starved", (_policy("starved", *_SHARED, pass_rs=True, starved=True),), starved=True),
)

_TRUE_TAGS, _QUEER_TAGS = (0x8100, 0x88A8), (0x8100, 0x88A8, 0x9100, 0x9200, 0x8101)
_EXTENSIONS = (0, 43, 51, 60, 60, 135, 139, 140)
_QUEER_HEADERS = (0, 43, 44, 51, 60, 135, 139, 140, 253, 254, 59, 50, 58, 6, 17, 4, 41, 132, 142, 61, 255, 255, 252, 134, 138)
_QUEER_BYTES = (0, 1, 2, 3, 4, 5, 6, 0x7F, 0x80, 0xFE, 0xFF, 44, 51, 58, 133, 134, 135, 136, 137, 0x45, 0x46, 0x4F, 0x60, 0x86, 0x88)
_ETHERTYPES = (0x0800, 0x86DD, 0x0806, 0x8035, 0x8100, 0x88A8, 0x9100, 0x05FF, 0x0600, 0x05DC, 0, 4, 0x0601, 0x88CC, 0x8847, 0x8864, 0xFFFF)
_ND_BODIES = {133: 4, 134: 12, 135: 20, 136: 20, 137: 36, 141: 4, 142: 4, 148: 4, 149: 8}
"""bytes between the checksum and the options"""
_ND_TYPES = (135,) * 12 + (133,) * 5 + (134,) * 4 + (136, 136, 137, 141, 142, 148, 149)
_NEAR_ND = (128, 129, 130, 131, 132, 138, 139, 140, 143, 144, 145, 146, 147, 150, 151, 152, 153, 154, 1, 0, 255)

_REAL_LLADDR = bytes.fromhex("5254000a000b")
_REAL_LINK_LOCAL = IPv6Address("fe80::5054:ff:fe0a:b").packed
_REAL_IPV6 = IPv6Address("2001:db8:11::1").packed
_REAL_IPV4 = IPv4Address("203.0.113.11").packed
# What a Linux host says on a fresh link, from its EtherType on: MLD reports without and with an address, duplicate address detection with a
# nonce (RFC 7527) of its link-local and of a global address, a router and a neighbour solicitation, an advertisement, an ARP request and a
# reply, and pings of both families.
_RECORDED = """
86dd600000000024000100000000000000000000000000000000ff0200000000000000000000000000163a000502000001008f006f75
0000000104000000ff0200000000000000000001ff0a000b

86dd6000000000380001fe80000000000000505400fffe0a000bff0200000000000000000000000000163a000502000001008f001f70
0000000204000000ff0200000000000000000001ff00000104000000ff0200000000000000000001ff0a000b

86dd6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff0a000b8700c66c00000000
fe80000000000000505400fffe0a000b0e016bda28aec3aa

86dd6000000000203aff00000000000000000000000000000000ff0200000000000000000001ff0000018700b1fa00000000
20010db80011000000000000000000010e01f523bb42dc71

86dd6000000000103afffe80000000000000505400fffe0a000bff0200000000000000000000000000028500da5b0000000001015254000a000b

86dd6000000000203afffe80000000000000505400fffe0a000bff0200000000000000000001ff0000018700dac800000000
fe80000000000000000000000000000101015254000a000b

86dd6000000000183afffe80000000000000505400fffe0a000bfe80000000000000000000000000000188009d5640000000
fe80000000000000505400fffe0a000b

080600010800060400015254000a000bcb00710b000000000000cb007101

080600010800060400025254000a000bcb00710b020000000001cb007101

08004500005479ae4000400148edcb00710bcb00710108008b8d109300013b45026b00000000565b0900000000001011121314151617
18191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637

86dd600acf7000403a4020010db800110000000000000000000120010db8ffff0000000000000000000180002c7a109500013b45026b
00000000e16c090000000000101112131415161718191a1b1c1d1e1f202122232425262728292a2b2c2d2e2f3031323334353637
"""
_REAL = tuple(bytes.fromhex(packet) for packet in _RECORDED.split("\n\n"))


def fold(number: int) -> int:
    """The one's complement sum of a number's 16-bit words: 2**16 leaves 1 when divided by 0xffff."""
    return number % 0xFFFF


def checksum6(source: bytes, destination: bytes, message: bytes) -> int:
    """What the checksum field of an ICMPv6 message must hold, that field being zero."""
    pseudo = source + destination + struct.pack("!II", len(message) & 0xFFFFFFFF, 58)
    return 0xFFFF - fold(int.from_bytes(pseudo + message + bytes(len(message) & 1), "big"))


class Generator:
    """Makes frames for one netdev."""

    def __init__(self, policies: Sequence[PortPolicy], random: Random) -> None:
        self._random = random
        self._next = random.random
        self._ports = [_Pools(policy) for policy in policies]
        self._strangers = sorted({host for policy in policies for host in policy.hosts}, key=lambda host: host.lladdr)
        self._kinds: list[Callable[[], tuple[int, bytes]]] = [
            *[self._arp] * 24,
            *[self._nd] * 42,
            *[self._other_icmpv6] * 6,
            *[self._other_ipv6] * 8,
            *[self._ipv4] * 11,
            *[self._real] * 3,
            *[self._other_ethertype] * 6,
        ]
        self._begin()

    def _begin(self) -> None:
        """Forget the last frame."""
        self._pools = self._pick(self._ports)
        self._us = self._pick(self._pools.hosts)
        self._lladdr = self._us.lladdr
        draw = self._next()
        self._odds = 0.0 if draw < 0.2 else 0.03 if draw < 0.55 else 0.1 if draw < 0.9 else 0.35
        self._message = -1  # where in the packet an ICMPv6 message begins, if it does
        self._message_end = 0

    def _pick(self, values: Sequence[_T]) -> _T:
        return values[int(self._next() * len(values))]

    def _odd(self) -> bool:
        """Whether a field is to be something else."""
        return self._next() < self._odds

    def _bytes(self, count: int) -> bytes:
        return self._random.randbytes(count)

    def _below(self, limit: int) -> int:
        return int(self._next() * limit)

    # Layer 2

    def frame(self) -> bytes:
        """A frame of 14 bytes or more."""
        self._begin()
        if self._next() < 0.01:
            return self._noise()
        ethertype, packet = self._kinds[self._below(100)]()
        if self._odd():
            ethertype = self._pick(_ETHERTYPES)
        lladdr = self._pick(self._pools.lladdrs) if self._odd() else self._lladdr
        head = self._pick(self._pools.destinations) + lladdr + self._tags()
        frame = head + struct.pack("!H", ethertype) + packet
        draw = self._next()
        if draw < 0.1:
            frame += bytes(max(0, 60 - len(frame)))
        elif draw < 0.16:
            frame += self._bytes(1 + self._below(60))
        if self._next() < 0.3:
            frame = self._damage(frame, len(head) + 2)
        return frame[:LONGEST] if len(frame) >= 14 else frame + bytes(14 - len(frame))

    def _tags(self) -> bytes:
        vlan_id, draw = self._pools.vlan_id, self._next()
        priority = self._below(16) << 12 if draw > 0.5 else 0
        if self._odd():
            vlan_id = self._pick(self._pools.other_vlans)
        tags = b"" if vlan_id is None else struct.pack("!HH", 0x8100 if draw < 0.9 else 0x88A8, vlan_id | priority)
        if self._odd() or (self._pools.qinq and draw < 0.8):
            tags += struct.pack("!HH", self._pick(_QUEER_TAGS), self._pick((0, 0, 11, 12, 4095)) | priority)
        if self._odd() and self._odd():
            tags += struct.pack("!HH", self._pick(_TRUE_TAGS), self._below(4096))
        return tags

    def _noise(self) -> bytes:
        frame = self._bytes(14 + self._below(120))
        if self._next() < 0.5:
            frame = frame[:6] + self._lladdr + self._tags() + struct.pack("!H", self._pick(_ETHERTYPES)) + frame[12:]
        return frame

    def _other_ethertype(self) -> tuple[int, bytes]:
        kind = self._pick(_ETHERTYPES) if self._next() < 0.8 else self._below(0x10000)
        if kind < 0x0600 and self._next() < 0.5:  # SNAP, with what the filter would judge behind it
            return kind, b"\xaa\xaa\x03\0\0\0" + struct.pack("!H", 0x86DD) + self._nd()[1]
        return kind, self._bytes(self._below(70))

    def _damage(self, frame: bytes, packet: int) -> bytes:
        """A frame with some of its bytes changed, lost or added, as often as not with the checksum put right again."""
        raw = bytearray(frame)
        moved = False
        for _ in range(1 + self._below(3)):
            if len(raw) < 15:
                break
            kind, at = self._next(), self._position(len(raw), packet)
            if kind < 0.3:
                raw[at] ^= 1 << self._below(8)
            elif kind < 0.55:
                raw[at] = self._pick(_QUEER_BYTES)
            elif kind < 0.65:
                raw[at] = raw[at] + self._pick((-1, 1)) & 0xFF
            elif kind < 0.85:
                del raw[max(14, self._edge(packet, len(raw)) if self._next() < 0.7 else at) :]
                moved = self._message_end + packet > len(raw)
            elif kind < 0.9:
                raw[at:at] = self._bytes(self._pick((1, 2, 4, 8)))
                moved = True
            elif kind < 0.95:
                del raw[at : at + self._pick((1, 2, 4, 8))]
                moved = True
            else:
                other = self._position(len(raw), packet)
                size = self._pick((2, 4, 6, 8, 16))
                raw[at : at + size] = raw[other : other + size]
                moved = moved or at + size > len(raw)
        if self._message >= 0 and not moved and self._next() < 0.6:
            start, end = packet + self._message, packet + self._message_end
            if start + 4 <= end <= len(raw):
                raw[start + 2 : start + 4] = b"\0\0"
                total = checksum6(bytes(raw[packet + 8 : packet + 24]), bytes(raw[packet + 24 : packet + 40]), bytes(raw[start:end]))
                raw[start + 2 : start + 4] = total.to_bytes(2, "big")
        return bytes(raw)

    def _position(self, length: int, packet: int) -> int:
        """Somewhere in a frame, most often in its headers."""
        draw = self._next()
        if draw < 0.5:
            return min(packet + self._below(48), length - 1)
        if draw < 0.8 and self._message >= 0:
            return min(packet + self._message + self._below(48), length - 1)
        return self._below(length)

    def _edge(self, packet: int, length: int) -> int:
        """Where a header ends, or one byte beside that."""
        edges = [
            12 + 2,
            16,
            18,
            20,
            22,
            packet + 1,
            packet + 8,
            packet + 20,
            packet + 28,
            packet + 40,
            packet + 48,
            packet + 60,
            length - 1,
        ]
        if self._message >= 0:
            edges += [packet + self._message + size for size in (0, 1, 2, 4, 8, 12, 16, 24, 32, 40)]
        return self._pick(edges) + self._pick((-1, 0, 0, 1))

    def _real(self) -> tuple[int, bytes]:
        """What a Linux host sent once, with this host's addresses in it."""
        ethertype, packet, self._message = self._pick(self._us.real)
        self._message_end = len(packet)
        return ethertype, packet

    # ARP

    def _arp(self) -> tuple[int, bytes]:
        pools, us, odd = self._pools, self._us, self._odd
        hardware = self._pick((0, 2, 6, 256)) if odd() else 1
        protocol = self._pick((0x0806, 0x86DD, 0, 0x0801)) if odd() else 0x0800
        sizes = self._pick((0x0600, 0x0605, 0x0504, 0x0704, 0x0610, 0x0404)) if odd() else 0x0604
        operation = self._pick((0, 3, 4, 8, 9, 256, 257, 512, 0xFFFF)) if odd() else 1 if self._next() < 0.94 else 2
        sender_lladdr = self._pick(pools.lladdrs) if odd() else us.lladdr
        draw = self._next()
        sender = self._pick(us.ipv4) if us.ipv4 and draw < 0.75 else bytes(4)
        if odd():
            sender = self._pick(pools.ipv4)
        target = self._pick(pools.gateways4) if pools.gateways4 and self._next() < 0.7 else self._pick(pools.ipv4)
        if odd():
            target = sender
        target_lladdr = bytes(6) if draw < 0.9 else self._pick(pools.lladdrs)
        packet = struct.pack("!HHHH6s4s6s4s", hardware, protocol, sizes, operation, sender_lladdr, sender, target_lladdr, target)
        draw = self._next()
        if draw < 0.25:
            packet += bytes(18)
        elif draw < 0.4:
            packet += self._bytes(self._pick((1, 14, 17, 18, 19, 21, 22, 23, 60, 400)))
        return 0x0806, packet

    # IPv6

    def _chain(self, protocol: int, payload: bytes) -> tuple[int, bytes]:
        """A payload behind extension headers: (first next header, all of it)."""
        draw = self._next()
        if draw < 0.7:
            return protocol, payload
        count = 1 if draw < 0.82 else 2 if draw < 0.87 else 3 if draw < 0.91 else 4 if draw < 0.96 else 5 if draw < 0.99 else 6
        chain = b""
        fragments = self._next() < 0.4
        for at in range(count):
            kind = 44 if fragments and self._next() < 0.4 else 0 if at == count - 1 and self._next() < 0.3 else self._pick(_EXTENSIONS)
            if self._odd():
                kind = self._pick(_QUEER_HEADERS)
            units = 0 if self._next() < 0.75 else self._below(4)
            if kind == 44:
                offset = self._pick((1, 2, 185, 0x1FFF)) if self._next() < 0.2 else 0
                reserved = self._pick((0, 0, 0, 6)) | (self._next() < 0.3)
                header = struct.pack("!BBHI", protocol, self._pick((0, 0, 1, 255)), offset << 3 | reserved, 0x1234)
            else:
                size = units * 4 + 8 if kind == 51 else units * 8 + 8
                claimed = self._pick((units + 1, units - 1, 255, 127, 8, 20)) & 0xFF if self._odd() else units
                header = struct.pack("!BB", protocol, claimed) + (b"\x05\x02\0\0\x01\0" + bytes(size))[: size - 2]
            if self._odd():  # the whole chain ends here, at the end of the payload or before
                payload = payload[: self._pick((0, 0, 1, 2, 8))]
                header = header[: self._pick((8, 8, 7, 1, 2))]
                chain = b""
            chain = header + chain
            protocol = kind
        return protocol, chain + payload

    def _ipv6(self, protocol: int, payload: bytes, source: bytes, destination: bytes, hop_limit: int) -> bytes:
        first, body = self._chain(protocol, payload)
        length = len(body)
        self._message = 40 + length - len(payload) if protocol == 58 and body.endswith(payload) else -1
        self._message_end = 40 + length
        if self._odd():
            length = self._pick((length - 8, length + 8, length - 1, length + 1, 0, 24, 32, 0xFFFF, length - 16)) & 0xFFFF
            if self._next() < 0.3:
                body += self._bytes(8)
        elif 44 in (first, body[0] if body else 0) and self._next() < 0.3:  # a fragment whose payload ends before what the frame holds
            length = max(0, length - self._pick((1, 4, 8, 16, 20, 24, len(payload), len(payload) + 1, max(0, len(payload) - 1))))
        version = self._pick((4, 5, 7, 0)) if self._odd() else 6
        label = self._below(1 << 28) if self._next() < 0.2 else 0
        return struct.pack("!IHBB", version << 28 | label, length, first, hop_limit) + source + destination + body

    def _options(self) -> bytes:
        draw, us = self._next(), self._lladdr
        if draw < 0.45:
            return b"\x01\x01" + us
        if draw < 0.65:
            return b""
        soup = []
        for _ in range(1 + self._below(4)):
            kind = self._pick((1, 1, 2, 3, 5, 14, 25, 0, 255, self._below(256)))
            if kind == 1 and self._next() < 0.7:
                soup.append(b"\x01\x01" + (self._pick(self._pools.lladdrs) if self._odd() else us))
            else:
                units = self._pick((1, 1, 1, 2, 3, 4, 32 if self._odd() else 1, 181 if self._odd() else 1))
                data = us if self._next() < 0.3 else b""
                soup.append(struct.pack("!BB", kind, units) + data + bytes(8 * units - 2 - len(data)))
        options = b"".join(soup)
        if self._odd():
            draw = self._next()
            if draw < 0.3:
                return options + b"\x0e\0" + bytes(6)  # no length
            if draw < 0.6:
                return options + struct.pack("!BB", self._pick((1, 14, 25)), self._pick((2, 3, 255))) + bytes(6)  # past the end
            if draw < 0.8:
                return options + bytes(1 + self._below(7))
            return options[: self._below(len(options) + 1)]
        return options

    def _long_options(self) -> bytes:
        """As many units as may be, or one more or less, in options short and long, in any order."""
        wanted = self._pick((180, 181, 182, 182, 182, 183, 183, 184, 200, 255, 300))
        soup: list[bytes] = [b"\x01\x01" + self._lladdr] if self._next() < 0.5 else []
        left = wanted - len(soup)
        whole = self._next() < 0.4
        while left > 0:
            units = min(left, 255 if whole else self._pick((1, 1, 2, 3, 10, 60)))
            soup.append(struct.pack("!BB", self._pick((14, 25, 3)), units) + bytes(8 * units - 2))
            left -= units
        if self._next() < 0.5:
            self._random.shuffle(soup)
        return b"".join(soup)

    def _nd(self) -> tuple[int, bytes]:
        pools, us = self._pools, self._us
        if self._odd():  # another of the port, with its own addresses: spoofing unless the MAC is its own too
            us = self._pick(pools.hosts)
        kind = self._pick(_ND_TYPES)
        draw = self._next()
        if draw < 0.5 or not us.ipv6:
            source = us.link_local
        elif draw < 0.7:
            source = self._inside(us)
        elif draw < 0.85:
            source = bytes(16)
        else:
            source = self._pick(pools.ipv6)
        if self._odd():
            source = self._pick(pools.ipv6)
        target = self._pick(pools.gateways6) if pools.gateways6 and self._next() < 0.7 else self._pick(pools.ipv6)
        destination = b"\xff\x02" + bytes(9) + b"\x01\xff" + target[13:]
        draw = self._next()
        if kind != 135:
            destination = self._pick(pools.groups)
        elif source == bytes(16) and draw < 0.8:
            pass
        elif draw < 0.25:
            destination = target
        elif draw < 0.35:
            destination = self._pick(pools.groups)
        flags = bytes(4)
        if kind == 136 and self._next() < 0.8:  # an answer, as far as it goes
            flags = bytes((self._pick((0x40, 0x60, 0x40, 0xE0, 0x20, 0, 0xBF)), 0, 0, 0))
            target = self._pick((us.link_local, us.link_local, self._inside(us) if us.ipv6 else us.link_local, target))
            if pools.gateways6 and self._next() < 0.8:
                destination = self._pick(pools.gateways6)
        options = self._long_options() if self._next() < 0.01 else self._options()
        if source == bytes(16) and self._next() < 0.8:
            options = b""
        size = _ND_BODIES[kind]
        fixed = flags + target + self._pick(pools.ipv6)
        body = fixed[:size] if kind in (135, 136, 137) or self._next() < 0.7 else self._bytes(size)
        if self._odd():
            body = body[: self._below(size + 1)]
        return 0x86DD, self._icmpv6(kind, body + options, source, destination)

    def _icmpv6(self, kind: int, body: bytes, source: bytes, destination: bytes) -> bytes:
        code = self._pick((1, 255, 128)) if self._odd() else 0
        message = struct.pack("!BBH", kind, code, 0) + body
        total = checksum6(source, destination, message)
        if self._next() < 0.02 and len(body) >= 4:  # a sum of nothing, which may be written as 0 or as all ones
            first = fold(total + (body[0] << 8 | body[1]))
            body = first.to_bytes(2, "big") + body[2:]
            total = self._pick((0, 0xFFFF))
        elif self._odd():
            total = self._pick((total ^ 1, total ^ 0x8000, 0, 0xFFFF, total - 1 & 0xFFFF, (total & 0xFF) << 8 | total >> 8))
        message = struct.pack("!BBH", kind, code, total) + body
        hop_limit = self._pick((254, 64, 1, 0)) if self._odd() else 255
        return self._ipv6(58, message, source, destination, hop_limit)

    def _inside(self, host: "_HostPools") -> bytes:
        network, free = self._pick(host.ipv6)
        return (network | self._random.getrandbits(128) & free).to_bytes(16, "big")

    def _source6(self) -> bytes:
        us, draw = self._us, self._next()
        if draw < 0.35:
            return us.link_local
        if draw < 0.7 and us.ipv6:
            return self._inside(us)
        return bytes(16) if draw < 0.8 else self._pick(self._pools.ipv6)

    def _other_icmpv6(self) -> tuple[int, bytes]:
        source, destination = self._source6(), self._pick(self._pools.groups)
        kind = self._pick(_NEAR_ND) if self._next() < 0.6 else self._pick((131, 132, 143, 130, 151, 152))
        body = self._bytes(self._pick((0, 4, 20, 24, 24, 60)))
        if self._next() < 0.6:
            hop_limit = 1
            message = struct.pack("!BBH", kind, 0, 0) + body
            message = message[:2] + checksum6(source, destination, message).to_bytes(2, "big") + body
            if self._next() < 0.7:  # a router alert (RFC 2710), its header as long as it should be or not
                alert = struct.pack("!BBIH", 58, 0, 0x05020000, 0x0100)
                if self._odd():
                    alert = self._pick((alert[:1] + b"\x01" + alert[2:] + bytes(8), alert[:1] + b"\x01" + alert[2:], alert[:5]))
                head = struct.pack("!IHBB", 6 << 28, len(alert + message), 60 if self._odd() else 0, hop_limit)
                self._message, self._message_end = 40 + len(alert), 40 + len(alert + message)
                if self._odd():
                    message = message[: self._below(3)]
                return 0x86DD, head + source + destination + alert + message
        return 0x86DD, self._icmpv6(kind, body, source, destination)

    def _other_ipv6(self) -> tuple[int, bytes]:
        protocol = self._pick((6, 17)) if self._next() < 0.4 else self._pick(_QUEER_HEADERS)
        if self._next() < 0.05:
            protocol = self._below(256)
        payload = self._bytes(self._pick((0, 1, 7, 8, 20, 20, 40)))
        if protocol == 58 and payload:
            payload = bytes((self._pick((*_NEAR_ND, *_ND_TYPES)),)) + payload[1:]
        return 0x86DD, self._ipv6(protocol, payload, self._source6(), self._pick(self._pools.groups), self._pick((64, 255, 1)))

    # IPv4

    def _ipv4(self) -> tuple[int, bytes]:
        us, odd, draw = self._us, self._odd, self._next()
        source = self._pick(us.ipv4) if us.ipv4 and draw < 0.5 else bytes(4) if draw < 0.75 else self._pick(self._pools.ipv4)
        l4_ports = b"\0\x44\0\x43" if draw > 0.4 else struct.pack("!HH", 4000, 53)
        if odd():
            l4_ports = self._pick((b"\0\x43\0\x44", b"\0\x44\0\x44", b"\0\x43\0\x43", b"\0\x44\x43\0"))
        protocol = self._pick((6, 1, 0, 41, 58)) if odd() else 17
        words = self._pick((0, 4, 6, 7, 10, 15)) if odd() else 5
        version = self._pick((6, 5, 0, 15)) if odd() else 4
        fragment = self._pick((0x2000, 0x4000, 1, 0x1FFF, 0x2001, 0x8000)) if odd() else 0
        payload = l4_ports + b"\0\x1a\0\0" + bytes(18)
        head = struct.pack("!BBHHHBBH", version << 4 | words, 0, 20 + len(payload), 0, fragment, 64, protocol, 0)
        options = bytes(max(0, words - 5) * 4)
        if odd():
            payload = payload[: self._below(9)]
        return 0x0800, head + source + self._pick(self._pools.ipv4) + options + payload


@dataclass(frozen=True, slots=True)
class _HostPools:
    """A host's own values, as bytes; `ipv6` as (network, bits that are free)."""

    lladdr: bytes
    link_local: bytes
    ipv4: tuple[bytes, ...]
    ipv6: tuple[tuple[int, int], ...]
    real: tuple[tuple[int, bytes, int], ...]
    """(EtherType, packet, where its ICMPv6 message begins or -1)"""


def _adopt(packet: bytes, host: Host) -> tuple[int, bytes, int]:
    """A recorded packet as this host would send it."""
    ipv6 = IPv6Address(int(host.ipv6[0].network_address) | 1).packed if host.ipv6 else host.link_local.packed
    places = {
        _REAL_LLADDR: parse_lladdr(host.lladdr),
        _REAL_LINK_LOCAL: host.link_local.packed,
        _REAL_IPV6: ipv6,
        _REAL_IPV4: host.ipv4[0].packed if host.ipv4 else bytes(4),
    }
    for old, new in places.items():
        packet = packet.replace(old, new)
    ethertype, packet = int.from_bytes(packet[:2], "big"), packet[2:]
    if ethertype != 0x86DD:
        return ethertype, packet, -1
    at = 40 if packet[6] == 58 else 48
    message = packet[at : at + 2] + b"\0\0" + packet[at + 4 :]
    total = checksum6(packet[8:24], packet[24:40], message)
    return ethertype, packet[:at] + message[:2] + total.to_bytes(2, "big") + message[4:], at


class _Pools:
    """Values that a field of a frame to one port may take: billed ones, and what lies next to them."""

    def __init__(self, policy: PortPolicy) -> None:
        self.vlan_id, self.qinq = policy.vlan_id, policy.qinq
        others: tuple[int | None, ...] = (None, 0, 0, 1, 11, 12, 13, 4094, 4095, (policy.vlan_id or 0) ^ 0x800, (policy.vlan_id or 0) ^ 1)
        self.other_vlans = others
        self.hosts = [
            _HostPools(
                parse_lladdr(host.lladdr),
                host.link_local.packed,
                tuple(address.packed for address in host.ipv4),
                tuple((int(prefix.network_address), int(prefix.hostmask)) for prefix in host.ipv6),
                tuple(_adopt(packet, host) for packet in _REAL),
            )
            for host in policy.hosts
        ]
        router = parse_lladdr(policy.router_lladdr)
        strange = [bytes(6), b"\xff" * 6, router, b"\x33\x33\0\0\0\x01", bytes.fromhex("5254000a000d"), bytes.fromhex("010000000000")]
        self.lladdrs = [*strange]
        self.ipv4 = [bytes(4), b"\xff" * 4, *(IPv4Address(text).packed for text in ("203.0.113.77", "127.0.0.1", "224.0.0.1", "0.0.0.1"))]
        self.ipv6 = [
            IPv6Address(text).packed for text in ("::", "::1", "ff02::1", "fe80::2", "2001:db8:11:2::1", "::203.0.113.11", "fe80::")
        ]
        self.gateways4 = [gateway.packed for gateway in policy.gateways if isinstance(gateway, IPv4Address)]
        self.gateways6 = [gateway.packed for gateway in policy.gateways if isinstance(gateway, IPv6Address)]
        for host in self.hosts:
            self.lladdrs += [host.lladdr, *_next_to(host.lladdr, (0, 1, 7, 40, 47))]
            self.ipv4 += [*host.ipv4, *(near for address in host.ipv4 for near in _next_to(address, (0, 31, 24)))]
            self.ipv6 += [host.link_local, *_next_to(host.link_local, (0, 8, 63, 64, 127))]
            for network, free in host.ipv6:
                self.ipv6 += [
                    (address & (1 << 128) - 1).to_bytes(16, "big")
                    for address in (network, network | free, network - 1, (network | free) + 1, network ^ (free + 1), network | free // 3)
                ]
        for gateway in self.gateways4:
            self.ipv4 += [gateway, *_next_to(gateway, (0, 24, 31))]
        for gateway in self.gateways6:
            self.ipv6 += [gateway, *_next_to(gateway, (0, 64, 103, 104, 127))]
        self.ipv6 += [bytes(10) + b"\xff\xff" + address for address in self.ipv4]
        groups = ["ff02::1", "ff02::2", "ff02::16", "ff02::1:ff00:1", "ff02::1:ff00:2", "ff05::1:ff00:1", "2001:db8:ffff::1", "fe80::1"]
        self.groups = [IPv6Address(group).packed for group in groups]
        self.groups += [b"\xff\x02" + bytes(9) + b"\x01\xfe" + gateway[13:] for gateway in self.gateways6]
        self.destinations = [router, b"\xff" * 6, b"\x33\x33\xff\0\0\x01", b"\x33\x33\0\0\0\x02"]


def _next_to(value: bytes, bits: Sequence[int]) -> list[bytes]:
    """A value with one bit turned over, bit 0 being the highest."""
    size, number = len(value) * 8, int.from_bytes(value, "big")
    return [(number ^ 1 << size - 1 - bit).to_bytes(len(value), "big") for bit in bits if bit < size]
