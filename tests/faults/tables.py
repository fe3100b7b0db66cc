"""The kernel's tables and the filter, changed by somebody's hand."""

import signal
import struct
import subprocess
import time

from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.lab.storm import Links
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link, Map, Program, program_on
from tests.faults.fault import Fault
from tests.faults.network import Network

_MISSING = "what its packets need is missing until it is back"
FLAPS = 2000
_OVERRUN = 40_000
PASS_ALL = struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)
"""an XDP program: r0 = XDP_PASS; exit"""
_DISPLACED = 2.0
"""seconds"""


def neighbours_flushed(network: Network) -> None:
    network.router.run("ip", "neigh", "flush", "nud", "all")


def routes_flushed(network: Network) -> None:
    for family in ("-4", "-6"):
        network.router.run("ip", family, "route", "flush", "proto", "201")


def gateway_addresses_deleted(network: Network) -> None:
    network.router.run("ip", "-6", "addr", "flush", "to", "fe80::1")


def sysctls_set_back(network: Network) -> None:
    for port in network.ports:
        of = port.interface
        network.router.sysctl(
            f"net.ipv6.conf.{of}.accept_ra=2", f"net.ipv4.conf.{of}.rp_filter=0", f"net.ipv6.conf.{of}.drop_unsolicited_na=0"
        )


def link_events(network: Network) -> None:
    """A storm of them, which ends with all links up."""
    links = Links(network, network.ports[1:], 0)
    while links.toggles < FLAPS:
        links.burst(100)
    links.set(network.ports[1:], up=True)


def netdev_made_anew(network: Network) -> None:
    name = network.other.interface
    network.router.ip(
        f"link del {name}", f"link add {name} type veth peer name {name} netns {network.far.name}", f"link set {name} addrgenmode none up"
    )
    network.far.ip(f"link set {name} addrgenmode none up")


def overrun(network: Network) -> None:
    """More events than there is room for, while nobody reads them."""
    network.signal("agent", signal.SIGSTOP)
    try:
        network.router.ip(*(f"addr {verb} 203.0.113.99/32 dev lo" for _ in range(_OVERRUN) for verb in ("add", "del")))
    finally:
        network.signal("agent", signal.SIGCONT)


def filter_unpinned(network: Network) -> None:
    ifindex = _ifindex(network)
    _pins(network, f"link-{ifindex}")
    network.waits("the kernel lets go of it", lambda: not _program(network, ifindex) or bool(network.log()))


def filter_displaced(network: Network) -> None:
    """By one of another's, which comes between the pin's removal and the agent's look, and goes after a while."""
    ifindex = _ifindex(network)
    network.signal("agent", signal.SIGSTOP)
    try:
        _pins(network, f"link-{ifindex}")
        network.waits("the kernel lets go of it", lambda: not _program(network, ifindex))
        with network.router.entered():
            other = Link.attach(Program.load("foreign", PASS_ALL), ifindex, XDP_FLAGS_SKB_MODE)
    finally:
        network.signal("agent", signal.SIGCONT)
    network.hears("another XDP program")
    time.sleep(_DISPLACED)
    other.detach()


def pins_removed(network: Network) -> None:
    for pin in sorted((network.run_dir / "bpf" / "l3ctl").iterdir()):
        pin.unlink(missing_ok=True)


def bpffs_unmounted(network: Network) -> None:
    subprocess.run(["umount", "--lazy", str(network.run_dir / "bpf")], check=True)
    network.waits("the filter is off", lambda: not _program(network, _ifindex(network)) or bool(network.log()))


def maps_wiped(network: Network) -> None:
    folder = network.run_dir / "bpf" / "l3ctl"
    for name in ("hosts", "prefixes", "gateways"):
        wiped = Map.open(folder / f"map-{name}")
        for key, _ in list(wiped.items()):
            wiped.delete(key)
    records = Map.open(folder / "map-ports")
    for number in range(1, len(network.ports) + 1):
        records.update(number.to_bytes(4, "little"), bytes(records.value_size))


def _ifindex(network: Network) -> int:
    with network.router.entered(), NetlinkSocket() as kernel:
        return kernel.index_of(network.other.interface) or 0


def _program(network: Network, ifindex: int) -> int:
    with network.router.entered():
        return program_on(ifindex)


def _pins(network: Network, name: str) -> None:
    (network.run_dir / "bpf" / "l3ctl" / name).unlink()


FAULTS = (
    Fault("all neighbours flushed", neighbours_flushed, "^add .*neighbour", costs=_MISSING, wrong=("neighbour",)),
    Fault("all routes flushed", routes_flushed, "^add .*route", costs=_MISSING, wrong=("route",)),
    Fault("gateway's addresses deleted on every port", gateway_addresses_deleted, "^add .*fe80::1"),
    Fault("sysctls of every port set back", sysctls_set_back, "^replace .*accept_ra"),
    Fault(f"{FLAPS} link events on other ports at full speed", link_events, "^withdraw ", wrong=("link", "route")),
    Fault("a netdev deleted and made anew", netdev_made_anew, "^add .*policy", wrong=("link", "route", "neighbour", "policy")),
    Fault("netlink events lost", overrun, "^overrun "),
    Fault("filter taken off one netdev", filter_unpinned, "^replace .*policy", wrong=("policy",)),
    Fault("another XDP program in the filter's place for 2 s", filter_displaced, "another XDP program is attached", wrong=("policy",)),
    Fault("the filter's pins removed", pins_removed, "^replace what=pins", wrong=("policy",)),
    Fault("bpffs unmounted under the agent", bpffs_unmounted, "^replace what=pins", wrong=("policy",)),
    Fault("the filter's maps wiped", maps_wiped, "policy", wrong=("policy",)),
)
