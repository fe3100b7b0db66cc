"""The filter's contract, row by row: a frame in, verdict and reason out, through the real program in BPF_PROG_TEST_RUN.

Each row stands once in `ROWS` and is run untagged and as a VLAN of a trunk.
"""

import itertools
import struct
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from l3ctl.lab.frames import (
    BROADCAST,
    GATEWAY4,
    GATEWAY6,
    HOST_IP4,
    HOST_IP6,
    HOST_LL,
    HOST_MAC,
    OTHER_MAC,
    ROUTER_MAC,
    SOURCE_OPTION,
    arp,
    ethernet,
    extension,
    fragment,
    icmpv6,
    ip6,
    ipv6,
    na,
    nd,
    ns,
    option,
    ra,
    redirect,
    rs,
    solicited_node,
    tcp6,
    udp4,
)
from l3ctl.model import Host, Mode, PortPolicy
from l3ctl.xdp import clock
from l3ctl.xdp.verdict import Judge

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SECOND_MAC = bytes.fromhex("5254000a0015")
SECOND_LL = "fe80::5054:ff:fe0a:15"
GATEWAY6_GLOBAL = "2001:db8:ffff::fe"

POLICY = PortPolicy(
    port="web1",
    guard="lo",
    vlan_id=None,
    router_lladdr="02:00:00:00:00:01",
    hosts=(
        Host(
            "52:54:00:0a:00:0b",
            IPv6Address(HOST_LL),
            (IPv6Network("2001:db8:11::/64"), IPv6Network("2001:db8:aa::/112")),
            (IPv4Address(HOST_IP4),),
        ),
        Host(
            "52:54:00:0a:00:15",
            IPv6Address(SECOND_LL),
            (IPv6Network("2001:db8:15::/64"),),
            (IPv4Address("203.0.113.21"), IPv4Address("203.0.113.22")),
        ),
    ),
    gateways=(IPv4Address(GATEWAY4), IPv6Address(GATEWAY6_GLOBAL), IPv6Address(GATEWAY6)),
    mode=Mode.ENFORCE,
    source_guard=False,
    router_solicitations_pass=False,
    unknown_vlan_drop=False,
    answer_rate=1_000_000,
    answer_burst=1_000_000,
)
VLAN_ID = 11


@dataclass(frozen=True)
class Row:
    """`payload` behind EtherType `ethertype`; `reason` empty: passes."""

    name: str
    ethertype: int
    payload: bytes
    reason: str
    source: bytes = HOST_MAC
    destination: bytes = BROADCAST
    inner_tags: tuple[tuple[int, int], ...] = ()

    def frame(self, tags: tuple[tuple[int, int], ...] = ()) -> bytes:
        return ethernet(self.payload, self.ethertype, self.source, self.destination, (*tags, *self.inner_tags))


def v6(name: str, payload: bytes, reason: str, **keys: object) -> Row:
    return Row(name, 0x86DD, payload, reason, **keys)  # type: ignore[arg-type]


def arp_row(name: str, payload: bytes, reason: str, **keys: object) -> Row:
    return Row(name, 0x0806, payload, reason, **keys)  # type: ignore[arg-type]


def chain(*headers: int, last: bytes, last_type: int) -> bytes:
    """Extension headers of the given types, then an upper-layer header."""
    kinds = [*headers, last_type]
    body = b"".join(extension(following) if kind != 44 else fragment(following) for kind, following in itertools.pairwise(kinds))
    return ipv6(body + last, kinds[0], HOST_LL, "ff02::1")


