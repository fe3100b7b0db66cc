"""A router with a real 802.1Q trunk, in namespaces of the virtual machine: what a switch between it and its customers would do, done by
VLAN devices of the trunk's other end.

    router                                          far                          web1, db1, rogue
    eth1 ── the filter           a wire             far0                         eth0 = far0's VLAN 11, 12, 13
    eth1.11, eth1.12, eth1.13 ── layer 3
"""

import json
import socket
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l3ctl.asking import ask
from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6, Customer
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.lab.network import as_its_owner_would
from l3ctl.lab.programs import PROGRAM, Router
from l3ctl.lladdr import parse_lladdr
from tests.evasion.tap import Tap
from tests.vm.inside.warm import WarmRouter
from tests.vm.machine import WIRES

_END = b"the last frame of a test"
_PINS = Path("/run/l3ctl/street-bpf")
WHOLE = 30.0
"""seconds after which something has gone wrong; the lab multiplies them by its patience"""


@dataclass(frozen=True)
class Wire:
    """What the trunk is, and how the filter attaches there."""

    name: str
    """of `WIRES`, or `veth`"""
    xdp_mode: str
    shown: str
    """what `ip link` calls that mode"""

    def __str__(self) -> str:
        return f"{self.name}, {self.xdp_mode}"


NATIVE = Wire("virtio", "native", "xdp")
GENERIC = Wire("virtio", "generic", "xdpgeneric")
OFFLOADING = Wire("e1000", "auto", "xdpgeneric")
"""a NIC that takes tags off by itself until it is told not to, and has no native XDP"""
VETH = Wire("veth", "auto", "xdpgeneric")


def vlan_of(customer: Customer) -> int:
    """As its addresses are numbered."""
    return customer.ipv4.packed[-1]


def record(customer: Customer, **where: object) -> dict[str, object]:
    """A customer's inventory record: on its VLAN of the trunk eth1, or where it is said."""
    place = where or {"trunk": "eth1", "vlan": vlan_of(customer)}
    return {"name": customer.name, **place, "mac": customer.lladdr, "ipv6": [str(customer.ipv6)], "ipv4": [str(customer.ipv4)]}


