"""Frames built byte by byte, independent of the filter's sources: what a customer's host, or an attacker in its place, can send."""

import socket
import struct
from ipaddress import IPv6Address
from typing import Any

HOST_MAC = bytes.fromhex("5254000a000b")
OTHER_MAC = bytes.fromhex("5254000a000c")
ROUTER_MAC = bytes.fromhex("020000000001")
BROADCAST = b"\xff" * 6

HOST_LL = "fe80::5054:ff:fe0a:b"
HOST_IP6 = "2001:db8:11::1"
HOST_IP4 = "203.0.113.11"
GATEWAY6 = "fe80::1"
GATEWAY4 = "203.0.113.1"


def ip6(text: str) -> bytes:
    """An IPv6 address's bytes."""
    return socket.inet_pton(socket.AF_INET6, text)


def ip4(text: str) -> bytes:
    """An IPv4 address's bytes."""
    return socket.inet_aton(text)


def ethernet(
    payload: bytes, ethertype: int, source: bytes = HOST_MAC, destination: bytes = BROADCAST, tags: tuple[tuple[int, int], ...] = ()
) -> bytes:
    """`tags` are (TPID, VLAN id), outermost first."""
    stack = b"".join(struct.pack("!HH", tpid, vlan_id) for tpid, vlan_id in tags)
    return destination + source + stack + struct.pack("!H", ethertype) + payload


def arp(
    operation: int = 1,
    sender_mac: bytes = HOST_MAC,
    sender: str = HOST_IP4,
    target: str = GATEWAY4,
    target_mac: bytes = bytes(6),
    hardware: int = 1,
    protocol: int = 0x0800,
    lengths: tuple[int, int] = (6, 4),
) -> bytes:
    """An ARP packet; a request of our host for the gateway unless told otherwise."""
    return struct.pack("!HHBBH", hardware, protocol, *lengths, operation) + sender_mac + ip4(sender) + target_mac + ip4(target)


def checksum(data: bytes) -> int:
    """The Internet checksum (RFC 1071)."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv6(
    payload: bytes,
    next_header: int,
    source: str = HOST_LL,
    destination: str = "ff02::1",
    hop_limit: int = 255,
    length: int | None = None,
    version: int = 6,
) -> bytes:
    """An IPv6 packet."""
    return (
        struct.pack("!IHBB", version << 28, len(payload) if length is None else length, next_header, hop_limit)
        + ip6(source)
        + ip6(destination)
        + payload
    )


def icmpv6(kind: int, body: bytes, source: str, destination: str, code: int = 0, bad_checksum: bool = False) -> bytes:
    """An ICMPv6 message with its checksum."""
    message = struct.pack("!BBH", kind, code, 0) + body
    pseudo = ip6(source) + ip6(destination) + struct.pack("!IHBB", len(message), 0, 0, 58)
    total = checksum(pseudo + message) ^ (0x0101 if bad_checksum else 0)
    return message[:2] + struct.pack("!H", total) + message[4:]


def solicited_node(target: str) -> str:
    """The group that listens for solicitations of a target."""
    return str(IPv6Address(ip6("ff02::1:ff00:0")[:13] + ip6(target)[13:]))


def option(kind: int, data: bytes) -> bytes:
    """An ND option, padded to 8 bytes."""
    data += bytes(-(len(data) + 2) % 8)
    return struct.pack("!BB", kind, (len(data) + 2) // 8) + data


SOURCE_OPTION = option(1, HOST_MAC)


def nd(
    kind: int,
    body: bytes,
    source: str = HOST_LL,
    destination: str = "ff02::1",
    code: int = 0,
    bad_checksum: bool = False,
    hop_limit: int = 255,
    length: int | None = None,
) -> bytes:
    """An IPv6 packet with an ND message; `body` is what follows the checksum."""
    return ipv6(icmpv6(kind, body, source, destination, code, bad_checksum), 58, source, destination, hop_limit, length)


def ns(target: str = GATEWAY6, options: bytes = SOURCE_OPTION, source: str = HOST_LL, destination: str | None = None, **keys: Any) -> bytes:
    """A neighbour solicitation."""
    return nd(135, bytes(4) + ip6(target) + options, source, destination or solicited_node(target), **keys)


def na(target: str = GATEWAY6, source: str = HOST_LL, **keys: Any) -> bytes:
    """A neighbour advertisement that nobody asked for."""
    return nd(136, b"\xa0\0\0\0" + ip6(target) + option(2, HOST_MAC), source, **keys)


def rs(options: bytes = SOURCE_OPTION, source: str = HOST_LL, **keys: Any) -> bytes:
    """A router solicitation."""
    return nd(133, bytes(4) + options, source, "ff02::2", **keys)


def ra(**keys: Any) -> bytes:
    """A router advertisement."""
    return nd(134, struct.pack("!BBHII", 64, 0, 1800, 0, 0) + SOURCE_OPTION, **keys)


def redirect(**keys: Any) -> bytes:
    """A redirect."""
    return nd(137, bytes(4) + ip6("fe80::2") + ip6("2001:db8:ffff::9"), **keys)


def extension(next_header: int, units: int = 0, data: bytes = b"") -> bytes:
    """An extension header of 8 bytes and `units` times 8 more."""
    return struct.pack("!BB", next_header, units) + data.ljust(6 + units * 8, b"\0")


def fragment(next_header: int, offset: int = 0, more: bool = False) -> bytes:
    """A fragment header."""
    return struct.pack("!BBHI", next_header, 0, offset << 3 | more, 0x1234)


def udp4(source: str = HOST_IP4, destination: str = "198.51.100.1", l4_ports: tuple[int, int] = (4000, 53), version: int = 4) -> bytes:
    """An IPv4 packet with a UDP datagram."""
    udp = struct.pack("!HHHH", *l4_ports, 8 + 18, 0) + bytes(18)
    head = struct.pack("!BBHHHBBH", version << 4 | 5, 0, 20 + len(udp), 0, 0, 64, 17, 0) + ip4(source) + ip4(destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + udp


def tcp6(source: str = HOST_IP6) -> bytes:
    """An IPv6 packet with a TCP SYN."""
    return ipv6(struct.pack("!HHIIBBHHH", 40000, 443, 1, 0, 0x50, 2, 65535, 0, 0), 6, source, "2001:db8:ffff::1", 64)
