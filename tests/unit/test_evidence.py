"""What an operator reads of a dropped frame: claimed against billed, whatever the frame holds and wherever it ends."""

import struct
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3ctl.evidence import LONGEST, THE_GATEWAY, Billing, duplicate, explain
from l3ctl.lab.frames import (
    HOST_LL,
    HOST_MAC,
    OTHER_MAC,
    arp,
    ethernet,
    extension,
    fragment,
    icmpv6,
    ip4,
    ip6,
    ipv6,
    na,
    nd,
    ns,
    option,
    ra,
    redirect,
    rs,
    tcp6,
    udp4,
)
from l3ctl.model import Host, Port
from l3ctl.xdp.abi import abi


def host(lladdr: str, link_local: str, ipv4: str, *ipv6: str) -> Host:
    return Host(lladdr, IPv6Address(link_local), tuple(IPv6Network(prefix) for prefix in ipv6), (IPv4Address(ipv4),))


WEB = host("52:54:00:0a:00:0b", HOST_LL, "203.0.113.11", "2001:db8:11::/64")
DB = host("52:54:00:0a:00:0c", "fe80::5054:ff:fe0a:c", "203.0.113.12", "2001:db8:12::/64")
WEB1, DB1 = Port("web1", "tap-web1", "tap-web1", None, (WEB,)), Port("db1", "tap-db1", "tap-db1", None, (DB,))
GATEWAYS = [ip_address("fe80::1"), ip_address("203.0.113.1")]
BILLING = Billing([WEB1, DB1], GATEWAYS)
STRANGER = bytes.fromhex("525400000099")
# Of answers to probes no sample is taken: nobody is accused.
DROPS = [reason.name for reason in abi().reasons if reason.verdict == "drop" and reason.name != "probe-answer"]


class Row(NamedTuple):
    """What is sent, with its EtherType, and what is said of it after `port web1`."""

    reason: str
    payload: bytes
    ethertype: int
    text: str
    claimed: str | None = None
    billed: str | None = None
    quiet: bool = False
    source: bytes = HOST_MAC


ARP, RARP, IPV4, IPV6 = 0x0806, 0x8035, 0x0800, 0x86DD
ROGUE = option(3, struct.pack("!BBIII", 64, 0xC0, 1800, 1800, 0) + ip6("2001:db8:bad::"))
STOLEN = option(3, struct.pack("!BBIII", 64, 0xC0, 1800, 1800, 0) + ip6("2001:db8:12::"))


def probe(target: str) -> bytes:
    return arp(sender="0.0.0.0", target=target)


def router(options: bytes, source: str = HOST_LL, lifetime: int = 1800) -> bytes:
    return nd(134, struct.pack("!BBHII", 64, 0, lifetime, 0, 0) + options, source)


def query() -> bytes:
    message = icmpv6(130, bytes(20), HOST_LL, "ff02::1")
    return ipv6(extension(58, data=b"\5\2\0\0\1\0") + message, 0, hop_limit=1)


def fragmented(packet: bytes, *before: bytes) -> bytes:
    """An ND packet whose message travels in a first fragment, behind other extension headers."""
    return ipv6(b"".join(before) + fragment(58, more=True) + packet[40:], 60 if before else 44)


def rerouted(packet: bytes) -> bytes:
    """An ND packet behind as many extension headers as the filter follows."""
    return ipv6(extension(43) + extension(60, 1) + extension(60) + extension(58) + packet[40:], 0)


