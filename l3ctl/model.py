"""What l3ctl talks about, as frozen value types. No I/O, standard library only.

The same types hold what is wanted (``desired``) and what was found (``kernel``, ``xdp``, ``bgp``), so that one pure ``diff`` serves both.
Link-layer addresses are canonical text: six lower-case hex bytes joined by colons.
"""

import enum
from dataclasses import astuple, dataclass, fields
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

METRIC_BLACKHOLE = 2**31 - 1
"""of a blackhole: loses against any other route of the same prefix"""
MAIN_TABLE = 254
"""the kernel's routing table of what is in no VRF (RT_TABLE_MAIN)"""
UPPER_KINDS = frozenset(("bond", "bridge", "ipvlan", "ipvtap", "macvlan", "macvtap", "team"))
"""netdevs that another's receive handler feeds: generic XDP sees no VLAN tag there, and native XDP, where there is any, sees all"""
_TAGS_SHOWN = UPPER_KINDS | {"", "dummy", "tun", "vlan"}
"""netdevs on which a trunk that the filter takes has its tags in the frames; a plain NIC has no kind"""
Prefix = IPv4Network | IPv6Network
Address = IPv4Address | IPv6Address


def alone(address: Address) -> Prefix:
    """The prefix that has just this address. Made of its number: else it would be written as text, and that read, which takes long."""
    return IPv4Network(int(address)) if isinstance(address, IPv4Address) else IPv6Network(int(address))


class Mode(enum.StrEnum):
    """Whether the filter's drops are carried out, or only counted."""

    ENFORCE = "enforce"
    AUDIT = "audit"


class Liveness(enum.StrEnum):
    """What says that a port's host is there. Behind a switch the trunk's carrier says nothing of the host's own cable."""

    CARRIER = "carrier"
    PROBE = "probe"
    """answers alone; the carrier is not looked at"""
    CARRIER_PROBE = "carrier+probe"
    EXTERNAL = "external"
    """the carrier, and somebody's word"""

    @property
    def probes(self) -> bool:
        """Whether the host is asked."""
        return self in (Liveness.PROBE, Liveness.CARRIER_PROBE)


@dataclass(frozen=True, slots=True)
class PathAttributes:
    """What an announcement carries besides its next hop. None: as the router's settings say."""

    med: int | None = None
    local_preference: int | None = None
    """told to internal peers only (RFC 4271, 5.1.5)"""
    communities: tuple[tuple[int, ...], ...] | None = None
    large_communities: tuple[tuple[int, ...], ...] | None = None
    """triples (RFC 8092), in order; the others are pairs (RFC 1997)"""

    def __str__(self) -> str:
        """What is not as the settings say, each with a blank before it."""
        return "".join(f" {one.name} {text_of(value)}" for one in fields(self) if (value := getattr(self, one.name)) is not None)

    def or_else(self, defaults: "PathAttributes") -> "PathAttributes":
        """What is None here taken from there."""
        return PathAttributes(*(there if here is None else here for here, there in zip(astuple(self), astuple(defaults), strict=True)))


@dataclass(frozen=True, slots=True)
class Host:
    """A MAC with everything billed to it."""

    lladdr: str
    link_local: IPv6Address
    ipv6: tuple[IPv6Network, ...] = ()
    ipv4: tuple[IPv4Address, ...] = ()

    def prefixes(self) -> tuple[Prefix, ...]:
        """Every billed network, IPv4 addresses as /32, in billing's order."""
        return (*self.ipv6, *map(alone, self.ipv4))


@dataclass(frozen=True, slots=True)
class Port:
    """A guarded attachment: ``interface`` is the layer-3 netdev; the filter sits on ``guard``, on ``vlan_id`` where that is a trunk.

    ``qinq``: frames may carry a second tag, of whatever VLAN id. What is None is as the router's settings say.
    """

    name: str
    interface: str
    guard: str
    vlan_id: int | None
    hosts: tuple[Host, ...]
    qinq: bool = False
    mode: Mode | None = None
    source_guard: bool | None = None
    announce: bool = True
    attributes: PathAttributes = PathAttributes()
    liveness: Liveness | None = None


class XdpMode(enum.StrEnum):
    """How the filter attaches: ``auto`` is native on NICs and taps, generic on veth (native there costs the port's TCP 60%)."""

    AUTO = "auto"
    NATIVE = "native"
    GENERIC = "generic"


@dataclass(frozen=True, slots=True)
class Settings:
    """What holds for every port of this router. ``answer_rate`` is answers per second and port."""

    gateway_ipv6: tuple[IPv6Address, ...]
    gateway_ipv4: tuple[IPv4Address, ...]
    mode: Mode = Mode.ENFORCE
    source_guard: bool = False
    router_solicitations_pass: bool = False
    unknown_vlan_drop: bool = False
    answer_rate: int = 100
    answer_burst: int = 200
    proxy_arp: tuple[IPv4Network, ...] = ()
    """whose addresses the router answers ARP for, as their gateway: hosts that think their neighbours are on their link reach them so"""
    uplinks: "tuple[Neighbour, ...]" = ()
    """upstream routers, on netdevs that are no port's: permanent, so that no flood can starve them"""
    blackholes: tuple[Prefix, ...] = ()
    """what covers the hosts' prefixes: packets for one that is not there must not follow the default route back to where they came from"""
    liveness: Liveness = Liveness.CARRIER
    probe_interval: int = 1000
    """milliseconds between two probes of a host"""
    probe_misses: int = 3
    """how many in a row stay unanswered until it is away"""
    covers: tuple[Prefix, ...] = ()
    """those of the blackholes that are announced themselves, in place of the hosts' prefixes within them"""


