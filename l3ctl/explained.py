"""What is known of one port, address, MAC or prefix, from its record to the peers that have it, and whether packets reach it.

Everything is looked at anew, as the backends tell it; that it was so a moment ago is of no help to somebody who asks at 3 a.m.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from l3ctl.asking import Answer
from l3ctl.desired import is_within, liveness_of
from l3ctl.diff import diff
from l3ctl.errors import AgentRefused
from l3ctl.lladdr import format_lladdr, understand_lladdr
from l3ctl.log import recall
from l3ctl.model import MAIN_TABLE, Host, LinkFacts, Port, PortState, Prefix
from l3ctl.names import ANSWERS
from l3ctl.router import Router
from l3ctl.status import Apart, unannounced
from l3ctl.xdp import clock

AT_MOST = 100
"""customers explained at a time"""
EVENTS = 10
"""told of each, at most"""


@dataclass(frozen=True, slots=True)
class _Subject:
    """What somebody asked for, as billing knows it: all of a port, a host of it, or one prefix of a host."""

    port: Port
    host: Host | None = None
    prefix: Prefix | None = None

    def hosts(self) -> tuple[Host, ...]:
        return self.port.hosts if self.host is None else (self.host,)

    def prefixes(self) -> tuple[Prefix, ...]:
        return (self.prefix,) if self.prefix is not None else tuple(prefix for host in self.hosts() for prefix in host.prefixes())


def explained(router: Router, asked: str, apart: Apart | None = None, strangers: Mapping[str, str] | None = None) -> Answer:
    """All that is known of it, as plain JSON; several where several are meant.

    `apart`, and the `strangers` that were heard lately, a MAC a port, are None without an agent.

    Raises:
        AgentRefused: nobody on this router is billed for it.
    """
    subjects = _subjects(router, asked)
    if not subjects:
        raise AgentRefused(_of_nobody(router, asked), "`l3ctl status` lists the ports; of other routers' it knows nothing")
    if len(subjects) > AT_MOST:
        raise AgentRefused(f"{asked} is {len(subjects)} of this router's customers", "name a smaller prefix; `l3ctl ports` lists all")
    names = {one.port.name for one in subjects}
    links = _links(router, [router.ports[name] for name in names])
    if router.filter is not None:
        router.filter.refresh_of(names)
    states = router.present.states(names, links)
    found = []
    for one in subjects:
        name = one.port.name
        found.append(_explained(router, one, links, states.get(name, PortState()), apart or Apart(), (strangers or {}).get(name)))
    return {"asked": asked, "found": found}


def _links(router: Router, ports: Iterable[Port]) -> dict[str, LinkFacts]:
    """Those of these ports as they are now. The others, where an agent follows them, as it knows them: it takes a second to read 10,000."""
    links = dict(router.links) or router.kernel.links()
    for netdev in {netdev for port in ports for netdev in (port.interface, port.guard)} if router.links else ():
        facts = router.kernel.link(netdev)
        if facts is not None:
            links[netdev] = facts
        else:
            links.pop(netdev, None)
    return links


def _subjects(router: Router, asked: str) -> list[_Subject]:
    """Whoever is meant: by a port's name, else by a MAC, an address or a prefix, else by a netdev's name."""
    ports = router.ports
    if asked in ports:
        return [_Subject(ports[asked])]
    every = ((port, host) for port in ports.values() for host in port.hosts)
    if raw := understand_lladdr(asked):
        return [_Subject(port, host) for port, host in every if host.lladdr == format_lladdr(raw)]
    try:
        wanted = ip_network(asked, strict=False)
    except ValueError:
        return [_Subject(port) for port in ports.values() if asked in (port.interface, port.guard)]
    if wanted.is_link_local:
        return [_Subject(port, host) for port, host in every if host.link_local == wanted.network_address]
    billed = [_Subject(port, host, prefix) for port, host in _near(ports.values(), wanted) for prefix in host.prefixes()]
    around = [one for one in billed if one.prefix is not None and is_within(wanted, one.prefix)]
    longest = max((one.prefix.prefixlen for one in around if one.prefix), default=0)
    within = [one for one in billed if one.prefix is not None and one.prefix != wanted and is_within(one.prefix, wanted)]
    return [one for one in around if one.prefix and one.prefix.prefixlen == longest] or within


def _near(ports: Iterable[Port], wanted: Prefix) -> Iterator[tuple[Port, Host]]:
    """Hosts that have anything within a prefix, or around it. By numbers, in plain loops: of 10,000 hosts all are looked at for one."""
    first = int(wanted.network_address)
    last = first | int(wanted.hostmask)
    if wanted.version == 4:
        for port in ports:
            for host in port.hosts:
                for address in host.ipv4:
                    if first <= int(address) <= last:
                        yield port, host
                        break
        return
    for port in ports:
        for host in port.hosts:
            for prefix in host.ipv6:
                start = int(prefix.network_address)
                if start <= last and start | (1 << 128 - prefix.prefixlen) - 1 >= first:
                    yield port, host
                    break


def _of_nobody(router: Router, asked: str) -> str:
    """What it is, where it is no customer's."""
    settings = router.settings
    try:
        address: IPv4Address | IPv6Address | None = ip_address(asked)
    except ValueError:
        address = None
    if address in settings.gateway_ipv4 or address in settings.gateway_ipv6:
        return f"{asked} is the gateway's own address"
    for uplink in settings.uplinks:
        if asked in (str(uplink.address), uplink.lladdr, uplink.interface):
            return f"{asked} is the uplink's: {uplink}"
    covers = [str(one) for one in settings.blackholes if address is not None and address in one]
    beside = f"; packets for it end in the blackhole {covers[0]}" if covers else ""
    return f"no port of this router is billed for {asked}{beside}"


