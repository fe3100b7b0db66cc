"""Two real BGP speakers on one link, and an agent's loop around a real Speaker.

    router: ExaBGP + relay, 2001:db8:ffff::2 ──veth── 2001:db8:ffff::1, upstream: BIRD, which installs what it learns in its kernel

Everything lives in namespaces of this test and in its tmp_path.
"""

import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

from l3ctl.bgp import relay
from l3ctl.bgp.exabgp_config import environment, exabgp_config
from l3ctl.bgp.speaker import Speaker
from l3ctl.errors import LabFailed
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Announcement, BgpSettings, Peer

ROUTER, UPSTREAM = IPv6Address("2001:db8:ffff::2"), IPv6Address("2001:db8:ffff::1")
LL_ROUTER, LL_UPSTREAM = IPv6Address("fe80::2"), IPv6Address("fe80::1")
EXABGP = Path(sys.executable).with_name("exabgp")
BIRD_CONF = Path(__file__).parents[2] / "configs" / "bird.conf"


def peer(address: IPv6Address = UPSTREAM, *, next_hop: IPv6Address = ROUTER, remote_as: int = 65000) -> Peer:
    return Peer(address, remote_as, ROUTER, next_hop)


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

    def until(self, done: Callable[[], bool], within: float = 30) -> None:
        deadline = time.monotonic() + within
        while not done():
            assert time.monotonic() < deadline, f"not within {within} s; status {self.speaker.status()}"
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
    def __init__(self, directory: Path, router: Namespace, upstream: Namespace) -> None:
        self.directory, self.router, self.upstream = directory, router, upstream
        self.socket_path = directory / "bgp.sock"
        self.exabgp: subprocess.Popen[bytes] | None = None
        self.bird: subprocess.Popen[bytes] | None = None
        self.agents: list[Agent] = []
        router.ip(f"link add up0 type veth peer name down0 netns {upstream.name}")
        for namespace, link, addresses in ((router, "up0", (ROUTER, LL_ROUTER)), (upstream, "down0", (UPSTREAM, LL_UPSTREAM))):
            namespace.ip(
                f"link set {link} addrgenmode none", f"link set {link} up", *(f"addr add {a}/64 dev {link} nodad" for a in addresses)
            )

    def start_bird(self, conf: str | None = None, *, recover: bool = False) -> None:
        path = self.directory / "bird.conf"
        path.write_text(BIRD_CONF.read_text() if conf is None else conf)
        argv = ["bird", "-f", "-c", str(path), "-s", str(self.directory / "bird.ctl"), *(["-R"] if recover else [])]
        self.bird = self.upstream.start(argv, self.directory / "bird.log")

    def kill_bird(self) -> None:
        assert self.bird is not None
        self.bird.kill()
        self.bird.wait(10)

    def start_exabgp(self, bgp: BgpSettings) -> None:
        command = f"{sys.executable} -I {relay.__file__} {self.socket_path}"
        path = self.directory / "exabgp.conf"
        path.write_text(exabgp_config(bgp, command))
        self.exabgp = self.router.start([str(EXABGP), "server", str(path)], self.directory / "exabgp.log", env=environment(None))

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

    def birdc(self, *words: str) -> str:
        return self.upstream.run("birdc", "-s", str(self.directory / "bird.ctl"), *words)

    def birdc_or_nothing(self, *words: str) -> str:
        """While BIRD starts it has no control socket yet."""
        with suppress(LabFailed):
            return self.birdc(*words)
        return ""

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
        """Look at the kernel every 20 ms; at the end none of `expected` may ever have been missing."""
        missing: list[set[str]] = []
        done = threading.Event()

        def look() -> None:
            while not done.wait(0.02):
                missing.append(expected.keys() - self.kernel().keys())

        watcher = threading.Thread(target=look)
        watcher.start()
        try:
            yield
            time.sleep(0.2)
        finally:
            done.set()
            watcher.join()
        assert len(missing) > 3
        assert not any(missing), f"missing at some moment: {set().union(*missing)}"

    def kernel(self) -> dict[str, str]:
        """Prefix -> next hop, of what BIRD installed in the upstream's kernel."""
        found = {}
        for family in ("-6", "-4"):
            for line in self.upstream.run("ip", family, "route", "show", "proto", "bird").splitlines():
                words = line.split()
                via = words[words.index("via") + 1 :]
                found[str(ip_network(words[0]))] = via[1] if via[0] == "inet6" else via[0]
        return found

    def stop(self) -> None:
        for agent in self.agents:
            if agent.selector.get_map():
                agent.speaker.close()
        for process in (self.exabgp, self.bird):
            if process is not None and process.poll() is None:
                os.kill(process.pid, signal.SIGTERM)
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(5)
