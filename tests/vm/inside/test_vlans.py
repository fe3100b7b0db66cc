"""A router whose customers are VLANs of a trunk, on stock kernels: what the filter sees there, and what becomes of the ports when the trunk
or a VLAN device goes and comes back."""

from collections.abc import Iterator

import pytest

from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6
from l3ctl.lab.frames import arp, ethernet, na, ns, option
from l3ctl.lladdr import parse_lladdr
from tests.evasion.tap import Tap
from tests.vm.inside.street import Street, vlan_of

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WEB1, DB1, ROGUE = CUSTOMERS
UNKNOWN = 99
"""a VLAN that is no port's"""


def tagged(packet: bytes, ethertype: int, source: str, *vlan_ids: int, tpid: int = 0x8100) -> bytes:
    tags = tuple((0x8100 if at else tpid, vlan_id) for at, vlan_id in enumerate(vlan_ids))
    return ethernet(packet, ethertype, parse_lladdr(source), tags=tags)


def claim(claimed: str, source: str, *vlan_ids: int, tpid: int = 0x8100) -> bytes:
    """An advertisement that nobody asked for."""
    return tagged(na(claimed), 0x86DD, source, *vlan_ids, tpid=tpid)


def grown(one: Street, port: str, before: dict[str, int]) -> dict[str, int]:
    """What a port's counters have more than they had."""
    now = one.port(port)["counters"]
    return {reason: count - before.get(reason, 0) for reason, count in now.items() if count != before.get(reason, 0)}


def test_customers_on_vlans_reach_the_gateway_and_each_other(whole: Street) -> None:
    one = whole
    assert one.xdp_shown() == one.wire.shown
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    one.wait("db1 and web1", lambda: one.reaches_all(DB1, WEB1))
    # It was the filter that answered them, with the tag of their VLAN: without it neither would know the gateway.
    assert one.port("web1")["counters"].keys() >= {"arp-answer", "ns-answer"}
    neighbours = one.router.run("ip", "neigh", "show", "dev", "eth1.11", "nud", "all").splitlines()
    for address in (str(WEB1.ipv4), WEB1.link_local):
        (line,) = (each for each in neighbours if each.startswith(f"{address} "))
        assert f"lladdr {WEB1.lladdr} PERMANENT" in line
    assert not [line for line in neighbours if "PERMANENT" not in line and "NOARP" not in line]
    for family, prefix in (("-6", WEB1.ipv6), ("-4", WEB1.ipv4)):
        assert WEB1.link_local in one.router.run("ip", family, "route", "show", str(prefix), "dev", "eth1.11")


def test_of_what_a_customer_claims_on_its_vlan_nothing_passes(whole: Street) -> None:
    before = whole.port("web1")["counters"]
    lies = [
        claim(WEB1.link_local, DB1.lladdr, 11),
        claim(WEB1.link_local, WEB1.lladdr, 11),
        claim(GATEWAY6, WEB1.lladdr, 11, tpid=0x88A8),
        tagged(arp(2, parse_lladdr(DB1.lladdr), str(WEB1.ipv4), GATEWAY4), 0x0806, DB1.lladdr, 11),
        claim(WEB1.link_local, WEB1.lladdr, 11, 12),
        claim(WEB1.link_local, WEB1.lladdr, 11, 12, tpid=0x88A8),
    ]
    assert whole.passed("eth1", *lies) == []
    counted = grown(whole, "web1", before)
    assert counted["vlan-stacked"] == 2
    assert sum(counted.values()) >= len(lies), counted
    assert whole.settled(*CUSTOMERS)


@pytest.fixture
def stray(whole: Street) -> Iterator[str]:
    """A VLAN device of the router's that is no port."""
    name = f"eth1.{UNKNOWN}"
    whole.router.ip(f"link add link eth1 name {name} type vlan id {UNKNOWN}", f"link set {name} up")
    yield name
    whole.router.ip(f"link del {name}")
    whole.reload("mode: enforce")


def test_what_is_on_no_ports_vlan_passes_or_not_as_configured(whole: Street, stray: str) -> None:
    frame = claim(GATEWAY6, ROGUE.lladdr, UNKNOWN)
    assert whole.passed(stray, frame) == [frame[:12] + frame[16:]]
    assert whole.refused("-") == []
    whole.reload("mode: enforce, unknown_vlan: drop")
    assert whole.passed(stray, frame) == []
    whole.wait("evidence", lambda: bool(whole.refused("-")))
    assert [(each["reason"], each["vlan_id"]) for each in whole.refused("-")] == [("unknown-port", UNKNOWN)]