@dataclass(frozen=True, slots=True)
class LinkFacts:
    """What the kernel says of a netdev. ``up`` means administratively up and with carrier."""

    name: str
    ifindex: int
    lladdr: str
    kind: str
    admin_up: bool
    up: bool
    mtu: int
    table: int = MAIN_TABLE
    """where the kernel looks for routes when a packet comes in here: that of the VRF which the netdev is in"""

    @property
    def may_hide_tags(self) -> bool:
        """Whether a frame's tag may be beside it in the skb, unseen by XDP: a veth's other end decides; of other kinds, who knows."""
        return self.kind not in _TAGS_SHOWN


@dataclass(frozen=True, slots=True)
class GatewayAddress:
    """A gateway's link-local on a port, so that the router can speak as the gateway (ICMP errors, ping).

    One that is `on_link` brings a route to all of fe80::/64 with it, and one packet of a customer to each of its addresses an entry in the
    neighbour table. None is wanted; the kernel makes one for every netdev that comes up.
    """

    interface: str
    address: IPv6Interface
    on_link: bool = False

    def __str__(self) -> str:
        return f"address {self.address} dev {self.interface}" + (" on-link" if self.on_link else "")


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A permanent ARP or ND entry."""

    interface: str
    address: Address
    lladdr: str

    def __str__(self) -> str:
        return f"neighbour {self.address} lladdr {self.lladdr} dev {self.interface}"


@dataclass(frozen=True, slots=True)
class Route:
    """A route through a host's link-local; an IPv4 one is ``via inet6``. The one to the link-local itself has no next hop.

    One without an interface is a blackhole.
    """

    interface: str
    prefix: Prefix
    next_hop: IPv6Address | None
    metric: int
    table: int = MAIN_TABLE

    def __str__(self) -> str:
        leads = f"via {self.next_hop} dev {self.interface}" if self.next_hop else f"dev {self.interface}"
        where = "" if self.table == MAIN_TABLE else f" table {self.table}"
        return (f"route {self.prefix} {leads}" if self.interface else f"blackhole {self.prefix}") + where


@dataclass(frozen=True, slots=True)
class PortPolicy:
    """What the filter knows of a port. ``hosts`` and ``gateways`` are sorted: two policies that mean the same compare equal."""

    port: str
    guard: str
    vlan_id: int | None
    router_lladdr: str
    hosts: tuple[Host, ...]
    gateways: tuple[Address, ...]
    mode: Mode
    source_guard: bool
    router_solicitations_pass: bool
    unknown_vlan_drop: bool
    answer_rate: int
    answer_burst: int
    qinq: bool = False
    proxy_arp: tuple[IPv4Network, ...] = ()
    tags_may_be_hidden: bool = False
    """the frames of this trunk may have their tag where XDP does not see it: none that seems untagged is told from a port's"""
    probed: bool = False
    """the agent asks the port's hosts whether they are there"""

    def __str__(self) -> str:
        where = (self.guard or "nothing") + ("" if self.vlan_id is None else f" vlan {self.vlan_id}")
        return f"policy {self.mode} on {where} for {' '.join(host.lladdr for host in self.hosts) or 'nobody'}"


@dataclass(frozen=True, slots=True)
class Announcement:
    """A prefix to be in BGP, and the host's link-local it is reached by; None of one that covers others, which a blackhole answers for."""

    prefix: Prefix
    host: IPv6Address | None
    attributes: PathAttributes = PathAttributes()

    def __str__(self) -> str:
        return f"prefix {self.prefix}{self.attributes}"


@dataclass(frozen=True, slots=True)
class PortState:
    """All that exists, or should exist, for one port."""

    policy: PortPolicy | None = None
    addresses: frozenset[GatewayAddress] = frozenset()
    neighbours: frozenset[Neighbour] = frozenset()
    routes: frozenset[Route] = frozenset()
    announcements: frozenset[Announcement] = frozenset()


Item = PortPolicy | GatewayAddress | Neighbour | Route | Announcement


class Verb(enum.StrEnum):
    """What a change does to its item; also the words of the log."""

    ADD = "add"
    REPLACE = "replace"
    REMOVE = "remove"
    ANNOUNCE = "announce"
    WITHDRAW = "withdraw"


@dataclass(frozen=True, slots=True)
class Change:
    """One step of a plan."""

    port: str
    verb: Verb
    item: Item
    was: Item | None = None

    def __str__(self) -> str:
        return f"{self.verb} {self.item}"


def text_of(value: int | tuple[tuple[int, ...], ...]) -> str:
    """A path attribute's: a number, or communities."""
    return str(value) if isinstance(value, int) else ",".join(":".join(map(str, one)) for one in value) or "none"
