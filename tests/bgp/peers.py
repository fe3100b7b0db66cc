"""The daemons that ExaBGP speaks to: one class for each, behind one small interface.

Each runs in the upstream's namespace from its example in configs/, with its files and sockets in a directory of its own. Nothing is changed
in the example but what an operator would change: addresses, link, AS, and lines that wait there commented out.
"""

import json
import re
import shutil
import subprocess
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv6Address
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.lab.namespaces import Namespace

CONFIGS = Path(__file__).parents[2] / "configs"
LINK = "down0"
"""the upstream's end of the link to the router"""
SECRET = "SECRET"
"""the password of the examples"""


@dataclass(frozen=True)
class Session:
    """A BGP session, as the upstream sees it. One that is `secured` has a password, and refuses packets from beyond the link."""

    local: IPv6Address
    remote: IPv6Address
    local_as: int = 65000
    secured: bool = False


GLOBAL = Session(IPv6Address("2001:db8:ffff::1"), IPv6Address("2001:db8:ffff::2"))
"""as the examples have it"""
LINK_LOCAL = Session(IPv6Address("fe80::1"), IPv6Address("fe80::2"))


class Daemon(ABC):
    """A BGP daemon with one session."""

    example: str
    """the name of its configuration in configs/"""
    own_zone = peers_zone = ""
    """what it writes behind the link-local addresses of a session"""

    def __init__(self, directory: Path, namespace: Namespace) -> None:
        self.directory, self.namespace = directory, namespace
        self.conf = directory / self.example
        self.session = GLOBAL
        self.processes: list[subprocess.Popen[bytes]] = []
        directory.mkdir()

    def start(self, session: Session = GLOBAL, change: Callable[[str], str] = str, **options: bool) -> None:
        """Start it with one session; `change` may change its configuration further."""
        self.session = session
        self.conf.write_text(change(self._configured((CONFIGS / self.example).read_text())))
        self.run(**options)

    def kill(self) -> None:
        """As a crash would."""
        for process in self.processes:
            process.kill()
        self._gone()

    def stop(self) -> None:
        """End it, where it runs."""
        for process in self.processes:
            process.terminate()
        try:
            self._gone()
        except subprocess.TimeoutExpired:
            self.kill()

    def established(self) -> bool:
        """Whether the session is up. A daemon that does not answer yet has none."""
        with suppress(LabFailed):
            return self.says_established()
        return False

    def through(self, next_hop: object) -> str:
        """How `routes` writes a next hop on the link."""
        return f"{next_hop} dev {LINK}"

    @abstractmethod
    def run(self) -> None:
        """Start its programs."""

    @abstractmethod
    def ask(self, *words: str) -> str:
        """What its command line says."""

    @abstractmethod
    def says_established(self) -> bool:
        """What it says of the session."""

    @abstractmethod
    def routes(self) -> dict[str, str]:
        """Prefix -> how it is reached, of all that it learnt and uses."""

    @abstractmethod
    def route(self, prefix: str) -> str:
        """All it says of one of them."""

    def launch(self, *argv: str | Path) -> None:
        """Start one of its programs."""
        words = [str(word) for word in argv]
        self.processes.append(self.namespace.start(words, self.directory.with_suffix(".log")))

    def _gone(self) -> None:
        for process in self.processes:
            process.wait(5)
        self.processes.clear()

    def _configured(self, conf: str) -> str:
        """The example, changed for the session."""
        session = self.session
        changes = [(str(GLOBAL.local_as), str(session.local_as)), ("eth1", LINK)]
        if session.local.is_link_local:
            conf = _switched_on(conf, "interface")
            changes += [(str(GLOBAL.local), f"{session.local}{self.own_zone}"), (str(GLOBAL.remote), f"{session.remote}{self.peers_zone}")]
        if session.secured:
            conf = _switched_on(conf, "password", "ttl", "enabled")
        for old, new in changes:
            conf = conf.replace(old, new)
        return conf


class Bird(Daemon):
    """BIRD 2, which installs what it learns in its kernel."""

    example = "bird.conf"
    peers_zone = f"%{LINK}"

    def run(self, *, recover: bool = False) -> None:
        self.launch("bird", "-f", "-c", self.conf, "-s", self.directory / "bird.ctl", *(["-R"] if recover else []))

    def ask(self, *words: str) -> str:
        return self.namespace.run("birdc", "-s", str(self.directory / "bird.ctl"), *words)

    def says_established(self) -> bool:
        return "Established" in self.ask("show", "protocols", "l3ctl")

    def routes(self) -> dict[str, str]:
        return _installed(self.namespace, "bird")

    def route(self, prefix: str) -> str:
        return self.ask("show", "route", "all", prefix)


