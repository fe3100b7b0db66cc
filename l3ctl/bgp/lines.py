"""What l3ctl says to ExaBGP: one command for one peer, as text. Pure.

Three of ExaBGP 5's habits decide the form:

- A withdraw must repeat the announce word for word, only the verb changed, or it may overtake it: pending updates are grouped by attribute
  set and the groups go out in the order they came to be.
- A command addressed to several peers is answered `done` when only one of them exists, so each command names exactly one.
- The family of a whole command is that of its last prefix: IPv4 prefixes among IPv6 ones go out as garbage, and are answered `done`.
"""

from dataclasses import dataclass

from l3ctl.errors import AnnouncementRefused
from l3ctl.model import BgpSettings, Peer, Verb

Key = tuple[str, str]
"""What ExaBGP's routes are told apart by: (address of the peer, prefix), both as text."""


@dataclass(frozen=True, slots=True)
class Command:
    """Announce or withdraw prefixes of one family to one peer."""

    verb: Verb
    peer: str
    attributes: str
    prefixes: tuple[str, ...]

    def __str__(self) -> str:
        return f"neighbor {self.peer} {self.verb} attributes {self.attributes} nlri {' '.join(self.prefixes)}"

    def routes(self) -> list[Key]:
        """The routes it is about."""
        return [(self.peer, prefix) for prefix in self.prefixes]


def attributes(peer: Peer, med: int) -> str:
    """The attributes of every announcement to this peer: constant, so that changes of one prefix stay in order.

    The next hop is always spelled out, as `next-hop self` for IPv4 over an IPv6 session silently sends the router id; and it is an IPv6
    one for both families (RFC 8950), as an IPv4 one for an IPv6 prefix is answered `done` and ignored by the peer.
    """
    if peer.next_hop.version != 6:
        raise AnnouncementRefused(
            f"peer {peer.address}: next hop {peer.next_hop} cannot carry IPv6 prefixes",
            "give an IPv6 next hop; it carries IPv4 too (RFC 8950)",
        )
    return f"next-hop {peer.next_hop} med {med}"


def attributes_by_peer(settings: BgpSettings) -> dict[str, str]:
    """Address of each peer, as text -> the attributes of what it is told."""
    return {str(peer.address): attributes(peer, settings.med) for peer in settings.peers}