NA_MESSAGE = na()[40:]
TCP = struct.pack("!HHIIBBHHH", 1, 2, 3, 0, 0x50, 2, 0, 0, 0)
LAYER2 = [
    Row("IPv4 without room for its header", 0x0800, udp4()[:19], "truncated"),
    Row("IPv4 options past the end", 0x0800, b"\x4f" + udp4()[1:30], "truncated"),
    Row("IPv6 without room for its header", 0x86DD, tcp6()[:39], "truncated"),
    Row("802.3 length with LLC", 0x0026, b"\xaa\xaa\x03\0\0\0\x86\xdd" + na(), "llc"),
    Row("source MAC multicast", 0x0800, udp4(), "bad-source-mac", source=b"\x01\0\x5e\0\0\1"),
    Row("source MAC broadcast", 0x86DD, na(), "bad-source-mac", source=BROADCAST),
    Row("source MAC zero", 0x88CC, bytes(46), "bad-source-mac", source=bytes(6)),
    Row("IPv4 EtherType, version 6", 0x0800, na(), "version-mismatch"),
    Row("IPv6 EtherType, version 4", 0x86DD, udp4(), "version-mismatch"),
    Row("RARP", 0x8035, arp(3), "rarp"),
    Row("another EtherType", 0x88CC, bytes(46), ""),
    Row("IPv4 UDP", 0x0800, udp4(), ""),
    Row("IPv6 TCP", 0x86DD, tcp6(), ""),
]
ARP = [
    arp_row("hardware type", arp(hardware=6), "arp-malformed"),
    arp_row("protocol type", arp(protocol=0x86DD), "arp-malformed"),
    arp_row("hardware length", arp(lengths=(8, 4)), "arp-malformed"),
    arp_row("protocol length", arp(lengths=(6, 16)), "arp-malformed"),
    arp_row("27 bytes", arp()[:27], "arp-malformed"),
    arp_row("Ethernet source of another host", arp(), "arp-mac-spoof", source=OTHER_MAC),
    arp_row("sender MAC differs", arp(sender_mac=OTHER_MAC), "arp-mac-mismatch"),
    arp_row("reply", arp(2), "arp-reply"),
    arp_row("operation 3", arp(3), "arp-operation"),
    arp_row("sender IP of another", arp(sender="203.0.113.12"), "arp-ip-spoof"),
    arp_row("sender IP broadcast", arp(sender="255.255.255.255"), "arp-ip-spoof"),
    arp_row("sender IP of the port's other host", arp(sender="203.0.113.21"), "arp-ip-spoof"),
    arp_row("gratuitous", arp(target=HOST_IP4), "arp-gratuitous"),
    arp_row("gratuitous for the gateway", arp(sender=GATEWAY4, target=GATEWAY4), "arp-ip-spoof"),
    arp_row("probe", arp(sender="0.0.0.0", target=HOST_IP4), "arp-probe"),
    arp_row("request for the gateway", arp(), "arp-answer"),
    arp_row("probe for the gateway", arp(sender="0.0.0.0"), "arp-answer"),
    arp_row("request of the second host", arp(sender_mac=SECOND_MAC, sender="203.0.113.22"), "arp-answer", source=SECOND_MAC),
    arp_row("request for another", arp(target="203.0.113.12"), "arp-target"),
]
FINDING_ND = [
    v6("five extension headers", chain(0, 60, 60, 60, 60, last=TCP, last_type=6), "ext-header"),
    v6("four extension headers before TCP", chain(0, 60, 43, 135, last=TCP, last_type=6), ""),
    v6("NA behind four extension headers", chain(0, 60, 139, 140, last=NA_MESSAGE, last_type=58), "na-unsolicited"),
    v6("NA behind AH", ipv6(extension(58, 1, bytes(6)).ljust(12, b"\0")[:12] + NA_MESSAGE, 51), "na-unsolicited"),
    v6("extension header past the end", ipv6(extension(58, 0)[:4], 60), "ext-header"),
    v6("extension header longer than the frame", ipv6(struct.pack("!BB", 6, 200) + bytes(30), 60), "ext-header"),
    v6("a header that cannot be walked", ipv6(bytes(16), 253), "ext-header"),
    v6("first fragment without upper-layer header", ipv6(fragment(60, 0, True), 44), "ext-header"),
    v6("first fragment that ends before ICMPv6", ipv6(fragment(58, 0, True), 44), "ext-header"),
    v6("NA in an atomic fragment", chain(44, last=NA_MESSAGE, last_type=58), "nd-fragment"),
    v6("NA in a first fragment behind options", ipv6(fragment(60, 0, True) + extension(58) + NA_MESSAGE, 44), "nd-fragment"),
    v6("later fragment", ipv6(fragment(58, 185) + NA_MESSAGE, 44), ""),
    v6("no next header", ipv6(b"", 59), ""),
    v6("ESP", ipv6(bytes(32), 50), ""),
    v6("echo request", ipv6(icmpv6(128, bytes(8), HOST_LL, "ff02::1"), 58), ""),
]
ND = [
    v6("hop limit 254", na(hop_limit=254), "nd-malformed"),
    v6("code 1", na(code=1), "nd-malformed"),
    v6("wrong checksum", na(bad_checksum=True), "nd-malformed"),
    v6("NS too short", nd(135, bytes(4) + ip6(GATEWAY6)[:12], HOST_LL, solicited_node(GATEWAY6)), "nd-malformed"),
    v6("option of length 0", ns(options=b"\x01\x00" + HOST_MAC), "nd-malformed"),
    v6("option past the end", ns(options=b"\x01\x02" + HOST_MAC), "nd-malformed"),
    v6("bytes after the options", ns(options=SOURCE_OPTION + b"\x0e\x01\0\0"), "nd-malformed"),
    v6("payload length beyond the frame", ns(length=200), "nd-malformed"),
    v6("payload length before the message's end", ns(length=20), "nd-malformed"),
    v6("payload length 0", ns(length=0), "nd-malformed"),
    v6("NS from another host's MAC", ns(), "nd-mac-spoof", source=OTHER_MAC),
    v6("NA, unsolicited", na(), "na-unsolicited"),
    v6("NA from a billed address", na(source=HOST_IP6), "na-unsolicited"),
    v6("RA", ra(), "ra-rogue"),
    v6("redirect", redirect(), "redirect"),
    v6("inverse NS", nd(141, bytes(4) + SOURCE_OPTION), "nd-type"),
    v6("inverse NA", nd(142, bytes(4) + SOURCE_OPTION), "nd-type"),
    v6("SEND path solicitation", nd(148, bytes(4)), "nd-type"),
    v6("SEND path advertisement", nd(149, bytes(8)), "nd-type"),
    v6("NS from an address of nobody", ns(source="2001:db8:99::1"), "nd-ip-spoof"),
    v6("NS from the port's other host's link-local", ns(source=SECOND_LL), "nd-ip-spoof"),
    v6("RS from a billed global address", rs(source=HOST_IP6), "nd-ip-spoof"),
    v6("source option of another MAC", ns(options=option(1, OTHER_MAC)), "nd-lladdr-mismatch"),
    v6("source option of two units", ns(options=option(1, HOST_MAC + bytes(8))), "nd-lladdr-mismatch"),
    v6("source option, source ::", ns(source="::"), "nd-lladdr-mismatch"),
    v6("two source options", ns(options=SOURCE_OPTION * 2), "nd-lladdr-mismatch"),
    v6("RS with a wrong source option", rs(options=option(1, OTHER_MAC)), "nd-lladdr-mismatch"),
    v6("NS to all nodes", ns(destination="ff02::1"), "nd-destination"),
    v6("NS to another group", ns(destination=solicited_node("fe80::2")), "nd-destination"),
    v6("NS from :: to the target itself", ns(source="::", options=b"", destination=GATEWAY6), "nd-destination"),
    v6("NS for the gateway", ns(), "ns-answer"),
    v6("NS for the gateway's global address", ns(GATEWAY6_GLOBAL), "ns-answer"),
    v6("unicast NS for the gateway", ns(destination=GATEWAY6), "ns-answer"),
    v6("NS for the gateway without option", ns(options=b""), "ns-answer"),
    v6("NS for the gateway with a nonce", ns(options=SOURCE_OPTION + option(14, bytes(6))), "ns-answer"),
    v6("NS from a billed global address", ns(source=HOST_IP6), "ns-answer"),
    v6("NS from the second prefix", ns(source="2001:db8:aa::42"), "ns-answer"),
    v6("NS from beyond the second prefix", ns(source="2001:db8:aa::1:42"), "nd-ip-spoof"),
    v6("NS from :: for the gateway", ns(source="::", options=b""), "ns-answer"),
    v6("NS behind a hop-by-hop header", chain(0, last=ns(destination="ff02::1:ff00:1")[40:], last_type=58), "nd-malformed"),
    v6("DAD", ns(HOST_IP6, source="::", options=b""), "ns-dad"),
    v6("NS for another customer", ns("2001:db8:12::1"), "ns-target"),
    v6("NS for a v4-mapped gateway", ns("::ffff:" + GATEWAY4), "ns-target"),
    v6("RS", rs(), "rs"),
    v6("RS from ::", rs(source="::", options=b""), "rs"),
    v6("MLD query", ipv6(icmpv6(130, bytes(20), HOST_LL, "ff02::1"), 58, hop_limit=1), "mld-query"),
    v6("MLD query behind a router alert", chain(0, last=icmpv6(130, bytes(20), HOST_LL, "ff02::1"), last_type=58), "mld-query"),
    v6("multicast router advertisement", ipv6(icmpv6(151, bytes(4), HOST_LL, "ff02::6a"), 58), "mld-query"),
    v6("MLD report", ipv6(icmpv6(143, bytes(4), HOST_LL, "ff02::16"), 58, hop_limit=1), ""),
    v6("MLD done", ipv6(icmpv6(132, bytes(20), HOST_LL, "ff02::2"), 58, hop_limit=1), ""),
]
ROWS = [*LAYER2, *ARP, *FINDING_ND, *ND]
ANSWERS = ("arp-answer", "ns-answer")


