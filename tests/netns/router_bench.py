"""A whole router against the real kernel and the real filter, with a real speaker that no ExaBGP has called yet: it records what is wished.

web1 ── p0 ─── q0      one veth pair a port; the far ends stay in the same namespace
db1  ── p1 ─── q1
        p2 ─── q2      free
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

from l3ctl.diff import stage
from l3ctl.failures import Failed
from l3ctl.kernel.events import Events
from l3ctl.lab.namespaces import Namespace
from l3ctl.lladdr import eui64_link_local
from l3ctl.model import Change, Host, Port, Settings
from l3ctl.peering import Peer
from l3ctl.router import Router
from l3ctl.untold import Untold
from l3ctl.urgent import look_at, withdraw

WHOLE = 20.0
"""seconds after which something has gone wrong"""
SETTINGS = Settings((IPv6Address("fe80::1"),), (IPv4Address("192.0.2.1"),))
PEER = Peer(IPv6Address("2001:db8:ffff::1"), 65000, IPv6Address("2001:db8:ffff::2"), IPv6Address("2001:db8:ffff::2"))


def host(number: int, *prefixes: str) -> Host:
    networks = [ip_network(prefix) for prefix in prefixes]
    lladdr = f"52:54:00:0a:00:{number:02x}"
    return Host(
        lladdr,
        eui64_link_local(lladdr),
        tuple(one for one in networks if one.version == 6),
        tuple(one.network_address for one in networks if one.version == 4),
    )


def port(name: str, netdev: str, *hosts: Host) -> Port:
    return Port(name, netdev, netdev, None, hosts)


WEB = host(11, "2001:db8:11::/64", "2001:db8:11:0:80::/80", "192.0.2.11/32")
DB = host(12, "2001:db8:12::/64", "192.0.2.12/32")
WEB1, DB1 = port("web1", "p0", WEB), port("db1", "p1", DB)
WEB_PREFIXES, DB_PREFIXES = ({str(prefix) for prefix in one.prefixes()} for one in (WEB, DB))
FOREIGN_LLADDR = "02:00:00:00:00:99"


@dataclass
class Bench:
    namespace: Namespace
    router: Router
    events: Events
    pins: Path

    def __post_init__(self) -> None:
        self.untold = Untold(self.router)

    def ip(self, *commands: str) -> None:
        self.namespace.ip(*commands)

    def show(self, *words: str) -> str:
        return self.namespace.run("ip", *words)

    def take_filter_off(self, netdev: str) -> None:
        """As who removes its pin does."""
        (self.pins / f"link-{self.router.links[netdev].ifindex}").unlink()

    def wished(self) -> set[str]:
        assert self.router.speaker is not None
        return {str(one.prefix) for one in self.router.speaker.wanted()}

    def full_pass(self) -> tuple[list[Change], list[Failed]]:
        """Nothing is left announced on no ground, and what was done was done in order, whatever else came of it."""
        made, failed = self.router.full_pass()
        assert [stage(change) for change in made] == sorted(stage(change) for change in made)
        self.assert_founded()
        return made, failed

    def look(self) -> list[Failed]:
        """What the agent does when the selector says that there are events, and at a tick."""
        batch = self.events.read()
        if batch.overrun:
            return self.full_pass()[1]
        ports = self.router.concerned(batch.ifindexes, batch.links_changed) | self.untold.look()
        withdraw(self.router, ports)
        failed = [failure for _, failures in look_at(self.router, ports) for failure in failures] if ports else []
        self.assert_founded()
        return failed

    def settle(self, step: Callable[[], object] | None = None) -> None:
        """Look again at what events tell of until nothing differs."""
        self.until(lambda: self.router.plan() == [], step or self.look)

    def until(self, reached: Callable[[], bool], step: Callable[[], object] = lambda: None) -> None:
        deadline = time.monotonic() + WHOLE
        while not reached():
            assert time.monotonic() < deadline, "\n".join(f"{change.port}: {change}" for change in self.router.plan())
            step()
            time.sleep(0.01)

    def assert_founded(self) -> None:
        """The promise, as far as it can be seen from outside: what is announced has a route, a permanent neighbour and a policy."""
        links = self.router.kernel.links()
        for name, state in self.router.present.states(None, links).items():
            for one in state.announcements:
                route = next((route for route in state.routes if (route.prefix, route.next_hop) == (one.prefix, one.host)), None)
                if route is None or not links[route.interface].up:
                    continue  # lost this moment, and the event is on its way; `settle` ends with nothing left to do
                assert any((each.interface, each.address) == (route.interface, one.host) for each in state.neighbours), (name, one)
                assert state.policy is not None
                assert state.policy.guard, (name, one)

    def leftovers(self, netdev: str) -> str:
        """What of ours is on a netdev."""
        families = [self.show(family, kind, "show", "dev", netdev) for kind in ("route", "neigh", "addr") for family in ("-4", "-6")]
        return "".join(line for shown in families for line in shown.splitlines() if "proto 201" in line or "proto l3ctl" in line)

    def attached(self) -> set[str]:
        assert self.router.filter is not None
        numbers = self.router.filter.attached()
        return {facts.name for facts in self.router.kernel.links().values() if facts.ifindex in numbers}


def veth(name: str) -> tuple[str, ...]:
    peer = name.replace("p", "q")
    # no link-locals of their own: duplicate address detection would make events seconds later
    return f"link add {name} type veth peer name {peer}", *(f"link set {end} addrgenmode none up" for end in (name, peer))
