"""Other shapes that a trunk has: QinQ, a VLAN-aware bridge, a bond, and one whose tags are not in its frames."""

from collections.abc import Callable

import pytest

from l3ctl.lab.customers import CUSTOMERS, GATEWAY6
from l3ctl.lab.frames import na
from l3ctl.lab.namespaces import Namespace
from tests.vm.inside.street import GENERIC, NATIVE, VETH, Street, Wire, record, vlan_of
from tests.vm.inside.test_vlans import claim, tagged

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WEB1, DB1, ROGUE = CUSTOMERS


def untagged_claim() -> bytes:
    return tagged(na(GATEWAY6), 0x86DD, DB1.lladdr)


@pytest.mark.parametrize("wire", [NATIVE, GENERIC], ids=str)
def test_a_port_may_be_all_of_an_outer_tag(street: Callable[[Wire], Street], wire: Wire) -> None:
    """Customers' own VLANs within the provider's: the filter knows a port by the outer one."""
    one = street(wire)
    for customer in (WEB1, DB1):
        outer = f"eth1.{vlan_of(customer)}"
        one.router.ip(f"link add link eth1 name {outer} type vlan proto 802.1ad id {vlan_of(customer)}", f"link set {outer} up")
        one.router.ip(f"link add link {outer} name {outer}.7 type vlan id 7", f"link set {outer}.7 up")
        one.far.ip(f"link add link far0 name s{vlan_of(customer)} type vlan proto 802.1ad id {vlan_of(customer)}")
        one.far.ip(f"link set s{vlan_of(customer)} up")
    places = {each: {"interface": f"eth1.{vlan_of(each)}.7", "trunk": "eth1", "vlan": vlan_of(each), "qinq": True} for each in (WEB1, DB1)}
    one.start([record(each, **place) for each, place in places.items()])
    for customer in (WEB1, DB1):
        one.plug_in(customer, "type vlan id 7", f"s{vlan_of(customer)}")
    one.wait("the ports", lambda: one.settled(WEB1, DB1))
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    assert one.xdp_shown() == wire.shown
    assert one.passed("eth1", claim(GATEWAY6, WEB1.lladdr, 11, 7, tpid=0x88A8), claim(DB1.link_local, DB1.lladdr, 11, 7, tpid=0x88A8)) == []


def test_a_trunk_may_be_a_vlan_device_itself(street: Callable[[Wire], Street]) -> None:
    one = street(GENERIC)
    one.router.ip("link add link eth1 name eth1.100 type vlan proto 802.1ad id 100", "link set eth1.100 up")
    one.far.ip("link add link far0 name s100 type vlan proto 802.1ad id 100", "link set s100 up")
    for customer in (WEB1, DB1):
        name = f"eth1.100.{vlan_of(customer)}"
        one.router.ip(f"link add link eth1.100 name {name} type vlan id {vlan_of(customer)}", f"link set {name} up")
    one.start([record(each, trunk="eth1.100", vlan=vlan_of(each)) for each in (WEB1, DB1)])
    for customer in (WEB1, DB1):
        one.plug_in(customer, through="s100")
    one.wait("the ports", lambda: one.settled(WEB1, DB1))
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    assert one.xdp_shown("eth1.100") == "xdpgeneric"
    assert one.passed("eth1.100.11", claim(GATEWAY6, WEB1.lladdr, 100, 11, tpid=0x88A8)) == []


def test_layer_3_may_be_on_a_vlan_aware_bridge_above_the_trunk(street: Callable[[Wire], Street]) -> None:
    one = street(NATIVE)
    one.router.ip("link add br0 type bridge vlan_filtering 1 vlan_default_pvid 0", "link set eth1 master br0", "link set br0 up")
    for customer in (WEB1, DB1):
        vlan_id = str(vlan_of(customer))
        one.router.run("bridge", "vlan", "add", "dev", "eth1", "vid", vlan_id)
        one.router.run("bridge", "vlan", "add", "dev", "br0", "vid", vlan_id, "self")
        one.router.ip(f"link add link br0 name br0.{vlan_id} type vlan id {vlan_id}", f"link set br0.{vlan_id} up")
    one.start([record(each, interface=f"br0.{vlan_of(each)}", trunk="eth1", vlan=vlan_of(each)) for each in (WEB1, DB1)])
    for customer in (WEB1, DB1):
        one.plug_in(customer)
    one.wait("the ports", lambda: one.settled(WEB1, DB1))
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    assert one.xdp_shown() == NATIVE.shown
    assert one.passed("eth1", claim(GATEWAY6, WEB1.lladdr, 11), claim(WEB1.link_local, DB1.lladdr, 12)) == []
    one.router.ip("link set eth1 down")  # the bridge stays up
    one.wait("the ports to go", one.settled)
    one.router.ip("link set eth1 up")
    one.wait("the ports again", lambda: one.settled(WEB1, DB1))


