"""A BGP peer that only listens, as an instrument: it notes when which prefix was announced or withdrawn. No table, no policy, no timers.

Passive: it waits for one session, takes part in it as far as the other end wants (RFC 4271, with both families of RFC 4760, AS numbers of
RFC 6793 and IPv6 next hops for IPv4 of RFC 8950), and answers each KEEPALIVE with one, which is often enough. Times are `time.monotonic()`,
one clock for all namespaces, taken when the bytes have arrived and before they are understood.
"""

import socket
import struct
import time
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address
from typing import NamedTuple, Self

from l3ctl.errors import LabFailed
from l3ctl.model import Prefix, Verb

PORT = 179
_MARKER = b"\xff" * 16
_HEADER = struct.Struct("!16sHB")
_OPEN, _UPDATE, _NOTIFICATION, _KEEPALIVE = 1, 2, 3, 4
_HOLD_TIME = 180
_CAPABILITIES_PARAMETER = 2
_MULTIPROTOCOL, _EXTENDED_NEXT_HOP, _FOUR_BYTE_AS = 1, 5, 65
_AS_TRANS = 23456
_IPV4, _IPV6, _UNICAST = 1, 2, 1
_MP_REACH, _MP_UNREACH = 14, 15
_EXTENDED_LENGTH = 0x10
_READ_AT_ONCE = 1 << 20


Said = tuple[Verb, int, bytes]
"""Announced or withdrawn, the family, and a prefix as it is encoded: a byte for its length, and as many as that takes. Not the prefix
itself, since making ten thousand of those would delay the reading of the next."""


class Seen(NamedTuple):
    """What one UPDATE said of one prefix, and when it arrived."""

    at: float
    said: Said


def said(verb: Verb, prefixes: Iterable[Prefix]) -> set[Said]:
    """What is to be seen when all of these are announced, or withdrawn."""
    return {(verb, _IPV4 if one.version == 4 else _IPV6, _encode(one)) for one in prefixes}


def _encode(prefix: Prefix) -> bytes:
    return bytes([prefix.prefixlen]) + prefix.network_address.packed[: (prefix.prefixlen + 7) // 8]


class BgpPeer:
    """One end of one session, on `address` of the namespace the thread is in when this is made."""

    def __init__(self, address: IPv6Address, local_as: int, router_id: IPv4Address) -> None:
        self._local_as, self._router_id = local_as, router_id
        self._listener = socket.create_server((str(address), PORT), family=socket.AF_INET6)
        self._session: socket.socket | None = None
        self._unread = bytearray()
        self.established = False

    def fileno(self) -> int:
        """For a selector: what is to be read next, which is another file once the session has come."""
        return (self._session or self._listener).fileno()

    def close(self) -> None:
        """End the session and listen no more."""
        self.drop()
        self._listener.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def drop(self) -> None:
        """End the session, and wait for another."""
        if self._session is not None:
            self._session.close()
        self._session, self.established = None, False
        self._unread.clear()

    def read(self) -> list[Seen]:
        """What has come, once there is something to read.

        Raises:
            LabFailed: the other end has ended the session.
        """
        if self._session is None:
            self._session, _ = self._listener.accept()
            self._session.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            self._session.sendall(_message(_OPEN, self._open()))
            return []
        try:
            chunk = self._session.recv(_READ_AT_ONCE)
        except ConnectionResetError:
            chunk = b""
        at = time.monotonic()
        if not chunk:
            self.drop()
            raise LabFailed("the BGP session has ended")
        self._unread += chunk
        return [Seen(at, one) for kind, body in self._messages() for one in self._heard(kind, body)]

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        while len(self._unread) >= _HEADER.size:
            marker, length, kind = _HEADER.unpack_from(self._unread)
            if marker != _MARKER or length < _HEADER.size:
                raise LabFailed("what arrives is not BGP")
            if len(self._unread) < length:
                return
            body = bytes(self._unread[_HEADER.size : length])
            del self._unread[:length]
            yield kind, body

    def _heard(self, kind: int, body: bytes) -> Iterator[Said]:
        assert self._session is not None
        if kind == _NOTIFICATION:
            raise LabFailed(f"the other end sent NOTIFICATION {body[0]}/{body[1]}")
        if kind in (_OPEN, _KEEPALIVE):
            self.established = self.established or kind == _KEEPALIVE
            self._session.sendall(_message(_KEEPALIVE, b""))
        elif kind == _UPDATE:
            yield from said_by(body)

    def _open(self) -> bytes:
        """OPEN's body."""
        capabilities = b"".join(
            struct.pack("!BB", kind, len(value)) + value
            for kind, value in (
                (_MULTIPROTOCOL, struct.pack("!HxB", _IPV4, _UNICAST)),
                (_MULTIPROTOCOL, struct.pack("!HxB", _IPV6, _UNICAST)),
                (_EXTENDED_NEXT_HOP, struct.pack("!HHH", _IPV4, _UNICAST, _IPV6)),
                (_FOUR_BYTE_AS, struct.pack("!I", self._local_as)),
            )
        )
        parameters = struct.pack("!BB", _CAPABILITIES_PARAMETER, len(capabilities)) + capabilities
        short_as = self._local_as if self._local_as < 1 << 16 else _AS_TRANS
        return struct.pack("!BHH4sB", 4, short_as, _HOLD_TIME, self._router_id.packed, len(parameters)) + parameters


def _message(kind: int, body: bytes) -> bytes:
    return _HEADER.pack(_MARKER, _HEADER.size + len(body), kind) + body


def said_by(update: bytes) -> Iterator[Said]:
    """What the body of an UPDATE says, prefix for prefix."""
    (withdrawn,) = struct.unpack_from("!H", update)
    attributes_at = 2 + withdrawn
    (size,) = struct.unpack_from("!H", update, attributes_at)
    attributes_at += 2
    yield from ((Verb.WITHDRAW, _IPV4, one) for one in _encoded(update[2 : 2 + withdrawn]))
    for kind, value in _attributes(update[attributes_at : attributes_at + size]):
        if kind == _MP_REACH:
            family, next_hop = struct.unpack_from("!HxB", value)
            yield from ((Verb.ANNOUNCE, family, one) for one in _encoded(value[4 + next_hop + 1 :]))
        elif kind == _MP_UNREACH:
            (family,) = struct.unpack_from("!H", value)
            yield from ((Verb.WITHDRAW, family, one) for one in _encoded(value[3:]))
    yield from ((Verb.ANNOUNCE, _IPV4, one) for one in _encoded(update[attributes_at + size :]))


def _attributes(row: bytes) -> Iterator[tuple[int, bytes]]:
    while row:
        extended = row[0] & _EXTENDED_LENGTH
        begins = 4 if extended else 3
        ends = begins + (struct.unpack_from("!H", row, 2)[0] if extended else row[2])
        yield row[1], row[begins:ends]
        row = row[ends:]


def _encoded(row: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(row):
        ends = at + 1 + (row[at] + 7) // 8
        yield row[at:ends]
        at = ends