TABLE = [
    Row("truncated", bytes(20), IPV6, "sent a frame that ends within its headers (34 bytes, IPv6)"),
    Row("llc", b"\x42\x42\x03" + bytes(35), 38, "sent an 802.3 frame (LLC SAP 0x42, spanning tree)"),
    Row("llc", b"\xf0\xf0\x03" + bytes(35), 38, "sent an 802.3 frame (LLC SAP 0xf0)"),
    Row("llc", b"\xaa\xaa\x03\0\0\0\x86\xdd" + ra(), 86, "sent an 802.3 frame (SNAP, EtherType 0x86dd)"),
    Row("bad-source-mac", arp(), ARP, "sent from MAC ff:ff:ff:ff:ff:ff, which no host has", "ff:ff:ff:ff:ff:ff", source=b"\xff" * 6),
    Row("version-mismatch", udp4(), IPV6, "sent a wrong IP version (4 in IPv6)"),
    Row("rarp", arp(3), RARP, "sent RARP (operation 3, reverse request)"),
    Row("arp-malformed", arp(hardware=6), ARP, "sent malformed ARP (28 bytes, hardware type 6, protocol 0x0800, lengths 6 and 4)"),
    Row("arp-malformed", arp()[:20], ARP, "sent malformed ARP (20 bytes, hardware type 1, protocol 0x0800, lengths 6 and 4)"),
    Row(
        *("arp-mac-spoof", arp(), ARP),
        "sent ARP from MAC 52:54:00:00:00:99, which is not billed there (billed: 52:54:00:0a:00:0b)",
        *("52:54:00:00:00:99", None, False, STRANGER),
    ),
    Row(
        *("arp-mac-spoof", arp(), ARP),
        "sent ARP from MAC 52:54:00:0a:00:0c, which is billed to db1 (billed: 52:54:00:0a:00:0b)",
        *("52:54:00:0a:00:0c", "db1", False, OTHER_MAC),
    ),
    Row(
        *("arp-mac-mismatch", arp(sender_mac=OTHER_MAC), ARP),
        "put MAC 52:54:00:0a:00:0c into ARP, but sent it from MAC 52:54:00:0a:00:0b",
        *("52:54:00:0a:00:0c", "db1"),
    ),
    Row("arp-reply", arp(2, sender="203.0.113.1"), ARP, "answered ARP for 203.0.113.1, the gateway's address", "203.0.113.1", THE_GATEWAY),
    Row("arp-reply", arp(2), ARP, "answered ARP for its own 203.0.113.11", "203.0.113.11", "web1"),
    Row("arp-operation", arp(8), ARP, "sent ARP that no host needs here (operation 8, inverse request)"),
    Row("arp-operation", arp(77), ARP, "sent ARP that no host needs here (operation 77)"),
    Row("arp-ip-spoof", arp(sender="203.0.113.12"), ARP, "claimed 203.0.113.12, billed to db1", "203.0.113.12", "db1"),
    Row("arp-ip-spoof", arp(sender="192.168.1.5"), ARP, "claimed 192.168.1.5, billed to nobody", "192.168.1.5"),
    Row("arp-gratuitous", arp(target="203.0.113.11"), ARP, "sent a gratuitous ARP for its own 203.0.113.11", "203.0.113.11", "web1", True),
    Row(
        "arp-probe",
        arp(sender="0.0.0.0", target="203.0.113.11"),
        ARP,
        "sent an ARP probe for its own 203.0.113.11",
        "203.0.113.11",
        "web1",
        True,
    ),
    Row(
        "arp-probe",
        arp(sender="0.0.0.0", target="203.0.113.12"),
        ARP,
        "sent an ARP probe for 203.0.113.12, billed to db1",
        "203.0.113.12",
        "db1",
    ),
    Row("arp-probe", probe("192.0.2.9"), ARP, "sent an ARP probe for 192.0.2.9, billed to nobody", "192.0.2.9"),
    Row("arp-target", arp(target="203.0.113.12"), ARP, "asked by ARP for 203.0.113.12, billed to db1", "203.0.113.12", "db1", True),
    Row(
        *("rate-limit", arp(), ARP),
        "asked faster than its budget allows for 203.0.113.1, the gateway's address",
        *("203.0.113.1", THE_GATEWAY),
    ),
    Row("rate-limit", ns(), IPV6, "asked faster than its budget allows for fe80::1, the gateway's address", "fe80::1", THE_GATEWAY),
    Row("rate-limit", rs(), IPV6, "asked faster than its budget allows"),
    Row("ext-header", ipv6(extension(0) * 4 + extension(58), 0), IPV6, "sent IPv6 extension headers that cannot be read (more than 4)"),
    Row("ext-header", ipv6(extension(58)[:4], 60), IPV6, "sent IPv6 extension headers that cannot be read (destination header cut short)"),
    Row("ext-header", ipv6(bytes(8), 253), IPV6, "sent IPv6 extension headers that cannot be read (header 253 follows)"),
    Row("ext-header", ipv6(fragment(58, more=True), 44), IPV6, "sent IPv6 extension headers that cannot be read (header 58 past the end)"),
    Row("nd-fragment", fragmented(ra()), IPV6, "sent ND in a fragment (a router advertisement)"),
    Row("nd-fragment", fragmented(na(), extension(44)), IPV6, "sent ND in a fragment (a neighbour advertisement)"),
    Row("nd-malformed", ra(hop_limit=64), IPV6, "sent malformed ND (a router advertisement: hop limit 64)"),
    Row("nd-malformed", ns(code=3), IPV6, "sent malformed ND (a neighbour solicitation: code 3)"),
    Row("nd-malformed", na(bad_checksum=True), IPV6, "sent malformed ND (a neighbour advertisement: length, options or checksum)"),
    Row(
        *("nd-mac-spoof", na(), IPV6),
        "sent a neighbour advertisement from MAC 52:54:00:00:00:99, which is not billed there (billed: 52:54:00:0a:00:0b)",
        *("52:54:00:00:00:99", None, False, STRANGER),
    ),
    Row(
        *("na-unsolicited", na("2001:db8:12::1"), IPV6),
        "sent an unsolicited neighbour advertisement for 2001:db8:12::1, billed to db1",
        *("2001:db8:12::1", "db1"),
    ),
    Row("na-unsolicited", na(HOST_LL), IPV6, f"sent an unsolicited neighbour advertisement for its own {HOST_LL}", HOST_LL, "web1"),
    Row(
        "na-unsolicited",
        na(),
        IPV6,
        "sent an unsolicited neighbour advertisement for fe80::1, the gateway's address",
        "fe80::1",
        THE_GATEWAY,
    ),
    Row(
        *("ra-rogue", router(ROGUE), IPV6),
        "advertised itself as a router (RA, lifetime 1800 s, prefix 2001:db8:bad::/64)",
        "2001:db8:bad::/64",
    ),
    Row(
        *("ra-rogue", rerouted(router(b"", lifetime=0)), IPV6),
        "advertised itself as a router (RA, lifetime 0 s)",
        *(HOST_LL, "web1"),
    ),
    Row(
        *("ra-rogue", router(option(1, HOST_MAC) + STOLEN), IPV6),
        "advertised itself as a router (RA, lifetime 1800 s, prefix 2001:db8:12::/64 billed to db1)",
        *("2001:db8:12::/64", "db1"),
    ),
    Row("ra-rogue", router(b"", "fe80::1", 0), IPV6, "advertised itself as the gateway (RA, lifetime 0 s)", "fe80::1", THE_GATEWAY),
    Row("redirect", redirect(), IPV6, "sent a redirect to fe80::2 for 2001:db8:ffff::9, billed to nobody", "2001:db8:ffff::9"),
    Row("nd-type", nd(148, bytes(4)), IPV6, "sent ND that no host needs here (a certification path solicitation, type 148)"),
    Row("nd-ip-spoof", ns(source="2001:db8:12::1"), IPV6, "claimed 2001:db8:12::1, billed to db1", "2001:db8:12::1", "db1"),
    Row("nd-ip-spoof", rs(source="fe80::99"), IPV6, f"claimed fe80::99, billed to nobody (its own: {HOST_LL})", "fe80::99"),
    Row(
        *("nd-lladdr-mismatch", ns(options=option(1, STRANGER)), IPV6),
        "put MAC 52:54:00:00:00:99 into a neighbour solicitation, but sent it from MAC 52:54:00:0a:00:0b",
        "52:54:00:00:00:99",
    ),
    Row(
        "nd-lladdr-mismatch",
        ns(source="::"),
        IPV6,
        "sent ND with a wrong source link-layer option (a neighbour solicitation from :: with 1)",
    ),
    Row(
        *("nd-destination", ns(destination="ff02::1"), IPV6),
        "sent ND to ff02::1 for fe80::1, the gateway's address",
        *("fe80::1", THE_GATEWAY),
    ),
    Row("ns-dad", ns("2001:db8:11::1", b"", "::"), IPV6, "did DAD for its own 2001:db8:11::1", "2001:db8:11::1", "web1", True),
    Row("ns-dad", ns("2001:db8:12::1", b"", "::"), IPV6, "did DAD for 2001:db8:12::1, billed to db1", "2001:db8:12::1", "db1"),
    Row("ns-dad", ns("fe80::99", b"", "::"), IPV6, f"did DAD for fe80::99, billed to nobody (its own: {HOST_LL})", "fe80::99"),
    Row("ns-dad", ns("fe80::1", b"", "::"), IPV6, "did DAD for fe80::1, the gateway's address", "fe80::1", THE_GATEWAY),
    Row("ns-target", ns("2001:db8:12::1"), IPV6, "asked by ND for 2001:db8:12::1, billed to db1", "2001:db8:12::1", "db1", True),
    Row("ns-target", rerouted(ns("2001:db8::7", b"")), IPV6, "asked by ND for 2001:db8::7, billed to nobody", "2001:db8::7", quiet=True),
    Row("rs", rs(), IPV6, f"asked for a router (RS from {HOST_LL})", quiet=True),
    Row("mld-query", query(), IPV6, "spoke as a multicast router (an MLD query)"),
    Row("source-spoof", tcp6("2001:db8:12::1"), IPV6, "sent IPv6 from 2001:db8:12::1, billed to db1", "2001:db8:12::1", "db1"),
    Row("source-spoof", udp4("203.0.113.12"), IPV4, "sent IPv4 from 203.0.113.12, billed to db1", "203.0.113.12", "db1"),
    Row("source-spoof", udp4("10.0.0.1"), IPV4, "sent IPv4 from 10.0.0.1, billed to nobody", "10.0.0.1"),
    Row(
        *("source-spoof", udp4(), IPV4),
        "sent IPv4 from MAC 52:54:00:00:00:99, which is not billed there (billed: 52:54:00:0a:00:0b)",
        *("52:54:00:00:00:99", None, False, STRANGER),
    ),
]


