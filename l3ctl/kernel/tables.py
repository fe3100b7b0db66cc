"""The kernel as the agent sees it: links, what is installed, and a way to change it."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from l3ctl.kernel import apply, found, links
from l3ctl.kernel.apply import Failure
from l3ctl.kernel.events import RECEIVE_BUFFER, Events
from l3ctl.kernel.found import Found, Look
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.sysctl import Sysctls
from l3ctl.model import Change, LinkFacts


class Kernel:
    """Links, neighbours, routes and gateway addresses of the network namespace the thread is in when this is made.

    Every method raises `NetlinkFailed` when the kernel does not answer; what was done is then unknown until the next `read`.
    """

    def __init__(self, sysctl_memory: Path | None = None) -> None:
        self._socket = NetlinkSocket()
        self.sysctls = Sysctls(sysctl_memory)
        """those of ports, and what they were before, kept in the file `sysctl_memory`"""
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
        return self._links.read()

    def link(self, which: str | int) -> LinkFacts | None:
        """One link by name or ifindex; None when there is no such link."""
        return links.read_link(self._socket, which)

    def read(self, interfaces: Collection[str] | None = None) -> Found:
        """What is installed, everywhere or on these interfaces."""
        return self.understand(self.look(interfaces))

    def look(self, interfaces: Collection[str] | None = None) -> Look:
        """The same, not yet understood: which costs a tenth, and is enough to see that nothing has changed."""
        return found.look(self._socket, interfaces)

    def understand(self, seen: Look) -> Found:
        """What a look showed; others' routes are as they are now."""
        return found.understand(self._socket, seen)

    def apply(self, changes: Sequence[Change], *, take_over: bool = False) -> list[Failure]:
        """Add, replace and remove gateway addresses, neighbours and routes, in order; what failed, the rest being done.

        What another has put in the place of ours is left there, and named, unless `take_over`.
        """
        return apply.apply(self._socket, changes, take_over=take_over)

    def watch(self, receive_buffer: int = RECEIVE_BUFFER) -> Events:
        """Events, from now on, of the namespace the thread is in, but for those our own requests cause."""
        return Events(self._socket.port_id, receive_buffer)
