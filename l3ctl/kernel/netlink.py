"""A conversation with rtnetlink: many messages per send, failures by sequence number, dumps that are whole.

Owns one socket in the network namespace its thread was in when it was made. Knows nothing of what the messages mean.
"""

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import NoReturn, Self, TypeVar

from l3ctl.errors import NetlinkFailed
from l3ctl.kernel.bulk import Uniform
from l3ctl.kernel.steady import Steady
from l3ctl.kernel.wire import (
    HEADER,
    NLM_F_ACK,
    NLM_F_DUMP,
    NLM_F_DUMP_INTR,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
    Message,
    Received,
    Refusal,
    refusal,
    split,
)

T = TypeVar("T")

SOL_NETLINK = 270
_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK = 10, 11, 12
_SO_RCVBUFFORCE, _SO_NETNS_COOKIE = 33, 71
_SIOCGIFNAME, _SIOCGIFINDEX = 0x8910, 0x8933
_IFREQ = struct.Struct("=16si20x")

RECEIVE_BUFFER = 8 << 20
MESSAGES_PER_SEND = 400
_ANSWER_COST = 1024
"""bytes of receive buffer an answer takes, measured 835"""
_DATAGRAM = 65536
"""more than the 32 KiB the kernel fills for one read of a dump"""
_DUMP_TRIES = 20


def open_route_socket(receive_buffer: int) -> socket.socket:
    """A NETLINK_ROUTE socket with this receive buffer, or, without CAP_NET_ADMIN, as much of it as net.core.rmem_max allows."""
    opened = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
    try:
        opened.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, receive_buffer)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    return opened


