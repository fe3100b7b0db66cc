"""What one run of an attack tool is: data only. They are listed in thc.py, toolkit.py and arp.py; attacker.py runs them."""

import sys
from dataclasses import dataclass
from pathlib import Path

from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6, UPSTREAM6

WEB1, DB1, ROGUE = CUSTOMERS
PLACES = {
    "gateway6": GATEWAY6,
    "gateway4": GATEWAY4,
    "upstream": UPSTREAM6,
    "uplink": "2001:db8:ffff::/64",
    "victim": WEB1.address6,
    "victim_prefix": str(WEB1.ipv6),
    "victim_ll": WEB1.link_local,
    "victim4": str(WEB1.ipv4),
    "victim_mac": WEB1.lladdr,
    "own": ROGUE.address6,
    "own_ll": ROGUE.link_local,
    "own4": str(ROGUE.ipv4),
    "own_mac": ROGUE.lladdr,
    "scapy": f"{sys.executable} {Path(__file__).with_name('scapy_frames.py')}",
}
"""what stands in braces in a command"""

WHY_IT_PASSES = {
    "later fragment": "carries no header to judge; without its first fragment, which is judged, it reassembles to nothing",
    "MLD report": "a host may join any group; the router forwards no multicast, so nobody receives more for it",
    "echo": "ordinary traffic: a ping; the router has routes to no link-local but the billed ones",
    "node query": "ICMPv6 that is not ND; the kernel answers none",
    "ICMPv6 error": "ordinary traffic; a host ignores one that quotes no packet of its own",
    "other ICMPv6": "not ND, and nothing the router's neighbour code would read",
    "TCP": "ordinary traffic",
    "UDP": "ordinary traffic",
    "IPv4": "ordinary traffic",
    "PIM": "not ND; no multicast routing runs on the router",
    "no next header": "nothing follows that could be read",
    "other protocol": "no upper layer of ND",
    "other EtherType": "neither ARP nor IP",
    "unguarded VLAN": "no port is billed on that VLAN, and no netdev of the router takes it",
}
"""kind of frame -> why the contract lets it pass"""


@dataclass(frozen=True, slots=True)
class Case:
    """One tool run from the attacker's eth0. It ends by itself, or when it has run for `seconds`, sent `frames`, or fallen silent."""

    command: str
    aim: str
    passes: tuple[str, ...] = ()
    """the kinds of frames, of WHY_IT_PASSES, that the contract lets through among what this tool sends; all others are dropped"""
    cause: str = ""
    """for a tool that only answers what it hears: what the attacker's own kernel is made to ask, of attacker.CAUSES"""
    proof: str = ""
    """where the attacker's kernel, or an accomplice, sends too: a reason that only the tool's own frames are counted by"""
    answered: bool = False
    """for a tool that asks for the router's MAC from a link-local that is not billed: an accomplice answers, as the filter does not"""
    seconds: float = 1.5
    frames: int = 20_000
    silence: float = 0.6
    """seconds without a frame, after the first one, that end it"""

    @property
    def name(self) -> str:
        """As the report and the test's id say it."""
        return self.command.replace("{scapy}", "scapy").replace("{", "").replace("}", "")

    def argv(self) -> list[str]:
        """What to run."""
        return self.command.format_map(PLACES).split()
