"""A router under attack by one of its customers, or from outside, while others are reached for the first time, and one is all along.

    upstream ──uplink0── router ──p0── the attacker
                                ──p1── the innocent, who is pinged
                                ──p2, p3, ...── cold hosts, of whom the router has not heard yet

The customers' ends are in one namespace. Each kind of router has the same netdevs, hosts and addresses. The attacker's port and the uplink
have NAPI threads of their own, whose CPU time is what the attack costs.
"""

import math
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from l3ctl.desired import desired
from l3ctl.diff import in_order
from l3ctl.errors import LabFailed
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.crowd import Crowd, lladdr_of
from l3ctl.lab.customers import ROUTER6, UPSTREAM6
from l3ctl.lab.defences import GATEWAY4, rules
from l3ctl.lab.echoes import Echoes
from l3ctl.lab.line import cpu_of, napi_thread
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Change, Host, Port, Verb

UPSTREAM4 = "203.0.113.1"
COLD = 40
SECONDS = 2.0
"""of an attack"""
_AHEAD = 0.5
"""seconds that it has run when the first cold host is asked for, and the innocent is pinged"""
_PREFIX, _NETWORK = "2001:db8::/48", "10.0.0.0/16"
"""all hosts' addresses; where the router is an ordinary one, they are on-link"""
_BEFORE, _BETWEEN = 0.2, 0.01
"""seconds in which the innocent is met, and between two pings"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack. Latencies are in milliseconds, of the answered pings."""

    sent: int
    neighbours: int
    """by how many the router's table grew"""
    reached: int
    """of the cold hosts"""
    lost: float
    """the share of the innocent's pings"""
    p50: float
    p99: float
    cpu: float
    """nanoseconds of the attacked NAPI thread for each frame sent"""