class NetlinkSocket:
    """One request socket. Not for two threads at a time."""

    def __init__(self, timeout: float = 10.0, receive_buffer: int = RECEIVE_BUFFER) -> None:
        self._timeout = timeout
        self._receive_buffer = receive_buffer
        self._sequence = 0
        self._open(0)
        self.port_id: int = self._socket.getsockname()[0]
        """what the kernel puts as nlmsg_pid into the events our requests cause"""

    def _open(self, port_id: int) -> None:
        self._socket = open_route_socket(self._receive_buffer)
        for option in (_NETLINK_CAP_ACK, _NETLINK_EXT_ACK, _NETLINK_GET_STRICT_CHK):
            self._socket.setsockopt(SOL_NETLINK, option, 1)
        self._socket.settimeout(self._timeout)
        self._socket.bind((port_id, 0))
        self._namespace = self._socket.getsockopt(socket.SOL_SOCKET, _SO_NETNS_COOKIE, 8)
        room = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF)
        self._per_send = max(1, min(MESSAGES_PER_SEND, room // _ANSWER_COST))

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def batch(self, messages: Iterable[Message]) -> dict[int, Refusal]:
        """Send all, in order; those the kernel refused, by their index. The others are done when this returns.

        Only the last message of each send asks for an ACK: the kernel answers a failed one in any case, and goes on with the rest.

        Raises:
            NetlinkFailed: no answer in time, or answers lost: what was done is unknown, read before doing anything else.
        """
        refused: dict[int, Refusal] = {}
        for index, received in self._converse(messages):
            if received.type == NLMSG_ERROR and (why := refusal(received)):
                refused[index] = why
        return refused

    def bulk(self, groups: Iterable[Uniform]) -> dict[int, Refusal]:
        """As `batch`, of groups of requests that are alike: those that the kernel refused, by the place they came from."""
        refused: dict[int, Refusal] = {}
        for group in groups:
            total = len(group.places)
            first = self._next_sequences(total)
            for start, raw in zip(range(0, total, self._per_send), group.sends(self._per_send, first), strict=True):
                self._send(raw)
                for number, received in self._answers(first + start, min(self._per_send, total - start) - 1):
                    if received.type == NLMSG_ERROR and (why := refusal(received)):
                        refused[group.places[start + number]] = why
        return refused

    def ask(self, messages: Sequence[Message]) -> list[bytes | Refusal]:
        """Send requests for one object each; the object, or why there is none, in the order of the requests."""
        answers: list[bytes | Refusal] = [Refusal(errno.ENODATA, "no answer")] * len(messages)
        for index, received in self._converse(messages):
            if received.type != NLMSG_ERROR:
                answers[index] = received.payload
            elif why := refusal(received):
                answers[index] = why
        return answers

    def _converse(self, messages: Iterable[Message]) -> Iterator[tuple[int, Received]]:
        source = iter(messages)
        start = 0
        while chunk := list(islice(source, self._per_send)):
            first = self._next_sequences(len(chunk))
            last = len(chunk) - 1
            parts: list[bytes] = []
            for number, (kind, flags, payload) in enumerate(chunk):
                flags |= NLM_F_REQUEST | NLM_F_ACK if number == last else NLM_F_REQUEST
                parts.append(HEADER.pack(HEADER.size + len(payload), kind, flags, first + number, 0))
                parts.append(payload)
            self._send(b"".join(parts))
            for number, received in self._answers(first, last):
                yield start + number, received
            start += len(chunk)

    def _answers(self, first: int, last: int) -> Iterator[tuple[int, Received]]:
        """What the kernel says to the requests numbered from `first`, by their place among them, until that at `last` is acknowledged."""
        done = False
        while not done:
            for received in self._receive():
                number = (received.sequence - first) & 0xFFFFFFFF
                if number <= last:
                    yield number, received
                    done = done or (number == last and received.type == NLMSG_ERROR)

    def dump(self, request: Message, parse: Callable[[bytes], T | None]) -> list[T]:
        """What ``parse`` makes of every object of a dump, without the Nones.

        A dump during which the kernel's table changed (NLM_F_DUMP_INTR) may miss objects and is made again. A table or link that does
        not exist (ENOENT, ENODEV: a fresh namespace has no IPv4 main table) has nothing in it.
        """
        return self._dump(request, lambda sequence: self._read_dump(sequence, parse))

    def dump_blocks(self, request: Message, steady: Steady) -> list[bytes]:
        """The same, datagram by datagram, as messages that read alike as long as nothing changes; `split` makes objects of them."""
        return self._dump(request, lambda sequence: self._read_blocks(sequence, steady))

    def _dump(self, request: Message, read: Callable[[int], list[T] | None]) -> list[T]:
        for _ in range(_DUMP_TRIES):
            sequence = self._next_sequences(1)
            flags = request.flags | NLM_F_REQUEST | NLM_F_DUMP
            header = HEADER.pack(HEADER.size + len(request.payload), request.type, flags, sequence, 0)
            self._send(header + request.payload)
            try:
                found = read(sequence)
            except BaseException:
                # the kernel refuses another dump on this socket (EBUSY) until the rest of this one is read
                self._reopen()
                raise
            if found is not None:
                return found
        raise NetlinkFailed(f"the kernel's tables changed during {_DUMP_TRIES} dumps in a row", "find what keeps changing them")

    def _read_dump(self, sequence: int, parse: Callable[[bytes], T | None]) -> list[T] | None:
        found: list[T] = []
        interrupted = False
        while True:
            for received in self._receive():
                if received.sequence != sequence:
                    continue
                interrupted = interrupted or bool(received.flags & NLM_F_DUMP_INTR)
                if received.type in (NLMSG_DONE, NLMSG_ERROR):
                    _end_of_dump(received)
                    return None if interrupted else found
                one = parse(received.payload)
                if one is not None:
                    found.append(one)

    def _read_blocks(self, sequence: int, steady: Steady) -> list[bytes] | None:
        blocks: list[bytes] = []
        interrupted = False
        while True:
            datagram = self._receive_raw()
            if (table := steady.table(datagram)) is not None:
                _, _, flags, of, _ = HEADER.unpack_from(datagram)
                if of == sequence:
                    interrupted = interrupted or bool(flags & NLM_F_DUMP_INTR)
                    blocks.append(table)
                continue
            kept: list[bytes] = []
            for received in split(datagram):
                if received.sequence != sequence:
                    continue
                interrupted = interrupted or bool(received.flags & NLM_F_DUMP_INTR)
                if received.type in (NLMSG_DONE, NLMSG_ERROR):
                    _end_of_dump(received)
                    blocks.append(b"".join(kept))
                    return None if interrupted else blocks
                kept.append(steady.message(received))
            blocks.append(b"".join(kept))

    def _next_sequences(self, count: int) -> int:
        """The first of so many in a row; they begin again at 0 rather than exceed their 32 bits."""
        first = self._sequence if self._sequence + count <= 1 << 32 else 0
        self._sequence = first + count
        return first

    def _send(self, raw: bytes | memoryview) -> None:
        try:
            self._socket.send(raw)
        except OSError as error:
            self._fail(f"netlink takes no request: {error.strerror or error}", error)

    def _receive(self) -> Iterator[Received]:
        return split(self._receive_raw())

    def _receive_raw(self) -> bytes:
        try:
            return self._socket.recv(_DATAGRAM)
        except TimeoutError as error:
            self._fail(f"netlink did not answer within {self._timeout:g} s", error)
        except OSError as error:
            # ENOBUFS: answers were lost, and with them what became of their messages
            self._fail(f"netlink's answers were lost: {error.strerror}", error)

    def _fail(self, what: str, cause: OSError) -> NoReturn:
        self._reopen()
        raise NetlinkFailed(what, "state is read again before the next change") from cause

    def _reopen(self) -> None:
        """A fresh socket under the same port id, so that nothing of an unfinished conversation is left to be taken for an answer."""
        namespace = self._namespace
        self._socket.close()
        self._open(self.port_id)
        if self._namespace != namespace:
            self._socket.close()
            raise NetlinkFailed("the thread has moved to another network namespace since its netlink socket was opened")

    def index_of(self, name: str) -> int | None:
        """The ifindex of a netdev of the socket's namespace; None when there is none of that name."""
        raw = name.encode()
        if len(raw) > 15:
            return None
        with suppress(OSError):
            index: int = _IFREQ.unpack(fcntl.ioctl(self._socket, _SIOCGIFINDEX, _IFREQ.pack(raw, 0)))[1]
            return index
        return None

    def name_of(self, index: int) -> str | None:
        """The name of a netdev of the socket's namespace; None when the ifindex is gone."""
        with suppress(OSError):
            raw: bytes = _IFREQ.unpack(fcntl.ioctl(self._socket, _SIOCGIFNAME, _IFREQ.pack(b"", index)))[0]
            return raw.rstrip(b"\0").decode()
        return None


def _end_of_dump(received: Received) -> None:
    """Raise where a dump ended with a refusal."""
    why = refusal(received)
    if why and why.errno not in (errno.ENOENT, errno.ENODEV):
        raise NetlinkFailed(f"a dump was refused: {os.strerror(why.errno)} {why.text}".rstrip())