def hidden_claim(one: Street) -> Callable[..., None]:
    """Send from a VLAN device, whose tag goes beside the frame."""

    def send(*frames: bytes) -> None:
        one.send(*frames, netdev="eth0", namespace=Namespace(one.hosts["db1"].name))

    return send


def failure(one: Street) -> str:
    """The one thing that the agent could not do."""
    one.wait("a failure", lambda: bool(one.ask("status")["failed"]))
    (told,) = one.ask("status")["failed"]
    return str(told)


def test_a_frame_whose_tag_is_hidden_in_metadata_is_no_ports(street: Callable[[Wire], Street]) -> None:
    one = street(VETH)
    one.add_vlans()
    one.start([record(customer) for customer in CUSTOMERS])
    for customer in CUSTOMERS:
        one.plug_in(customer)
    one.wait("the ports", lambda: one.settled(*CUSTOMERS))
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    one.show_tags(False)
    assert one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one)) == []
    one.wait("evidence", lambda: bool(one.refused("-")))
    assert {(each["reason"], each["vlan_id"]) for each in one.refused("-")} == {("unknown-port", None)}
    assert one.settled(*CUSTOMERS)
    # A tag of web1's inside the hidden one of db1's makes it no frame of web1's: the kernel goes by the hidden one.
    within = tagged(b"x" * 60, 0x88B6, DB1.lladdr, 11)
    assert len(one.passed("eth1.11", within)) == 1
    assert one.passed("eth1.11", within, sender=hidden_claim(one)) == []
    # Audit counts and passes: then the same frame arrives, which shows as well that the tag was hidden and the kernel knew it.
    one.reload("mode: audit")
    assert len(one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one))) == 1
    # One port that is enforced is enough, whoever's the hidden tag is; and none is none, whatever holds for the rest of the router.
    one.router.write_inventory([record(WEB1) | {"mode": "enforce"}, record(DB1), record(ROGUE)])
    one.ask("apply")
    assert one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one)) == []
    one.router.write_inventory([record(customer) | {"mode": "audit"} for customer in CUSTOMERS])
    one.reload("mode: enforce")
    assert len(one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one))) == 1
    one.router.write_inventory([record(customer) for customer in CUSTOMERS])
    one.ask("apply")
    assert one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one)) == []
    one.show_tags(True)
    one.wait("db1 and web1", lambda: one.reaches_all(DB1, WEB1))
    # For the same reason such a trunk has no port without a tag, not even if that was there first.
    one.router.write_inventory([record(ROGUE, interface="eth1")])
    one.ask("apply")
    one.wait("the port without a tag", lambda: one.settled(ROGUE))
    one.router.write_inventory([record(WEB1), record(DB1), record(ROGUE, interface="eth1")])
    one.ask("apply")
    assert "port rogue: eth1 would have both" in failure(one)
    assert [one.port(name)["in_sync"] for name in ("web1", "db1", "rogue")] == [True, True, False]


def test_a_port_of_all_of_an_outer_tag_is_refused_where_that_may_be_hidden_and_guarded_as_the_mend_says(
    street: Callable[[Wire], Street],
) -> None:
    one = street(VETH)
    one.router.ip("link add link eth1 name eth1.11 type vlan id 11", "link set eth1.11 up")
    one.router.ip("link add link eth1.11 name eth1.11.7 type vlan id 7", "link set eth1.11.7 up")
    one.far.ip("link add link far0 name s11 type vlan id 11", "link set s11 up")
    one.start([record(WEB1, interface="eth1.11.7", trunk="eth1", vlan=11, qinq=True)])
    assert "eth1 is a veth, which may hide the outer of two tags" in failure(one)
    assert "`trunk: eth1.11`" in failure(one)
    one.router.write_inventory([record(WEB1, interface="eth1.11.7", trunk="eth1.11", vlan=7)])
    one.ask("apply")
    one.plug_in(WEB1, "type vlan id 7", "s11")
    for shown in (True, False):
        one.show_tags(shown)
        one.wait("web1", lambda: one.settled(WEB1) and one.reaches(WEB1, f"{GATEWAY6}%eth0"))
        lie = claim(GATEWAY6, WEB1.lladdr, 7)
        assert one.passed("eth1.11", lie, sender=lambda *frames: one.send(*frames, netdev="s11")) == []