class Street:
    """Built and removed by whoever made it."""

    def __init__(self, prefix: str, wire: Wire) -> None:
        self.wire = wire
        self.run_dir = Path("/run/l3ctl/lab") / prefix
        self.router = WarmRouter(f"{prefix}-router", self.run_dir)
        self.far = Namespace(f"{prefix}-far")
        self.hosts = {customer.name: Namespace(f"{prefix}-{customer.name}") for customer in CUSTOMERS}

    def build(self) -> None:
        """The wire, with its ends up, and customers' namespaces that are not connected yet."""
        Path("/etc/l3ctl").mkdir(exist_ok=True)  # `ip netns exec` can only lay ours over something
        for one in (self.router, self.far, *self.hosts.values()):
            one.add()
        self.far.sysctl("net.ipv6.conf.default.disable_ipv6=1")  # a switch has no addresses of its own to defend
        if self.wire.name == "veth":
            self.router.ip(f"link add eth1 type veth peer name far0 netns {self.far.name}")
            self.show_tags(True)
        else:
            for name, namespace, lladdr in zip(("eth1", "far0"), (self.router, self.far), WIRES[self.wire.name], strict=True):
                run("ip", "link", "set", _netdev_with(lladdr), "netns", namespace.name, "name", name)
        self.router.forward()
        self.router.ip("addr add 198.51.100.2/32 dev lo", "link set eth1 up")
        self.far.ip("link set far0 promisc on up")

    def show_tags(self, shown: bool) -> None:
        """Whether a veth's far end puts tags into its frames, or leaves them beside."""
        self.far.run("ethtool", "-K", "far0", "txvlan", "off" if shown else "on", "tx-vlan-stag-hw-insert", "off" if shown else "on")

    def add_vlans(self, customers: Iterable[Customer] = CUSTOMERS) -> None:
        """The router's VLAN devices."""
        for customer in customers:
            self.router.ip(f"link add link eth1 name eth1.{vlan_of(customer)} type vlan id {vlan_of(customer)}")
            self.router.ip(f"link set eth1.{vlan_of(customer)} up")

    def plug_in(self, customer: Customer, tags: str = "type vlan id {}", through: str = "far0") -> None:
        """Connect a customer's host, and configure it as its owner would."""
        host = self.hosts[customer.name]
        name = f"v{vlan_of(customer)}"
        self.far.ip(f"link add link {through} name {name} {tags.format(vlan_of(customer))}")
        self.far.ip(f"link set {name} netns {host.name} name eth0 address {customer.lladdr}")
        host.ip(*as_its_owner_would(customer))

    def start(self, ports: Iterable[dict[str, object]], *, guard: str = "mode: enforce") -> None:
        """Write the files, and start the agent."""
        self.router.prepare(self.config(guard))
        share_pins(self.router)
        self.router.write_inventory(ports)
        self.router.agent = self.router.start([str(PROGRAM), "agent"], self.router.log("agent"))
        self.wait("the agent", self._agent_lives)

    def _agent_lives(self) -> bool:
        assert self.router.agent is not None
        assert self.router.agent.poll() is None, self.router.last_line("agent")
        return (self.run_dir / "agent.sock").exists()

    def config(self, guard: str) -> str:
        """The router's l3ctl.yaml."""
        return f"""\
router: r1
inventory: {{file: inventory.yaml, watch: false, max_shrink: 100}}
gateway: {{ipv6: [{GATEWAY6}], ipv4: [{GATEWAY4}]}}
guard: {{xdp_mode: {self.wire.xdp_mode}, {guard}}}
run_dir: {self.run_dir}
"""

    def reload(self, guard: str) -> None:
        """Change what the configuration says of the filter, and let the agent read it."""
        self.router.config.write_text(self.config(guard))
        self.ask("apply")

    def remove(self) -> None:
        """All of it; a NIC goes back to where it came from."""
        for one in (*self.hosts.values(), self.far, self.router):
            one.remove()
        forget_links()

    def wait(self, what: str, reached: Callable[[], bool]) -> None:
        """Until that is so."""
        self.router.wait(what, reached, WHOLE)

    def ask(self, command: str, **more: object) -> dict[str, Any]:
        """Ask the agent as a command would, without the seconds that one takes to start in an emulated processor."""
        return ask(self.run_dir / "agent.sock", {"command": command, **more})

    def port(self, name: str) -> dict[str, Any]:
        """What `status` says of a port."""
        return next(dict(port) for port in self.ask("status")["ports"] if port["name"] == name)

    def settled(self, *up: Customer) -> bool:
        """Whether those ports, and no others, are up, and nothing is left to do."""
        told = self.ask("status")
        there = {port["name"] for port in told["ports"] if port["link"] == "up"}
        return there == {one.name for one in up} and not told["failed"] and all(port["in_sync"] for port in told["ports"])

    def reaches(self, source: Customer, target: str) -> bool:
        """Whether two pings in a row are answered; `target` an address, with its zone where it needs one."""
        out = self.hosts[source.name].run("ping", "-n", "-q", "-c", "2", "-i", "0.02", "-W", "2", target, ok=(0, 1, 2))
        return " 0% packet loss" in out

    def reaches_all(self, source: Customer, target: Customer) -> bool:
        """Whether it reaches the gateway, and another customer through it, in both families."""
        return all(self.reaches(source, one) for one in (f"{GATEWAY6}%eth0", target.address6, str(target.ipv4)))

    def send(self, *frames: bytes, netdev: str = "far0", namespace: Namespace | None = None) -> None:
        """Put frames on the wire as they are."""
        with (namespace or self.far).entered():
            raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        with closing(raw):
            raw.bind((netdev, 0))
            for frame in frames:
                raw.send(frame)

    def passed(self, netdev: str, *frames: bytes, sender: Callable[..., None] | None = None) -> list[bytes]:
        """Those of the frames that a netdev of the router has after they were sent: what the filter and the kernel let there.

        A frame that nobody stops is sent after them, and awaited, so that what is missing then is not on its way any more.
        """
        tap, end = Tap(self.router, netdev, outgoing=False), Tap(self.router, "eth1", outgoing=False)
        (sender or self.send)(*frames)
        self.send(b"\xff" * 6 + parse_lladdr(CUSTOMERS[0].lladdr) + b"\x88\xb5" + _END.ljust(46, b"\0"))
        until = time.monotonic() + 4 * WHOLE
        while not any(_END in frame for frame in end.read()):
            assert time.monotonic() < until, "the last frame never came"
            time.sleep(0.02)
        end.close()
        return [frame for frame in tap.close() if any(frame.endswith(one[-40:]) for one in frames)]

    def refused(self, port: str) -> list[dict[str, Any]]:
        """The evidence of what was refused on a port, or as no port's (`-`)."""
        told = self.ask("violations", since=0, quiet=True)["violations"]
        return [line["evidence"] for line in told if line["evidence"]["port"] == port]

    def xdp_shown(self, netdev: str = "eth1") -> str:
        """What `ip link` says of XDP on a netdev: `xdp`, `xdpgeneric`, or nothing."""
        (link,) = json.loads(self.router.run("ip", "-j", "link", "show", "dev", netdev))
        return {1: "xdp", 2: "xdpgeneric"}.get(link.get("xdp", {}).get("mode", 0), "")


def share_pins(router: Router) -> None:
    """One bpffs for all routers of the machine: its processor takes many seconds to verify the filter, and what is pinned is adopted."""
    if not _PINS.exists():
        _PINS.mkdir(parents=True)
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(_PINS))
    run("mount", "--bind", str(_PINS), str(router.run_dir / "bpf"))


def forget_links() -> None:
    """Take the filter off every netdev: a NIC outlives its namespace, and would keep the filter in the mode that it has."""
    for pin in (_PINS / "l3ctl").glob("link-*"):
        pin.unlink()


def _netdev_with(lladdr: str) -> str:
    """The NIC of this machine with a MAC; the one of a test before may take a moment to come back."""
    until = time.monotonic() + WHOLE
    while time.monotonic() < until:
        for link in json.loads(run("ip", "-j", "link", "show")):
            if link.get("address") == lladdr and link["link_type"] == "ether":
                return str(link["ifname"])
        time.sleep(0.05)
    raise AssertionError(f"this machine has no NIC {lladdr}")
