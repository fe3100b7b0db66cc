"""Pings in both families, each sent at its time, whatever came back: ping(8) waits longer while there is no route."""

import socket
import struct
import time
from contextlib import suppress
from dataclasses import dataclass

from l3ctl.lab.beside import Beside
from l3ctl.lab.customers import UPSTREAM4, UPSTREAM6, Customer
from l3ctl.lab.frames import checksum
from l3ctl.lab.namespaces import Namespace

INTERVAL = 0.002
"""seconds between two of a family"""
PATIENCE = 0.2
"""seconds in which one is answered, if at all"""
_IDENTIFIER = 0x6C33
_ECHO = struct.Struct("!BBHHI")
"""type, code, checksum, identifier, and our number in place of a sequence number"""


@dataclass(frozen=True, slots=True)
class Ping:
    """When it was sent (`time.time()`), and whether it was answered."""

    at: float
    answered: bool


class Pings(Beside):
    """Sends while it is entered, from upstream to a host."""

    def __init__(self, upstream: Namespace, host: Customer) -> None:
        super().__init__()
        with upstream.entered():
            self._families = [
                _Family(str(host.ipv6), socket.AF_INET6, socket.IPPROTO_ICMPV6, UPSTREAM6, host.address6, 128, 129),
                _Family(f"{host.ipv4}/32", socket.AF_INET, socket.IPPROTO_ICMP, UPSTREAM4, str(host.ipv4), 8, 0),
            ]

    def sent(self) -> dict[str, list[Ping]]:
        """All of them, by the host's prefix."""
        return {one.prefix: [Ping(at, number in one.answered) for number, at in enumerate(one.sent)] for one in self._families}

    def answered_since(self, moment: float) -> bool:
        """Whether in each family one that was sent after this moment was answered."""
        return all(one.answered and one.sent[max(one.answered)] > moment for one in self._families)

    def work(self) -> None:
        """Send, again and again; then wait for the last answers."""
        while not self.ending.wait(INTERVAL):
            for one in self._families:
                one.receive()
                one.send()
        time.sleep(PATIENCE)
        for one in self._families:
            one.receive()
            one.close()


class _Family:
    def __init__(self, prefix: str, family: int, protocol: int, source: str, address: str, request: int, reply: int) -> None:
        self.prefix = prefix
        self.sent: list[float] = []
        self.answered: set[int] = set()
        self._address, self._request, self._reply = address, request, reply
        self._header = 20 if family == socket.AF_INET else 0  # a raw IPv4 socket hands out the IP header too
        self._socket = socket.socket(family, socket.SOCK_RAW | socket.SOCK_NONBLOCK, protocol)
        self._socket.bind((source, 0))

    def send(self) -> None:
        """The next one; where there is no route, it is lost at once."""
        number = len(self.sent)
        self.sent.append(time.time())
        empty = _ECHO.pack(self._request, 0, 0, _IDENTIFIER, number)
        with suppress(OSError):
            self._socket.sendto(_ECHO.pack(self._request, 0, checksum(empty), _IDENTIFIER, number), (self._address, 0))

    def receive(self) -> None:
        """Take in the answers that have come."""
        with suppress(BlockingIOError):
            while message := self._socket.recv(2048)[self._header :]:
                kind, _, _, identifier, number = _ECHO.unpack_from(message.ljust(_ECHO.size, b"\0"))
                if (kind, identifier) == (self._reply, _IDENTIFIER):
                    self.answered.add(number)

    def close(self) -> None:
        """No more."""
        self._socket.close()
