"""A prefix within another one's on the same port: the kernel brings each packet to whom it is billed to, and nothing of it is ours to sort.

router ── p0 ═ q0 ── bridge ┬── rack7         2001:db8:25::/64
                            └── containers    2001:db8:25:0:f::/96
"""

import socket
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from l3ctl.inventory.hosts import Choice, import_hosts
from l3ctl.inventory.written import as_yaml
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Port
from tests.netns.router_bench import WHOLE, Bench
from tests.unit.inventories import load_file

pytestmark = [pytest.mark.root, pytest.mark.bpf]

CONFIGS = Path(__file__).parents[2] / "configs"
L4_PORT = 4711
RACK, CONTAINERS = 1, 0
"""the order of the hosts in the record, that of their names"""
DESTINATIONS = {
    "2001:db8:25::e": RACK,
    "2001:db8:25:0:e:ffff:ffff:ffff": RACK,
    "2001:db8:25:0:f::": CONTAINERS,
    "2001:db8:25:0:f::7": CONTAINERS,
    "2001:db8:25:0:f:0:ffff:ffff": CONTAINERS,
    "2001:db8:25:0:f:1::": RACK,
    "2001:db8:25:0:ffff:ffff:ffff:ffff": RACK,
}


def rack7(folder: Path) -> Port:
    """The example's port of two hosts, imported, on a netdev of the bench."""
    imported = import_hosts(CONFIGS / "hosts.yaml", CONFIGS / "hosts-ports.csv", Choice())
    inventory = folder / "inventory.yaml"
    inventory.write_text(as_yaml(imported.records, imported.remarks, "imported"))
    (port,) = (port for port in load_file(inventory, "r1") if port.name == "rack7")
    return replace(port, interface="p0", guard="p0")


def behind(inside: Namespace, port: Port, namespace: Callable[[], Namespace]) -> list[socket.socket]:
    """Put the port's hosts behind q0, each ready to take the whole /64; a socket in each."""
    far = namespace()
    inside.ip(f"link set q0 netns {far.name}")
    far.ip("link add bridge type bridge", "link set q0 master bridge up", "link set bridge up")
    listeners = []
    for number, host in enumerate(port.hosts):
        own = namespace()
        far.ip(f"link add h{number} type veth peer name eth0 netns {own.name}", f"link set h{number} master bridge up")
        own.ip(f"link set eth0 address {host.lladdr} up", "route add local 2001:db8:25::/64 dev lo")
        with own.entered():
            listener = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        listener.settimeout(WHOLE)
        listener.bind(("::", L4_PORT))
        listeners.append(listener)
    return listeners


def test_the_longer_prefix_goes_to_its_host_and_the_rest_to_the_other(
    build: Callable[..., Bench], namespace: Callable[[], Namespace], tmp_path: Path
) -> None:
    port = rack7(tmp_path)
    bench = build(port)
    listeners = behind(bench.namespace, port, namespace)
    bench.ip("addr add 2001:db8:ffff::5/128 dev lo nodad")
    bench.until(lambda: bench.router.kernel.links()["p0"].up)
    assert bench.full_pass()[1] == []
    bench.settle()
    with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sender:
        for address in DESTINATIONS:
            sender.sendto(address.encode(), (address, L4_PORT))
        for end in range(len(listeners)):  # what each must get in the end: it comes behind all of the above, on the same way
            sender.sendto(b"", (next(address for address, host in DESTINATIONS.items() if host == end), L4_PORT))
    arrived = {}
    for number, listener in enumerate(listeners):
        with listener:
            while text := listener.recv(100):
                arrived[text.decode()] = number
    assert arrived == DESTINATIONS


def test_every_prefix_of_such_a_port_is_announced_and_routed_through_its_own_host(build: Callable[..., Bench], tmp_path: Path) -> None:
    port = rack7(tmp_path)
    bench = build(port)
    assert bench.full_pass()[1] == []
    assert bench.wished() == {"2001:db8:25::/64", "2001:db8:25:0:f::/96", "203.0.113.25/32"}
    for prefix, host in (("2001:db8:25::/64", RACK), ("2001:db8:25:0:f::/96", CONTAINERS)):
        assert f"via {port.hosts[host].link_local} dev p0" in bench.show("-6", "route", "show", prefix)