@pytest.fixture(scope="module")
def untagged() -> Judge:
    return Judge(POLICY)


@pytest.fixture(scope="module")
def on_trunk() -> Judge:
    return Judge(replace(POLICY, vlan_id=VLAN_ID))


@pytest.fixture(scope="module")
def qinq() -> Judge:
    return Judge(replace(POLICY, vlan_id=VLAN_ID, qinq=True))


def expected(reason: str) -> tuple[str, str]:
    return ("answer" if reason in ANSWERS else "drop" if reason else "pass"), reason


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_untagged(untagged: Judge, row: Row) -> None:
    assert untagged.run(row.frame())[:2] == expected(row.reason)


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_with_priority_tag_counts_as_untagged(untagged: Judge, row: Row) -> None:
    assert untagged.run(row.frame(((0x8100, 0),)))[:2] == expected(row.reason)


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_on_a_trunk(on_trunk: Judge, row: Row, tpid: int) -> None:
    assert on_trunk.run(row.frame(((tpid, VLAN_ID),)))[:2] == expected(row.reason)


@pytest.mark.parametrize("outer", [(0x8100, 0), (0x88A8, 0), (0x8100, VLAN_ID)])
@pytest.mark.parametrize("inner", [0x8100, 0x88A8, 0x9100])
def test_a_second_tag_of_any_tpid_is_dropped(untagged: Judge, on_trunk: Judge, outer: tuple[int, int], inner: int) -> None:
    judge = on_trunk if outer[1] else untagged
    for vlan_id in (0, VLAN_ID):
        assert judge.run(ethernet(na(), 0x86DD, tags=(outer, (inner, vlan_id))))[:2] == ("drop", "vlan-stacked")


