"""A router with ports, in its own namespace, and the kernel room opened inside.

router: p0 ── q0      one veth pair a port; the far ends stay in the same namespace unless a test moves them
        p1 ── q1
"""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import IPv6Address, ip_address, ip_interface, ip_network

from l3ctl.kernel.tables import Kernel
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import MAIN_TABLE, Change, GatewayAddress, Item, Neighbour, Route, Verb

LLADDR = "52:54:00:0a:00:0b"
OTHER_LLADDR = "52:54:00:0a:00:0c"


@dataclass(frozen=True)
class Router:
    namespace: Namespace
    kernel: Kernel

    def ip(self, *commands: str) -> None:
        self.namespace.ip(*commands)

    def show(self, *words: str) -> str:
        return self.namespace.run("ip", *words)

    def apply(self, *changes: Change) -> list[str]:
        return [failure.reason for failure in self.kernel.apply(changes)]


@contextmanager
def router_with(namespace: Callable[[], Namespace], *ports: str) -> Iterator[Router]:
    inside = namespace()
    for port in ports:
        peer = port.replace("p", "q")
        # no link-locals of their own: duplicate address detection would make events seconds later
        inside.ip(f"link add {port} type veth peer name {peer}")
        inside.ip(*(f"link set {end} addrgenmode none up" for end in (port, peer)))
    with inside.entered():
        kernel = Kernel()
    with kernel:
        wait_for_carrier(kernel)
        yield Router(inside, kernel)


def wait_for_carrier(kernel: Kernel) -> None:
    """A kernel worker reports it some time after the command that brought it."""
    deadline = time.monotonic() + 10
    while not all(facts.up for facts in kernel.links().values()):
        assert time.monotonic() < deadline, "the veth pairs have no carrier"
        time.sleep(0.01)


def add(item: Item) -> Change:
    return Change("port", Verb.ADD, item)


def remove(item: Item) -> Change:
    return Change("port", Verb.REMOVE, item)


def replace(was: Item, item: Item) -> Change:
    return Change("port", Verb.REPLACE, item, was)


def neighbour(interface: str, address: str, lladdr: str = LLADDR) -> Neighbour:
    return Neighbour(interface, ip_address(address), lladdr)


def route(interface: str, prefix: str, next_hop: str = "fe80::5", metric: int | None = None, table: int = MAIN_TABLE) -> Route:
    network = ip_network(prefix)
    own_metric = 201 if network.version == 6 else int(network.network_address)
    return Route(interface, network, IPv6Address(next_hop), own_metric if metric is None else metric, table)


def on_link(interface: str, prefix: str, table: int = MAIN_TABLE) -> Route:
    return Route(interface, ip_network(prefix), None, 201, table)


def gateway(interface: str, address: str = "fe80::1/64") -> GatewayAddress:
    one = ip_interface(address)
    assert one.version == 6
    return GatewayAddress(interface, one)
