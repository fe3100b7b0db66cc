"""A port's policy as the filter's map entries, and back. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from l3ctl.lladdr import format_lladdr, parse_lladdr
from l3ctl.model import Address, Host, Mode, PortPolicy, Prefix
from l3ctl.xdp.abi import abi

KEYS = {"hosts": "host_key", "prefixes": "prefix_key", "gateways": "gateway_key"}
"""the maps whose keys carry a port's index, and the struct that a key is"""
_V4_MAPPED = bytes(10) + b"\xff\xff"
_NOBODY = bytes(6)
"""the MAC under which the prefixes stand that the router answers ARP for"""
_HALF = 64
"""bits of a prefix that stand beside a pointer"""
_NO_UPPER_HALF = bytes(8)
"""of a gateway that the filter does not look for in the port's record: it takes it for none"""
_NO_PREFIX = b"\xff" * 8
"""under a mask of zeroes: no address is in it"""


@dataclass(frozen=True, slots=True)
class Records:
    """All entries of one port. `hosts` maps key to value; `prefixes` and `gateways` are keys whose being there is all."""

    port: bytes
    name: bytes
    hosts: dict[bytes, bytes]
    prefixes: frozenset[bytes]
    gateways: frozenset[bytes]

    def entries(self) -> dict[str, dict[bytes, bytes]]:
        """Key to value, by the map it stands in."""
        return {"hosts": self.hosts, "prefixes": dict.fromkeys(self.prefixes, b"\1"), "gateways": dict.fromkeys(self.gateways, b"\1")}

    def pack(self) -> bytes:
        """All of it in a row: a fifth of what it takes as it is, which is what counts for ten thousand ports."""
        hosts = b"".join(key + value for key, value in sorted(self.hosts.items()))
        return pack(self.port, self.name, {"hosts": hosts, "prefixes": b"".join(self.prefixes), "gateways": b"".join(self.gateways)})


def pack(port: bytes, name: bytes, rows: Mapping[str, bytes]) -> bytes:
    """The same of entries that stand in a row already, by map: keys, and after those of `hosts` their values."""
    counted = ((len(rows.get(table, b"")).to_bytes(4, "little"), rows.get(table, b"")) for table in KEYS)
    return b"".join((port, name, *(piece for pair in counted for piece in pair)))


def unpack(packed: bytes) -> Records:
    """And back."""
    structs = abi().structs
    port, name = structs["port"].size, structs["port_name"].size
    at = port + name
    rows: dict[str, list[bytes]] = {}
    for table, kind in KEYS.items():
        end = at + 4 + int.from_bytes(packed[at : at + 4], "little")
        size = structs[kind].size + (structs["host"].size if table == "hosts" else 0)
        rows[table] = [packed[start : start + size] for start in range(at + 4, end, size)]
        at = end
    key = structs["host_key"].size
    hosts = {row[:key]: row[key:] for row in rows["hosts"]}
    return Records(packed[:port], packed[port : port + name], hosts, frozenset(rows["prefixes"]), frozenset(rows["gateways"]))


def _mapped(address: Address) -> bytes:
    return address.packed if address.version == 6 else _V4_MAPPED + address.packed


def _unmapped(raw: bytes) -> Address:
    return IPv4Address(raw[12:]) if raw.startswith(_V4_MAPPED) else IPv6Address(raw)


def _prefix_key(index: int, lladdr: bytes, prefix: Prefix) -> bytes:
    numbers = abi().numbers
    length = numbers["PREFIX_KEY_BITS"] + prefix.prefixlen + (96 if prefix.version == 4 else 0)
    address = _mapped(prefix.network_address)
    return abi().structs["prefix_key"].pack(prefix_length=length, port=index, lladdr=lladdr, address=address)