STACKS = [
    ((0x8100, 0), (0x8100, VLAN_ID)),
    ((0x88A8, 0), (0x8100, VLAN_ID)),
    ((0x8100, 0), (0x88A8, VLAN_ID)),
    ((0x8100, 0), (0x8100, 0), (0x8100, VLAN_ID)),
    ((0x8100, 0), (0x88A8, 0), (0x8100, 0), (0x8100, VLAN_ID)),
    ((0x8100, 0), (0x8100, 12)),
    ((0x8100, 0), (0x9100, VLAN_ID)),
    ((0x8100, 0xE000), (0x8100, VLAN_ID)),  # with a priority
]


@pytest.mark.parametrize("tags", STACKS, ids=str)
def test_a_priority_tag_in_front_of_another_is_dropped_where_any_port_is_enforced(
    untagged: Judge, on_trunk: Judge, qinq: Judge, tags: tuple[tuple[int, int], ...]
) -> None:
    """Where there is no VLAN 0, Linux takes that tag off and goes by the next one (CVE-2021-27853)."""
    trunk, port = replace(POLICY, vlan_id=VLAN_ID), replace(POLICY, mode=Mode.AUDIT)
    in_audit, untagged_in_audit = Judge(replace(trunk, mode=Mode.AUDIT)), Judge(port)
    one_of_two, beside_untagged = Judge(replace(trunk, mode=Mode.AUDIT)), Judge(port)
    one_of_two.add(replace(trunk, port="web2", vlan_id=12))
    beside_untagged.add(replace(trunk, port="web2"))
    for payload, ethertype in ((na(), 0x86DD), (arp(2), 0x0806), (tcp6(), 0x86DD), (udp4("198.51.100.9"), 0x0800), (bytes(46), 0x88CC)):
        frame = ethernet(payload, ethertype, tags=tags)
        for judge in (untagged, on_trunk, qinq, one_of_two, beside_untagged):
            assert judge.run(frame)[:2] == ("drop", "vlan-stacked")
        for judge in (in_audit, untagged_in_audit):
            assert judge.run(frame)[:2] == ("pass", "vlan-stacked")
    assert on_trunk.run(ethernet(na(), 0x86DD, tags=tags)[:21])[:2] == ("pass", ""), "cut short, the kernel drops it"


