"""A router with any number of ports, each a netdev with carrier, for benchmarks and soaks: as large as the machine allows.

Many VLANs of a few trunks, as on a router with many ports: the filter sits on the trunks, layer 3 on a netdev of each port. The far ends
are in a namespace of their own.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path
from typing import Any, Self

from l3ctl.errors import LabFailed
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Host, Port, Settings
from l3ctl.xdp.program import mount_bpffs

_PREFIXES = IPv6Address("2001:db8::")
_ADDRESSES = IPv4Address("10.0.0.0")
"""for more hosts than the documentation's prefixes have addresses; they stay inside of the lab"""
LOOPBACK = IPv4Address("198.51.100.2")
_PER_TRUNK = 4000
PROGRAM = Path(sys.executable).with_name("l3ctl")
_STOPS_WITHIN = 20.0


def lladdr_of(number: int) -> str:
    """The MAC of a host."""
    return (b"\x52\x54" + number.to_bytes(4)).hex(":")


def link_local_of(number: int) -> IPv6Address:
    """Its link-local."""
    return IPv6Address((0xFE80 << 112) + (1 << 32) + number)


def _host(number: int) -> Host:
    prefix = IPv6Network((int(_PREFIXES) + (number << 64), 64))
    return Host(lladdr_of(number), link_local_of(number), (prefix,), (_ADDRESSES + number,))


class Crowd:
    """Made when entered, and removed when left."""

    settings = Settings((IPv6Address("fe80::1"),), (IPv4Address("198.51.100.1"),))

    def __init__(self, prefix: str, count: int, *, trunks: bool = True, hosts: int = 1, bgp: dict[str, object] | None = None) -> None:
        """`count` ports with so many `hosts` each. `bgp`: that section of the configuration."""
        self.router, self.far = Namespace(prefix), Namespace(f"{prefix}f")
        self.run_dir = Path("/run/l3ctl") / prefix
        self.agent: subprocess.Popen[bytes] | None = None
        self._bgp = {} if bgp is None else {"bgp": bgp}
        self._trunks = [f"t{number}" for number in range(-(-count // _PER_TRUNK))] if trunks else []
        self.ports = [self._port(number, tuple(map(_host, range(number * hosts, (number + 1) * hosts)))) for number in range(count)]

    def _port(self, number: int, hosts: tuple[Host, ...]) -> Port:
        name, interface = f"port{number}", f"p{number}"
        if not self._trunks:
            return Port(name, interface, interface, None, hosts)
        return Port(name, interface, self._trunks[number // _PER_TRUNK], 1 + number % _PER_TRUNK, hosts)

    def __enter__(self) -> Self:
        try:
            for one in self.namespaces():
                one.add()
            self.build()
            self.run_dir.mkdir(parents=True)
            mount_bpffs(self.run_dir / "bpf")  # here, where it outlives the agent
        except BaseException:
            self.__exit__()
            raise
        return self

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [self.router, self.far]

    def build(self) -> None:
        """The links, all up."""
        names = [*(port.interface for port in self.ports), *self._trunks]
        self.router.ip(
            # As routers have it; without any IPv4 address the kernel asks every netdev for one, for each route.
            f"addr add {LOOPBACK}/32 dev lo",
            *(f"link add {name} type veth peer name {name} netns {self.far.name}" for name in names),
            *(f"link set {name} addrgenmode none up" for name in names),
        )
        self.far.ip(*(f"link set {name} addrgenmode none up" for name in names))

    def __exit__(self, *_: object) -> None:
        if self.agent is not None:
            self.agent.terminate()
            with suppress(subprocess.TimeoutExpired):
                self.agent.wait(_STOPS_WITHIN)
        # A netdev that goes takes its routes and neighbours along, and looks for them among all there are: with all of them gone before,
        # ten thousand take seconds, not minutes.
        if self.router.exists():
            self.flush()
        for one in self.namespaces():
            one.remove()
        subprocess.run(["umount", str(self.run_dir / "bpf")], capture_output=True, check=False)
        shutil.rmtree(self.run_dir, ignore_errors=True)

    def flush(self) -> None:
        """Take every neighbour, and every route of ours, out of the router's tables."""
        for words in (
            ("-6", "route", "flush", "table", "all", "proto", "201"),
            ("-4", "route", "flush", "table", "all", "proto", "201"),
            ("neigh", "flush", "nud", "all"),
        ):
            self.router.run("ip", *words, ok=(0, 1, 2))

    @property
    def config(self) -> Path:
        """The agent's configuration."""
        return self.run_dir / "l3ctl.yaml"

    def write_files(self) -> None:
        """Configuration and inventory, as people write them."""
        self.config.write_text(json.dumps(self.told()))
        records = "".join(f"  - {json.dumps(_record(port))}\n" for port in self.ports)
        (self.run_dir / "inventory.yaml").write_text(f"ports:\n{records}")

    def told(self) -> dict[str, object]:
        """What the configuration says."""
        gateways = {"ipv6": ["fe80::1"], "ipv4": ["198.51.100.1"]}
        return {"router": "r1", "inventory": {"file": "inventory.yaml"}, "gateway": gateways, "run_dir": str(self.run_dir), **self._bgp}

    def start_agent(self) -> float:
        """Start the agent, and wait until everything is in place; the seconds that took."""
        self.write_files()
        began = time.monotonic()
        self.agent = self.router.start([str(PROGRAM), "agent", "--config", str(self.config)], self.run_dir / "agent.log")
        self.wait("the agent", (self.run_dir / "agent.sock").exists)
        return time.monotonic() - began

    def wait(self, what: str, reached: Callable[[], bool], seconds: float = 300.0) -> None:
        """Until that is so."""
        until = time.monotonic() + seconds
        while not reached():
            if self.agent is None or self.agent.poll() is not None or time.monotonic() > until:
                log = (self.run_dir / "agent.log").read_text().splitlines()[-1:]
                raise LabFailed(f"{what} is not there: {log[0] if log else 'the log is empty'}")
            time.sleep(0.02)

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a command of l3ctl inside."""
        return self.router.run(str(PROGRAM), *arguments, "--config", str(self.config), ok=ok)

    def plan(self) -> list[dict[str, Any]]:
        """What the agent has left to do."""
        return list(json.loads(self.l3ctl("plan", "--json", ok=(0, 3)))["changes"])

    def resident(self) -> dict[str, int]:
        """The agent's memory, in bytes: `now`, and at its `peak`."""
        assert self.agent is not None
        lines = Path(f"/proc/{self.agent.pid}/status").read_text().splitlines()
        told = dict(line.split(":", 1) for line in lines)
        return {name: int(told[key].split()[0]) * 1024 for name, key in (("now", "VmRSS"), ("peak", "VmHWM"))}

    def cpu_seconds(self) -> float:
        """What the agent has used so far."""
        assert self.agent is not None
        fields = Path(f"/proc/{self.agent.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _record(port: Port) -> dict[str, object]:
    where: dict[str, object] = {"interface": port.interface}
    if port.vlan_id is not None:
        where |= {"trunk": port.guard, "vlan": port.vlan_id}
    hosts = [
        {
            "mac": host.lladdr,
            "link_local": str(host.link_local),
            "ipv6": [str(prefix) for prefix in host.ipv6],
            "ipv4": [str(address) for address in host.ipv4],
        }
        for host in port.hosts
    ]
    return {"name": port.name, **where, **(hosts[0] if len(hosts) == 1 else {"hosts": hosts})}