@pytest.mark.parametrize("tags", [(), ((0x8100, 11),), ((0x88A8, 0), (0x9100, 11))], ids=["untagged", "tagged", "priority-and-tagged"])
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.reason)
def test_a_frame_is_told_in_words(row: Row, tags: tuple[tuple[int, int], ...]) -> None:
    frame = ethernet(row.payload, row.ethertype, row.source, tags=tags)[:128]
    said = explain(WEB1, row.reason, frame, BILLING)
    text = row.text.replace("34 bytes", f"{34 + 4 * len(tags)} bytes")
    assert (said.text, said.claimed, said.billed, said.quiet) == (f"port web1 {text}", row.claimed, row.billed, row.quiet)
    assert (said.port, said.reason, said.vlan_id) == ("web1", row.reason, 11 if tags else None)
    assert bytes.fromhex(said.lladdr.replace(":", "")) == row.source


def test_stacked_tags_are_named_from_the_inside() -> None:
    said = explain(WEB1, "vlan-stacked", ethernet(ra(), IPV6, tags=((0x8100, 11), (0x8100, 12))), BILLING)
    assert (said.text, said.vlan_id) == ("port web1 sent stacked VLAN tags (VLAN 12 within 11)", 11)


@pytest.mark.parametrize(("tags", "vlan"), [((), "none"), (((0x8100, 99),), "99")])
def test_what_belongs_to_no_port_is_told_by_where_it_came_in(tags: tuple[tuple[int, int], ...], vlan: str) -> None:
    said = explain(None, "unknown-port", ethernet(na(), IPV6, STRANGER, tags=tags), BILLING)
    assert said.port == "-"
    assert said.text == f"port - sent what belongs to no port (a neighbour advertisement from MAC 52:54:00:00:00:99, VLAN {vlan})"


