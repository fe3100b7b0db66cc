"""Echo requests to many addresses of both families, and how long each answer took."""

import select
import socket
import struct
import time
from contextlib import suppress
from ipaddress import ip_address

from l3ctl.lab.frames import checksum

_IDENTIFIER = 0x6C34
_ECHO = struct.Struct("!BBHHHd")
"""type, code, checksum, identifier, a number that is not used, and when it was sent"""
_KINDS = {6: (128, 129), 4: (8, 0)}


class Echoes:
    """Sockets of the namespace that the thread is in when it is made; `begin` forgets what was asked before."""

    def __init__(self, source6: str, source4: str) -> None:
        self._sockets: dict[int, socket.socket] = {}
        for version, family, protocol, source in (
            (6, socket.AF_INET6, socket.IPPROTO_ICMPV6, source6),
            (4, socket.AF_INET, socket.IPPROTO_ICMP, source4),
        ):
            made = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            made.bind((source, 0))
            self._sockets[version] = made
        self.begin()

    def begin(self) -> None:
        """Count from here. An answer to what was asked before is none."""
        self._since = time.monotonic()
        self._asked: dict[str, int] = {}
        self._took: dict[str, list[float]] = {}

    def ask(self, addresses: list[str]) -> None:
        """Each of them once."""
        for address in addresses:
            version = ip_address(address).version
            self._asked[address] = self._asked.get(address, 0) + 1
            empty = _ECHO.pack(_KINDS[version][0], 0, 0, _IDENTIFIER, 0, now := time.monotonic())
            with suppress(OSError):  # no route, no neighbour: it is lost
                self._sockets[version].sendto(_ECHO.pack(_KINDS[version][0], 0, checksum(empty), _IDENTIFIER, 0, now), (address, 0))

    def wait(self, seconds: float) -> None:
        """Take in what comes meanwhile."""
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            for ready in select.select(list(self._sockets.values()), [], [], left)[0]:
                self._receive(4 if ready is self._sockets[4] else 6)

    def _receive(self, version: int) -> None:
        with suppress(BlockingIOError):
            while True:
                message, (source, *_) = self._sockets[version].recvfrom(2048)
                came = time.monotonic()
                message = message[20 if version == 4 else 0 :]  # a raw IPv4 socket hands out the IP header too
                if len(message) < _ECHO.size:
                    continue
                kind, _, _, identifier, _, sent = _ECHO.unpack_from(message)
                if (kind, identifier) == (_KINDS[version][1], _IDENTIFIER) and sent >= self._since:
                    self._took.setdefault(source, []).append(came - sent)

    def asked(self, address: str) -> int:
        """How many times."""
        return self._asked.get(address, 0)

    def took(self, address: str) -> list[float]:
        """Seconds of each that was answered."""
        return self._took.get(address, [])

    def close(self) -> None:
        """No more."""
        for one in self._sockets.values():
            one.close()
