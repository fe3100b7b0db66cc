"""A policy survives the way into the filter's map entries and back; entries that do not add up are no policy."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from l3ctl.lladdr import format_lladdr
from l3ctl.model import Host, Mode, PortPolicy
from l3ctl.xdp.abi import abi, packer, unpacker
from l3ctl.xdp.records import Records, are_of, decode, encode, netdev_flags, neutral_pointer, pointer_to, ports_of

MAPPED = IPv6Network("::ffff:0:0/96")
PORT, UNTAGGED = abi().structs["port"], abi().numbers["UNTAGGED"]

lladdrs = st.binary(min_size=6, max_size=6).map(lambda raw: bytes([raw[0] & 0xFE]) + raw[1:]).filter(any).map(format_lladdr)
ipv6_addresses = st.integers(0x2000 << 112, (0x4000 << 112) - 1).map(IPv6Address)
ipv4_addresses = st.integers(1 << 24, 0xDFFFFFFF).map(IPv4Address)
link_locals = st.integers(0, (1 << 64) - 1).map(lambda low: IPv6Address(0xFE80 << 112 | low))


@st.composite
def prefixes(draw: st.DrawFn) -> tuple[IPv6Network, ...]:
    """Some that stand alone and some within others."""
    found = set()
    for address in draw(st.lists(ipv6_addresses, max_size=3)):
        for length in draw(st.lists(st.integers(48, 128), min_size=1, max_size=3)):
            found.add(IPv6Network((address, length), strict=False))
    return tuple(sorted(found))


@st.composite
def policies(draw: st.DrawFn) -> PortPolicy:
    addresses = st.sets(ipv4_addresses, max_size=3).map(lambda found: tuple(sorted(found)))
    hosts = [
        Host(lladdr, draw(link_locals), draw(prefixes()), draw(addresses))
        for lladdr in sorted(draw(st.sets(lladdrs, min_size=1, max_size=4)))
    ]
    gateways = (*sorted(draw(st.sets(ipv4_addresses, max_size=3))), *sorted(draw(st.sets(link_locals | ipv6_addresses, max_size=3))))
    vlan_id = draw(st.none() | st.integers(1, 4094))
    return PortPolicy(
        port=draw(st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=16)),
        guard="eth1",
        vlan_id=vlan_id,
        router_lladdr=draw(lladdrs),
        hosts=tuple(hosts),
        gateways=gateways,
        mode=draw(st.sampled_from(Mode)),
        source_guard=draw(st.booleans()),
        router_solicitations_pass=draw(st.booleans()),
        unknown_vlan_drop=draw(st.booleans()),
        tags_may_be_hidden=vlan_id is not None and draw(st.booleans()),
        answer_rate=draw(st.integers(1, 1_000_000)),
        answer_burst=draw(st.integers(1, 1_000_000)),
        qinq=draw(st.booleans()),
        proxy_arp=tuple(sorted(draw(st.sets(ipv4_addresses.map(IPv4Network), max_size=2)))),
    )


indexes, ifindexes = st.integers(1, abi().numbers["MAX_PORTS"] - 1), st.integers(1, abi().numbers["MAX_IFINDEX"] - 1)


@given(policies(), indexes, ifindexes)
def test_what_is_encoded_decodes_to_the_same(policy: PortPolicy, index: int, ifindex: int) -> None:
    records = encode(policy, index, ifindex)
    assert decode(records, index, policy.guard, netdev_flags(policy)) == policy


@given(policies(), policies(), indexes, ifindexes, st.booleans())
def test_entries_are_those_of_the_policy_that_they_decode_to_and_of_no_other(
    policy: PortPolicy, other: PortPolicy, index: int, ifindex: int, drops_unknown: bool
) -> None:
    records, flags = encode(policy, index, ifindex), netdev_flags(policy)
    assert are_of(policy, records, index, policy.guard, flags)
    alike = replace(policy, answer_rate=other.answer_rate), replace(policy, hosts=other.hosts), replace(policy, tags_may_be_hidden=False)
    for one in (other, *alike, replace(policy, unknown_vlan_drop=drops_unknown), replace(policy, guard="eth2")):
        assert are_of(one, records, index, policy.guard, flags) == (decode(records, index, policy.guard, flags) == one)
    assert not are_of(policy, records, index, "eth2", flags)


@given(policies(), indexes, ifindexes)
def test_a_record_says_that_it_has_everything_just_where_it_has(policy: PortPolicy, index: int, ifindex: int) -> None:
    """Who looks no further would else miss what stands there."""
    records = encode(policy, index, ifindex)
    flags, prefix, mask, address, gateway4, gateway6 = unpacker(
        "port", "flags", "prefix", "prefix_mask", "address", "gateway4", "gateway6"
    )(records.port)
    networks = [one for host in policy.hosts for one in host.ipv6]
    inline = [one for one in networks if (one.network_address.packed, one.netmask.packed) == (prefix, mask)]
    addresses = [int.from_bytes(one.packed, "little") for host in policy.hosts for one in host.ipv4]
    everything = len(policy.hosts) == 1 and networks == inline and addresses in ([], [address])
    assert bool(flags & abi().numbers["PORT_BILLED_INLINE"]) == everything
    asked = [int.from_bytes(one.packed, "little") if one.version == 4 else one.packed for one in policy.gateways]
    assert bool(flags & abi().numbers["PORT_GATEWAYS_INLINE"]) == ({*asked} <= {gateway4, gateway6})


def test_a_gateway_without_an_upper_half_is_looked_for_in_the_table() -> None:
    """The filter takes such a one in a port's record for none."""
    policy = replace(a_policy(), gateways=(IPv6Address("::5"),))
    (flags,) = unpacker("port", "flags")(encode(policy, 1, 1).port)
    assert not flags & abi().numbers["PORT_GATEWAYS_INLINE"]