def test_every_reason_to_drop_has_its_words_even_for_no_frame_at_all() -> None:
    assert {row.reason for row in TABLE} | {"vlan-stacked", "unknown-port"} == set(DROPS)
    texts = {explain(WEB1, reason, b"", BILLING).text for reason in DROPS if reason not in ("arp-ip-spoof", "nd-ip-spoof")}
    assert len(texts) == len(DROPS) - 2
    for frame in (b"", ethernet(arp(), ARP), ethernet(ns(), IPV6)):
        assert not any("dropped as" in explain(WEB1, reason, frame, BILLING).text for reason in DROPS)
    assert "dropped as 'new-reason'" in explain(WEB1, "new-reason", ethernet(arp(), ARP), BILLING).text


def test_only_solicitations_stay_quiet_when_nothing_can_be_read() -> None:
    assert {reason for reason in DROPS if explain(WEB1, reason, b"", BILLING).quiet} == {"rs", "ns-target", "arp-target"}
    assert {reason for reason in DROPS if explain(None, reason, b"", BILLING).quiet} == {"rs", "ns-target", "arp-target"}


FRAMES = [ethernet(row.payload, row.ethertype, row.source) for row in TABLE]
REASONS = st.sampled_from([reason.name for reason in abi().reasons]) | st.text(max_size=80)
PORTS = st.sampled_from([None, WEB1, replace(DB1, name="x" * 63, hosts=(DB, WEB)), replace(WEB1, hosts=())])