def encode(policy: PortPolicy, index: int, ifindex: int) -> Records:
    """The entries that make `policy` true for the port at `index`, its frames coming in on `ifindex`."""
    numbers, structs = abi().numbers, abi().structs
    flags = numbers["PORT_AUDIT"] if policy.mode is Mode.AUDIT else 0
    flags |= numbers["PORT_SOURCE_GUARD"] if policy.source_guard else 0
    flags |= numbers["PORT_PASS_ROUTER_SOLICITATIONS"] if policy.router_solicitations_pass else 0
    flags |= numbers["PORT_QINQ"] if policy.qinq else 0
    flags |= numbers["PORT_PROXY_ARP"] if policy.proxy_arp else 0
    flags |= numbers["PORT_PROBED"] if policy.probed else 0
    first = policy.hosts[0]
    if len(policy.hosts) == 1 and len(first.ipv6) <= 1 and len(first.ipv4) <= 1:
        flags |= numbers["PORT_BILLED_INLINE"]
    inline: dict[str, int | bytes] = {"prefix": b"\xff" * 16}
    if first.ipv6:
        most = next((prefix for prefix in first.ipv6 if prefix.prefixlen <= _HALF), first.ipv6[0])  # one that can stand beside the pointer
        inline |= {"prefix": most.network_address.packed, "prefix_mask": most.netmask.packed}
    if first.ipv4:
        inline["address"] = int.from_bytes(first.ipv4[0].packed, "little")
    if asked4 := [gateway for gateway in policy.gateways if gateway.version == 4]:
        inline["gateway4"] = int.from_bytes(asked4[0].packed, "little")
    if asked6 := sorted((gateway for gateway in policy.gateways if gateway.version == 6), key=lambda gateway: not gateway.is_link_local):
        inline["gateway6"] = asked6[0].packed
    if len(asked4) <= 1 and len(asked6) <= 1 and not any(gateway.packed.startswith(_NO_UPPER_HALF) for gateway in asked6):
        flags |= numbers["PORT_GATEWAYS_INLINE"]
    interval = 1_000_000_000 // policy.answer_rate
    port = structs["port"].pack(
        lladdr=parse_lladdr(first.lladdr),
        flags=flags,
        router_lladdr=parse_lladdr(policy.router_lladdr),
        link_local=first.link_local.packed,
        answer_interval=interval,
        answer_ahead=(policy.answer_burst - 1) * interval,
        answer_rate=policy.answer_rate,
        answer_burst=policy.answer_burst,
        host_count=len(policy.hosts),
        ifindex=ifindex,
        vlan_id=numbers["UNTAGGED"] if policy.vlan_id is None else policy.vlan_id,
        **inline,
    )
    return Records(
        port=port,
        name=structs["port_name"].pack(text=policy.port.encode()),
        hosts={
            structs["host_key"].pack(port=index, lladdr=parse_lladdr(host.lladdr)): structs["host"].pack(link_local=host.link_local.packed)
            for host in policy.hosts
        },
        prefixes=frozenset(
            (
                *(_prefix_key(index, parse_lladdr(host.lladdr), prefix) for host in policy.hosts for prefix in host.prefixes()),
                *(_prefix_key(index, _NOBODY, prefix) for prefix in policy.proxy_arp),
            )
        ),
        gateways=frozenset(structs["gateway_key"].pack(port=index, address=_mapped(gateway)) for gateway in policy.gateways),
    )


def pointer_to(index: int, port: bytes) -> bytes:
    """What points to a port with this record, or records that begin with it: its index, and what the source guard asks of most frames."""
    layout = abi().structs["port"]
    lladdr, flags, address = (layout.data(port, name) for name in ("lladdr", "flags", "address"))
    prefix, mask = (layout.data(port, name) for name in ("prefix", "prefix_mask"))
    if mask[8:] != bytes(8):
        prefix, mask = _NO_PREFIX, bytes(8)
    return b"".join((index.to_bytes(4, "little"), address, lladdr, flags, prefix[:8], mask[:8]))


def neutral_pointer(index: int) -> bytes:
    """What points to a port and welcomes nobody, so that all its frames are judged by the record."""
    flags = abi().numbers["PORT_SOURCE_GUARD"].to_bytes(2, "little")
    return b"".join((index.to_bytes(4, "little"), bytes(4), _NOBODY, flags, _NO_PREFIX, bytes(8)))


def port_of(kind: str, key: bytes) -> int:
    """Which port's index a key of hosts, prefixes or gateways carries."""
    return abi().structs[kind].number(key, "port")


def _decode_prefixes(records: Records) -> dict[bytes, list[Prefix]]:
    """By the MAC they stand under."""
    key_of, bits = abi().structs["prefix_key"], abi().numbers["PREFIX_KEY_BITS"]
    found: dict[bytes, list[Prefix]] = {}
    for key in records.prefixes:
        address = _unmapped(key_of.data(key, "address"))
        length = key_of.number(key, "prefix_length") - bits
        prefix: Prefix = IPv4Network((address, length - 96)) if isinstance(address, IPv4Address) else IPv6Network((address, length))
        found.setdefault(key_of.data(key, "lladdr"), []).append(prefix)
    return found