@given(st.data())
def test_what_is_packed_at_once_is_what_is_packed_by_name(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(abi().structs)))
    layout = abi().structs[name]
    chosen = tuple(sorted(data.draw(st.sets(st.sampled_from(sorted(layout.members)))), key=lambda one: layout.members[one].offset))
    values: dict[str, int | bytes] = {}
    for one in chosen:
        width, count = layout.members[one].width, layout.members[one].count
        room = width * count
        values[one] = data.draw(st.binary(min_size=room, max_size=room) if count else st.integers(0, (1 << 8 * width) - 1))
    packed = packer(name, *chosen)(*values.values())
    assert packed == layout.pack(**values)
    assert unpacker(name, *chosen)(packed) == tuple(values.values())
    for one in chosen:
        too_much: int | bytes = bytes(layout.size + 1) if layout.members[one].count else 1 << 64
        with pytest.raises((ValueError, OverflowError)):
            packer(name, *chosen)(*(values | {one: too_much}).values())


@given(policies(), indexes, ifindexes)
def test_every_key_carries_its_port_and_every_host_prefix_and_gateway_has_one(policy: PortPolicy, index: int, ifindex: int) -> None:
    records = encode(policy, index, ifindex)
    assert {*ports_of("host_key", b"".join(records.hosts))} == {index}
    assert {*ports_of("prefix_key", b"".join(records.prefixes))} <= {index}
    assert {*ports_of("gateway_key", b"".join(records.gateways))} <= {index}
    assert len(records.hosts) == len(policy.hosts)
    assert len(records.prefixes) == sum(len(host.prefixes()) for host in policy.hosts) + len(policy.proxy_arp)
    assert len(records.gateways) == len(policy.gateways)
    assert {table: set(entries) for table, entries in records.entries().items()} == {
        "hosts": set(records.hosts),
        "prefixes": set(records.prefixes),
        "gateways": set(records.gateways),
    }


