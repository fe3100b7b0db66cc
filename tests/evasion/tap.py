"""Frames as they pass by a netdev of the lab: on the attacker's, what it sent; on the router's, what the filter let through.

A generic XDP program runs before the kernel hands frames to packet sockets, so that a socket on the router's port sees exactly what passed.
"""

import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

from l3ctl.lab.namespaces import Namespace

_SOL_PACKET, _AUXDATA, _STATISTICS, _IGNORE_OUTGOING = 263, 8, 6, 23
_SO_RCVBUFFORCE = 33
_BUFFER = 64 << 20
_EVERYTHING = 3
_OUTGOING = 4
_VLAN_VALID, _VLAN_TPID_VALID = 1 << 4, 1 << 6
_LONGEST = 65536

_EXTENSIONS = frozenset((0, 43, 51, 60, 135, 139, 140))
_FRAGMENT, _ICMPV6 = 44, 58
_PROTOCOLS = {6: "TCP", 17: "UDP", 59: "no next header", 103: "PIM"}
_MULTICAST_REPORTS = frozenset((131, 132, 143))


class Tap:
    """Open from its making to its closing. Nobody reads meanwhile: its buffer keeps the first tens of thousands, `total` counts all."""

    def __init__(self, namespace: Namespace, netdev: str, *, outgoing: bool) -> None:
        self._outgoing = outgoing
        self.total = 0
        """frames seen; with `outgoing`, those that came in too"""
        self.missed = 0
        """frames of `total` for which the buffer had no room"""
        with namespace.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _BUFFER)
        self._socket.setsockopt(_SOL_PACKET, _AUXDATA, 1)
        if not outgoing:
            self._socket.setsockopt(_SOL_PACKET, _IGNORE_OUTGOING, 1)
        self._socket.bind((netdev, _EVERYTHING))

    def count(self) -> int:
        """How many so far."""
        packets, drops = struct.unpack("II", self._socket.getsockopt(_SOL_PACKET, _STATISTICS, 8))
        self.total += packets
        self.missed += drops
        return self.total

    def read(self) -> list[bytes]:
        """The frames that came since the last time, as they were on the wire."""
        return list(self._read())

    def close(self) -> list[bytes]:
        """The frames, as they were on the wire."""
        self.count()
        with self._socket:
            return list(self._read())

    def _read(self) -> Iterator[bytes]:
        with suppress(BlockingIOError):
            while True:
                frame, about, _, address = self._socket.recvmsg(_LONGEST, socket.CMSG_SPACE(20))
                if (address[2] == _OUTGOING) == self._outgoing:
                    yield _with_tag(frame, about)


def _with_tag(frame: bytes, about: list[tuple[int, int, bytes]]) -> bytes:
    """The kernel takes a VLAN tag out of the frame and tells of it beside (packet(7), PACKET_AUXDATA)."""
    for level, kind, data in about:
        if (level, kind) == (_SOL_PACKET, _AUXDATA):
            status, _, _, _, _, tci, tpid = struct.unpack_from("IIIHHHH", data)
            if status & _VLAN_VALID:
                return frame[:12] + struct.pack("!HH", tpid if status & _VLAN_TPID_VALID else 0x8100, tci) + frame[12:]
    return frame


def kind(frame: bytes) -> str:
    """What an ordinary frame is, in the words of case.WHY_IT_PASSES; for anything that could be ARP or ND, words that are not there."""
    ethertype, at = int.from_bytes(frame[12:14], "big"), 14
    if ethertype in (0x8100, 0x88A8):
        if int.from_bytes(frame[14:16], "big") & 0xFFF:
            return "unguarded VLAN"
        ethertype, at = int.from_bytes(frame[16:18], "big"), 18
    if ethertype == 0x86DD:
        return _kind6(frame[at:])
    return {0x0800: "IPv4", 0x0806: "ARP"}.get(ethertype, "other EtherType")


def _kind6(packet: bytes) -> str:
    protocol, at = packet[6], 40
    while (protocol in _EXTENSIONS or protocol == _FRAGMENT) and len(packet) >= at + 8:
        if protocol == _FRAGMENT and int.from_bytes(packet[at + 2 : at + 4], "big") >> 3:
            return "later fragment"
        size = {_FRAGMENT: 8, 51: (packet[at + 1] + 2) * 4}.get(protocol, (packet[at + 1] + 1) * 8)
        protocol, at = packet[at], at + size
    if protocol != _ICMPV6 or len(packet) <= at:
        return _PROTOCOLS.get(protocol, "other protocol" if protocol != _ICMPV6 else "cut short")
    message = packet[at]
    if 133 <= message <= 137 or message in (130, 141, 142, 148, 149, 151, 152, 153):
        return f"ND or MLD query, type {message}"
    if message in _MULTICAST_REPORTS:
        return "MLD report"
    if message in (128, 129):
        return "echo"
    if message in (139, 140):
        return "node query"
    return "ICMPv6 error" if message < 128 else "other ICMPv6"
