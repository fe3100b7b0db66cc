"""What happened in the kernel, told as ifindexes to look at again.

Level-triggered: an event is a hint and its content is not believed, but for a link's, which has all of its facts: whoever asks the kernel
for one waits for everybody who is changing links. A filter in the kernel lets only what may concern us into the
socket, so that a flood of learned neighbours, or a BGP daemon at work, can neither fill its buffer nor wake the agent.
"""

import errno
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Self

from l3ctl.kernel import routes
from l3ctl.kernel.event_filter import attach
from l3ctl.kernel.links import parse_event
from l3ctl.kernel.netlink import SOL_NETLINK, open_route_socket
from l3ctl.kernel.wire import (
    PROTOCOL,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELNEIGH,
    RTM_DELROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWNEIGH,
    RTM_NEWROUTE,
    Received,
    split,
)
from l3ctl.model import METRIC_BLACKHOLE, LinkFacts

RECEIVE_BUFFER = 16 << 20
"""room for 40,000 unread events"""
_NETLINK_ADD_MEMBERSHIP = 1
_GROUPS = (1, 3, 5, 7, 9, 11)
"""RTNLGRP_LINK, _NEIGH, _IPV4_IFADDR, _IPV4_ROUTE, _IPV6_IFADDR, _IPV6_ROUTE"""
_LARGEST = 65536
_READ_AT_ONCE = 100_000
"""datagrams, after which a caller gets its turn even if more keep coming"""
_IFINDEX = struct.Struct("=4xi")
"""where ifinfomsg, ndmsg and ifaddrmsg all have it"""
_BY_IFINDEX = frozenset({RTM_NEWLINK, RTM_DELLINK, RTM_NEWNEIGH, RTM_DELNEIGH, RTM_NEWADDR, RTM_DELADDR})


@dataclass(frozen=True, slots=True)
class EventBatch:
    """Look at these interfaces again; at everything after an overrun.

    Of ``ifindexes``, ``links_changed`` had link events, the last of which said this; None: it has gone, or the kernel is to be asked.
    """

    ifindexes: frozenset[int] = frozenset()
    links_changed: Mapping[int, LinkFacts | None] = field(default_factory=dict)
    overrun: bool = False
    """events were lost, or it cannot be told whom one concerns"""


class Events:
    """The events of the network namespace the thread is in when this is made."""

    def __init__(self, own_port_id: int, receive_buffer: int = RECEIVE_BUFFER, tables: set[int] | None = None) -> None:
        """Events caused by requests of the socket with this port id are left out. `tables` learns in which there may be routes of ours."""
        self._tables = set[int]() if tables is None else tables
        self._socket = open_route_socket(receive_buffer)
        self._socket.setblocking(False)
        attach(self._socket, own_port_id)
        self._socket.bind((0, 0))
        for group in _GROUPS:
            self._socket.setsockopt(SOL_NETLINK, _NETLINK_ADD_MEMBERSHIP, group)

    def fileno(self) -> int:
        """For a selector."""
        return self._socket.fileno()

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def read(self) -> EventBatch:
        """All that has come since the last time; empty when nothing has."""
        ifindexes: set[int] = set()
        links_changed: dict[int, LinkFacts | None] = {}
        overrun = False
        for _ in range(_READ_AT_ONCE):
            try:
                datagram = self._socket.recv(_LARGEST)
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                # told once, ahead of older events that are still queued
                overrun = True
                continue
            for received in split(datagram):
                if received.type in (RTM_NEWROUTE, RTM_DELROUTE):
                    concerned = set(self._route_concerns(received))
                    overrun = overrun or 0 in concerned
                    ifindexes |= concerned - {0}
                elif received.type in _BY_IFINDEX:
                    (ifindex,) = _IFINDEX.unpack_from(received.payload)
                    ifindexes.add(ifindex)
                    if received.type in (RTM_NEWLINK, RTM_DELLINK):
                        facts = links_changed[ifindex] = parse_event(received.payload) if received.type == RTM_NEWLINK else None
                        self._tables.update([facts.table] if facts else ())
        return EventBatch(frozenset(ifindexes), links_changed, overrun)

    def _route_concerns(self, received: Received) -> Iterator[int]:
        """The interfaces of one of our routes; 0 for what took the place of one, since that event does not say where ours was.

        A replacing route of another's can only have displaced ours where it has a metric that we give: others' replacements are the
        daily work of a BGP daemon.
        """
        entry = routes.parse(received.payload)
        if entry is None:
            return
        if entry.protocol == PROTOCOL and entry.blackhole:
            yield 0
        elif entry.protocol == PROTOCOL:
            self._tables.add(entry.table)
            yield from (ifindex for ifindex, _ in entry.hops)
        elif entry.metric in (PROTOCOL, METRIC_BLACKHOLE, int(entry.prefix.network_address)):
            yield 0