@given(policies(), st.data())
def test_a_record_changed_anywhere_is_no_policy_or_another_one(policy: PortPolicy, data: st.DataObject) -> None:
    """Of what tells policies apart, no bit is without meaning: what decodes at all decodes to something else."""
    records = encode(policy, 7, 9)
    raw = bytearray(records.port)
    at = data.draw(st.integers(0, len(raw) - 1))
    member = PORT.members["ifindex"]
    assume(not member.offset <= at < member.offset + 4)  # where it holds, the tables compare
    raw[at] ^= data.draw(st.integers(1, 255))
    assert decode(replace(records, port=bytes(raw)), 7, policy.guard, netdev_flags(policy)) != policy


@given(policies(), st.binary(max_size=64), st.data())
def test_entries_of_any_bytes_never_fail(policy: PortPolicy, name: bytes, data: st.DataObject) -> None:
    structs = abi().structs

    def some(kind: str) -> st.SearchStrategy[bytes]:
        return st.binary(min_size=structs[kind].size, max_size=structs[kind].size)

    def keys(kind: str, found: object) -> frozenset[bytes]:
        return data.draw(st.just(found) | st.frozensets(some(kind), max_size=3))  # type: ignore[arg-type]

    honest = encode(policy, 7, 9)
    records = Records(
        data.draw(st.just(honest.port) | some("port")),
        data.draw(st.just(honest.name) | st.just(name.ljust(64, b"\0"))),
        data.draw(st.just(honest.hosts) | st.dictionaries(some("host_key"), some("host"), max_size=3)),
        keys("prefix_key", honest.prefixes),
        keys("gateway_key", honest.gateways),
    )
    got = decode(records, 7, policy.guard, netdev_flags(policy))
    assert got is None or encode(got, 7, PORT.number(records.port, "ifindex")) == records


def a_policy() -> PortPolicy:
    host = Host("52:54:00:0a:00:0b", IPv6Address("fe80::b"), (IPv6Network("2001:db8:11::/64"),), (IPv4Address("192.0.2.11"),))
    other = replace(host, lladdr="52:54:00:0a:00:0c", ipv6=(), ipv4=())
    gateways = (IPv4Address("192.0.2.1"), IPv6Address("fe80::1"))
    return PortPolicy("web1", "eth1", 11, "02:00:00:00:00:01", (host, other), gateways, Mode.ENFORCE, False, False, False, 100, 200)


def without(records: Records) -> dict[str, Records]:
    prefix = next(iter(records.prefixes))
    short, host_bits = abi().structs["prefix_key"].members["prefix_length"], bytearray(prefix)
    host_bits[-1] |= 0xFF
    zeroed = {name: bytearray(records.port) for name in ("answer_rate", "answer_burst")}
    for name, raw in zeroed.items():
        raw[PORT.members[name].offset : PORT.members[name].offset + 4] = bytes(4)
    return {
        "no hosts": replace(records, hosts={}),
        "one host less": replace(records, hosts=dict(list(records.hosts.items())[1:])),
        "no prefixes": replace(records, prefixes=frozenset()),
        "a prefix shorter than its port": replace(records, prefixes=frozenset({bytes(short.width) + prefix[short.width :]})),
        "a prefix with host bits": replace(records, prefixes=(records.prefixes - {prefix}) | {bytes(host_bits)}),
        "a prefix of nobody's": replace(records, prefixes=records.prefixes | {prefix[:9] + b"\x99" + prefix[10:]}),
        "an empty record": replace(records, port=bytes(PORT.size)),
        "no rate": replace(records, port=bytes(zeroed["answer_rate"])),
        "no burst": replace(records, port=bytes(zeroed["answer_burst"])),
        "a name that is no text": replace(records, name=b"\xff" * 64),
    }


