"""A lab of two routers, between which a host can move.

    l3pair-upstream                  l3pair-r1                          l3pair-patch        l3pair-web1
    BIRD, AS 65000      uplink1      agent, ExaBGP, AS 65010   port-web1 ┐
    2001:db8:ffff::1 ────────────────  2001:db8:ffff::2 ─────────────────┤ switch ────────── eth0 203.0.113.11
                    ╲   uplink2      l3pair-r2                           │                        2001:db8:11::/64
                     ────────────────  2001:db8:ffff::3 ─────────────────┘
                                                               port-web1

Both routers read one inventory file, and both have a netdev `port-web1`: whose link is up has the host. The host is configured once, with
fe80::1 and 203.0.113.1 as its gateways. Each router hears through the upstream what the other announces.

The host does not see its own link go, as a VM does not that is moved while it runs, and goes on sending to the gateway's MAC that it knows
for up to a minute: so `port-web1` has the same one on both routers, as libvirt gives a VM's tap on every hypervisor.
"""

import fcntl
import socket
import struct
import time
from collections.abc import Mapping

from l3ctl.lab.customers import CUSTOMERS, ROUTER4, ROUTER6, UPSTREAM4, bird_config, config, inventory, record
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.network import Network, as_its_owner_would, cable_uplink
from l3ctl.lab.programs import Router

HOST = CUSTOMERS[0]
R1, R2 = "r1", "r2"
ADDRESSES = {R1: (ROUTER6, ROUTER4), R2: ("2001:db8:ffff::3", "198.51.100.3")}
"""of each router, in both families"""
UPLINKS = {R1: "uplink1", R2: "uplink2"}
"""the upstream's netdevs"""
_HOST_PORT = "host"
_PORT_LLADDR = f"fe{HOST.lladdr[2:]}"
"""of the netdev on both routers: the host's with another first byte"""
_SIOCGIFFLAGS, _SIOCSIFFLAGS, _IFF_UP = 0x8913, 0x8914, 1
_REQUEST = struct.Struct("16sH14x")


class Pair(Network):
    """Two routers, one host, nothing plugged in yet. `bird` is the upstream's configuration, where that is not the lab's own."""

    def __init__(self, prefix: str = "l3pair", bird: str = "") -> None:
        super().__init__(prefix)
        self._bird = bird or bird_config({name: ipv6 for name, (ipv6, _) in ADDRESSES.items()})
        self.by_name: Mapping[str, Router] = {name: Router(f"{prefix}-{name}", self.run_dir / name) for name in ADDRESSES}
        self.host, self.patch = Namespace(f"{prefix}-{HOST.name}"), Namespace(f"{prefix}-patch")

    def routers(self) -> list[Router]:
        """Both."""
        return list(self.by_name.values())

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [*self.routers(), self.upstream, self.patch, self.host]

    def up(self) -> None:
        """Build the network and start the programs; returns when both sessions stand. No cable is plugged in."""
        self.build(self._steps)

    def _steps(self) -> None:
        shared = self.run_dir / "inventory.yaml"
        shared.write_text(inventory([record(HOST)]))
        for name, router in self.by_name.items():
            ipv6, ipv4 = ADDRESSES[name]
            router.prepare(config(router.run_dir, router=name, ipv6=ipv6, ipv4=ipv4, inventory_file=str(shared), hear=True))
        self.upstream.write_config(self._bird)
        self.upstream.ip(f"addr add {UPSTREAM4}/32 dev lo")
        for name, router in self.by_name.items():
            cable_uplink(router, self.upstream, UPLINKS[name], *ADDRESSES[name])
        self._wire_the_switch()
        self.host.ip(*as_its_owner_would(HOST))
        self.start_programs()

    def _wire_the_switch(self) -> None:
        """A bridge that says nothing of its own, with a port for the host and one for each router, which are down."""
        self.patch.sysctl("net.ipv6.conf.default.disable_ipv6=1")
        self.patch.ip(
            "link add switch type bridge mcast_snooping 0",
            f"link add {_HOST_PORT} type veth peer name eth0 netns {self.host.name} address {HOST.lladdr}",
            *(
                f"link add {name} type veth peer name {HOST.port} netns {router.name} address {_PORT_LLADDR}"
                for name, router in self.by_name.items()
            ),
            *(f"link set {port} master switch" for port in (_HOST_PORT, *ADDRESSES)),
            *(f"link set {netdev} up" for netdev in ("switch", _HOST_PORT)),
        )
        for router in self.routers():
            router.ip(f"link set {HOST.port} up")

    def move(self, old: str, new: str) -> float:
        """Pull the host's cable out of one router and plug it into the other; when that was (`time.time()`)."""
        at = self.pull(old)
        self.plug(new)
        return at

    def pull(self, router: str) -> float:
        """Take the carrier of one router's port away; when that was."""
        return self._set(router, up=False)

    def plug(self, router: str) -> None:
        """Give it to one router's port; the other keeps its own, if it has one."""
        self._set(router, up=True)

    def _set(self, netdev: str, *, up: bool) -> float:
        """By ioctl, because a program that is started for it would take longer than the move."""
        with self.patch.entered(), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as inside:
            _, flags = _REQUEST.unpack(fcntl.ioctl(inside, _SIOCGIFFLAGS, _REQUEST.pack(netdev.encode(), 0)))
            flags = flags | _IFF_UP if up else flags & ~_IFF_UP
            at = time.time()
            fcntl.ioctl(inside, _SIOCSIFFLAGS, _REQUEST.pack(netdev.encode(), flags))
        return at
