"""Who is in the lab, and the files its programs read."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Network
from pathlib import Path

from l3ctl.lladdr import eui64_link_local

UPSTREAM6, UPSTREAM4 = "2001:db8:ffff::1", "198.51.100.1"
ROUTER6, ROUTER4 = "2001:db8:ffff::2", "198.51.100.2"
EXABGP_USER = "nobody"
GATEWAY6, GATEWAY4 = "fe80::1", "203.0.113.1"


@dataclass(frozen=True, slots=True)
class Customer:
    """A host on a port of its own."""

    name: str
    lladdr: str
    ipv6: IPv6Network
    ipv4: IPv4Address
    arp: bool
    """whether its IPv4 gateway is found by ARP, or is the IPv6 one"""

    @property
    def port(self) -> str:
        """The router's netdev."""
        return f"port-{self.name}"

    @property
    def address6(self) -> str:
        """The address it uses of its /64."""
        return str(self.ipv6[1])

    @property
    def link_local(self) -> str:
        """As it forms it from its MAC."""
        return str(eui64_link_local(self.lladdr))


CUSTOMERS = tuple(
    Customer(name, f"52:54:00:0a:00:{number:02x}", IPv6Network(f"2001:db8:{number}::/64"), IPv4Address(f"203.0.113.{number}"), arp)
    for name, number, arp in (("web1", 11, True), ("db1", 12, False), ("rogue", 13, True))
)


def config(
    run_dir: Path,
    *,
    router: str = "r1",
    ipv6: str = ROUTER6,
    ipv4: str = ROUTER4,
    inventory_file: str = "inventory.yaml",
    hear: bool = False,
    watch: bool = False,
) -> str:
    """A router's l3ctl.yaml."""
    return f"""\
router: {router}
inventory: {{file: {inventory_file}, watch: {str(watch).lower()}, max_shrink: 100}}   # few ports, to play with
gateway: {{ipv6: [{GATEWAY6}], ipv4: [{GATEWAY4}]}}
guard: {{mode: enforce, source_guard: false}}
bgp:
  router_id: {ipv4}
  local_as: 65010
  user: {EXABGP_USER}
  damping: off                          # who plays with cables is not to wait
  peers:
    - {{address: "{UPSTREAM6}", remote_as: 65000, local_address: "{ipv6}", hear: {str(hear).lower()}}}
run_dir: {run_dir}
"""


def bird_config(routers: Mapping[str, str]) -> str:
    """The upstream's: a session with each router, by name and address. Where there are several, each is told of the others' routes.

    Also of one that is not the best (`secondary`, which needs sorted tables), and with the next hop that tells whose it is.
    """
    several = len(routers) > 1
    export = "export where source = RTS_BGP; secondary on; next hop keep on" if several else "export none"
    tables = "ipv4 table master4 sorted;\nipv6 table master6 sorted;\n" if several else ""
    sessions = (
        f"""\
protocol bgp {name} {{
    local {UPSTREAM6} as 65000;
    neighbor {address} as 65010;
    graceful restart on;
    connect delay time 1;
    error wait time 1, 5;
    ipv4 {{ import all; {export}; extended next hop on; }};
    ipv6 {{ import all; {export}; }};
}}
"""
        for name, address in routers.items()
    )
    return f"""\
router id {UPSTREAM4};
{tables}\
protocol device {{ scan time 1; }}
protocol kernel kernel4 {{ merge paths off; ipv4 {{ export all; import none; }}; }}
protocol kernel kernel6 {{ merge paths off; ipv6 {{ export all; import none; }}; }}
{"".join(sessions)}"""


def inventory(ports: Iterable[dict[str, object]]) -> str:
    """An inventory file."""
    lines = ["ports:"]
    for port in ports:
        first, *others = (f"{key}: {json.dumps(value)}" for key, value in port.items())
        lines += [f"  - {first}", *(f"    {line}" for line in others)]
    return "\n".join(lines) + "\n"


def record(customer: Customer) -> dict[str, object]:
    """A customer's inventory record."""
    return {
        "name": customer.name,
        "interface": customer.port,
        "mac": customer.lladdr,
        "ipv6": [str(customer.ipv6)],
        "ipv4": [str(customer.ipv4)],
    }
