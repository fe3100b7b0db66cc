"""The lab's network, and the programs that run in it.

    l3-upstream                    l3-router                                l3-web1   l3-db1   l3-rogue
    BIRD, AS 65000     uplink0     agent, ExaBGP, AS 65010    port-web1     eth0 203.0.113.11  2001:db8:11::/64
    lo 198.51.100.1 ───────────────  fe80::1, 203.0.113.1  ───port-db1──────eth0 203.0.113.12  2001:db8:12::/64
         2001:db8:ffff::1 to ::2     are answered for         port-rogue    eth0 203.0.113.13  2001:db8:13::/64

web1 reaches IPv4 through an ARP request for 203.0.113.1, as every host does; db1 `via inet6 fe80::1`, without any ARP. Nothing of the
machine's own network is used or changed.
"""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from l3ctl.bgp.exabgp_config import environment
from l3ctl.bgp.user import group_of
from l3ctl.errors import LabFailed
from l3ctl.lab.customers import (
    BIRD_CONFIG,
    CONFIG,
    CUSTOMERS,
    EXABGP_USER,
    GATEWAY4,
    GATEWAY6,
    ROUTER4,
    ROUTER6,
    UPSTREAM4,
    UPSTREAM6,
    Customer,
    inventory,
    record,
)
from l3ctl.lab.machine import found, require_lab
from l3ctl.lab.namespaces import Namespace, run

PROGRAM = Path(sys.executable).with_name("l3ctl")
_EXABGP = Path(sys.executable).with_name("exabgp")


def prefixes_shown(routes: str) -> set[str]:
    """The prefixes in what BIRD answers to `show route`."""
    first_words = (line.split() for line in routes.splitlines())
    return {words[0] for words in first_words if words and "/" in words[0] and words[0][0].isdigit()}


