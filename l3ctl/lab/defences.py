"""What a router's owner would take instead of l3ctl against ARP and ND of his customers, each in the smallest form that does it.

They are given what is best for them: one port, and a rule or two that look at nothing but the kind of packet. So they drop also what
l3ctl lets pass or answers; none of them knows whose address a frame claims.
"""

import struct
import tempfile
from collections.abc import Callable, Collection
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

from l3ctl.lab import frames
from l3ctl.lab.line import XDP_DROP, Line, returning
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import run
from l3ctl.lladdr import format_lladdr
from l3ctl.model import Host, Mode, PortPolicy
from l3ctl.xdp.libbpf import XDP_FLAGS_DRV_MODE, Link, Program
from l3ctl.xdp.program import load_private, mount_bpffs
from l3ctl.xdp.tables import Tables

_SCHED_CLS = 3
"""the kind of BPF programs that tc runs"""
_ND = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, nd-redirect }"
_ND_TYPES = range(133, 138)
GATEWAY4 = "198.51.100.1"
"""of a siege; on a line it is the frames' own"""
_MUCH = 4_000_000_000
"""answers a second that are no limit"""


@dataclass(frozen=True, slots=True)
class Defence:
    """`build` puts it on a line's port, and returns what must live as long. `program` is what it needs, from `package`."""

    name: str
    title: str
    build: Callable[[Line], object]
    program: str = "ip"
    package: str = "iproute2"

    def is_here(self) -> bool:
        """Whether the machine has what it needs."""
        return Path(found(self.program)).is_absolute()


def policy(port: str) -> PortPolicy:
    """What billing knows of the host that sends."""
    host = Host(
        format_lladdr(frames.HOST_MAC), IPv6Address(frames.HOST_LL), (IPv6Network("2001:db8:11::/64"),), (IPv4Address(frames.HOST_IP4),)
    )
    return PortPolicy(
        port="web1",
        guard=port,
        vlan_id=None,
        router_lladdr=format_lladdr(frames.ROUTER_MAC),
        hosts=(host,),
        gateways=(IPv4Address(frames.GATEWAY4), IPv6Address(frames.GATEWAY6)),
        mode=Mode.ENFORCE,
        source_guard=False,
        router_solicitations_pass=False,
        unknown_vlan_drop=False,
        answer_rate=_MUCH,
        answer_burst=_MUCH,
    )


def _attached(line: Line, program: Program) -> Link:
    with line.namespace.entered():
        return Link.attach(program, line.ifindex, XDP_FLAGS_DRV_MODE)


def _ours(line: Line) -> object:
    loaded = load_private(source_guard=False)
    tables = Tables(loaded.maps)
    tables.put(policy(line.port), line.ifindex)
    return _attached(line, loaded.program), tables


def _empty(line: Line) -> object:
    return _attached(line, Program.load("empty", returning(XDP_DROP)))


def _xdp_filter(line: Line) -> object:
    """It pins where bpffs is, which `ip netns exec` has hidden."""
    name = found("xdp-filter")
    load = f"{name} load {line.port} -m native -p allow -f ethernet"
    refuse = f"{name} ether {format_lladdr(frames.HOST_MAC)} -m src"
    return line.namespace.run("sh", "-ec", f"mount -t bpf bpf /sys/fs/bpf; {load}; {refuse}")


def _one(code: int, to: int = 0, of: int = 0, offset: int = 0, value: int = 0) -> bytes:
    return struct.pack("<BBhi", code, of << 4 | to, offset, value)


def _touching(line: Line) -> object:
    """Drops every frame as well, and loads before that something of its first two lines of a cache, as any filter has to."""
    code = [
        _one(0xB7, 0, value=XDP_DROP),
        _one(0x61, 2, 1, 0),  # r2 = data
        _one(0x61, 3, 1, 4),  # r3 = data_end
        _one(0xBF, 4, 2),
        _one(0x07, 4, value=42),
        _one(0x2D, 4, 3, 7),  # shorter than ARP
        _one(0x79, 5, 2, 6),  # MAC and EtherType
        _one(0x71, 6, 2, 41),
        _one(0x0F, 5, 6),
        _one(0x07, 4, value=28),
        _one(0x2D, 4, 3, 2),  # shorter than any ND
        _one(0x71, 6, 2, 69),
        _one(0x0F, 5, 6),
        _one(0x95),
    ]
    return _attached(line, Program.load("touching", b"".join(code)))


