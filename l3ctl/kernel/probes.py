"""Questions to hosts whether they are there, as frames: a unicast neighbour solicitation (RFC 4861, 7.2.2), or an ARP request (RFC 826).

They go out on the port's layer-3 netdev past the routing and neighbour tables, which know nothing new of them, and need no route: a host
that is away has none. Many leave in one system call; a packet socket that asks for no protocol hears nothing.
"""

import ctypes
import errno
import os
import socket
import struct
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv6Address

from l3ctl.errors import NetlinkFailed
from l3ctl.lladdr import parse_lladdr

_IPV6, _ARP = 0x86DD, 0x0806
_ICMPV6 = 58
_TC_PRIO_CONTROL = 7
_OFTEN = {errno.ENETDOWN, errno.ENXIO, errno.ENODEV, errno.ENOBUFS, errno.EAGAIN, errno.EMSGSIZE}
"""of a netdev that has just gone or is busy: its host stays unasked, and the others are asked"""


def solicitation(router_lladdr: str, gateway: IPv6Address, lladdr: str, target: IPv6Address) -> bytes:
    """A frame that asks the host whose MAC is ``lladdr`` for ``target``, which is its own; the gateway asks."""
    own = parse_lladdr(router_lladdr)
    head = struct.pack("!BBHI", 135, 0, 0, 0) + target.packed + b"\x01\x01" + own
    pseudo = gateway.packed + target.packed + struct.pack("!II", len(head), _ICMPV6)
    total = 0xFFFF - int.from_bytes(pseudo + head, "big") % 0xFFFF  # the folded sum of its words: 2**16 leaves 1 when divided by 0xffff
    message = head[:2] + struct.pack("!H", total) + head[4:]
    packet = struct.pack("!IHBB", 6 << 28, len(message), _ICMPV6, 255) + gateway.packed + target.packed + message
    return parse_lladdr(lladdr) + own + struct.pack("!H", _IPV6) + packet


def request(router_lladdr: str, gateway: IPv4Address, lladdr: str, target: IPv4Address) -> bytes:
    """The same of an IPv4 address."""
    own = parse_lladdr(router_lladdr)
    packet = struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, 1, own, gateway.packed, bytes(6), target.packed)
    return parse_lladdr(lladdr) + own + struct.pack("!H", _ARP) + packet


class _Address(ctypes.Structure):
    """`struct sockaddr_ll`, packet(7)."""

    _fields_ = [
        ("family", ctypes.c_uint16),
        ("protocol", ctypes.c_uint16),
        ("ifindex", ctypes.c_int32),
        ("hardware", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("length", ctypes.c_uint8),
        ("lladdr", ctypes.c_uint8 * 8),
    ]


class _Vector(ctypes.Structure):
    """`struct iovec`."""

    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Message(ctypes.Structure):
    """`struct mmsghdr`, sendmmsg(2)."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("name_length", ctypes.c_uint32),
        ("vectors", ctypes.c_void_p),
        ("vector_count", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("control_length", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("padding", ctypes.c_int),  # `struct msghdr` ends on 8 bytes
        ("sent", ctypes.c_uint32),
    ]


class Batch:
    """Frames, each with the ifindex of the netdev it goes out on, laid out once to be sent often."""

    def __init__(self, frames: Sequence[tuple[int, bytes]]) -> None:
        count = len(frames)
        self._frames = [ctypes.create_string_buffer(frame, len(frame)) for _, frame in frames]
        self._addresses = (_Address * count)(*(_Address(socket.AF_PACKET, 0, ifindex) for ifindex, _ in frames))
        self._vectors = (_Vector * count)(*(_Vector(ctypes.addressof(one), len(one)) for one in self._frames))
        pairs = zip(self._addresses, self._vectors, strict=True)
        self.messages = (_Message * count)(*(_message(address, vector) for address, vector in pairs))


def _message(address: _Address, vector: _Vector) -> _Message:
    return _Message(ctypes.addressof(address), ctypes.sizeof(address), ctypes.addressof(vector), 1)


class ProbeSocket:
    """Sends batches from the network namespace of the thread that opens it."""

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            # Before the customers' own traffic, which would else decide by its amount whether a host seems to be there (tc-prio(8)).
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, _TC_PRIO_CONTROL)
        except OSError as error:
            raise NetlinkFailed(f"cannot open a packet socket: {error.strerror}", "the agent needs CAP_NET_RAW") from error
        self._send = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._send.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_uint, ctypes.c_int]

    def send(self, batch: Batch) -> list[int]:
        """The positions of the frames that did not go out, as their netdev, or its queue, did not take them.

        Raises:
            NetlinkFailed: the kernel refuses what no netdev is to blame for.
        """
        count, begin = len(batch.messages), 0
        left_out: list[int] = []
        while begin < count:
            sent = self._send(self._socket.fileno(), ctypes.byref(batch.messages, begin * ctypes.sizeof(_Message)), count - begin, 0)
            if sent < 0:
                number = ctypes.get_errno()
                if number == errno.EINTR:
                    continue
                if number not in _OFTEN:
                    raise NetlinkFailed(f"cannot send probes: {os.strerror(number)}", "`l3ctl status` says how it stands")
                left_out.append(begin)
                sent = 1
            begin += sent
        return left_out

    def close(self) -> None:
        """Send no more."""
        self._socket.close()
