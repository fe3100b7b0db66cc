"""What others announce, as far as peers let this router hear it, and what of it is also announced here. No I/O.

A route whose next hop is this router's own is its own announcement, come back. Any other route for a prefix that is announced here means
that a host is on two routers at once: by mistake, or for the moment in which it moves.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from l3ctl.bgp.hearing import LIMIT
from l3ctl.peering import BgpSettings

LASTS = 1.0
"""seconds after which it is no move any more; one takes some hundredths"""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A prefix of ours that is announced with another next hop too, as this peer says (and perhaps others)."""

    prefix: str
    next_hop: str
    peer: str


class Others:
    """The book of one router. The relay bounds how much is in it, and so do we: who runs as ExaBGP's user may be another."""

    def __init__(self, settings: BgpSettings) -> None:
        self._own = {str(address) for peer in settings.peers for address in (peer.next_hop, peer.local_address)}
        self._routes: dict[str, dict[str, str]] = {}
        """peer -> prefix -> next hop"""
        self._since: dict[tuple[str, str], float] = {}
        """(prefix, next hop) of each that is a duplicate now -> when it was first seen to be one"""
        self.overflowing: set[str] = set()
        """peers that say more than is kept"""

    def announce(self, peer: str, prefix: str, next_hop: str) -> bool:
        """A peer has this route now, and no other for this prefix. False where there are more than a relay keeps."""
        routes = self._routes.setdefault(peer, {})
        if next_hop in self._own:
            routes.pop(prefix, None)
        else:
            routes[prefix] = next_hop
        return len(routes) <= LIMIT

    def withdraw(self, peer: str, prefix: str) -> None:
        """A peer has it no more."""
        self._routes.get(peer, {}).pop(prefix, None)

    def forget(self, peer: str) -> None:
        """Its session ended, or began."""
        self._routes.pop(peer, None)
        self.overflowing.discard(peer)

    def clear(self) -> None:
        """Nothing is known any more."""
        self._routes.clear()
        self.overflowing.clear()

    def lasting(self, announced: AbstractSet[str], now: float) -> list[Duplicate]:
        """What has been a duplicate for a while, `announced` being what is announced here. To be asked often: it sees no sooner."""
        found = {
            (prefix, routes[prefix]): peer
            for peer, routes in sorted(self._routes.items(), reverse=True)
            for prefix in routes.keys() & announced
        }
        self._since = {key: self._since.get(key, now) for key in found}
        return [Duplicate(*key, peer) for key, peer in sorted(found.items()) if now - self._since[key] >= LASTS]
