"""What every lab of routers, an upstream and hosts has: it is built whole or not at all, and removed whatever state it is in."""

import shutil
from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.lab.customers import GATEWAY4, GATEWAY6, UPSTREAM4, UPSTREAM6, Customer
from l3ctl.lab.machine import require_lab
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.programs import Inhabited, Router, Upstream, waited


class Network(ABC):
    """One lab; `prefix` begins the names of its namespaces, so that several can stand side by side."""

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.run_dir = Path("/run/l3ctl/lab") / prefix
        self.upstream = Upstream(f"{prefix}-upstream", self.run_dir)
        self.made_etc = self.run_dir.parent / "made-etc-l3ctl"

    @abstractmethod
    def routers(self) -> list[Router]:
        """Those with an agent."""

    @abstractmethod
    def namespaces(self) -> list[Namespace]:
        """All of them."""

    def exists(self) -> bool:
        """Whether anything of such a lab is there, whole or not."""
        return self.run_dir.exists() or any(one.exists() for one in self.namespaces())

    def build(self, steps: Callable[[], None]) -> None:
        """Carry out the steps in a place that is prepared; all is removed again when one fails."""
        require_lab()
        if self.exists():
            raise LabFailed(f"a lab '{self.prefix}' is there already", f"`l3ctl lab down --prefix {self.prefix}` removes it")
        try:
            self.run_dir.mkdir(parents=True)
            if not Path("/etc/l3ctl").exists():  # `ip netns exec` can only lay ours over something
                Path("/etc/l3ctl").mkdir()
                self.made_etc.touch()
            for namespace in self.namespaces():
                namespace.add()
            steps()
        except BaseException:
            self.down()
            raise

    def start_programs(self) -> None:
        """BIRD first, so that it is there to be called; returns when every session stands."""
        self.upstream.start_bird()
        for router in self.routers():
            router.start_agent()
            router.start_exabgp()
        for router in self.routers():
            self.wait(f"the BGP session of {router.name}", router.has_session, 30)

    def wait(self, what: str, reached: Callable[[], bool], seconds: float) -> float:
        """As `programs.waited`."""
        inhabited: list[Inhabited] = [*self.routers(), self.upstream]
        by_folder = {one.run_dir: one for one in inhabited}  # each log once, where two share a folder
        return waited(what, reached, seconds, by_folder.values())

    def down(self) -> None:
        """Remove all of it, whatever state it is in."""
        for namespace in self.namespaces():
            namespace.remove()
        shutil.rmtree(self.run_dir, ignore_errors=True)
        empty = [Path("/etc/netns"), self.run_dir.parent, self.run_dir.parent.parent]
        if self.made_etc.exists() and list(self.made_etc.parent.iterdir()) == [self.made_etc]:  # no other lab needs it
            self.made_etc.unlink()
            empty.append(Path("/etc/l3ctl"))
        for folder in empty:
            try:
                folder.rmdir()
            except OSError:  # not empty: another lab's, or the machine's own
                continue


def cable_uplink(router: Router, upstream: Upstream, netdev: str, ipv6: str, ipv4: str) -> None:
    """Connect a router's uplink0 to this netdev of the upstream, which reaches the router's IPv4 address through BIRD alone."""
    for one in (router, upstream):
        one.forward()
    router.ip(f"link add uplink0 type veth peer name {netdev} netns {upstream.name}")
    upstream.ip(f"link set {netdev} up", f"addr add {UPSTREAM6} peer {ipv6}/128 dev {netdev} nodad")
    router.ip(
        "link set uplink0 up",
        f"addr add {ipv4}/32 dev lo",
        # A peer and no prefix: of a whole on-link /64, each address that a customer sends to would be looked for.
        f"addr add {ipv6} peer {UPSTREAM6}/128 dev uplink0 nodad",
        f"route add default via {UPSTREAM6} dev uplink0 onlink",
        f"route add {UPSTREAM4}/32 via inet6 {UPSTREAM6} dev uplink0 onlink",
    )


def as_its_owner_would(customer: Customer) -> tuple[str, ...]:
    """The `ip` commands that configure a customer's host."""
    return (
        "link set eth0 up",
        f"addr replace {customer.ipv4}/32 dev eth0",
        f"addr replace {customer.address6}/64 dev eth0 nodad",
        f"route replace default via {GATEWAY6} dev eth0",
        *((f"route replace {GATEWAY4} dev eth0 scope link", f"route replace default via {GATEWAY4}") if customer.arp else ()),
        *(() if customer.arp else (f"route replace 0.0.0.0/0 via inet6 {GATEWAY6} dev eth0",)),
    )