def _explained(
    router: Router, subject: _Subject, links: Mapping[str, LinkFacts], have: PortState, apart: Apart, stranger: str | None
) -> dict[str, object]:
    port = subject.port
    want = router.wanted(port.name, links)
    lladdrs = {host.lladdr for host in subject.hosts()}
    targets = {*subject.prefixes(), *(ip_network(host.link_local) for host in subject.hosts())}
    missing = diff(port.name, have, want)
    announcements = [_announcement(router, prefix, want, have) for prefix in subject.prefixes()]
    facts: dict[str, object] = {
        "port": port.name,
        "host": subject.host.lladdr if subject.host else None,
        "prefix": str(subject.prefix) if subject.prefix else None,
        "record": _record(router, port),
        "link": {name: _link(links.get(name)) for name in dict.fromkeys((port.interface, port.guard))},
        "neighbours": _both(
            [one for one in have.neighbours if one.lladdr in lladdrs], [one for one in want.neighbours if one.lladdr in lladdrs]
        ),
        "routes": _both([one for one in have.routes if one.prefix in targets], [one for one in want.routes if one.prefix in targets]),
        "leads_to": _leads_to(router, subject, links),
        "filter": _filter(router, port, have),
        "announcements": announcements,
        "stranger": stranger if stranger not in {host.lladdr for host in port.hosts} else None,
        "differs": [f"{change.verb} {change.item}" for change in missing],
        "events": _events(subject),
    }
    obstacles = [*_obstacles(router, port, links, apart), *_lacking(router, facts, have, announcements), *_another(facts)]
    because = obstacles[0] if obstacles else _reached(announcements, router, have) + (_beside(facts) if facts["stranger"] else "")
    return facts | {"reachable": not obstacles, "because": because}


def _leads_to(router: Router, subject: _Subject, links: Mapping[str, LinkFacts]) -> dict[str, str | None]:
    """Of each prefix, the netdev by which packets leave; nothing of a port in a VRF, which looks for them in another table."""
    facts = links.get(subject.port.interface)
    if facts is None or facts.table != MAIN_TABLE:
        return {}
    return {str(prefix): router.kernel.leads_to(prefix.network_address) for prefix in subject.prefixes()}


def _record(router: Router, port: Port) -> dict[str, object]:
    settings = router.settings
    return {
        "interface": port.interface,
        "guard": port.guard,
        "vlan": port.vlan_id,
        "mode": port.mode or settings.mode,
        "source_guard": settings.source_guard if port.source_guard is None else port.source_guard,
        "liveness": liveness_of(port, settings),
        "announce": port.announce,
        "hosts": [
            {
                "mac": host.lladdr,
                "link_local": str(host.link_local),
                "ipv6": [str(one) for one in host.ipv6],
                "ipv4": [str(one) for one in host.ipv4],
            }
            for host in port.hosts
        ],
    }


def _link(facts: LinkFacts | None) -> dict[str, object] | None:
    if facts is None:
        return None
    state = "up" if facts.up else "no carrier" if facts.admin_up else "down"
    return {"ifindex": facts.ifindex, "kind": facts.kind, "mac": facts.lladdr, "mtu": facts.mtu, "state": state}


def _both(have: Iterable[object], want: Iterable[object]) -> list[dict[str, object]]:
    """What is there and what should be."""
    there, wanted = {str(one) for one in have}, {str(one) for one in want}
    return [{"text": one, "there": one in there, "wanted": one in wanted} for one in sorted(there | wanted)]


def _filter(router: Router, port: Port, have: PortState) -> dict[str, object]:
    if router.filter is None:
        return {"mode": None, "on": None, "policy": None, "counters": {}, "last_seen": None}
    policy, seen = have.policy, router.filter.seen(port.name)
    return {
        "mode": policy.mode if policy is not None and policy.guard else None,
        "on": policy.guard if policy is not None else None,
        "policy": str(policy) if policy is not None else None,
        "counters": router.filter.counters_of(port.name),
        "last_seen": round((clock.now() - seen) / 1e9, 1) if seen else None,
    }