@pytest.mark.parametrize("fault", without(encode(a_policy(), 7, 9)))
def test_entries_that_do_not_add_up_are_no_policy(fault: str) -> None:
    records = encode(a_policy(), 7, 9)
    assert decode(records, 7, "eth1", False) == a_policy()
    assert decode(without(records)[fault], 7, "eth1", False) is None


def test_a_missing_gateway_is_another_policy() -> None:
    others = (IPv6Address("fe80::1:1"), IPv6Address("fe80::1:2"))
    records = encode(replace(a_policy(), gateways=(*a_policy().gateways, *others)), 7, 9)
    fewer = decode(replace(records, gateways=frozenset(sorted(records.gateways)[:-1])), 7, "eth1", False)
    assert fewer is not None
    assert len(fewer.gateways) == 3


def test_a_gateway_that_stands_in_the_port_alone_is_no_policy() -> None:
    records = encode(a_policy(), 7, 9)
    for one in records.gateways:
        assert decode(replace(records, gateways=records.gateways - {one}), 7, "eth1", False) is None


def test_ipv4_stands_as_mapped_ipv6() -> None:
    records = encode(a_policy(), 7, 9)
    layout, bits = abi().structs["prefix_key"], abi().numbers["PREFIX_KEY_BITS"]
    found = {(layout.number(key, "prefix_length") - bits, IPv6Address(layout.data(key, "address"))) for key in records.prefixes}
    assert found == {(64, IPv6Address("2001:db8:11::")), (128, IPv6Address("::ffff:192.0.2.11"))}
    assert {IPv6Address(key[4:]) for key in records.gateways} == {IPv6Address("fe80::1"), IPv6Address("::ffff:192.0.2.1")}


def test_the_bucket_is_what_rate_and_burst_say() -> None:
    port = encode(replace(a_policy(), answer_rate=1000, answer_burst=5), 7, 9).port
    assert PORT.number(port, "answer_interval") == 1_000_000
    assert PORT.number(port, "answer_ahead") == 4_000_000
    assert PORT.number(port, "vlan_id") == 11
    assert PORT.number(encode(replace(a_policy(), vlan_id=None), 7, 9).port, "vlan_id") == UNTAGGED


@given(policies(), indexes)
def test_a_pointer_says_of_the_first_host_what_the_record_says(policy: PortPolicy, index: int) -> None:
    layout, (first, *_) = abi().structs["pointer"], policy.hosts
    pointer = pointer_to(index, encode(policy, index, 9).port)
    assert len(pointer) == layout.size
    assert layout.number(pointer, "port") == index
    assert format_lladdr(layout.data(pointer, "lladdr")) == first.lladdr
    assert bool(layout.number(pointer, "flags") & abi().numbers["PORT_SOURCE_GUARD"]) == policy.source_guard
    assert layout.data(pointer, "address") == (first.ipv4[0].packed if first.ipv4 else bytes(4))
    half, mask = (int.from_bytes(layout.data(pointer, name), "big") << 64 for name in ("prefix", "prefix_mask"))
    fit = [(int(prefix.network_address), int(prefix.netmask)) for prefix in first.ipv6 if prefix.prefixlen <= 64]
    assert (half, mask) == (fit[0] if fit else (((1 << 64) - 1) << 64, 0)), "the first that fits; else what no address is in"


@given(indexes)
def test_a_neutral_pointer_is_to_the_port_and_welcomes_nobody(index: int) -> None:
    layout, pointer = abi().structs["pointer"], neutral_pointer(index)
    assert (len(pointer), layout.number(pointer, "port")) == (layout.size, index)
    assert layout.number(pointer, "flags") & abi().numbers["PORT_SOURCE_GUARD"]
    assert layout.number(pointer, "address") == 0
    mask, prefix = layout.data(pointer, "prefix_mask"), layout.data(pointer, "prefix")
    assert any(one & ~other for one, other in zip(prefix, mask, strict=True)), "no address under this mask is that"
