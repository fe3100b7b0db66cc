"""What l3ctl.yaml says, as plain values, and the paths that follow from it. No I/O, standard library only."""

from dataclasses import dataclass
from pathlib import Path

from l3ctl.model import Address, BgpSettings, Settings, XdpMode

CONFIG_PATH = Path("/etc/l3ctl/l3ctl.yaml")
"""unless told otherwise"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What l3ctl.yaml says, read and found good."""

    router: str
    inventory_file: Path
    run_dir: Path
    full_pass: int
    """seconds between full comparisons"""
    xdp_mode: XdpMode
    settings: Settings
    bgp: BgpSettings | None

    @property
    def gateways(self) -> tuple[Address, ...]:
        """Every gateway address, which no host may be billed."""
        return (*self.settings.gateway_ipv6, *self.settings.gateway_ipv4)

    @property
    def bpffs(self) -> Path:
        """Where the filter's pins live."""
        return self.run_dir / "bpf"

    @property
    def agent_socket(self) -> Path:
        """Where commands reach the agent."""
        return self.run_dir / "agent.sock"

    @property
    def bgp_socket(self) -> Path:
        """Where ExaBGP's relay and the agent meet."""
        return self.run_dir / "bgp.sock"

    @property
    def lock_file(self) -> Path:
        """Held by the one agent of this router."""
        return self.run_dir / "agent.lock"

    @property
    def drain_mark(self) -> Path:
        """There while the router is drained, so that an agent that comes back announces nothing either."""
        return self.run_dir / "drained"

    @property
    def sysctl_memory(self) -> Path:
        """What the ports' sysctls were before."""
        return self.run_dir / "sysctls.json"
