"""What a person wrote, as it was when it was read: the configuration, and this router's ports of the inventory that it names."""

import ctypes
import hashlib
import os
import pickle
import signal
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from l3ctl.configuration import Configuration
from l3ctl.errors import BadInput, L3ctlError, MissingRequirement, Problem
from l3ctl.model import Port, Settings

_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True, slots=True)
class Site:
    """Both files, found good."""

    path: Path
    config: Configuration
    ports: tuple[Port, ...]

    def fingerprint(self) -> str:
        """The same for two readings that mean the same, wherever they were read from."""
        meant = (self.config.router, self.config.full_pass, self.config.settings, self.config.bgp, self.ports)
        return hashlib.sha256(repr(meant).encode()).hexdigest()

    def source_guard(self) -> bool:
        """Whether any port here wants the source guard, which costs every packet a look-up and so is a program of its own."""
        default = self.config.settings.source_guard
        return any(default if port.source_guard is None else port.source_guard for port in self.ports) if self.ports else default

    def fixed_differences(self, other: "Site") -> list[str]:
        """The keys that differ and that a running agent cannot change: its name, its sockets, its sessions, how its filter is attached."""
        mine, theirs = self.config, other.config
        pairs = {
            "router": (mine.router, theirs.router),
            "run_dir": (mine.run_dir, theirs.run_dir),
            "bgp": (mine.bgp, theirs.bgp),
            "guard.xdp_mode": (mine.xdp_mode, theirs.xdp_mode),
        }
        return [key for key, (one, another) in pairs.items() if one != another]


def load_site(path: Path) -> Site:
    """Read and check both; `BadInput` with all that is wrong."""
    # Imported where it is needed: what reads strictly takes 19 MB, which the agent leaves to a child.
    from l3ctl.config import load_config
    from l3ctl.inventory import load_inventory

    read = load_config(path)
    config = read.configuration()
    ports = load_inventory(config.inventory, config.router, config.gateways, read.session_addresses)
    if problems := [*_contradictions(path, config.settings, ports)]:
        raise BadInput(problems)
    return Site(path, config, ports)


def load_configuration(path: Path) -> Configuration:
    """The configuration alone."""
    from l3ctl.config import load_config

    return load_config(path).configuration()


def _contradictions(path: Path, settings: Settings, ports: tuple[Port, ...]) -> Iterator[Problem]:
    """What each file may say, and not both together."""
    here = {netdev: port.name for port in ports for netdev in (port.interface, port.guard)}
    for uplink in settings.uplinks:
        if uplink.interface in here:
            what = f"uplinks: {uplink.interface} is port {here[uplink.interface]}'s"
            yield Problem(str(path), what, "customers and upstream routers want netdevs of their own")
    billed = {prefix: port.name for port in ports for host in port.hosts for prefix in host.prefixes()}
    for blackhole in settings.blackholes:
        above = (blackhole.supernet(new_prefix=length) for length in range(blackhole.prefixlen + 1))
        key = "bgp.covers" if blackhole in settings.covers else "blackhole"
        for prefix in (prefix for prefix in above if prefix in billed):
            what = f"{key}: {blackhole} is within {prefix}, billed to {billed[prefix]}"
            yield Problem(str(path), what, "write what covers the hosts' prefixes")


def load_site_apart(path: Path) -> Site:
    """As `load_site`, in a child process: a large inventory takes ten times its size to be read, which a process does not give back.

    Only for a process with one thread.

    Raises:
        MissingRequirement: there is no room for a child, or it was killed; what was read before holds.
    """
    reading, writing = os.pipe()
    try:
        child = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        raise MissingRequirement(f"no process can be made to read {path}: {error.strerror}", "make room for one") from error
    if child == 0:
        _read_for_parent(path, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        told = pipe.read()
    status = 0
    with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel has taken the child away
        status = os.waitpid(child, 0)[1]
    try:
        found: Site | L3ctlError = pickle.loads(told)  # noqa: S301  of our own child
    except (EOFError, pickle.UnpicklingError) as error:
        why = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error of its own"
        raise MissingRequirement(f"the process that read {path} was ended by {why}", "the kernel log may say more") from error
    if isinstance(found, L3ctlError):
        raise found
    return found


def _read_for_parent(path: Path, writing: int) -> NoReturn:
    """The child's whole life. It ends with its parent, and holds nothing of what that had open: no lock, and no signal meant for it."""
    try:
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.closerange(3, writing)
        os.closerange(writing + 1, os.sysconf("SC_OPEN_MAX"))
        with os.fdopen(writing, "wb") as pipe:
            pickle.dump(_site_or_error(path), pipe)
    finally:
        os._exit(0)


def _site_or_error(path: Path) -> Site | L3ctlError:
    try:
        return load_site(path)
    except L3ctlError as error:
        return error
