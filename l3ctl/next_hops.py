"""Next hops that are this router's own link-local on the link to a peer: looked up again whenever something happens on that link."""

from collections.abc import Collection
from ipaddress import IPv6Address

from l3ctl.bgp.speaker import Speaker
from l3ctl.kernel.tables import Kernel
from l3ctl.peering import BgpSettings, NextHop


class NextHops:
    """Those of a router's peers. Of a link-local that has gone the last one is kept: that is told, and the session may be gone with it."""

    def __init__(self, settings: BgpSettings | None, kernel: Kernel, speaker: Speaker | None) -> None:
        self._peers = [peer for peer in settings.peers if peer.next_hop is NextHop.LINK_LOCAL] if settings is not None else []
        self._kernel, self._speaker = kernel, speaker
        self._links: set[int] = set()

    def are_concerned(self, ifindexes: Collection[int]) -> bool:
        """Whether something happened on one of their links."""
        return not self._links.isdisjoint(ifindexes)

    def resolve(self) -> list[str]:
        """Look all of them up, and tell the speaker; what is missing. Raises `NetlinkFailed`."""
        missing = []
        links: set[int] = set()
        for peer in self._peers:
            here = self._kernel.links_of(peer.interface, peer.local_address)
            link_local: IPv6Address | None = self._kernel.link_local(here)
            links |= here
            if link_local is None:
                missing.append(f"peer {peer.address}: this router has no link-local address on that link; give it one")
            elif self._speaker is not None:
                self._speaker.resolve(peer, link_local)
        self._links = links or self._links
        return missing