def _announcement(router: Router, prefix: Prefix, want: PortState, have: PortState) -> dict[str, object]:
    speaker = router.speaker
    peers = speaker.peers() if speaker is not None else {}
    holds = speaker.holders(prefix) if speaker is not None else {}
    return {
        "prefix": str(prefix),
        "wanted": any(one.prefix == prefix for one in want.announcements),
        "wished": any(one.prefix == prefix for one in have.announcements),
        "peers": {peer: {"session": state, "has": holds.get(peer, False) and state == "up"} for peer, state in peers.items()},
    }


def _events(subject: _Subject) -> list[dict[str, object]]:
    """The latest first: of the port, and those that name one of the prefixes."""
    words = {f"port={subject.port.name}", *map(str, subject.prefixes())}
    return [{"at": at, "text": text} for at, text in recall(words, EVENTS)]


def _obstacles(router: Router, port: Port, links: Mapping[str, LinkFacts], apart: Apart) -> Iterable[str]:
    """What of the port itself keeps packets from it, the weightiest first."""
    for netdev in dict.fromkeys((port.interface, port.guard)):
        facts = links.get(netdev)
        if facts is None:
            yield f"its netdev {netdev} is not there"
        elif not facts.admin_up:
            yield f"its netdev {netdev} is down (ip link set {netdev} up)"
        elif not facts.up and not router.is_up(port.name):
            yield f"its link {netdev} has no carrier"
    if port.name in router.away:
        how = "somebody said that it has gone" if liveness_of(port, router.settings) == "external" else "its host answers no probes"
        yield f"its link is up, and {how}"
    if port.name in apart.held_down:
        yield f"its link flaps, so it is not announced for {apart.held_down[port.name]:.0f} s more"


def _lacking(router: Router, facts: Mapping[str, object], have: PortState, announcements: Sequence[Mapping[str, object]]) -> Iterable[str]:
    """What of the router or its peers does."""
    for kind in ("neighbours", "routes"):
        entries = facts[kind]
        assert isinstance(entries, list)
        for one in entries:
            if one["wanted"] and not one["there"]:
                yield f"the router lacks the {one['text']}; `l3ctl plan` says what else, and an agent puts it right"
    leads = facts["leads_to"]
    assert isinstance(leads, dict)
    for prefix, netdev in leads.items():
        if netdev != router.ports[str(facts["port"])].interface:
            where = f"leave by {netdev}" if netdev else "go nowhere"
            yield f"packets to {prefix} {where}: a route that is not ours wins (ip route get {prefix.partition('/')[0]})"
    if have.policy is not None and not have.policy.guard:
        yield "the filter's records are there, and its program is not on the netdev, or does not ask them"
    if router.speaker is None:
        return
    name = str(facts["port"])
    for one in announcements:
        prefix, peers = one["prefix"], one["peers"]
        assert isinstance(peers, dict)
        if not one["wanted"]:
            why = unannounced(router, name, [ip_network(str(prefix))])
            if why not in ("covered", None):
                yield f"{prefix} is not announced: {why}"
        elif not any(peer["has"] for peer in peers.values()):
            silent = [address for address, peer in peers.items() if peer["session"] != "up"]
            if router.speaker.held() is None:
                yield f"{prefix} is wished, and no relay is connected: is ExaBGP running?"
            elif len(silent) == len(peers):
                yield f"{prefix} is wished, and no session is up: {', '.join(silent)}"
            else:
                yield f"{prefix} is wished, and ExaBGP has not taken it yet, or refuses it (`l3ctl status`)"


def _another(facts: Mapping[str, object]) -> Iterable[str]:
    """Everything is there, and it is for a MAC that has never asked for its gateway, while another one has tried."""
    filter_ = facts["filter"]
    assert isinstance(filter_, dict)
    if facts["stranger"] and not set(ANSWERS) & filter_["counters"].keys():
        yield f"all is there for a MAC that was never heard{_beside(facts)}"


def _beside(facts: Mapping[str, object]) -> str:
    return f", but frames come from {facts['stranger']}, which is not billed there: a changed NIC, a wrong record, or a bridge"


def _reached(announcements: Sequence[Mapping[str, object]], router: Router, have: PortState) -> str:
    """Why packets do reach it."""
    guarded = f"filter in {have.policy.mode}" if have.policy is not None and have.policy.guard else "no filter"
    said = f"link up, permanent neighbour, route, {guarded}"
    if router.speaker is None or not announcements:
        return said
    peers = [one["peers"] for one in announcements if isinstance(one["peers"], dict)]
    having = {peer for told in peers for peer, how in told.items() if how["has"]}
    if having:
        return f"{said}; {len(having)} of {len(peers[0])} peers have {'it' if len(announcements) == 1 else 'its prefixes'}"
    return f"{said}; within a cover that this router announces"