class Frr(Daemon):
    """FRR 8: bgpd, and zebra, which installs what bgpd learns in the kernel.

    Both run as the user frr, who may not look into a directory of ours, but may stay where it was put: so their paths are relative. Their
    configuration is told by vtysh, as on a router.
    """

    example = "frr.conf"

    def run(self) -> None:
        shutil.chown(self.directory, "frr", "frr")
        self._run_program("zebra")
        self.run_bgpd()

    def run_bgpd(self) -> None:
        """Start bgpd, beside the zebra that runs."""
        self._run_program("bgpd")
        self.namespace.run("vtysh", "--vty_socket", str(self.directory), "-f", str(self.conf))

    def kill_bgpd(self) -> None:
        """As a crash of it alone would."""
        bgpd = self.processes.pop()
        bgpd.kill()
        bgpd.wait(5)
        self._remove_crash_logs(bgpd)

    def kill(self) -> None:
        killed = tuple(self.processes)
        super().kill()
        self._remove_crash_logs(*killed)

    def _run_program(self, name: str) -> None:
        socket = self.directory / f"{name}.vty"
        socket.unlink(missing_ok=True)
        files = ["-f", "/dev/null", "-i", f"{name}.pid", "-z", "zserv.api", "--vty_socket", "."]
        self.launch("env", "-C", self.directory, f"/usr/lib/frr/{name}", *files, "--log", "stdout")
        _wait(socket.exists)

    @staticmethod
    def _remove_crash_logs(*killed: subprocess.Popen[bytes]) -> None:
        """Each program of FRR has a directory for them, which it can only remove itself when it is not killed."""
        for process in killed:
            for path in Path("/var/tmp/frr").glob(f"*.{process.pid}"):
                shutil.rmtree(path)

    def ask(self, *words: str) -> str:
        return self.namespace.run("vtysh", "--vty_socket", str(self.directory), "-c", " ".join(words))

    def says_established(self) -> bool:
        (neighbor,) = json.loads(self.ask("show bgp neighbors", str(self.session.remote), "json")).values()
        return neighbor["bgpState"] == "Established"

    def routes(self) -> dict[str, str]:
        return _installed(self.namespace, "bgp")

    def route(self, prefix: str) -> str:
        return self.ask("show bgp", "ipv6" if ":" in prefix else "ipv4", "unicast", prefix)


class GoBgp(Daemon):
    """GoBGP 3, which installs nothing: its routes are what its RIB holds. (Its zebra client panics at what zebra says since FRR 8.3.)"""

    example = "gobgpd.toml"
    own_zone = peers_zone = f"%{LINK}"

    def run(self) -> None:
        self.launch("gobgpd", "-f", self.conf, "--log-plain")
        _wait(self.answers)

    def answers(self) -> bool:
        with suppress(LabFailed):
            return bool(self.ask("global"))
        return False

    def ask(self, *words: str) -> str:
        return self.namespace.run("gobgp", *words)

    def says_established(self) -> bool:
        return "Establ" in self.ask("neighbor")

    def routes(self) -> dict[str, str]:
        found = {}
        for family in ("ipv6", "ipv4"):
            for prefix, paths in json.loads(self.ask("global", "rib", "-a", family, "-j")).items():
                (next_hop,) = [attribute["nexthop"] for attribute in paths[0]["attrs"] if "nexthop" in attribute]
                found[prefix] = next_hop
        return found

    def route(self, prefix: str) -> str:
        return self.ask("global", "rib", prefix, "-a", "ipv6" if ":" in prefix else "ipv4")

    def through(self, next_hop: object) -> str:
        return str(next_hop)


def _switched_on(conf: str, *words: str) -> str:
    """With the lines that have one of these words and wait commented out, right behind the sign of a comment."""
    return re.sub(rf"^(\s*)[#!](?=\S)(?=.*({'|'.join(words)}))", r"\1", conf, flags=re.MULTILINE)


def _installed(namespace: Namespace, protocol: str) -> dict[str, str]:
    """Prefix -> next hop and device, of a protocol's routes in the kernel."""
    found = {}
    for family, length in (("-6", 128), ("-4", 32)):
        for route in json.loads(namespace.run("ip", family, "-j", "route", "show", "proto", protocol) or "[]"):
            prefix = route["dst"] if "/" in route["dst"] else f"{route['dst']}/{length}"
            next_hop = route["gateway"] if "gateway" in route else route["via"]["host"]
            found[prefix] = f"{next_hop} dev {route['dev']}"
    return found


def _wait(reached: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not reached():
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
