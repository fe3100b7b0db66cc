"""A crowd with an upstream: the real agent, ExaBGP and BIRD, each started again when it dies, as a service manager would.

    upstream: BIRD  ──uplink0──  router: agent, ExaBGP and its relay  ──p0, p1, ...──  far: the customers' ends

The first port's customer answers to pings, so that loss can be counted. A bulk of further prefixes is on a few ports of its own.
"""

import os
import re
import signal
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Network
from pathlib import Path

from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.routes import key_of, pack_dump
from l3ctl.lab.bird import asked_once
from l3ctl.lab.crowd import LOOPBACK, PROGRAM, Crowd, link_local_of, lladdr_of
from l3ctl.lab.customers import EXABGP_USER, ROUTER6, UPSTREAM6, bird_config
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.programs import prefixes_shown, start_exabgp
from l3ctl.model import Host, Port

UPSTREAM4 = "203.0.113.1"
BIRD_PROTOCOL = 12
"""of the routes that BIRD installs (rtnetlink(7))"""
RECOVERING = "Neighbor graceful restart active"
"""says BIRD of a session whose End-of-RIB it waits for"""
RESTARTED_AFTER = 0.1
"""seconds: systemd's RestartSec, unless told otherwise"""
_BULK_FROM = 1 << 16
"""the number of the bulk's first prefix: 2001:db8:1::/64"""
_BULK_PORTS = 4
_STOPS_WITHIN = 10.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """How far the upstream is from what it should have, and the seconds it took to come there."""

    stale: set[str]
    missing: set[str]
    took: float


