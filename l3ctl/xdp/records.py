"""A port's policy as the filter's map entries, and back. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from l3ctl.lladdr import format_lladdr, parse_lladdr
from l3ctl.model import Address, Host, Mode, PortPolicy, Prefix
from l3ctl.xdp.abi import abi, packer, unpacker

KEYS = {"hosts": "host_key", "prefixes": "prefix_key", "gateways": "gateway_key"}
"""the maps whose keys carry a port's index, and the struct that a key is"""
_V4_MAPPED = bytes(10) + b"\xff\xff"
_LLADDR = 6
"""bytes; a netdev without Ethernet has others, or none"""
_NOBODY = bytes(_LLADDR)
"""the MAC under which the prefixes stand that the router answers ARP for"""
_HALF = 64
"""bits of a prefix that stand beside a pointer"""
_ALIKE = 16
"""lists of gateways that are kept in mind: all ports of a router have one"""
_NO_UPPER_HALF = bytes(8)
"""of a gateway that the filter does not look for in the port's record: it takes it for none"""
_OF_PORT = (
    "lladdr",
    "flags",
    "router_lladdr",
    "link_local",
    "prefix",
    "prefix_mask",
    "address",
    "answer_interval",
    "answer_ahead",
    "answer_rate",
    "answer_burst",
    "host_count",
    "ifindex",
    "vlan_id",
    "gateway4",
    "gateway6",
)
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
    port, named, key, sizes = _sizes()
    at = named
    rows: list[list[bytes]] = []
    for size in sizes:
        end = at + 4 + int.from_bytes(packed[at : at + 4], "little")
        rows.append([packed[start : start + size] for start in range(at + 4, end, size)])
        at = end
    hosts, prefixes, gateways = rows
    return Records(packed[:port], packed[port:named], {row[:key]: row[key:] for row in hosts}, frozenset(prefixes), frozenset(gateways))


@cache
def _sizes() -> tuple[int, int, int, tuple[int, ...]]:
    """Where of packed records the port's ends, and its name; how long a host's key is; and a row of each of `KEYS`."""
    structs = abi().structs
    port, host = structs["port"].size, structs["host"].size
    rows = tuple(structs[kind].size + (host if table == "hosts" else 0) for table, kind in KEYS.items())
    return port, port + structs["port_name"].size, structs["host_key"].size, rows


def _mapped(address: Address) -> bytes:
    return address.packed if address.version == 6 else _V4_MAPPED + address.packed


def _unmapped(raw: bytes) -> Address:
    return IPv4Address(raw[12:]) if raw.startswith(_V4_MAPPED) else IPv6Address(raw)


def _prefix_key(index: int, lladdr: bytes, prefix: Prefix) -> bytes:
    numbers = abi().numbers
    length = numbers["PREFIX_KEY_BITS"] + prefix.prefixlen + (96 if prefix.version == 4 else 0)
    address = _mapped(prefix.network_address)
    return packer("prefix_key", "prefix_length", "port", "lladdr", "address")(length, index, lladdr, address)


@lru_cache(_ALIKE)
def _gateways(gateways: tuple[Address, ...]) -> tuple[int, bytes, bool, tuple[bytes, ...]]:
    """What stands in a port's record of IPv4 and of IPv6; whether none has to be looked for elsewhere; and all, as they stand in a key."""
    asked4 = [gateway for gateway in gateways if gateway.version == 4]
    asked6 = sorted((gateway for gateway in gateways if gateway.version == 6), key=lambda gateway: not gateway.is_link_local)
    inline4 = int.from_bytes(asked4[0].packed, "little") if asked4 else 0
    inline6 = asked6[0].packed if asked6 else b""
    all_inline = len(asked4) <= 1 and len(asked6) <= 1 and not (asked6 and inline6.startswith(_NO_UPPER_HALF))
    return inline4, inline6, all_inline, tuple(map(_mapped, gateways))