def test_a_stack_is_told_from_one_of_the_port_itself() -> None:
    """The one is counted as nobody's, the other as the port's."""
    judge = Judge(replace(POLICY, vlan_id=VLAN_ID))
    for _ in range(2):
        for outer in (0, VLAN_ID, 0):
            assert judge.run(ethernet(na(), 0x86DD, tags=((0x8100, outer), (0x8100, VLAN_ID))))[:2] == ("drop", "vlan-stacked")


def advertised(flags: int, target: str, source: str = HOST_LL, destination: str = GATEWAY6, options: bytes = b"") -> bytes:
    return ethernet(nd(136, bytes((flags, 0, 0, 0)) + ip6(target) + options, source, destination), 0x86DD)


SOLICITED = {
    "NA for the link-local": advertised(0x60, HOST_LL),
    "NA for a billed address, with its option": advertised(0x40, HOST_IP6, HOST_IP6, options=option(2, HOST_MAC)),
    "ARP reply": ethernet(arp(2), 0x0806),
}
UNASKED = {
    "NA that is not solicited": advertised(0x20, HOST_LL),
    "NA to all nodes": advertised(0x60, HOST_LL, destination="ff02::1"),
    "NA for another's address": advertised(0x60, "fe80::9"),
    "NA for the gateway": advertised(0x60, GATEWAY6),
    "NA from another's address": advertised(0x60, HOST_LL, "fe80::9"),
    "ARP reply for another's address": ethernet(arp(2, sender="203.0.113.99"), 0x0806),
    "ARP reply to nobody we are": ethernet(arp(2, target="203.0.113.99"), 0x0806),
    "ARP reply for no address": ethernet(arp(2, sender="0.0.0.0"), 0x0806),
}


@pytest.mark.parametrize("frame", SOLICITED.values(), ids=SOLICITED)
def test_an_answer_to_a_probe_shows_that_the_host_is_there_and_is_dropped(frame: bytes) -> None:
    judge = Judge(replace(POLICY, probed=True))
    index = judge.tables.index("web1")
    before = clock.now()
    assert judge.run(frame) == ("drop", "probe-answer", None)
    assert before <= judge.tables.seen[index] <= clock.now()
    judge.tables.seen[index], judge.tables.asked[index] = 0, clock.now() - 1
    assert judge.run(frame)[1] in ("na-unsolicited", "arp-reply"), "it comes too late"
    assert judge.tables.seen[index] == 0
    assert Judge(POLICY).run(frame)[1] in ("na-unsolicited", "arp-reply"), "nobody asks on this port"


@pytest.mark.parametrize("frame", UNASKED.values(), ids=UNASKED)
def test_what_answers_no_probe_shows_nothing(frame: bytes) -> None:
    judge = Judge(replace(POLICY, probed=True))
    assert judge.run(frame)[1] in ("na-unsolicited", "arp-reply")
    assert judge.tables.seen[judge.tables.index("web1")] == 0


def test_who_asks_for_the_gateway_is_there() -> None:
    for frame in (ethernet(ns(), 0x86DD), ethernet(arp(), 0x0806)):
        judge = Judge(replace(POLICY, probed=True, answer_rate=1, answer_burst=1))
        index = judge.tables.index("web1")
        for reason in ("-answer", "rate-limit"):
            judge.tables.seen[index] = 0
            assert judge.run(frame)[1].endswith(reason)
            assert judge.tables.seen[index] > 0
        spoofed = frame[:6] + OTHER_MAC + frame[12:]
        judge.tables.seen[index] = 0
        assert judge.run(spoofed)[1].endswith("spoof")
        assert judge.tables.seen[index] == 0