@st.composite
def mangled(draw: st.DrawFn) -> bytes:
    """A frame that could be, with bytes of it overwritten, cut off anywhere."""
    frame = bytearray(draw(st.sampled_from(FRAMES)))
    for at, byte in draw(st.lists(st.tuples(st.integers(0, len(frame) - 1), st.integers(0, 255)), max_size=8)):
        frame[at] = byte
    return bytes(frame[: draw(st.integers(0, 128))])


@given(PORTS, REASONS, st.binary(max_size=128) | mangled())
def test_whatever_the_bytes_there_is_one_printable_line(port: Port | None, reason: str, frame: bytes) -> None:
    said = explain(port, reason, frame, BILLING)
    assert said.text.isprintable()
    assert len(said.text) <= LONGEST < 200
    assert said.text.startswith(f"port {port.name if port else '-'} ")


@pytest.mark.parametrize(("row", "frame"), list(zip(TABLE, FRAMES, strict=True)), ids=lambda value: getattr(value, "reason", ""))
def test_a_frame_cut_short_claims_no_other_thing_than_the_whole_one(row: Row, frame: bytes) -> None:
    for length in range(len(frame)):
        rest = explain(WEB1, row.reason, frame[:length], BILLING)
        assert rest.claimed in (row.claimed, None) or row.reason == "ra-rogue", "a router whose prefix is not seen goes by its own address"


def test_bytes_of_the_frame_never_stand_in_the_text() -> None:
    payload = b"\x1b[31mowned\n" * 12
    for reason in DROPS:
        for ethertype in (ARP, IPV4, IPV6, 0x1234, 0x20):
            assert "owned" not in explain(WEB1, reason, ethernet(payload, ethertype), BILLING).text


def test_a_text_is_cut_rather_than_too_long() -> None:
    long = replace(WEB1, name="w" * 63), replace(DB1, name="d" * 63)
    far = "2001:db8:12:0:ffff:ffff:ffff:ffff"
    frame = ethernet(nd(137, bytes(4) + ip6("fe80::ffff:ffff:ffff:ffff") + ip6(far)), IPV6)
    said = explain(long[0], "redirect", frame, Billing(long, GATEWAYS))
    assert said.billed == "d" * 63
    assert (len(said.text), said.text[-1]) == (LONGEST, "…")


def test_on_a_port_of_several_hosts_the_text_says_which_one() -> None:
    lan = Port("lan", "br0", "br0", None, (WEB, DB, host("52:54:00:0a:00:0d", "fe80::d", "203.0.113.13")))
    billing = Billing([lan], GATEWAYS)
    said = explain(lan, "arp-ip-spoof", ethernet(arp(sender="203.0.113.12"), ARP), billing)
    assert said.text == "port lan claimed 203.0.113.12, billed to MAC 52:54:00:0a:00:0c"
    said = explain(lan, "arp-gratuitous", ethernet(arp(sender="203.0.113.12", target="203.0.113.12"), ARP), billing)
    assert (said.billed, said.quiet) == ("lan", False)
    said = explain(lan, "arp-mac-spoof", ethernet(arp(), ARP, STRANGER), billing)
    assert said.text.endswith("not billed there (billed: 52:54:00:0a:00:0b, 52:54:00:0a:00:0c and 1 more)")


def test_a_link_local_is_the_ports_own_though_another_link_has_it_too() -> None:
    same = replace(DB1, hosts=(replace(DB, link_local=WEB.link_local),))
    said = explain(WEB1, "ns-dad", ethernet(ns(HOST_LL, b"", "::"), IPV6), Billing([same, WEB1], GATEWAYS))
    assert (said.billed, said.quiet) == ("web1", True)


