"""What l3ctl says to ExaBGP: one command for one peer, as text. Pure.

Three of ExaBGP 5's habits decide the form:

- A withdraw must repeat the announce word for word, only the verb changed, or it may overtake it: pending updates are grouped by attribute
  set and the groups go out in the order they came to be.
- A command addressed to several peers is answered `done` when only one of them exists, so each command names exactly one.
- The family of a whole command is that of its last prefix: IPv4 prefixes among IPv6 ones go out as garbage, and are answered `done`.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_network

from l3ctl.errors import AnnouncementRefused
from l3ctl.model import Address, Announcement, PathAttributes, Verb
from l3ctl.peering import BgpSettings, NextHop, Peer

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


_WELL_KNOWN = {
    (65535, 65281): "no-export",
    (65535, 65282): "no-advertise",
    (65535, 65283): "no-export-subconfed",
    (65535, 65284): "no-peer",
    (65535, 666): "blackhole",
}
"""as ExaBGP shows them; every other is two numbers. Not `graceful-shutdown`: ExaBGP finds the command `shutdown` in it, and obeys"""


def attributes_text(next_hop: Address, attributes: PathAttributes, *, internal: bool) -> str:
    """The attributes of an announcement, spelled and ordered as ExaBGP shows them, so that what it holds can be compared.

    `internal`: to a peer of our own AS, the only ones that are told a local preference.
    """
    words = [f"next-hop {next_hop} med {attributes.med or 0}"]
    if internal and attributes.local_preference is not None:
        words.append(f"local-preference {attributes.local_preference}")
    if communities := attributes.communities:
        words.append("community " + _listed([_WELL_KNOWN.get((one[0], one[1])) or _numbers(one) for one in sorted(communities)]))
    if large_communities := attributes.large_communities:
        words.append("large-community " + _listed([_numbers(one) for one in sorted(large_communities)]))
    return " ".join(words)


def _numbers(community: Iterable[int]) -> str:
    return ":".join(map(str, community))


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else f"[ {' '.join(words)} ]"


class Wording:
    """How announcements are put to each peer: for one peer and one announcement always in the same words."""

    def __init__(self, settings: BgpSettings) -> None:
        self.peers = {str(peer.address): peer for peer in settings.peers}
        for peer in settings.peers:
            if not isinstance(peer.next_hop, NextHop) and peer.next_hop.version != 6:
                raise AnnouncementRefused(
                    f"peer {peer.address}: next hop {peer.next_hop} cannot carry IPv6 prefixes",
                    "give an IPv6 next hop; it carries IPv4 too (RFC 8950)",
                )
        self._local_as, self._defaults = settings.local_as, settings.attributes
        self._link_locals: dict[str, IPv6Address] = {}
        self._said: dict[tuple[str, Address, PathAttributes], str] = {}

    def resolve(self, peer: str, link_local: IPv6Address) -> bool:
        """What this router's link-local is on the link to a peer whose next hop it is. Whether that is news."""
        news = self._link_locals.get(peer) != link_local
        self._link_locals[peer] = link_local
        return news

    def attributes(self, peer: str, announcement: Announcement) -> str | None:
        """What the peer is to be told; None while there is no next hop to tell.

        The next hop is always spelled out, as `next-hop self` for IPv4 over an IPv6 session silently sends the router id; and it is an IPv6
        one for both families (RFC 8950), as an IPv4 one for an IPv6 prefix is answered `done` and ignored by the peer.
        """
        next_hop = self._next_hop(self.peers[peer], announcement)
        if next_hop is None:
            return None
        key = peer, next_hop, announcement.attributes
        if key not in self._said:
            internal = self.peers[peer].remote_as == self._local_as
            self._said[key] = attributes_text(next_hop, announcement.attributes.or_else(self._defaults), internal=internal)
        return self._said[key]

    def _next_hop(self, peer: Peer, announcement: Announcement) -> Address | None:
        if peer.next_hop is NextHop.HOST:
            return announcement.host or peer.local_address
        if peer.next_hop is NextHop.LINK_LOCAL:
            return self._link_locals.get(str(peer.address))
        return peer.next_hop


def is_prefix(text: str) -> bool:
    """Whether it is written as we and ExaBGP write a prefix."""
    try:
        return "%" not in text and str(ip_network(text)) == text  # a zone may be of any length
    except ValueError:
        return False