def _tc_instructions() -> bytes:
    """As a tc program of a dozen lines of C would be: what is ARP, or ICMPv6 of ND's types, is shot (2); the rest passes (0)."""
    arp, ipv6 = 0x0608, 0xDD86  # as they are read from a frame
    code = [
        _one(0x61, 2, 1, 76),  # r2 = data
        _one(0x61, 3, 1, 80),  # r3 = data_end
        _one(0xBF, 4, 2),
        _one(0x07, 4, value=14),
        _one(0x2D, 4, 3, 13),  # shorter than a header: pass
        _one(0x69, 5, 2, 12),  # EtherType
        _one(0x15, 5, offset=9, value=arp),
        _one(0x55, 5, offset=10, value=ipv6),
        _one(0x07, 4, value=41),
        _one(0x2D, 4, 3, 8),  # shorter than a type: pass
        _one(0x71, 5, 2, 20),  # next header
        _one(0x55, 5, offset=6, value=58),
        _one(0x71, 5, 2, 54),  # ICMPv6 type
        _one(0xA5, 5, offset=4, value=_ND_TYPES.start),
        _one(0x25, 5, offset=3, value=_ND_TYPES[-1]),
        _one(0x05),
        _one(0xB7, value=2),  # TC_ACT_SHOT
        _one(0x95),
        _one(0xB7, value=0),
        _one(0x95),
    ]
    return b"".join(code)


def _tc_bpf(line: Line) -> object:
    with tempfile.TemporaryDirectory(prefix="l3bench") as name:
        bpffs = Path(name)
        mount_bpffs(bpffs)
        try:
            Program.load("tc", _tc_instructions(), _SCHED_CLS).pin(bpffs / "tc")
            line.namespace.run("tc", "qdisc", "add", "dev", line.port, "clsact")
            line.namespace.run("tc", "filter", "add", "dev", line.port, "ingress", "bpf", "da", "object-pinned", str(bpffs / "tc"))
        finally:
            run("umount", str(bpffs))
    return None


def _nft_netdev(line: Line) -> object:
    chain = f'type filter hook ingress device "{line.port}" priority 0; ether type arp drop; icmpv6 type {_ND} drop;'
    return line.namespace.run("nft", f"table netdev l3ctl {{ chain ingress {{ {chain} }}\n}}")


def _bridged(line: Line) -> None:
    line.namespace.ip("link add br0 type bridge mcast_snooping 0", f"link set {line.port} master br0", "link set br0 up")


def _nft_bridge(line: Line) -> object:
    _bridged(line)
    chain = f"type filter hook prerouting priority 0; ether type arp drop; icmpv6 type {_ND} drop;"
    return line.namespace.run("nft", f"table bridge l3ctl {{ chain prerouting {{ {chain} }}\n}}")


def _ebtables(line: Line) -> object:
    _bridged(line)
    table = ("ebtables-nft", "-t", "nat", "-A", "PREROUTING")
    line.namespace.run(*table, "-p", "ARP", "-j", "DROP")
    nd = f"{_ND_TYPES.start}:{_ND_TYPES[-1]}"
    return line.namespace.run(*table, "-p", "IPv6", "--ip6-protocol", "ipv6-icmp", "--ip6-icmp-type", nd, "-j", "DROP")


def _none(line: Line) -> object:
    """The kernel alone, with the gateway's addresses, so that it also answers."""
    line.namespace.ip(
        f"addr add {frames.GATEWAY6}/64 dev {line.port} nodad",
        f"addr add {frames.GATEWAY4}/24 dev {line.port}",
    )
    return None


def rules(netdevs: Collection[str]) -> str:
    """What nftables can do for a routed port without knowing who is billed there: only who asks for the gateway gets through."""
    return (
        f"table netdev l3ctl {{ chain ingress {{ type filter hook ingress devices = {{ {', '.join(netdevs)} }} priority 0;\n"
        f"arp operation != request drop\narp daddr ip != {GATEWAY4} drop\n"
        "icmpv6 type { nd-router-solicit, nd-router-advert, nd-neighbor-advert, nd-redirect } drop\n}\n}"
    )


OURS = Defence("ours", "l3ctl", _ours)
EMPTY = Defence("xdp-drop", "empty XDP_DROP", _empty)
KERNEL = Defence("kernel", "the kernel without a filter", _none)
PEERS = (
    EMPTY,
    Defence("xdp-read", "XDP_DROP that touches the frame", _touching),
    Defence("xdp-filter", "xdp-filter, by the MAC", _xdp_filter, "xdp-filter", "xdp-tools"),
    Defence("tc-bpf", "BPF in tc's ingress", _tc_bpf, "tc"),
    Defence("nft-netdev", "nftables, netdev ingress", _nft_netdev, "nft", "nftables"),
    Defence("nft-bridge", "nftables, bridge prerouting", _nft_bridge, "nft", "nftables"),
    Defence("ebtables", "ebtables on nftables", _ebtables, "ebtables-nft", "iptables"),
    KERNEL,
)
