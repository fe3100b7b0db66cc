"""The lab's network, and the programs that run in it.

    l3-upstream                    l3-router                                l3-web1   l3-db1   l3-rogue
    BIRD, AS 65000     uplink0     agent, ExaBGP, AS 65010    port-web1     eth0 203.0.113.11  2001:db8:11::/64
    lo 198.51.100.1 ───────────────  fe80::1, 203.0.113.1  ───port-db1──────eth0 203.0.113.12  2001:db8:12::/64
         2001:db8:ffff::1 to ::2     are answered for         port-rogue    eth0 203.0.113.13  2001:db8:13::/64

web1 reaches IPv4 through an ARP request for 203.0.113.1, as every host does; db1 `via inet6 fe80::1`, without any ARP. Nothing of the
machine's own network is used or changed.
"""

import json
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from l3ctl.lab.customers import CUSTOMERS, ROUTER4, ROUTER6, UPSTREAM4, Customer, bird_config, config, record
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.lab.network import Network, as_its_owner_would, cable_uplink
from l3ctl.lab.programs import Router


class Lab(Network):
    """One router with three customers."""

    def __init__(self, prefix: str = "l3", change_config: Callable[[str], str] = str) -> None:
        """`change_config` makes of the lab's own configuration another one."""
        super().__init__(prefix)
        self._change_config = change_config
        self.router = Router(f"{prefix}-router", self.run_dir)
        self.hosts = {customer.name: Namespace(f"{prefix}-{customer.name}") for customer in CUSTOMERS}

    def routers(self) -> list[Router]:
        """The one."""
        return [self.router]

    def namespaces(self) -> list[Namespace]:
        """All of them."""
        return [self.router, self.upstream, *self.hosts.values()]

    def up(self, *, links_up: bool = True) -> None:
        """Build the network and start the programs; returns when the BGP session stands and the agent is in sync."""
        self.build(lambda: self._steps(links_up=links_up))

    def _steps(self, *, links_up: bool) -> None:
        self.router.prepare(self._change_config(config(self.run_dir)))
        self.write_inventory(record(customer) for customer in CUSTOMERS)
        self.upstream.write_config(bird_config({"l3ctl": ROUTER6}))
        self._cable()
        self.start_programs()
        if links_up:
            for customer in CUSTOMERS:
                self.link_up(customer)
            self.wait("the announcements", lambda: self.bird_prefixes() == self.expected_prefixes(), 30)
            self.wait("the hosts' own addresses", self.hosts_ready, 10)

    def _cable(self) -> None:
        self.router.ip(
            *(f"link add {one.port} type veth peer name eth0 netns {self.hosts[one.name].name} address {one.lladdr}" for one in CUSTOMERS)
        )
        self.upstream.ip(f"addr add {UPSTREAM4}/32 dev lo")
        cable_uplink(self.router, self.upstream, "uplink0", ROUTER6, ROUTER4)
        self.router.ip(*(f"link set {customer.port} up" for customer in CUSTOMERS))

    def link_up(self, customer: Customer) -> None:
        """Plug a customer's host in, and configure it as its owner would."""
        self.hosts[customer.name].ip(*as_its_owner_would(customer))

    def hosts_ready(self) -> bool:
        """Whether every host has finished duplicate address detection and may use its link-local."""
        return not any("tentative" in run("ip", "-n", host.name, "-6", "addr", "show") for host in self.hosts.values())

    def link_down(self, customer: Customer) -> None:
        """Pull a customer's plug."""
        self.hosts[customer.name].ip("link set eth0 down")

    def expected_prefixes(self) -> set[str]:
        """The prefixes of the customers whose link is up, as the router's kernel has it."""
        links = {link["ifname"]: link for link in json.loads(run("ip", "-n", self.router.name, "-j", "link", "show"))}
        up = [customer for customer in CUSTOMERS if links[customer.port]["operstate"] == "UP"]
        return {str(customer.ipv6) for customer in up} | {f"{customer.ipv4}/32" for customer in up}

    def neighbours(self, namespace: Namespace) -> list[dict[str, Any]]:
        """The neighbour table of a namespace, both families, permanent entries included."""
        told: list[dict[str, Any]] = json.loads(run("ip", "-n", namespace.name, "-j", "neigh", "show", "nud", "all"))
        return [entry for entry in told if entry["dev"] != "lo" and entry["state"] != ["NOARP"]]

    # what the one router and the upstream do, by the lab's own name

    @property
    def etc(self) -> Path:
        """Where the router's files are."""
        return self.router.etc

    @property
    def config(self) -> Path:
        """The router's configuration."""
        return self.router.config

    @property
    def agent(self) -> "subprocess.Popen[bytes] | None":
        """The router's agent."""
        return self.router.agent

    def write_inventory(self, ports: Iterable[dict[str, object]]) -> None:
        """Replace the router's inventory; the agent reads it again on SIGHUP."""
        self.router.write_inventory(ports)

    def start_agent(self) -> None:
        """Start the router's agent and wait until it answers."""
        self.router.start_agent()

    def start_exabgp(self) -> "subprocess.Popen[bytes]":
        """Start the router's ExaBGP."""
        return self.router.start_exabgp()

    def start_bird(self) -> "subprocess.Popen[bytes]":
        """Start the upstream's BIRD."""
        return self.upstream.start_bird()

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run an l3ctl command inside the router; its output."""
        return self.router.l3ctl(*arguments, ok=ok)

    def status(self) -> dict[str, Any]:
        """`l3ctl status --json`, as a person inside the router sees it."""
        return self.router.status()

    def birdc(self, *command: str) -> str:
        """Ask BIRD."""
        return self.upstream.birdc(*command)

    def bird_prefixes(self) -> set[str]:
        """The prefixes in BIRD's table."""
        return self.upstream.bird_prefixes()