class Lab:
    """One lab; `prefix` begins the names of its namespaces, so that several can stand side by side."""

    def __init__(self, prefix: str = "l3", config: str = CONFIG) -> None:
        self.prefix, self._config = prefix, config
        self.router, self.upstream = Namespace(f"{prefix}-router"), Namespace(f"{prefix}-upstream")
        self.hosts = {customer.name: Namespace(f"{prefix}-{customer.name}") for customer in CUSTOMERS}
        self.run_dir = Path("/run/l3ctl/lab") / prefix
        self.etc = Path("/etc/netns") / self.router.name / "l3ctl"
        """laid over /etc/l3ctl by `ip netns exec` (ip-netns(8)), so that commands inside need no --config"""
        self.config = self.etc / "l3ctl.yaml"
        self.made_etc = self.run_dir.parent / "made-etc-l3ctl"
        self.agent: subprocess.Popen[bytes] | None = None

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [self.router, self.upstream, *self.hosts.values()]

    def exists(self) -> bool:
        """Whether anything of such a lab is there, whole or not."""
        return self.run_dir.exists() or any(one.exists() for one in self.namespaces())

    def up(self, *, links_up: bool = True) -> None:
        """Build the network and start the programs; returns when the BGP session stands and the agent is in sync."""
        require_lab()
        if self.exists():
            raise LabFailed(f"a lab '{self.prefix}' is there already", f"`l3ctl lab down --prefix {self.prefix}` removes it")
        try:
            self.run_dir.mkdir(parents=True)
            self._write_files()
            self._build()
            self._start_programs()
            self.wait("the BGP session", lambda: self.status()["bgp"]["peers"][UPSTREAM6] == "up", 30)
            for customer in CUSTOMERS if links_up else ():
                self.link_up(customer)
            if links_up:
                self.wait("the announcements", lambda: self.bird_prefixes() == self.expected_prefixes(), 30)
                self.wait("the hosts' own addresses", self.hosts_ready, 10)
        except BaseException:
            self.down()
            raise

    def _write_files(self) -> None:
        if not Path("/etc/l3ctl").exists():  # `ip netns exec` can only lay ours over something
            Path("/etc/l3ctl").mkdir()
            self.made_etc.touch()
        self.etc.mkdir(parents=True)
        self.write_config(self._config)
        self.write_inventory(record(customer) for customer in CUSTOMERS)
        (self.run_dir / "bird.conf").write_text(BIRD_CONFIG)
        bpffs = self.run_dir / "bpf"
        bpffs.mkdir()
        # Mounted here and not by the agent: a mount made inside `ip netns exec` dies with the last process there, and the pins with it.
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(bpffs))

    def write_config(self, config: str) -> None:
        """Replace the configuration, but for where the lab is; the agent that is started next goes by it."""
        self.config.write_text(config % self.run_dir)

    def write_inventory(self, ports: Iterable[dict[str, object]]) -> None:
        """Replace the inventory; the agent reads it again on SIGHUP."""
        (self.etc / "inventory.yaml").write_text(inventory(ports))

    def _build(self) -> None:
        for namespace in self.namespaces():
            namespace.add()
        router, upstream = self.router, self.upstream
        router.ip(
            f"link add uplink0 type veth peer name uplink0 netns {upstream.name}",
            *(f"link add {one.port} type veth peer name eth0 netns {self.hosts[one.name].name} address {one.lladdr}" for one in CUSTOMERS),
        )
        for namespace in (router, upstream):
            namespace.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")
        upstream.ip(
            "link set uplink0 up",
            f"addr add {UPSTREAM4}/32 dev lo",
            f"addr add {UPSTREAM6} peer {ROUTER6}/128 dev uplink0 nodad",
        )
        router.ip(
            "link set uplink0 up",
            f"addr add {ROUTER4}/32 dev lo",
            # A peer and no prefix: of a whole on-link /64, each address that a customer sends to would be looked for.
            f"addr add {ROUTER6} peer {UPSTREAM6}/128 dev uplink0 nodad",
            f"route add default via {UPSTREAM6} dev uplink0 onlink",
            f"route add {UPSTREAM4}/32 via inet6 {UPSTREAM6} dev uplink0 onlink",
            *(f"link set {customer.port} up" for customer in CUSTOMERS),
        )

    def link_up(self, customer: Customer) -> None:
        """Plug a customer's host in, and configure it as its owner would."""
        host = self.hosts[customer.name]
        host.ip(
            "link set eth0 up",
            f"addr replace {customer.ipv4}/32 dev eth0",
            f"addr replace {customer.address6}/64 dev eth0 nodad",
            f"route replace default via {GATEWAY6} dev eth0",
            *((f"route replace {GATEWAY4} dev eth0 scope link", f"route replace default via {GATEWAY4}") if customer.arp else ()),
            *(() if customer.arp else (f"route replace 0.0.0.0/0 via inet6 {GATEWAY6} dev eth0",)),
        )

    def hosts_ready(self) -> bool:
        """Whether every host has finished duplicate address detection and may use its link-local."""
        return not any("tentative" in run("ip", "-n", host.name, "-6", "addr", "show") for host in self.hosts.values())

    def link_down(self, customer: Customer) -> None:
        """Pull a customer's plug."""
        self.hosts[customer.name].ip("link set eth0 down")

    def _start_programs(self) -> None:
        self.start_bird()
        self.start_agent()
        self.start_exabgp()

    def start_bird(self) -> "subprocess.Popen[bytes]":
        """Start the upstream's BIRD."""
        bird = [found("bird"), "-f", "-c", f"{self.run_dir}/bird.conf", "-s", f"{self.run_dir}/bird.ctl"]
        return self.upstream.start(bird, self._log("bird"))

    def start_exabgp(self) -> "subprocess.Popen[bytes]":
        """Start the router's ExaBGP, as a user that may do nothing but read: this program may be in a folder closed to others."""
        conf = self.run_dir / "exabgp.conf"
        self.l3ctl("exabgp-config", "--output", str(conf))
        may_read = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"]
        user = ["setpriv", f"--reuid={EXABGP_USER}", f"--regid={group_of(EXABGP_USER)}", "--clear-groups", *may_read]
        return self.router.start([*user, str(_EXABGP), "server", str(conf)], self._log("exabgp"), environment(EXABGP_USER))

    def start_agent(self) -> None:
        """Start the agent and wait until it answers."""
        self.agent = self.router.start([str(PROGRAM), "agent"], self._log("agent"))

        def answers() -> bool:
            assert self.agent is not None
            if self.agent.poll() is not None:
                raise LabFailed(f"the agent exited: {self._last_line('agent')}")
            return (self.run_dir / "agent.sock").exists() and self.status()["agent"] is not None

        self.wait("the agent", answers, 30)

    def _log(self, name: str) -> Path:
        return self.run_dir / f"{name}.log"

    def _last_line(self, name: str) -> str:
        lines = self._log(name).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def wait(self, what: str, reached: Callable[[], bool], seconds: float) -> float:
        """Look until it is so; how long it took. Raises `LabFailed` when it takes longer than `seconds`."""
        began = time.monotonic()
        while not reached():
            if time.monotonic() - began > seconds:
                logs = "; ".join(f"{name}: {self._last_line(name)}" for name in ("agent", "exabgp", "bird") if self._log(name).exists())
                raise LabFailed(f"{what}: not within {seconds:g} s", logs)
            time.sleep(0.01)
        return time.monotonic() - began

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run an l3ctl command inside the router; its output."""
        return self.router.run(str(PROGRAM), *arguments, ok=ok)

    def status(self) -> dict[str, Any]:
        """`l3ctl status --json`, as a person inside the router sees it."""
        told: dict[str, Any] = json.loads(self.l3ctl("status", "--json", ok=(0, 1)))
        return told

    def birdc(self, *command: str) -> str:
        """Ask BIRD."""
        return self.upstream.run(found("birdc"), "-r", "-s", f"{self.run_dir}/bird.ctl", *command)

    def bird_prefixes(self) -> set[str]:
        """The prefixes in BIRD's table."""
        return prefixes_shown(self.birdc("show", "route"))

    def expected_prefixes(self) -> set[str]:
        """The prefixes of the customers whose link is up, as the router's kernel has it."""
        links = {link["ifname"]: link for link in json.loads(run("ip", "-n", self.router.name, "-j", "link", "show"))}
        up = [customer for customer in CUSTOMERS if links[customer.port]["operstate"] == "UP"]
        return {str(customer.ipv6) for customer in up} | {f"{customer.ipv4}/32" for customer in up}

    def neighbours(self, namespace: Namespace) -> list[dict[str, Any]]:
        """The neighbour table of a namespace, both families, permanent entries included."""
        told: list[dict[str, Any]] = json.loads(run("ip", "-n", namespace.name, "-j", "neigh", "show", "nud", "all"))
        return [entry for entry in told if entry["dev"] != "lo" and entry["state"] != ["NOARP"]]

    def down(self) -> None:
        """Remove all of it, whatever state it is in."""
        for namespace in self.namespaces():
            namespace.remove()
        if self.agent is not None:
            self.agent.wait()
            self.agent = None
        libc = ctypes.CDLL(None)
        while libc.umount2(os.fsencode(self.run_dir / "bpf"), 2) == 0:  # MNT_DETACH
            pass
        shutil.rmtree(self.run_dir, ignore_errors=True)
        shutil.rmtree(self.etc.parent, ignore_errors=True)
        empty = [self.etc.parent.parent, self.run_dir.parent, self.run_dir.parent.parent]
        if self.made_etc.exists() and list(self.made_etc.parent.iterdir()) == [self.made_etc]:  # no other lab needs it
            self.made_etc.unlink()
            empty.append(Path("/etc/l3ctl"))
        for folder in empty:
            try:
                folder.rmdir()
            except OSError:  # not empty: another lab's, or the machine's own
                continue