STACKS = (
    ((0x8100, 0), (0x8100, 11)),
    ((0x88A8, 0), (0x8100, 11)),
    ((0x8100, 0), (0x8100, 0), (0x8100, 11)),
)


def test_priority_tags_in_front_of_a_vlans_lead_nobody_into_it(whole: Street) -> None:
    """Where there is no VLAN 0 the kernel takes them off, and goes by the tag behind them (CVE-2021-27853)."""
    answer = arp(2, parse_lladdr(ROGUE.lladdr), str(WEB1.ipv4), GATEWAY4) + bytes(18)  # as long as a frame's least
    packets = ((na(WEB1.link_local), 0x86DD), (answer, 0x0806))
    lies = [ethernet(packet, kind, parse_lladdr(ROGUE.lladdr), tags=tags) for tags in STACKS for packet, kind in packets]
    assert whole.passed("eth1.11", *lies) == []
    whole.wait("evidence", lambda: "vlan-stacked" in [each["reason"] for each in whole.refused("-")])
    whole.reload("mode: audit")
    try:
        assert len(whole.passed("eth1.11", *lies)) == len(lies), "in audit they arrive there: so would they without the filter"
    finally:
        whole.reload("mode: enforce")
    assert whole.passed("eth1.11", *lies) == []
    assert whole.settled(*CUSTOMERS)


def test_an_answer_bears_the_tag_of_the_question(whole: Street) -> None:
    for tpid in (0x8100, 0x88A8):
        tap = Tap(whole.far, "far0", outgoing=False)
        ask = ns(GATEWAY6, option(1, parse_lladdr(WEB1.lladdr)), WEB1.link_local)
        whole.passed("eth1", tagged(ask, 0x86DD, WEB1.lladdr, 11, tpid=tpid))
        answers = [frame for frame in tap.close() if frame[:6] == parse_lladdr(WEB1.lladdr) and frame[18 + 40 :][:1] == b"\x88"]
        assert [frame[12:16] for frame in answers] == [tpid.to_bytes(2) + (11).to_bytes(2)]


def test_a_nic_that_takes_tags_off_is_told_not_to(whole: Street) -> None:
    assert "rx-vlan-offload: on" not in whole.router.run("ethtool", "-k", "eth1")


def test_a_trunk_that_goes_down_takes_its_ports_along_and_brings_them_back(whole: Street) -> None:
    whole.router.ip("link set eth1 down")
    whole.wait("the ports to go", whole.settled)
    assert WEB1.link_local not in whole.router.run("ip", "-6", "route", "show", str(WEB1.ipv6))
    whole.router.ip("link set eth1 up")
    whole.wait("the ports again", lambda: whole.settled(*CUSTOMERS))
    whole.wait("web1 and db1", lambda: whole.reaches_all(WEB1, DB1))
    assert whole.xdp_shown() == whole.wire.shown


def test_a_vlan_device_that_is_deleted_and_made_again_is_a_port_again(whole: Street) -> None:
    whole.router.ip("link del eth1.11")
    whole.wait("web1 to go", lambda: whole.settled(DB1, ROGUE))
    assert whole.port("web1")["link"] == "missing"
    whole.wait("db1 and rogue", lambda: whole.reaches_all(DB1, ROGUE))
    whole.add_vlans([WEB1])
    whole.wait("web1 again", lambda: whole.settled(*CUSTOMERS))
    whole.wait("web1 and db1", lambda: whole.reaches_all(WEB1, DB1))


def test_every_vlan_of_a_trunk_gone_and_back_leaves_the_filter_on_it(whole: Street) -> None:
    whole.router.ip(*(f"link del eth1.{vlan_of(customer)}" for customer in CUSTOMERS))
    whole.wait("the ports to go", whole.settled)
    whole.add_vlans()
    whole.wait("the ports again", lambda: whole.settled(*CUSTOMERS))
    assert whole.xdp_shown() == whole.wire.shown
    assert whole.passed("eth1", claim(WEB1.link_local, WEB1.lladdr, 11)) == []