def test_the_longest_billed_prefix_owns_an_address() -> None:
    outer = Port("outer", "a", "a", None, (host("52:54:00:00:00:01", "fe80::a", "192.0.2.1", "2001:db8::/48"),))
    inner = Port("inner", "b", "b", None, (host("52:54:00:00:00:02", "fe80::b", "192.0.2.2", "2001:db8:0:7::/64"),))
    single = Port("single", "c", "c", None, (host("52:54:00:00:00:03", "fe80::c", "192.0.2.3", "2001:db8:0:7::7/128"),))
    billing = Billing((port for port in (outer, inner, single)), GATEWAYS)
    asked = (
        "2001:db8:0:1::1",
        "2001:db8:0:7::1",
        "2001:db8:0:7::7",
        "2001:db8:1::",
        "fe80::b",
        "fe80::d",
        "192.0.2.3",
        "192.0.2.4",
        "::c000:201",
    )
    wanted = ["outer", "inner", "single", None, "inner", None, "single", None, None]
    assert [billing.owner(ip_address(address)) for address in asked] == wanted
    assert billing.lladdr_owner("52:54:00:00:00:02") == "inner"
    assert billing.lladdr_owner("52:54:00:00:00:09") is None
    assert [billing.is_gateway(ip_address(address)) for address in ("fe80::1", "203.0.113.1", "192.0.2.1")] == [True, True, False]


@given(st.lists(st.tuples(st.integers(0, 2**16 - 1), st.integers(112, 128)), min_size=1, max_size=12), st.integers(0, 2**16 - 1))
def test_the_owner_is_what_a_linear_scan_finds(prefixes: list[tuple[int, int]], number: int) -> None:
    base = int(IPv6Address("2001:db8::"))
    networks = {IPv6Network((base + at, length), strict=False): None for at, length in prefixes}
    lladdr, link_local, address = WEB.lladdr, IPv6Address("fe80::a"), IPv6Address(base + number)
    ports = [Port(str(network), "a", "a", None, (Host(lladdr, link_local, (network,)),)) for network in networks]
    around = [network for network in networks if address in network]
    expected = str(max(around, key=lambda network: network.prefixlen)) if around else None
    assert Billing(ports, []).owner(address) == expected


def test_of_ten_thousand_ports_the_right_one_is_named() -> None:
    def port(number: int) -> Port:
        prefix = IPv6Network((int(IPv6Address("2001:db8::")) + (number << 64), 64))
        one = Host(
            f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}",
            IPv6Address(f"fe80::{number + 2:x}"),
            (prefix,),
            (IPv4Address(number + 2**30),),
        )
        return Port(f"p{number}", f"tap{number}", f"tap{number}", None, (one,))

    billing = Billing(map(port, range(10_000)), GATEWAYS)
    for number in (0, 1, 4711, 9_999):
        for address in (ip_address(2**30 + number), IPv6Address(f"fe80::{number + 2:x}"), IPv6Address(f"2001:db8:0:{number:x}::1")):
            assert billing.owner(address) == f"p{number}"
    assert billing.owner(IPv6Address("2001:db8:0:2710::1")) is None
    assert billing.owner(ip_address(ip4("198.51.100.1"))) is None


@pytest.mark.parametrize(
    ("prefix", "next_hop", "text"),
    [
        ("2001:db8:11::/64", "2001:db8:ffff::3", "port web1's 2001:db8:11::/64 is announced by 2001:db8:ffff::3 too (heard from fe80::b1)"),
        ("203.0.113.11/32", "fe80::b1", "port web1's 203.0.113.11/32 is announced elsewhere too (heard from fe80::b1)"),
        ("2001:db8:99::/64", "::3", "port -'s 2001:db8:99::/64 is announced by ::3 too (heard from fe80::b1)"),
        ("2001:db8:99::/64", "x" * 60_000, f"port -'s 2001:db8:99::/64 is announced by {'x' * (LONGEST - 43)}…"),
        ("2001:db8:99::/64", "\x1b[2J\n:\ud800", "port -'s 2001:db8:99::/64 is announced by ?[2J?:? too (heard from fe80::b1)"),
    ],
)
def test_a_duplicate_says_whose_it_is_here_and_who_announces_it_there(prefix: str, next_hop: str, text: str) -> None:
    billing = Billing([Port("web1", "a", "a", None, (host(WEB.lladdr, "fe80::b", "203.0.113.11", "2001:db8:11::/64"),))], [])
    evidence = duplicate(ip_network(prefix), next_hop, "fe80::b1", billing)
    assert (evidence.text, evidence.reason, evidence.claimed, evidence.quiet) == (text, "duplicate", prefix, False)
    assert len(text) <= LONGEST