def encode(policy: PortPolicy, index: int, ifindex: int) -> Records:
    """The entries that make `policy` true for the port at `index`, its frames coming in on `ifindex`."""
    numbers = abi().numbers
    flags = numbers["PORT_AUDIT"] if policy.mode is Mode.AUDIT else 0
    flags |= numbers["PORT_SOURCE_GUARD"] if policy.source_guard else 0
    flags |= numbers["PORT_PASS_ROUTER_SOLICITATIONS"] if policy.router_solicitations_pass else 0
    flags |= numbers["PORT_QINQ"] if policy.qinq else 0
    flags |= numbers["PORT_PROXY_ARP"] if policy.proxy_arp else 0
    flags |= numbers["PORT_PROBED"] if policy.probed else 0
    first = policy.hosts[0]
    if len(policy.hosts) == 1 and len(first.ipv6) <= 1 and len(first.ipv4) <= 1:
        flags |= numbers["PORT_BILLED_INLINE"]
    prefix, mask, address = b"\xff" * 16, b"", 0
    if first.ipv6:
        most = next((prefix for prefix in first.ipv6 if prefix.prefixlen <= _HALF), first.ipv6[0])  # one that can stand beside the pointer
        prefix, mask = most.network_address.packed, most.netmask.packed
    if first.ipv4:
        address = int.from_bytes(first.ipv4[0].packed, "little")
    gateway4, gateway6, all_inline, gateways = _gateways(policy.gateways)
    flags |= numbers["PORT_GATEWAYS_INLINE"] if all_inline else 0
    interval = 1_000_000_000 // policy.answer_rate
    lladdrs = [parse_lladdr(host.lladdr) for host in policy.hosts]
    port = packer("port", *_OF_PORT)(
        lladdrs[0],
        flags,
        parse_lladdr(policy.router_lladdr),
        first.link_local.packed,
        prefix,
        mask,
        address,
        interval,
        (policy.answer_burst - 1) * interval,
        policy.answer_rate,
        policy.answer_burst,
        len(policy.hosts),
        ifindex,
        numbers["UNTAGGED"] if policy.vlan_id is None else policy.vlan_id,
        gateway4,
        gateway6,
    )
    host_key, host_value, gateway_key = (
        packer("host_key", "port", "lladdr"),
        packer("host", "link_local"),
        packer("gateway_key", "port", "address"),
    )
    billed = [_prefix_key(index, lladdr, prefix) for lladdr, host in zip(lladdrs, policy.hosts, strict=True) for prefix in host.prefixes()]
    return Records(
        port=port,
        name=packer("port_name", "text")(policy.port.encode()),
        hosts={host_key(index, lladdr): host_value(host.link_local.packed) for lladdr, host in zip(lladdrs, policy.hosts, strict=True)},
        prefixes=frozenset((*billed, *(_prefix_key(index, _NOBODY, prefix) for prefix in policy.proxy_arp))),
        gateways=frozenset(gateway_key(index, gateway) for gateway in gateways),
    )


def on_the_way(old: bytes, new: bytes) -> tuple[bytes, ...]:
    """What a port's record has to be in turn to become another one; the new one is the last.

    The kernel copies a record word by word, and a frame may meet it half copied. So first all that could stand beside it is looked up, then
    its own host is nobody: what of it changes in that moment, nothing is judged by.
    """
    return _looked_up(old), _of_nobody(_looked_up(old)), _of_nobody(_looked_up(new)), _looked_up(new), new


def _looked_up(port: bytes) -> bytes:
    """A record that never says that it has everything."""
    numbers = abi().numbers
    flags, hosts = unpacker("port", "flags", "host_count")(port)
    flags &= ~(numbers["PORT_BILLED_INLINE"] | numbers["PORT_GATEWAYS_INLINE"])
    return _with(_with(port, "flags", flags.to_bytes(2, "little")), "host_count", max(hosts, 2).to_bytes(4, "little"))


def _of_nobody(port: bytes) -> bytes:
    return _with(port, "lladdr", _NOBODY)


def _with(port: bytes, name: str, value: bytes) -> bytes:
    member = abi().structs["port"].members[name]
    return port[: member.offset] + value + port[member.offset + len(value) :]


def pointer_to(index: int, port: bytes) -> bytes:
    """What points to a port with this record, or records that begin with it: its index, and what the source guard asks of most frames."""
    lladdr, flags, prefix, mask, address = unpacker("port", "lladdr", "flags", "prefix", "prefix_mask", "address")(port)
    if mask[8:] != bytes(8):
        prefix, mask = _NO_PREFIX, bytes(8)
    pointer = packer("pointer", "port", "address", "lladdr", "flags", "prefix", "prefix_mask")
    return pointer(index, address, lladdr, flags, prefix[:8], mask[:8])


def neutral_pointer(index: int) -> bytes:
    """What points to a port and welcomes nobody, so that all its frames are judged by the record."""
    flags = abi().numbers["PORT_SOURCE_GUARD"].to_bytes(2, "little")
    return b"".join((index.to_bytes(4, "little"), bytes(4), _NOBODY, flags, _NO_PREFIX, bytes(8)))


def ports_of(kind: str, keys: bytes) -> list[int]:
    """Which ports' indexes these keys of hosts, prefixes or gateways carry, side by side. All are made of words of four bytes."""
    layout = abi().structs[kind]
    return memoryview(keys).cast("I")[layout.members["port"].offset // 4 :: layout.size // 4].tolist()


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
    """Whether `decode` would make just this policy of these entries, which takes a third of the time.

    Of a policy as billing and settings make them: in order, nothing twice. One that cannot be encoded has no entries.
    """
    numbers = abi().numbers
    hidden = policy.vlan_id is not None and bool(flags & numbers["NETDEV_MAY_HIDE_TAGS"])
    of_netdev = guard, bool(flags & numbers["NETDEV_DROP_UNKNOWN_VLAN"]), hidden
    if (policy.guard, policy.unknown_vlan_drop, policy.tags_may_be_hidden) != of_netdev:
        return False
    (ifindex,) = unpacker("port", "ifindex")(records.port)
    try:
        return len(parse_lladdr(policy.router_lladdr)) == _LLADDR and encode(policy, index, ifindex) == records
    except (ValueError, ArithmeticError):
        return False


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