def _decode_hosts(records: Records, billed: Mapping[bytes, list[Prefix]]) -> Iterable[Host]:
    structs = abi().structs
    for key, value in records.hosts.items():
        lladdr = structs["host_key"].data(key, "lladdr")
        prefixes = billed.get(lladdr, [])
        yield Host(
            lladdr=format_lladdr(lladdr),
            link_local=IPv6Address(structs["host"].data(value, "link_local")),
            ipv6=tuple(sorted(prefix for prefix in prefixes if isinstance(prefix, IPv6Network))),
            ipv4=tuple(sorted(prefix.network_address for prefix in prefixes if isinstance(prefix, IPv4Network))),
        )


def netdev_flags(policy: PortPolicy) -> int:
    """What a policy asks of its whole netdev, as the flags of `struct netdev`."""
    numbers = abi().numbers
    unknown = numbers["NETDEV_DROP_UNKNOWN_VLAN"] if policy.unknown_vlan_drop else 0
    return unknown | (numbers["NETDEV_MAY_HIDE_TAGS"] if policy.tags_may_be_hidden else 0)


def are_of(policy: PortPolicy, records: Records, index: int, guard: str, flags: int) -> bool:
    """Whether `decode` would make just this policy of these entries: which takes a third of the time."""
    numbers = abi().numbers
    hidden = policy.vlan_id is not None and bool(flags & numbers["NETDEV_MAY_HIDE_TAGS"])
    of_netdev = guard, bool(flags & numbers["NETDEV_DROP_UNKNOWN_VLAN"]), hidden
    if (policy.guard, policy.unknown_vlan_drop, policy.tags_may_be_hidden) != of_netdev:
        return False
    return encode(policy, index, abi().structs["port"].number(records.port, "ifindex")) == records


def decode(records: Records, index: int, guard: str, flags: int) -> PortPolicy | None:
    """The policy these entries make, or None where they do not add up, as after someone wrote into the maps by hand."""
    try:
        policy = _decode(records, guard, flags)
        ifindex = abi().structs["port"].number(records.port, "ifindex")
        return policy if policy.hosts and encode(policy, index, ifindex) == records else None
    except (ValueError, ArithmeticError):  # no such prefix, rate or burst
        return None


def _decode(records: Records, guard: str, netdev: int) -> PortPolicy:
    numbers, port = abi().numbers, abi().structs["port"]
    raw = records.port
    prefixes = _decode_prefixes(records)
    flags, vlan_id = port.number(raw, "flags"), port.number(raw, "vlan_id")
    gateways = (_unmapped(abi().structs["gateway_key"].data(key, "address")) for key in records.gateways)
    return PortPolicy(
        port=records.name.rstrip(b"\0").decode(),
        guard=guard,
        vlan_id=None if vlan_id == numbers["UNTAGGED"] else vlan_id,
        router_lladdr=format_lladdr(port.data(raw, "router_lladdr")),
        hosts=tuple(sorted(_decode_hosts(records, prefixes), key=lambda host: host.lladdr)),
        gateways=tuple(sorted(gateways, key=lambda gateway: (gateway.version, int(gateway)))),
        mode=Mode.AUDIT if flags & numbers["PORT_AUDIT"] else Mode.ENFORCE,
        source_guard=bool(flags & numbers["PORT_SOURCE_GUARD"]),
        router_solicitations_pass=bool(flags & numbers["PORT_PASS_ROUTER_SOLICITATIONS"]),
        unknown_vlan_drop=bool(netdev & numbers["NETDEV_DROP_UNKNOWN_VLAN"]),
        answer_rate=port.number(raw, "answer_rate"),
        answer_burst=port.number(raw, "answer_burst"),
        qinq=bool(flags & numbers["PORT_QINQ"]),
        probed=bool(flags & numbers["PORT_PROBED"]),
        proxy_arp=tuple(sorted(prefix for prefix in prefixes.get(_NOBODY, ()) if isinstance(prefix, IPv4Network))),
        tags_may_be_hidden=vlan_id != numbers["UNTAGGED"] and bool(netdev & numbers["NETDEV_MAY_HIDE_TAGS"]),
    )
