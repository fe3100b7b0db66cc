"""What is wrong with records that are good by their own text: among themselves, and by what a router keeps for itself."""

from collections.abc import Hashable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Address
from typing import TypeVar

from l3ctl.errors import Problem
from l3ctl.inventory.claims import Claim, Claims, Entry, ipv4_claims, ipv6_claims
from l3ctl.model import Address, Host, Prefix
from l3ctl.reading.document import Loc

Thing = TypeVar("Thing", bound=Hashable)


@dataclass(frozen=True, slots=True)
class Reserved:
    """What a router keeps for itself, and no host there may have.

    `sessions` are the addresses its BGP sessions run between and its uplinks are at, `uplinks` netdevs, `blackholes` what it answers for
    where no host does.
    """

    router: str = ""
    gateways: frozenset[Address] = frozenset()
    sessions: frozenset[Address] = frozenset()
    uplinks: frozenset[str] = frozenset()
    blackholes: tuple[Prefix, ...] = ()
    numbers: frozenset[int] = field(init=False)
    """of all these addresses: they are looked up by those first, as an address takes five times as long"""
    own_ipv6: tuple[IPv6Address, ...] = field(init=False)
    """of the sessions', in order"""

    def __post_init__(self) -> None:
        """Work out what is asked of every record."""
        object.__setattr__(self, "numbers", frozenset(map(int, self.gateways | self.sessions)))
        object.__setattr__(self, "own_ipv6", tuple(sorted(one for one in self.sessions if isinstance(one, IPv6Address))))


NOTHING = Reserved()
_SHORTEST = {4: 32, 6: 48}
"""prefix lengths that a host can be billed: nothing shorter lies within one"""


def conflicts(entries: Iterable[Entry], reserved: Reserved) -> Iterator[Problem]:
    """Every breach between records, and between a record and what the router keeps for itself."""
    claims = Claims()
    for entry in entries:
        for problem, _ in claims.collisions(entry):
            yield problem
        claims.add(entry)
        yield from faults(entry, reserved)


def faults(entry: Entry, reserved: Reserved) -> Iterator[Problem]:
    """What is wrong with a record whatever the others say, and could not be told from its own text."""
    hosts = entry.port.hosts
    if len(hosts) > 1 or len(hosts[0].ipv4) > 1 or len(hosts[0].ipv6) > 1:
        yield from _within_port(entry)
    if reserved.gateways:
        yield from _gateways(entry, reserved)
    if reserved.sessions:
        yield from _sessions(entry, reserved)
    if (reserved.uplinks or reserved.blackholes) and entry.router in (None, reserved.router):
        yield from _on_the_router(entry, reserved)


def _within_port(entry: Entry) -> Iterator[Problem]:
    for address, first, later in _repeats(ipv4_claims(entry)):
        yield Problem(later.place, f"{later.port} is billed {address} twice, first at {first.place}", "bill it once")
    for prefix, first, later in _repeats(ipv6_claims(entry)):
        yield Problem(later.place, f"{later.port} is billed {prefix} twice, first at {first.place}", "bill it once")
    hosts: Sequence[tuple[Loc, Host]] = list(entry.hosts)
    if len(hosts) == 1:
        return
    same_mac = set()
    for lladdr, first, later in _repeats((host.lladdr, Claim(entry, (*loc, "mac"))) for loc, host in hosts):
        same_mac.add(later.loc[:-1])
        yield Problem(later.place, f"{later.port} has MAC {lladdr} twice, first at {first.place}", "make them one host")
    others = [(loc, host) for loc, host in hosts if loc not in same_mac]
    for link_local, first, later in _repeats((host.link_local, Claim(entry, entry.link_local(loc))) for loc, host in others):
        yield Problem(later.place, f"{later.port} has link-local {link_local} twice, first at {first.place}", "give each host its own")


def _gateways(entry: Entry, reserved: Reserved) -> Iterator[Problem]:
    gateways, numbers = reserved.gateways, reserved.numbers
    for loc, host in entry.hosts:
        if int(host.link_local) in numbers and host.link_local in gateways:
            yield _is_gateway(Claim(entry, entry.link_local(loc)), host.link_local)
        for index, address in enumerate(host.ipv4):
            if int(address) in numbers and address in gateways:
                yield _is_gateway(Claim(entry, (*loc, "ipv4", index)), address)
        for index, prefix in enumerate(host.ipv6):
            if prefix.prefixlen == 128 and prefix.network_address in gateways:
                yield _is_gateway(Claim(entry, (*loc, "ipv6", index)), prefix.network_address)


def _sessions(entry: Entry, reserved: Reserved) -> Iterator[Problem]:
    for address, claim in ipv4_claims(entry):
        if int(address) in reserved.numbers and address in reserved.sessions:
            yield _is_needed(claim, IPv4Network(address), address)
    for prefix, claim in ipv6_claims(entry):
        first, last = int(prefix.network_address), int(prefix.network_address) | (1 << 128 - prefix.prefixlen) - 1
        for own in reserved.own_ipv6:
            if first <= int(own) <= last:
                yield _is_needed(claim, prefix, own)


def _on_the_router(entry: Entry, reserved: Reserved) -> Iterator[Problem]:
    """What would be right elsewhere."""
    port = entry.port
    for netdev in dict.fromkeys((port.guard, port.interface)):
        if netdev in reserved.uplinks:
            loc = entry.attached() if netdev == port.interface else entry.guarded()
            what = f"port '{port.name}' is on {netdev}, which is an uplink"
            yield entry.source.problem(loc, what, "customers and upstream routers want netdevs of their own")
    long = [blackhole for blackhole in reserved.blackholes if blackhole.prefixlen >= _SHORTEST[blackhole.version]]
    for prefix, claim in _billed(entry) if long else ():
        for blackhole in long:
            if blackhole.version == prefix.version and blackhole.prefixlen >= prefix.prefixlen and blackhole[0] in prefix:
                what = f"{claim.port} claims {prefix}, and {blackhole} within it is a blackhole or a cover of the router"
                yield Problem(claim.place, what, "let blackholes and covers be what the hosts' prefixes are within")


def _billed(entry: Entry) -> Iterator[tuple[Prefix, Claim]]:
    for address, claim in ipv4_claims(entry):
        yield IPv4Network(address), claim
    yield from ipv6_claims(entry)


def _is_needed(claim: Claim, prefix: Prefix, own: Address) -> Problem:
    what = f"{claim.port} claims {prefix}, and with it {own}, which the router's BGP sessions or uplinks need"
    return Problem(claim.place, what, "bill another")


def _is_gateway(claim: Claim, address: Address) -> Problem:
    return Problem(claim.place, f"{claim.port} claims {address}, which is a gateway address of the router", "bill another")


def _repeats(claims: Iterable[tuple[Thing, Claim]]) -> Iterator[tuple[Thing, Claim, Claim]]:
    """Each thing claimed again, with who claimed it first."""
    first: dict[Thing, Claim] = {}
    for thing, claim in claims:
        earlier = first.setdefault(thing, claim)
        if earlier is not claim:
            yield thing, earlier, claim
