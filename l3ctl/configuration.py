"""What l3ctl.yaml says, as plain values, and the paths that follow from it. No I/O, standard library only."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from l3ctl.model import Address, Settings, XdpMode
from l3ctl.names import AGENT_SOCKET
from l3ctl.peering import BgpSettings


@dataclass(frozen=True, slots=True)
class FileSource:
    """A file, or every file in a folder: YAML, JSON, TOML or CSV, by how its name ends."""

    path: Path

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return str(self.path.absolute())

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class CommandSource:
    """A program that prints JSON."""

    arguments: tuple[str, ...]

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return " ".join(self.arguments)

    def __str__(self) -> str:
        return f"command {self.arguments[0]}"


@dataclass(frozen=True, slots=True)
class HttpSource:
    """JSON from a web server. The token, if any, is the file's one word; `ca_file` replaces the system's authorities."""

    url: str
    token_file: Path | None = None
    ca_file: Path | None = None

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return self.url

    def __str__(self) -> str:
        return self.url


@dataclass(frozen=True, slots=True)
class PostgresqlSource:
    """A query's rows. `connection` is a libpq connection string without a password; `channel` is what to LISTEN to, or None."""

    connection: str
    query: str
    channel: str | None = None
    password_file: Path | None = None

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return self.connection

    def __str__(self) -> str:
        return "postgresql"


@dataclass(frozen=True, slots=True)
class SqliteSource:
    """A query's rows."""

    path: Path
    query: str

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return str(self.path.absolute())

    def __str__(self) -> str:
        return str(self.path)


@dataclass(frozen=True, slots=True)
class NetboxSource:
    """NetBox's interfaces that carry the tag, as ports. `trunk` is the netdev of those that say only a VLAN."""

    url: str
    token_file: Path
    tag: str = "l3ctl"
    trunk: str | None = None
    ca_file: Path | None = None

    def origin(self) -> str:
        """What makes it this source, and no other."""
        return self.url

    def __str__(self) -> str:
        return self.url


SourceSettings = FileSource | CommandSource | HttpSource | PostgresqlSource | SqliteSource | NetboxSource


@dataclass(frozen=True, slots=True)
class Inventory:
    """Where the ports come from, and how much is taken on trust."""

    source: SourceSettings
    interval: int = 60
    """seconds between two readings of everything; what a source tells by itself does not wait for it"""
    timeout: int = 30
    """seconds a reading may take"""
    watch: bool = True
    """follow the source; else it is read at the start, on SIGHUP and by `l3ctl apply`"""
    strict: bool = False
    """one bad record refuses all of a reading"""
    max_shrink: int = 10
    """percent of the ports that may go within an hour without somebody's word"""


@dataclass(frozen=True, slots=True)
class Configuration:
    """What l3ctl.yaml says, read and found good."""

    router: str
    inventory: Inventory
    run_dir: Path
    state_dir: Path
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
    def upstream(self) -> tuple[Address, ...]:
        """Every address that is needed to reach upstream, by BGP or as a neighbour: none may be routed to a host."""
        peers = self.bgp.peers if self.bgp is not None else ()
        addresses = [address for peer in peers for address in (peer.address, peer.local_address)]
        addresses += (uplink.address for uplink in self.settings.uplinks)
        return tuple(address for address in dict.fromkeys(addresses) if not address.is_link_local)

    @property
    def bpffs(self) -> Path:
        """Where the filter's pins live."""
        return self.run_dir / "bpf"

    @property
    def agent_socket(self) -> Path:
        """Where commands reach the agent."""
        return self.run_dir / AGENT_SOCKET

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
    def words(self) -> Path:
        """The ports whose hosts somebody said to be away. Gone after a boot."""
        return self.run_dir / "away"

    @property
    def inventory_copy(self) -> Path:
        """The last good inventory, and what it was before. Another source has another one: that its ports go says nothing of these."""
        origin = hashlib.sha256(self.inventory.source.origin().encode()).hexdigest()[:8]
        return self.state_dir / f"{self.router}-{origin}.inventory"

    @property
    def sysctl_memory(self) -> Path:
        """What the ports' sysctls were before."""
        return self.run_dir / "sysctls.json"
