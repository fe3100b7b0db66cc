"""What a person wrote, as it was when it was read: the configuration, and this router's ports of the inventory that it names."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from l3ctl.configuration import Configuration
from l3ctl.model import Port, Settings


@dataclass(frozen=True, slots=True)
class Site:
    """Both files, found good."""

    path: Path
    config: Configuration
    ports: tuple[Port, ...]
    news: Mapping[str, str] = field(default_factory=dict)
    """by port: what the inventory says of it that it did not say before, in words"""
    news_of_netdevs: Mapping[str, str] = field(default_factory=dict)
    """the same by the netdev that such a port was on"""

    def source_guard(self) -> bool:
        """As `wants_source_guard` of its ports."""
        return wants_source_guard(self.config.settings, self.ports)

    def fixed_differences(self, mine: Configuration) -> list[str]:
        """The keys that differ and that a running agent cannot change: its name, its folders, its sessions, how its filter is attached."""
        theirs = self.config
        pairs = {
            "router": (mine.router, theirs.router),
            "run_dir": (mine.run_dir, theirs.run_dir),
            "bgp": (mine.bgp, theirs.bgp),
            "guard.xdp_mode": (mine.xdp_mode, theirs.xdp_mode),
        }
        return [key for key, (one, another) in pairs.items() if one != another]


def wants_source_guard(settings: Settings, ports: Iterable[Port]) -> bool:
    """Whether any port wants the source guard, which costs every packet a look-up and so is a program of its own."""
    default, any_port = settings.source_guard, False
    for port in ports:
        any_port = True
        if default if port.source_guard is None else port.source_guard:
            return True
    return default and not any_port


def waiting(ports: Iterable[Port], netdevs: Collection[str]) -> list[str]:
    """Ports whose netdevs are not among these, in words."""
    there = frozenset(netdevs)
    missing = {port.name: sorted({port.interface, port.guard} - there) for port in ports}
    return [f"port {name} waits for netdev {' and '.join(lacks)}" for name, lacks in missing.items() if lacks]


def load_site(path: Path) -> Site:
    """Read and check both, strictly; `BadInput` with all that is wrong."""
    # Imported where it is needed: what reads strictly takes 19 MB, which the agent leaves to a child.
    from l3ctl.inventory import load_inventory, reserved_by

    config = load_configuration(path)
    return Site(path, config, load_inventory(config.inventory, config.router, reserved_by(config)))


def load_configuration(path: Path) -> Configuration:
    """The configuration alone."""
    from l3ctl.config import load_config

    return load_config(path).configuration()
