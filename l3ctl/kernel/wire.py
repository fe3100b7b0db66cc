"""Netlink's envelope: headers, attributes, and the numbers l3ctl uses. Pure; no sockets.

Owns the layout of linux/netlink.h only; what goes inside is in ``messages`` and ``links``. All integers are in the machine's order.
"""

import struct
from collections.abc import Iterator
from typing import NamedTuple

PROTOCOL = 201
"""What marks routes, neighbours and addresses as l3ctl's; ``l3ctl`` in /etc/iproute2/rt_protos.d."""

NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR, NLM_F_ACK_TLVS = 0x1, 0x4, 0x10, 0x200
NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE, NLM_F_APPEND, NLM_F_DUMP = 0x100, 0x200, 0x400, 0x800, 0x300

RTM_NEWLINK, RTM_DELLINK, RTM_GETLINK = 16, 17, 18
RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 20, 21, 22
RTM_NEWROUTE, RTM_DELROUTE, RTM_GETROUTE = 24, 25, 26
RTM_NEWNEIGH, RTM_DELNEIGH, RTM_GETNEIGH = 28, 29, 30

HEADER = struct.Struct("=IHHII")
"""nlmsg_len, nlmsg_type, nlmsg_flags, nlmsg_seq, nlmsg_pid"""
_ATTRIBUTE = struct.Struct("=HH")
_TYPE_MASK = 0x3FFF
"""NLA_F_NESTED and NLA_F_NET_BYTEORDER share the type's field."""
_ERRNO = struct.Struct("=i")
_NLMSGERR_ATTR_MSG = 1


Columns = dict[bytes, tuple[int, int]]
"""Of a payload, what differs between such as are alike else, by name: offset and length."""


class Message(NamedTuple):
    """A request without its header: the socket gives it a sequence number."""

    type: int
    flags: int
    payload: bytes


class Received(NamedTuple):
    """A message as it came in."""

    type: int
    flags: int
    sequence: int
    payload: bytes


class Refusal(NamedTuple):
    """Why the kernel refused a message: ``errno``, positive, and the extended ACK's text, where it gave one."""

    errno: int
    text: str


def attribute(kind: int, value: bytes) -> bytes:
    """One attribute, padded to four bytes; its length field leaves the padding out."""
    return _ATTRIBUTE.pack(4 + len(value), kind) + value + bytes(-len(value) % 4)


def attributes(payload: bytes, offset: int) -> dict[int, bytes]:
    """The attributes from ``offset`` on, by type. A length that cannot be ends the walk: the kernel is trusted, the walk still ends."""
    found: dict[int, bytes] = {}
    end = len(payload)
    unpack = _ATTRIBUTE.unpack_from
    while offset + 4 <= end:
        length, kind = unpack(payload, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = payload[offset + 4 : offset + length]
        offset += (length + 3) & ~3
    return found


def spans(payload: bytes, offset: int) -> dict[int, tuple[int, int]]:
    """Where the values of these attributes stand, by type: offset and length."""
    found: dict[int, tuple[int, int]] = {}
    while offset + 4 <= len(payload):
        length, kind = _ATTRIBUTE.unpack_from(payload, offset)
        if length < 4:
            break
        found[kind & _TYPE_MASK] = offset + 4, length - 4
        offset += (length + 3) & ~3
    return found


def split(datagram: bytes) -> Iterator[Received]:
    """The messages of one datagram."""
    offset, end = 0, len(datagram)
    while offset + HEADER.size <= end:
        length, kind, flags, sequence, _ = HEADER.unpack_from(datagram, offset)
        if length < HEADER.size:
            return
        yield Received(kind, flags, sequence, datagram[offset + HEADER.size : offset + length])
        offset += (length + 3) & ~3


def messages(row: bytes) -> Iterator[bytes]:
    """The same, whole and padded, so that they can stand in a row again."""
    offset = 0
    while offset + HEADER.size <= len(row):
        (length, *_) = HEADER.unpack_from(row, offset)
        if length < HEADER.size:
            return
        end = offset + ((length + 3) & ~3)
        yield row[offset:end]
        offset = end


def refusal(received: Received) -> Refusal | None:
    """What an NLMSG_ERROR or NLMSG_DONE says; None where it says that all is well.

    An error repeats the request's header before the attributes (NETLINK_CAP_ACK leaves its payload out); the end of a dump does not.
    """
    if len(received.payload) < _ERRNO.size:
        return None
    (number,) = _ERRNO.unpack_from(received.payload)
    if number == 0:
        return None
    offset = _ERRNO.size + (HEADER.size if received.type == NLMSG_ERROR else 0)
    text = attributes(received.payload, offset).get(_NLMSGERR_ATTR_MSG, b"") if received.flags & NLM_F_ACK_TLVS else b""
    return Refusal(-number, text.rstrip(b"\0").decode(errors="replace"))