class Siege(Crowd):
    """`design` makes a router of what has been built."""

    def __init__(self, prefix: str, tag: str, design: Callable[["Siege"], None], more: Mapping[str, object] | None = None) -> None:
        """`tag` begins the names of its netdevs, by which their threads are known; `more` is for the configuration."""
        self._tag, self._uplink, self._more = tag, f"{tag}up", dict(more or {})
        super().__init__(prefix, COLD + 2, trunks=False)
        self.upstream = Namespace(f"{prefix}u")
        self._design = design

    def _port(self, number: int, hosts: tuple[Host, ...]) -> Port:
        netdev = f"{self._tag}{number}"
        return Port(f"port{number}", netdev, netdev, None, hosts)

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [*super().namespaces(), self.upstream]

    def told(self) -> dict[str, object]:
        """What the configuration says: with the upstream."""
        uplinks = [{"interface": self._uplink, "address": UPSTREAM6, "mac": self.upstream_lladdr()}]
        return super().told() | {"uplinks": uplinks} | self._more

    def upstream_lladdr(self) -> str:
        """Of its end of the cable."""
        return self.upstream.run("cat", f"/sys/class/net/{self._uplink}/address").strip()

    def build(self) -> None:
        """The links, all up, with addresses at the far ends; then the router."""
        super().build()
        for one in (self.router, self.upstream):
            one.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1")
        self.far.sysctl("net.ipv4.conf.all.arp_ignore=1", "net.ipv4.conf.all.arp_announce=2", "net.ipv6.conf.all.accept_dad=0")
        self.router.ip(
            f"link add {self._uplink} type veth peer name {self._uplink} netns {self.upstream.name}",
            f"link set {self._uplink} up",  # before the address: else its peer gets no route
            f"addr add {ROUTER6} peer {UPSTREAM6}/128 dev {self._uplink} nodad",
            f"route add {UPSTREAM4}/32 via inet6 {UPSTREAM6} dev {self._uplink} onlink",
        )
        self.upstream.ip(
            f"addr add {UPSTREAM4}/32 dev lo",
            f"link set {self._uplink} up",
            f"addr add {UPSTREAM6} peer {ROUTER6}/128 dev {self._uplink} nodad",
            f"route add {_PREFIX} via {ROUTER6} dev {self._uplink} onlink",
            f"route add {_NETWORK} via inet6 {ROUTER6} dev {self._uplink} onlink",
        )
        steps = []
        for number, port in enumerate(self.ports):
            (host,) = port.hosts
            steps += [
                f"link set {port.interface} address {lladdr_of(number)}",
                f"addr add {host.link_local}/64 dev {port.interface} nodad",
                f"addr add {host.ipv6[0][1]}/128 dev {port.interface} nodad",
                f"addr add {host.ipv4[0]}/32 dev {port.interface}",
            ]
        innocent = self.ports[1].interface
        self.far.ip(*steps, f"route add default via fe80::1 dev {innocent}", f"route add 0.0.0.0/0 via inet6 fe80::1 dev {innocent}")
        for netdev, far in ((self.ports[0].interface, self.far), (self._uplink, self.upstream)):
            far.run("ethtool", "-K", netdev, "tso", "off")  # else veth takes what a program sends past NAPI
            self.router.run("ethtool", "-K", netdev, "gro", "on")
            self.router.run("sh", "-c", f"echo 1 > /sys/class/net/{netdev}/threaded")

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._design(self)
        except BaseException:
            self.__exit__()
            raise
        return self

    def attack(self, name: str, rate: int | None) -> Outcome:
        """So many frames a second, 0 being as fast as they go, and None not one, as the control is."""
        outside = name == "scan"
        netdev = self._uplink if outside else self.ports[0].interface
        innocent, cold = self.ports[1].hosts[0], [str(port.hosts[0].ipv6[0][1]) for port in self.ports[2:]]
        pinged = [str(innocent.ipv6[0][1]), str(innocent.ipv4[0])]
        with self.upstream.entered():
            echoes = Echoes(UPSTREAM6, UPSTREAM4)
        echoes.ask(pinged)  # who is known when it begins
        echoes.wait(_BEFORE)
        before, thread = self.neighbours(), napi_thread(netdev)
        with ExitStack() as stack:
            besieger = (
                None if rate is None else stack.enter_context(self._besieger(self.upstream if outside else self.far, netdev, name, rate))
            )
            spent = cpu_of(thread)
            if besieger is not None:
                assert besieger.stdin
                besieger.stdin.write("go\n")
                besieger.stdin.flush()
            time.sleep(_AHEAD)
            echoes.begin()
            echoes.ask(cold)
            until = time.monotonic() + SECONDS - 2 * _AHEAD
            while time.monotonic() < until:
                echoes.ask(pinged)
                echoes.wait(_BETWEEN)
            grown = self.neighbours() - before
            echoes.wait(_AHEAD)
            sent = int(besieger.communicate()[0]) if besieger is not None else 0
        cpu = (cpu_of(thread) - spent) / sent if sent else 0.0
        took = sorted(1000 * one for address in pinged for one in echoes.took(address))
        asked = sum(echoes.asked(address) for address in pinged)
        reached = sum(bool(echoes.took(address)) for address in cold)
        echoes.close()
        p50, p99 = (took[int(len(took) * share)] if took else math.inf for share in (0.50, 0.99))
        return Outcome(sent, grown, reached, 1 - len(took) / asked, p50, p99, cpu)

    def _besieger(self, where: Namespace, netdev: str, name: str, rate: int) -> "subprocess.Popen[str]":
        """Ready, and waiting for a line."""
        router = self.router.run("cat", f"/sys/class/net/{netdev}/address").strip()
        words = [sys.executable, "-m", "l3ctl.lab.besieger", netdev, name, str(rate), str(SECONDS), router]
        inside = ["ip", "netns", "exec", where.name, *words]
        made = subprocess.Popen(inside, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert made.stdout
        if made.stdout.readline() != "ready\n":
            raise LabFailed(f"the attack {name} did not begin")
        return made

    def neighbours(self) -> int:
        """How many entries the router's table has that it learnt, but for the upstream's own, who asks for the router now and then."""
        shown = self.router.run("ip", "neigh", "show", "nud", "all")
        own = ("PERMANENT", "NOARP", f" dev {self._uplink} ")
        return sum(not any(word in line for word in own) for line in shown.splitlines())

    def received(self) -> tuple[int, int]:
        """Packets and bytes that have come to upstream."""
        with self.upstream.entered():
            told = Path("/proc/thread-self/net/dev").read_text().partition(f"{self._uplink}:")[2].split()
        return int(told[1]), int(told[0])

    def forget(self) -> None:
        """What it has learnt goes, so that cold hosts are cold: of all routers before each attack, as a machine has one table for them."""
        states = [word for state in ("reachable", "stale", "delay", "probe", "incomplete", "failed") for word in ("nud", state)]
        for family in ("-4", "-6"):
            self.router.run("ip", family, "neigh", "flush", *states, ok=(0, 1))


def on_link(siege: Siege) -> None:
    """As most are: all ports in one bridge, and everybody's addresses on it."""
    router = siege.router
    router.ip(
        "link add br0 type bridge mcast_snooping 0",
        *(f"link set {port.interface} master br0" for port in siege.ports),
        "link set br0 up",
        "addr add fe80::1/64 dev br0 nodad",
        f"addr add 2001:db8::ffff/{_PREFIX.partition('/')[2]} dev br0 nodad",
        f"addr add 10.0.255.254/{_NETWORK.partition('/')[2]} dev br0",
        f"addr add {GATEWAY4}/32 dev lo",
    )


def routed(siege: Siege) -> None:
    """As l3ctl makes it, with permanent neighbours and routes, but for the filter."""
    siege.router.ip(f"addr add {GATEWAY4}/32 dev lo", *(f"addr add fe80::1/64 dev {port.interface} nodad" for port in siege.ports))
    with siege.router.entered(), Kernel() as kernel:
        links = kernel.links()
        changes = []
        for port in siege.ports:
            want = desired(port, links, siege.settings)
            changes += [Change(port.name, Verb.ADD, one) for one in want.neighbours]
            changes += [Change(port.name, Verb.ADD, one) for one in want.routes]
        failed = kernel.apply(in_order(changes))
    if failed:
        raise LabFailed(f"{failed[0].change}: {failed[0].reason}")


def ruled(siege: Siege) -> None:
    """The same with nftables in every port's ingress, which lets in what the gateway has to answer."""
    routed(siege)
    siege.router.run("nft", rules([port.interface for port in siege.ports]))


def ours(siege: Siege) -> None:
    """l3ctl."""
    siege.start_agent()


DESIGNS: dict[str, Callable[[Siege], None]] = {"on-link": on_link, "routed": routed, "routed-nft": ruled, "l3ctl": ours}