def test_with_the_source_guard_nothing_passes_whose_tag_is_hidden(street: Callable[[Wire], Street]) -> None:
    one = street(VETH)
    one.add_vlans()
    one.start([record(customer) for customer in CUSTOMERS], guard="mode: enforce, source_guard: true")
    for customer in CUSTOMERS:
        one.plug_in(customer)
    one.wait("the ports", lambda: one.settled(*CUSTOMERS))
    one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
    one.show_tags(False)
    assert not one.reaches(DB1, WEB1.address6)
    one.wait("evidence", lambda: "unknown-port" in [each["reason"] for each in one.refused("-")])
    one.show_tags(True)
    one.wait("db1 and web1", lambda: one.reaches_all(DB1, WEB1))


def test_on_a_vlans_own_netdev_it_does_not_matter_where_the_tag_is(street: Callable[[Wire], Street]) -> None:
    one = street(VETH)
    one.add_vlans()
    one.start([record(customer, interface=f"eth1.{vlan_of(customer)}") for customer in CUSTOMERS])
    for customer in CUSTOMERS:
        one.plug_in(customer)
    one.wait("the ports", lambda: one.settled(*CUSTOMERS))
    for shown in (True, False):
        one.show_tags(shown)
        one.wait("web1 and db1", lambda: one.reaches_all(WEB1, DB1))
        assert one.passed("eth1.12", untagged_claim(), sender=hidden_claim(one)) == []
    assert one.port("db1")["counters"].keys() >= {"ns-answer", "na-unsolicited"}


def test_on_a_bond_the_filter_is_native_or_on_each_vlans_netdev(street: Callable[[Wire], Street]) -> None:
    """Generic XDP runs on a bond after the kernel took the tag off: there a trunk would be no guard at all."""
    one = street(GENERIC)
    one.router.ip("link set eth1 down", "link add bond0 type bond mode active-backup miimon 100", "link set eth1 master bond0")
    one.router.ip("link set bond0 up")
    for customer in (WEB1, DB1):
        vlan_id = vlan_of(customer)
        one.router.ip(f"link add link bond0 name bond0.{vlan_id} type vlan id {vlan_id}", f"link set bond0.{vlan_id} up")
    one.start([record(WEB1, trunk="bond0", vlan=11)])
    assert "generic XDP sees no VLAN tags on bond0" in failure(one)
    assert "interface: bond0.11" in failure(one)
    one.router.write_inventory([record(DB1, interface="bond0.12")])
    one.ask("apply")
    one.plug_in(DB1)
    one.wait("db1", lambda: one.settled(DB1) and one.reaches(DB1, f"{GATEWAY6}%eth0"))
    assert one.passed("bond0.12", claim(GATEWAY6, DB1.lladdr, 12)) == []
    one.router.write_inventory([record(DB1, interface="bond0.12"), record(WEB1, trunk="bond0", vlan=11)])
    one.ask("apply")
    assert "a netdev above bond0, such as one of its VLANs', has an XDP program of its own" in failure(one)
    assert one.port("db1")["in_sync"]


def test_hosts_behind_a_native_trunk_are_asked_and_heard(street: Callable[[Wire], Street]) -> None:
    """One falls silent, as if its cable were pulled at the switch: the trunk's carrier stays."""
    one = street(NATIVE)
    one.add_vlans()
    one.start([record(customer) | {"liveness": "carrier+probe"} for customer in CUSTOMERS])
    for customer in CUSTOMERS:
        one.plug_in(customer)

    def away() -> set[str]:
        return {port["name"] for port in one.ask("status")["ports"] if port["away"]}

    one.wait("the ports", lambda: one.settled(*CUSTOMERS) and not away())
    silent = CUSTOMERS[0]
    one.hosts[silent.name].ip(f"addr del {silent.link_local}/64 dev eth0")
    one.wait("its going", lambda: away() == {silent.name} and one.port(silent.name)["routes"] == 0)
    assert one.port(silent.name)["link"] == "up"
    one.hosts[silent.name].ip(f"addr add {silent.link_local}/64 dev eth0 nodad")
    one.wait("its coming back", lambda: not away() and one.settled(*CUSTOMERS))
    assert one.reaches_all(silent, CUSTOMERS[1])