class Service:
    """A program that is started again when it ends."""

    def __init__(self, start: Callable[[], "subprocess.Popen[bytes]"]) -> None:
        self._start = start
        self._stopping = threading.Event()
        self.process = start()
        self.ends: list[float] = []
        """when it ended, by the monotonic clock"""
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()

    def _keep(self) -> None:
        while not self._stopping.is_set():
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(0.02)
                if self._stopping.is_set():
                    return
                self.ends.append(time.monotonic())
                if not self._stopping.wait(RESTARTED_AFTER):
                    self.process = self._start()

    def kill(self) -> None:
        """SIGKILL; it is back soon."""
        self.process.kill()

    def stop(self) -> None:
        """End it for good."""
        self._stopping.set()
        self._keeper.join()
        self.process.terminate()
        try:
            self.process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Peered(Crowd):
    """`bulk` prefixes stand on ports of their own, after the `count` others; every third port has an IPv4 address."""

    def __init__(self, prefix: str, count: int, bulk: int = 0) -> None:
        super().__init__(prefix, count, trunks=False)
        self.upstream = Namespace(f"{prefix}u")
        self.few = list(self.ports)
        self.bulk = [self._bulk_port(number, bulk) for number in range(_BULK_PORTS if bulk else 0)]
        self.ports += self.bulk
        self.services: dict[str, Service] = {}

    def _port(self, number: int, hosts: tuple[Host, ...]) -> Port:
        (host,) = hosts
        return super()._port(number, hosts if number % 3 == 0 else (Host(host.lladdr, host.link_local, host.ipv6),))

    def _bulk_port(self, number: int, bulk: int) -> Port:
        prefixes = range(_BULK_FROM + number, _BULK_FROM + bulk, _BULK_PORTS)
        networks = tuple(IPv6Network(((0x20010DB8 << 96) + (one << 64), 64)) for one in prefixes)
        of = _BULK_FROM + number
        return Port(f"bulk{number}", f"b{number}", f"b{number}", None, (Host(lladdr_of(of), link_local_of(of), networks),))

    @property
    def pinged(self) -> Port:
        """Whose customer answers."""
        return self.few[0]

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [*super().namespaces(), self.upstream]

    def build(self) -> None:
        """The links, all up, and the pinged customer's own settings.

        Where both ends of a veth have one ifindex, the kernel takes it for a NIC, of whose carriers it tells once a second, and a storm
        would be lost in that (linkwatch_urgent_event in net/core/link_watch.c).
        """
        self.far.ip("link add odd type veth peer name even")
        super().build()
        for one in (self.router, self.upstream):
            one.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        self.router.ip(f"link add uplink0 type veth peer name uplink0 netns {self.upstream.name}", "link set uplink0 up")
        self.upstream.ip(
            "link set uplink0 up", f"addr add {UPSTREAM4}/32 dev lo", f"addr add {UPSTREAM6} peer {ROUTER6}/128 dev uplink0 nodad"
        )
        self.router.ip(
            f"addr add {ROUTER6} peer {UPSTREAM6}/128 dev uplink0 nodad",
            f"route add default via {UPSTREAM6} dev uplink0 onlink",
            f"route add {UPSTREAM4}/32 via inet6 {UPSTREAM6} dev uplink0 onlink",
        )
        (host,) = self.pinged.hosts
        netdev = self.pinged.interface
        self.far.ip(
            f"link set {netdev} address {host.lladdr}",
            f"addr add {host.link_local}/64 dev {netdev} nodad",
            *(
                f"addr add {address} dev {netdev} nodad" if ":" in address else f"addr add {address} dev {netdev}"
                for address in self.pings()
            ),
            f"route add default via fe80::1 dev {netdev}",
            f"route add 0.0.0.0/0 via inet6 fe80::1 dev {netdev}",
        )

    def pings(self) -> list[str]:
        """The addresses that answer, one of each family."""
        (host,) = self.pinged.hosts
        return [str(host.ipv6[0][1]), str(host.ipv4[0])]

    def told(self) -> dict[str, object]:
        """What the configuration says: with a peer."""
        peers = [{"address": UPSTREAM6, "remote_as": 65000, "local_address": ROUTER6}]
        return super().told() | {
            "bgp": {"router_id": str(LOOPBACK), "local_as": 65010, "damping": "off", "user": EXABGP_USER, "peers": peers}
        }

    def start(self) -> None:
        """Start everything; `settles` tells when it works."""
        self.write_files()
        (self.run_dir / "bird.conf").write_text(bird_config({"l3ctl": ROUTER6}))
        self.l3ctl("exabgp-config", "--output", str(self.run_dir / "exabgp.conf"))
        self.services["bird"] = Service(self._start_bird)
        self.services["agent"] = Service(self._start_agent)
        self.services["exabgp"] = Service(self._start_exabgp)

    def _start_agent(self) -> "subprocess.Popen[bytes]":
        self.agent = self.router.start([str(PROGRAM), "agent", "--config", str(self.config)], self.run_dir / "agent.log")
        return self.agent

    def _start_exabgp(self) -> "subprocess.Popen[bytes]":
        return start_exabgp(self.router, self.run_dir / "exabgp.conf", self.run_dir / "exabgp.log")

    def _start_bird(self) -> "subprocess.Popen[bytes]":
        bird = [found("bird"), "-f", "-c", str(self.run_dir / "bird.conf"), "-s", str(self.run_dir / "bird.ctl")]
        return self.upstream.start(bird, self.run_dir / "bird.log")

    def relay_pid(self) -> int | None:
        """ExaBGP's helper; None while there is none."""
        pid = self.services["exabgp"].process.pid
        with suppress(FileNotFoundError):
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def kill_relay(self) -> None:
        """SIGKILL; ExaBGP starts another."""
        if (pid := self.relay_pid()) is not None:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def __exit__(self, *unused: object) -> None:
        for service in self.services.values():
            service.stop()
        super().__exit__(*unused)

    # what came of it

    def birdc(self, *command: str) -> str:
        """Ask BIRD, over its control socket."""
        return asked_once(self.run_dir / "bird.ctl", *command)

    def learnt(self) -> set[str]:
        """The prefixes in BIRD's table; none while BIRD is away."""
        with suppress(OSError):
            return prefixes_shown(self.birdc("show route"))
        return set()

    def count(self) -> int:
        """How many there are; at little cost to BIRD."""
        found = re.findall(r"Routes:\s+(\d+) imported", self.birdc("show protocols all l3ctl"))
        return sum(map(int, found))

    def installed(self) -> set[bytes]:
        """What BIRD has in its kernel, by `routes.key_of`."""
        with self.upstream.entered(), NetlinkSocket() as kernel:
            dumps = (kernel.dump(pack_dump(family, BIRD_PROTOCOL, None), key_of) for family in (socket.AF_INET6, socket.AF_INET))
            return {key for dump in dumps for key in dump}

    def settles(self, ports: Collection[Port], seconds: float) -> "Outcome":
        """Wait until the upstream has the prefixes of these ports and no other; how far it was from it at the end."""
        want = {str(prefix) for port in ports for host in port.hosts for prefix in host.prefixes()}
        began = time.monotonic()
        while True:
            have = self.learnt()
            took = time.monotonic() - began
            if have == want or took > seconds:
                return Outcome(have - want, want - have, took)
            time.sleep(0.05)