def hidden(**changes: object) -> PortPolicy:
    """A port of a trunk whose frames may have their tag where the filter does not see it."""
    return replace(POLICY, vlan_id=VLAN_ID, tags_may_be_hidden=True, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize("mode", Mode)
@pytest.mark.parametrize("guard", [False, True], ids=["no guard", "guard"])
def test_what_seems_untagged_where_tags_may_be_hidden_is_no_ports(mode: Mode, guard: bool) -> None:
    judge = Judge(hidden(mode=mode, source_guard=guard))
    told = ("drop" if mode is Mode.ENFORCE else "pass"), "unknown-port"
    for row in ROWS:
        for tags in ((), ((0x8100, 0),)):
            assert judge.run(row.frame(tags))[:2] == (told if row.reason or guard else ("pass", "")), row.name
    assert judge.run(ethernet(na(), 0x86DD, tags=((0x8100, 12),)))[:2] == ("pass", ""), "an unknown VLAN is told by its tag"
    assert judge.run(ethernet(na(), 0x86DD, tags=((0x8100, VLAN_ID),)))[1] == "na-unsolicited"


def test_it_is_dropped_for_the_sake_of_whichever_port_is_enforced() -> None:
    frame, ordinary = ethernet(na(), 0x86DD), ethernet(tcp6(), 0x86DD)
    for ours, theirs, dropped in (
        (hidden(mode=Mode.AUDIT), hidden(), (True, False)),
        (hidden(), hidden(mode=Mode.AUDIT), (True, False)),
        (hidden(mode=Mode.AUDIT, source_guard=True), hidden(mode=Mode.AUDIT), (False, False)),
        (hidden(mode=Mode.AUDIT, source_guard=True), hidden(), (True, False)),
        (hidden(mode=Mode.AUDIT, source_guard=True), hidden(source_guard=True), (True, True)),
    ):
        judge = Judge(ours)
        judge.add(replace(theirs, port="web2", vlan_id=12))
        assert tuple(judge.run(one)[0] == "drop" for one in (frame, ordinary)) == dropped


@pytest.mark.parametrize("inner", [(0x8100, 0), (0x8100, 77), (0x88A8, 4095), (0x9100, 5)])
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_row_on_a_qinq_port(qinq: Judge, row: Row, inner: tuple[int, int]) -> None:
    """Behind a second tag everything is judged as behind one, and answered with both."""
    frame = row.frame(((0x88A8, VLAN_ID), inner))
    verdict, reason, answer = qinq.run(frame)
    assert (verdict, reason) == expected(row.reason)
    assert answer is None or answer[12:20] == frame[12:20]


def test_a_third_tag_is_for_no_port(qinq: Judge) -> None:
    for inner in (0x8100, 0x88A8, 0x9100):
        tags = ((0x88A8, VLAN_ID), (0x8100, 5), (inner, 6))
        assert qinq.run(ethernet(tcp6(), 0x86DD, tags=tags))[:2] == ("drop", "vlan-stacked")
        assert qinq.run(ethernet(b"", 0, tags=tags)[:25])[:2] == ("drop", "truncated")


def test_a_qinq_port_takes_single_tags_too_and_no_others_vlan(qinq: Judge) -> None:
    assert qinq.run(ethernet(na(), 0x86DD, tags=((0x8100, VLAN_ID),)))[:2] == ("drop", "na-unsolicited")
    assert qinq.run(ethernet(na(), 0x86DD, tags=((0x8100, 12), (0x8100, VLAN_ID))))[:2] == ("pass", "")


def test_proxy_arp_answers_for_what_is_listed_and_is_not_the_hosts_own() -> None:
    judge = Judge(replace(POLICY, proxy_arp=(IPv4Network("203.0.113.0/27"), IPv4Network("198.51.100.7/32"))))
    for target, reason in {
        "203.0.113.12": "arp-answer",
        "203.0.113.30": "arp-answer",
        "203.0.113.32": "arp-target",
        "198.51.100.7": "arp-answer",
        "203.0.113.21": "arp-answer",  # the other host's on this port: it is no more on our host's link than anybody
        HOST_IP4: "arp-gratuitous",
    }.items():
        verdict, told, answer = judge.run(ethernet(arp(target=target), 0x0806))
        assert (verdict, told) == expected(reason), target
        assert reason != "arp-answer" or answer == ethernet(arp(2, ROUTER_MAC, target, HOST_IP4, HOST_MAC), 0x0806, ROUTER_MAC, HOST_MAC)
    assert judge.run(ethernet(arp(sender="0.0.0.0", target="203.0.113.12"), 0x0806))[:2] == ("drop", "arp-probe")
    second = arp(sender_mac=SECOND_MAC, sender="203.0.113.22", target="203.0.113.21")
    assert judge.run(ethernet(second, 0x0806, SECOND_MAC))[:2] == ("drop", "arp-target"), "its own second address"


@pytest.mark.parametrize("size", range(15))
def test_a_frame_that_ends_in_its_tag_is_truncated(untagged: Judge, size: int) -> None:
    frame = ethernet(b"", 0x0806, tags=((0x8100, 0),))[: size + 3]
    assert untagged.run(frame)[:2] == ("drop", "truncated")


def test_another_vlan_is_not_guarded_unless_unknown_vlans_are_dropped(on_trunk: Judge) -> None:
    strict = Judge(replace(POLICY, vlan_id=VLAN_ID, unknown_vlan_drop=True))
    for tags in ((), ((0x8100, 12),)):
        assert on_trunk.run(ethernet(na(), 0x86DD, tags=tags))[:2] == ("pass", "")
        assert strict.run(ethernet(na(), 0x86DD, tags=tags))[:2] == ("drop", "unknown-port")
        assert strict.run(ethernet(arp(2), 0x0806, tags=tags))[:2] == ("drop", "unknown-port")
        assert strict.run(ethernet(tcp6(), 0x86DD, tags=tags))[:2] == ("pass", "")


def test_audit_counts_and_passes_everything() -> None:
    judge = Judge(replace(POLICY, mode=Mode.AUDIT))
    for row in ROWS:
        assert judge.run(row.frame())[:2] == ("pass", row.reason), row.name


def test_router_solicitations_pass_where_asked() -> None:
    judge = Judge(replace(POLICY, router_solicitations_pass=True))
    assert judge.run(ethernet(rs(), 0x86DD))[:2] == ("pass", "")
    assert judge.run(ethernet(rs(options=option(1, OTHER_MAC)), 0x86DD))[:2] == ("drop", "nd-lladdr-mismatch")


def test_answers_beyond_the_budget_are_dropped_and_the_budget_refills() -> None:
    judge = Judge(replace(POLICY, answer_rate=1, answer_burst=5))
    ask = ethernet(ns(), 0x86DD)
    assert [judge.run(ask)[1] for _ in range(8)] == ["ns-answer"] * 5 + ["rate-limit"] * 3
    assert judge.run(ethernet(arp(), 0x0806))[:2] == ("drop", "rate-limit")
    judge.let_time_pass(2_000_000_000)
    assert [judge.run(ask)[1] for _ in range(3)] == ["ns-answer"] * 2 + ["rate-limit"]


@pytest.mark.parametrize("tags", [(), ((0x8100, VLAN_ID),)], ids=["untagged", "tagged"])
def test_the_arp_answer_byte_for_byte(untagged: Judge, on_trunk: Judge, tags: tuple[tuple[int, int], ...]) -> None:
    judge = on_trunk if tags else untagged
    reply = arp(2, ROUTER_MAC, GATEWAY4, HOST_IP4, HOST_MAC)
    bare = ethernet(reply, 0x0806, ROUTER_MAC, HOST_MAC, tags)
    assert judge.run(ethernet(arp(), 0x0806, tags=tags))[2] == bare
    padded = judge.run(ethernet(arp() + bytes(200), 0x0806, tags=tags))[2]
    assert padded == bare.ljust(60 + 4 * len(tags), b"\0")


@pytest.mark.parametrize("tags", [(), ((0x8100, VLAN_ID),)], ids=["untagged", "tagged"])
@pytest.mark.parametrize("options", [b"", SOURCE_OPTION, SOURCE_OPTION + option(14, bytes(6)) * 3], ids=["bare", "source", "nonces"])
def test_the_advertisement_byte_for_byte(untagged: Judge, on_trunk: Judge, tags: tuple[tuple[int, int], ...], options: bytes) -> None:
    judge = on_trunk if tags else untagged
    answer = nd(136, b"\xe0\0\0\0" + ip6(GATEWAY6) + option(2, ROUTER_MAC), GATEWAY6, HOST_LL)
    assert judge.run(ethernet(ns(options=options), 0x86DD, tags=tags))[2] == ethernet(answer, 0x86DD, ROUTER_MAC, HOST_MAC, tags)


def test_the_advertisement_to_a_host_without_address_goes_to_all_nodes(untagged: Judge) -> None:
    answer = nd(136, b"\xa0\0\0\0" + ip6(GATEWAY6) + option(2, ROUTER_MAC), GATEWAY6, "ff02::1")
    frame = ethernet(answer, 0x86DD, ROUTER_MAC, b"\x33\x33\0\0\0\1")
    assert untagged.run(ethernet(ns(source="::", options=b""), 0x86DD))[2] == frame


@pytest.mark.parametrize(
    ("name", "ethertype", "payload", "source", "passes"),
    [
        ("billed IPv6", 0x86DD, tcp6(), HOST_MAC, True),
        ("second prefix", 0x86DD, tcp6("2001:db8:aa::7"), HOST_MAC, True),
        ("link-local", 0x86DD, tcp6(HOST_LL), HOST_MAC, True),
        ("IPv6 of another", 0x86DD, tcp6("2001:db8:12::1"), HOST_MAC, False),
        ("IPv6 of the port's other host", 0x86DD, tcp6("2001:db8:15::1"), HOST_MAC, False),
        ("second host", 0x86DD, tcp6("2001:db8:15::1"), SECOND_MAC, True),
        ("v4-mapped", 0x86DD, tcp6("::ffff:" + HOST_IP4), HOST_MAC, False),
        ("unspecified, not MLD", 0x86DD, tcp6("::"), HOST_MAC, False),
        (
            "unspecified, MLD report",
            0x86DD,
            ipv6(extension(58, 0, b"\x05\x02") + icmpv6(143, bytes(4), "::", "ff02::16"), 0, "::", "ff02::16", 1),
            HOST_MAC,
            True,
        ),
        ("billed IPv4", 0x0800, udp4(), HOST_MAC, True),
        ("second host's second IPv4", 0x0800, udp4("203.0.113.22"), SECOND_MAC, True),
        ("IPv4 of another", 0x0800, udp4("203.0.113.12"), HOST_MAC, False),
        ("0.0.0.0, DHCP", 0x0800, udp4("0.0.0.0", "255.255.255.255", (68, 67)), HOST_MAC, True),
        ("0.0.0.0, not DHCP", 0x0800, udp4("0.0.0.0"), HOST_MAC, False),
        ("another MAC", 0x0800, udp4(), OTHER_MAC, False),
        ("another MAC, another EtherType", 0x88CC, bytes(46), OTHER_MAC, False),
        ("another EtherType", 0x88CC, bytes(46), HOST_MAC, True),
    ],
)
def test_source_guard(guarded: Judge, name: str, ethertype: int, payload: bytes, source: bytes, passes: bool) -> None:
    assert guarded.run(ethernet(payload, ethertype, source))[:2] == (("pass", "") if passes else ("drop", "source-spoof")), name


@pytest.fixture(scope="module")
def guarded() -> Judge:
    return Judge(replace(POLICY, source_guard=True))


def test_every_reason_that_a_frame_can_meet_is_met() -> None:
    """`unknown-port`, `rate-limit`, `vlan-stacked`, `source-spoof` and `probe-answer` have tests of their own above."""
    from l3ctl.xdp.abi import abi

    met = {row.reason for row in ROWS} | {"unknown-port", "rate-limit", "vlan-stacked", "source-spoof", "probe-answer"}
    assert met == {reason.name for reason in abi().reasons}
