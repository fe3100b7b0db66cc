"""What others announce, as far as peers let this router hear it, and what of it is also announced here. No I/O.

A route whose next hop is this router's own is its own announcement, come back. Any other route for a prefix that is announced here means
that a host is on two routers at once: by mistake, or for the moment in which it moves.
"""

from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from l3ctl.model import BgpSettings

LASTS = 1.0
"""seconds after which it is no move any more; one takes some hundredths"""


@dataclass(frozen=True, slots=True)
class Duplicate:
    """A prefix of ours that is announced with another next hop too, as this peer says (and perhaps others)."""

    prefix: str
    next_hop: str
    peer: str


class Others:
    """The book of one router. The relay bounds how much is in it."""

    def __init__(self, settings: BgpSettings) -> None:
        self._own = {str(address) for peer in settings.peers for address in (peer.next_hop, peer.local_address)}
        self._routes: dict[str, dict[str, str]] = {}
        """prefix -> peer -> next hop"""
        self._since: dict[tuple[str, str], float] = {}
        """(prefix, next hop) of each that is a duplicate now -> when it was first seen to be one"""
        self.overflowing: set[str] = set()
        """peers that say more than is kept"""

    def announce(self, peer: str, prefix: str, next_hop: str) -> None:
        """A peer has this route now, and no other for this prefix."""
        if next_hop in self._own:
            self.withdraw(peer, prefix)
        else:
            self._routes.setdefault(prefix, {})[peer] = next_hop

    def withdraw(self, peer: str, prefix: str) -> None:
        """A peer has it no more."""
        routes = self._routes.get(prefix, {})
        routes.pop(peer, None)
        if not routes:
            self._routes.pop(prefix, None)

    def forget(self, peer: str) -> None:
        """Its session ended, or began."""
        for prefix in [prefix for prefix, routes in self._routes.items() if peer in routes]:
            self.withdraw(peer, prefix)
        self.overflowing.discard(peer)

    def clear(self) -> None:
        """Nothing is known any more."""
        self._routes.clear()
        self.overflowing.clear()

    def lasting(self, announced: AbstractSet[str], now: float) -> list[Duplicate]:
        """What has been a duplicate for a while, `announced` being what is announced here. To be asked often: it sees no sooner."""
        found = {
            (prefix, next_hop): peer
            for prefix in self._routes.keys() & announced
            for peer, next_hop in sorted(self._routes[prefix].items(), reverse=True)
        }
        self._since = {key: self._since.get(key, now) for key in found}
        return [Duplicate(*key, peer) for key, peer in sorted(found.items()) if now - self._since[key] >= LASTS]
