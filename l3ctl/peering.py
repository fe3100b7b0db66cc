"""What ExaBGP is told of its sessions, as frozen value types. Standard library only."""

import enum
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from l3ctl.model import Address, PathAttributes


class NextHop(enum.StrEnum):
    """A next hop that is another address for each router, or for each host."""

    LINK_LOCAL = "link-local"
    """this router's own, on the link that the session runs over"""
    HOST = "host"
    """the host's link-local: for a peer on its link, or on this router"""


@dataclass(frozen=True, slots=True)
class Peer:
    """A BGP session of this router's ExaBGP. ``next_hop`` is what announcements to this peer carry, for both families (RFC 8950)."""

    address: Address
    remote_as: int
    local_address: Address
    next_hop: Address | NextHop
    interface: str | None = None
    """the link a session over link-local addresses runs on, or whose link-local of ours is the next hop"""
    password_file: Path | None = None
    """holds the key that signs the session's segments (RFC 2385)"""
    ttl_security: bool = False
    """refuse what was not sent on the link itself (RFC 5082)"""
    hear: bool = False
    """whether what the peer announces is listened to, for prefixes that are announced here too"""


@dataclass(frozen=True, slots=True)
class Damping:
    """More than ``flaps`` losses of link ``within`` seconds hold a port down until it was quiet for ``hold`` seconds, then twice that."""

    flaps: int
    within: int
    hold: int
    max_hold: int
    """seconds, however often it is doubled"""


@dataclass(frozen=True, slots=True)
class BgpSettings:
    """What ExaBGP is told: one router, its peers, and what announcements carry where their port says nothing else. Times are seconds."""

    router_id: IPv4Address
    local_as: int
    peers: tuple[Peer, ...]
    med: int = 0
    hold_time: int = 90
    restart_time: int = 120
    """how long a peer keeps our routes while ExaBGP restarts (RFC 4724)"""
    local_preference: int | None = None
    communities: tuple[tuple[int, ...], ...] = ()
    large_communities: tuple[tuple[int, ...], ...] = ()
    damping: Damping | None = None
    user: str | None = None
    """who ExaBGP and its relay run as; None is root"""

    @property
    def attributes(self) -> PathAttributes:
        """What every announcement carries where its port says nothing else."""
        return PathAttributes(self.med, self.local_preference, self.communities, self.large_communities)
