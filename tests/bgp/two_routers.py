"""Two real BGP speakers on one link, and an agent's loop around a real Speaker.

    router: ExaBGP + relay, 2001:db8:ffff::2 and fe80::2, up0 ──veth── down0, 2001:db8:ffff::1 and fe80::1, upstream: BIRD, or another

Everything lives in namespaces of this test and in its tmp_path.
"""

import selectors
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

from l3ctl.bgp import relay
from l3ctl.bgp.exabgp_config import environment, exabgp_config, start_command
from l3ctl.bgp.speaker import Speaker
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Announcement
from l3ctl.peering import BgpSettings, Peer
from tests.bgp.peers import GLOBAL, LINK, LINK_LOCAL, Bird, Daemon, Session

ROUTER, UPSTREAM = GLOBAL.remote, GLOBAL.local


def peer(address: IPv6Address = UPSTREAM, *, next_hop: IPv6Address = ROUTER, remote_as: int = 65000) -> Peer:
    return Peer(address, remote_as, ROUTER, next_hop)


def peer_of(session: Session) -> Peer:
    """The upstream as the router's settings name it."""
    return Peer(session.local, session.local_as, session.remote, session.remote, "up0" if session.local.is_link_local else None)


def settings(*peers: Peer, med: int = 0) -> BgpSettings:
    return BgpSettings(IPv4Address("192.0.2.1"), 65010, peers or (peer(),), med=med)


def announcement(prefix: str) -> Announcement:
    return Announcement(ip_network(prefix), IPv6Address("fe80::5054:ff:fe0a:b"))


def announcements(*prefixes: str) -> frozenset[Announcement]:
    return frozenset(map(announcement, prefixes))


class Agent:
    """The agent's loop, around one real Speaker."""

    def __init__(self, socket_path: Path, bgp: BgpSettings) -> None:
        self.selector = selectors.DefaultSelector()
        self.asked: list[str] = []
        self.speaker = Speaker(socket_path, bgp, self.selector, lambda command, _: self.asked.append(str(command)))
        self.speaker.open()

    def until(self, done: Callable[[], bool], within: float = 30, told: Callable[[], object] = str) -> None:
        deadline = time.monotonic() + within
        while not done():
            assert time.monotonic() < deadline, f"not within {within} s; status {self.speaker.status()}; {told()}"
            for key, _ in self.selector.select(0.02):
                key.data()
            self.speaker.tick(time.monotonic())

    def turn(self, seconds: float) -> None:
        """Let the loop run for a while, whatever happens."""
        end = time.monotonic() + seconds
        self.until(lambda: time.monotonic() >= end)

    def die(self) -> None:
        """As SIGKILL would: every socket closed, the path left behind."""
        for key in list(self.selector.get_map().values()):
            self.selector.unregister(key.fileobj)
            key.fileobj.close()
        self.selector.close()


class TwoRouters:
    def __init__(self, directory: Path, router: Namespace, upstream: Namespace, daemon: type[Daemon] = Bird) -> None:
        self.directory, self.router, self.upstream = directory, router, upstream
        self.socket_path = directory / "bgp.sock"
        self.exabgp: subprocess.Popen[bytes] | None = None
        self.peer = daemon(directory / "peer", upstream)
        self.agents: list[Agent] = []
        router.ip(f"link add up0 type veth peer name {LINK} netns {upstream.name}")
        for namespace, link, addresses in (
            (router, "up0", (GLOBAL.remote, LINK_LOCAL.remote)),
            (upstream, LINK, (GLOBAL.local, LINK_LOCAL.local)),
        ):
            namespace.ip(
                f"link set {link} addrgenmode none", f"link set {link} up", *(f"addr add {a}/64 dev {link} nodad" for a in addresses)
            )

    def start_exabgp(self, bgp: BgpSettings) -> None:
        command = f"{sys.executable} -I {relay.__file__} {self.socket_path}"
        path = self.directory / "exabgp.conf"
        path.write_text(exabgp_config(bgp, command))
        self.exabgp = self.router.start(start_command(str(path)), self.directory / "exabgp.log", env=environment(None))

    def kill_exabgp(self) -> None:
        assert self.exabgp is not None
        self.exabgp.kill()
        self.exabgp.wait(10)

    def relay_pid(self) -> int:
        """The helper of the ExaBGP that runs now."""
        assert self.exabgp is not None
        children = Path(f"/proc/{self.exabgp.pid}/task/{self.exabgp.pid}/children").read_text().split()
        (pid,) = [int(child) for child in children if relay.__file__ in Path(f"/proc/{child}/cmdline").read_text()]
        return pid

    def agent(self, bgp: BgpSettings | None = None) -> Agent:
        agent = Agent(self.socket_path, bgp or settings())
        self.agents.append(agent)
        return agent

    def upstream_counter(self, name: str) -> int:
        """How often the upstream's TCP did that: `TCPMD5Failure`."""
        with self.upstream.entered():
            names, values = (line.split() for line in Path("/proc/thread-self/net/netstat").read_text().splitlines()[:2])
        return int(values[names.index(name)])

    @staticmethod
    def runs(pid: int) -> bool:
        """Whether the process lives; a zombie does not."""
        with suppress(FileNotFoundError):
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        return False

    @staticmethod
    def numbered(number: int) -> frozenset[Announcement]:
        return announcements(f"2001:db8:{number:x}::/64")

    @contextmanager
    def watching_for_loss(self, expected: dict[str, str]) -> Iterator[None]:
        """Look at the peer's routes every 20 ms; at the end none of `expected` may ever have been missing, or reached otherwise."""
        missing: list[set[str]] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.02):
                missing.append({prefix for prefix, _ in expected.items() - self.peer.routes().items()})

        with ThreadPoolExecutor(1) as pool:
            watcher = pool.submit(look)
            try:
                yield
                time.sleep(0.2)
            finally:
                done.set()
            watcher.result()
        assert len(missing) > 3
        assert not any(missing), f"missing at some moment: {set().union(*missing)}"

    def stop(self) -> None:
        for agent in self.agents:
            if agent.selector.get_map():
                agent.speaker.close()
        self.peer.stop()
        if self.exabgp is not None and self.exabgp.poll() is None:
            self.exabgp.terminate()
            try:
                self.exabgp.wait(5)
            except subprocess.TimeoutExpired:
                self.kill_exabgp()
