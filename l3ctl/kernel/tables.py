"""The kernel as the agent sees it: links, what is installed, and a way to change it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from ipaddress import IPv6Address
from pathlib import Path
from typing import Self

from l3ctl.kernel import addresses, apply, found, links, routes
from l3ctl.kernel.apply import Failure
from l3ctl.kernel.events import RECEIVE_BUFFER, Events
from l3ctl.kernel.found import Foreign, Found, Look, Names
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.sysctl import Sysctls, Trust
from l3ctl.kernel.trusting import trust_of, trusting
from l3ctl.kernel.wire import Refusal
from l3ctl.kernel.xdp_state import XdpState, xdp_state
from l3ctl.model import MAIN_TABLE, Address, Change, LinkFacts, Neighbour

_LINKS_AT_ONCE = 100
"""that are asked for in one send: an answer is three times as long as others, and may not overflow a small receive buffer"""


class Kernel:
    """Links, neighbours, routes and gateway addresses of the network namespace the thread is in when this is made.

    Every method raises `NetlinkFailed` when the kernel does not answer; what was done is then unknown until the next `read`.
    """

    def __init__(self, sysctl_memory: Path | None = None) -> None:
        self._socket = NetlinkSocket()
        self.sysctls = Sysctls(sysctl_memory)
        """those of ports, and what they were before, kept in the file `sysctl_memory`"""
        self._tables = {MAIN_TABLE}
        """where routes of ours may be: those of every netdev and every route of ours that was heard of"""
        self._links = links.Links(self._socket)

    def close(self) -> None:
        """Close the request socket; what `watch` returned is closed by its owner."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def links(self) -> dict[str, LinkFacts]:
        """Every link, by name."""
        found = self._links.read()
        self._tables.update(facts.table for facts in found.values())
        return found

    def link(self, which: str | int) -> LinkFacts | None:
        """One link by name or ifindex; None when there is no such link."""
        found = links.read_link(self._socket, which)
        if found is not None:
            self._tables.add(found.table)
        return found

    def trusting(self) -> set[str]:
        """The netdevs, of all there are, whose sysctls are not as a port's should be."""
        return {name for name in self._socket.dump(links.pack_link_request(), trusting) if name}

    def trust(self, interfaces: Sequence[str]) -> dict[str, Trust]:
        """What the sysctls of these are that are not as a port's should be, by name. One that is not there is left out."""
        found: dict[str, Trust] = {}
        for start in range(0, len(interfaces), _LINKS_AT_ONCE):
            some = interfaces[start : start + _LINKS_AT_ONCE]
            answers = self._socket.ask([links.pack_link_request(name=name) for name in some])
            found |= {one.name: one for answer in answers if not isinstance(answer, Refusal) for one in [trust_of(answer)]}
        return found

    def xdp_states(self) -> dict[str, XdpState]:
        """The netdevs that have an XDP program, whosever it is."""
        return dict(one for one in self._socket.dump(links.pack_link_request(), xdp_state) if one)

    def read(self, interfaces: Collection[str] | None = None) -> Found:
        """What is installed, everywhere or on these interfaces."""
        seen = self.look(interfaces)
        found = self.understand(seen)
        return found if interfaces is not None else replace(found, foreign=(*found.foreign, *self.rivals(seen)))

    def look(self, interfaces: Collection[str] | None = None) -> Look:
        """The same, not yet understood: which costs a tenth, and is enough to see that nothing has changed.

        At everything it finds a route of ours in whatever table; on a few interfaces, in those tables that links, events or looks told of.
        """
        return found.look(self._socket, interfaces, self._tables)

    def understand(self, seen: Look, interfaces: Collection[str] | None = None) -> Found:
        """What a look showed, everywhere or on these of the interfaces that it was at; `""` is for what leads nowhere."""
        understood = found.understand(Names(self._socket), seen, interfaces)
        self._tables.update({route.table for route in understood.routes})
        return understood

    def interfaces(self, seen: Look, links: Mapping[str, LinkFacts]) -> set[str]:
        """Where there was anything. Names are asked for of what is not among these links."""
        names = Names(self._socket)
        names.update((facts.ifindex, name) for name, facts in links.items())
        return {names[ifindex] if ifindex else "" for ifindex in seen.entries()}

    def rivals(self, seen: Look) -> tuple[Foreign, ...]:
        """Others' routes of the same prefixes as ours in a look at everything, as they are now."""
        return tuple(found.rivals(self._socket, Names(self._socket), seen))

    def leads_to(self, address: Address) -> str | None:
        """The netdev that packets to an address leave by, whoever's route wins; None where they go nowhere."""
        (answer,) = self._socket.ask([routes.pack_lookup(address)])
        return None if isinstance(answer, Refusal) else self._socket.name_of(routes.goes_out(answer))

    def links_of(self, interface: str | None, address: Address) -> set[int]:
        """The netdev of this name, or those that have the address, by ifindex."""
        if interface is not None:
            link = self.link(interface)
            return {link.ifindex} if link is not None else set()
        return {entry.ifindex for entry in self._addresses() if entry.address.ip == address}

    def link_local(self, ifindexes: Collection[int]) -> IPv6Address | None:
        """Our link-local on one of these netdevs; None where there is none."""
        own = (entry.address.ip for entry in self._addresses() if entry.ifindex in ifindexes and entry.address.is_link_local)
        return next(own, None)

    def _addresses(self) -> list[addresses.AddressEntry]:
        seen = self._socket.dump(addresses.pack_dump(None), addresses.parse)
        return [entry for entry in seen if entry is not None]

    def holds(self, neighbours: Collection[Neighbour]) -> bool:
        """Whether all of these are there as they should be. Each is asked for, so that it does not matter how many others there are."""
        return found.holds(self._socket, neighbours)

    def apply(self, changes: Sequence[Change], *, take_over: bool = False) -> list[Failure]:
        """Add, replace and remove gateway addresses, neighbours and routes, in order; what failed, the rest being done.

        What another has put in the place of ours is left there, and named, unless `take_over`.
        """
        return apply.apply(self._socket, changes, take_over=take_over)

    def watch(self, receive_buffer: int = RECEIVE_BUFFER) -> Events:
        """Events, from now on, of the namespace the thread is in, but for those our own requests cause."""
        return Events(self._socket.port_id, receive_buffer, self._tables)
