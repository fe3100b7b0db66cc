"""What should exist for a port, from its inventory record and what the kernel says of its links. Pure."""

from collections.abc import Iterator, Mapping
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Interface, IPv6Network

from l3ctl.model import (
    METRIC_BLACKHOLE,
    Announcement,
    GatewayAddress,
    Host,
    LinkFacts,
    Liveness,
    Neighbour,
    Port,
    PortPolicy,
    PortState,
    Prefix,
    Route,
    Settings,
    alone,
)

METRIC_IPV6 = 201
"""Of every IPv6 route. Not the kernel's own 1024 or 256 nor a routing daemon's 32: on one prefix and metric, routes of two owners would
join into one multipath route or replace each other (IPv6 knows a route by these two alone)."""

_GATEWAYS = 16
"""the same on every port, and made once: to make one for each of ten thousand takes as long as their routes"""


def route_metric(prefix: Prefix) -> int:
    """The metric a prefix's route carries, always the same.

    An IPv4 route's is its address as a number: the kernel keeps routes of one device that are alike but for their prefix in one list, and
    adding to it is quadratic: 7.5 s for 20,000, against 0.1 s where each metric is its own.
    """
    address = prefix.network_address
    return int(address) if isinstance(address, IPv4Address) else METRIC_IPV6


def desired(port: Port, links: Mapping[str, LinkFacts], settings: Settings, *, away: bool = False) -> PortState:
    """The wanted state of one port; `away`: its host is known not to be there, which is the same as a link that is down.

    Without its netdevs there is nothing to install on. With them, filter and neighbours stand whether the link is up or not, so that the
    first frame after link-up meets them; routes and announcements only while it is up, so that a host that moved to another router is
    reached there and not through a dead port here. Where the filter sits on another netdev, the host is behind that one, and a bridge
    above it may be up for others' sake: both must be.
    """
    layer3, guard = links.get(port.interface), links.get(port.guard)
    if layer3 is None or guard is None:
        return PortState()
    up = not away and is_up(port, links, settings)
    return PortState(
        policy=desired_policy(port, links, settings),
        addresses=_gateway_addresses(port, layer3, settings),
        neighbours=frozenset(_neighbours(port)) if layer3.admin_up else frozenset(),
        routes=frozenset(_routes(port, layer3.table)) if up else frozenset(),
        announcements=frozenset(_announcements(port, settings.covers)) if up and port.announce else frozenset(),
    )


def is_up(port: Port, links: Mapping[str, LinkFacts], settings: Settings) -> bool:
    """Whether a port's host can be reached, as far as the links tell."""
    if liveness_of(port, settings) is Liveness.PROBE:
        return all(netdev in links and links[netdev].admin_up for netdev in (port.interface, port.guard))
    return all(netdev in links and links[netdev].up for netdev in (port.interface, port.guard))


def liveness_of(port: Port, settings: Settings) -> Liveness:
    """What says whether its host is there."""
    return settings.liveness if port.liveness is None else port.liveness


def desired_beside(interface: str, links: Mapping[str, LinkFacts], settings: Settings) -> PortState:
    """The wanted state of a netdev that is no port's: on an uplink the upstream routers' neighbours; without an interface, blackholes.

    What covers the hosts' prefixes is announced whether they are up or not; the blackhole is the route that it rests on.
    """
    if not interface:
        return PortState(
            routes=frozenset(Route("", prefix, None, METRIC_BLACKHOLE) for prefix in settings.blackholes),
            announcements=frozenset(Announcement(prefix, None) for prefix in settings.covers),
        )
    here = links.get(interface)
    admin_up = here is not None and here.admin_up
    return PortState(neighbours=frozenset(one for one in settings.uplinks if one.interface == interface and admin_up))


def desired_policy(port: Port, links: Mapping[str, LinkFacts], settings: Settings) -> PortPolicy | None:
    """What the filter should know of a port; None without its netdevs."""
    layer3, guard = links.get(port.interface), links.get(port.guard)
    if layer3 is None or guard is None:
        return None
    return port_policy(port, layer3.lladdr, settings, guard)


def port_policy(port: Port, router_lladdr: str, settings: Settings, guard: LinkFacts | None = None) -> PortPolicy:
    """What the filter is to know of a port, the router being `router_lladdr` there. `guard` is None where that netdev is not here."""
    hosts = (Host(host.lladdr, host.link_local, tuple(sorted(host.ipv6)), tuple(sorted(host.ipv4))) for host in port.hosts)
    return PortPolicy(
        port=port.name,
        guard=port.guard,
        vlan_id=port.vlan_id,
        router_lladdr=router_lladdr,
        hosts=tuple(sorted(hosts, key=lambda host: host.lladdr)),
        gateways=(*sorted(settings.gateway_ipv4), *sorted(settings.gateway_ipv6)),
        mode=port.mode or settings.mode,
        source_guard=settings.source_guard if port.source_guard is None else port.source_guard,
        router_solicitations_pass=settings.router_solicitations_pass,
        unknown_vlan_drop=settings.unknown_vlan_drop,
        answer_rate=settings.answer_rate,
        answer_burst=settings.answer_burst,
        qinq=port.qinq,
        proxy_arp=tuple(sorted(settings.proxy_arp)),
        probed=liveness_of(port, settings).probes,
        tags_may_be_hidden=port.vlan_id is not None and guard is not None and guard.may_hide_tags,
    )


def _gateway_addresses(port: Port, layer3: LinkFacts, settings: Settings) -> frozenset[GatewayAddress]:
    """Link-local gateways only, and only while the netdev is administratively up: down, the kernel takes IPv6 addresses away."""
    if not layer3.admin_up:
        return frozenset()
    return frozenset(GatewayAddress(port.interface, _on_its_link(gateway)) for gateway in settings.gateway_ipv6 if gateway.is_link_local)


@lru_cache(_GATEWAYS)
def _on_its_link(gateway: IPv6Address) -> IPv6Interface:
    return IPv6Interface((gateway, 64))


def _neighbours(port: Port) -> Iterator[Neighbour]:
    for host in port.hosts:
        yield Neighbour(port.interface, host.link_local, host.lladdr)
        yield from (Neighbour(port.interface, address, host.lladdr) for address in host.ipv4)


def _routes(port: Port, table: int) -> Iterator[Route]:
    """Of fe80::/64 the hosts' own addresses alone are there: the router must not look for any other a customer may name.

    All of them in the table of the netdev's VRF: what is in main, a packet in the VRF finds only where nothing ends its search before.
    """
    for host in port.hosts:
        yield Route(port.interface, alone(host.link_local), None, METRIC_IPV6, table)
        yield from (Route(port.interface, prefix, host.link_local, route_metric(prefix), table) for prefix in host.prefixes())


def _announcements(port: Port, covers: tuple[Prefix, ...]) -> Iterator[Announcement]:
    """What is within a cover of this router is at home here, and reached by it; elsewhere the longer prefix wins."""
    for host in port.hosts:
        for prefix in host.prefixes():
            if not any(is_within(prefix, cover) for cover in covers):
                yield Announcement(prefix, host.link_local, port.attributes)


def is_within(prefix: Prefix, cover: Prefix) -> bool:
    """Whether all of a prefix is covered; never by one of the other family."""
    if isinstance(prefix, IPv4Network):
        return isinstance(cover, IPv4Network) and prefix.subnet_of(cover)
    return isinstance(cover, IPv6Network) and prefix.subnet_of(cover)
