"""Trunks whose frames may have their tag where XDP does not see it: what the filter refuses there, what it drops, and for whose sake.

Its ports are two VLANs of p0, a veth; what q0 sends without a tag stands for a frame whose tag is hidden.
"""

import struct
from collections.abc import Iterable
from dataclasses import replace

import pytest

from l3ctl.errors import FilterFailed, LabFailed
from l3ctl.lab import frames
from l3ctl.model import Change, Mode, PortPolicy, Verb
from l3ctl.xdp.abi import abi
from l3ctl.xdp.filter import NOBODY, Filter
from l3ctl.xdp.tables import Tables
from tests.evasion.tap import Tap
from tests.xdp.test_filter import NA, Router, filter_, netdev, policy, router, trunk  # noqa: F401  the fixtures

pytestmark = [pytest.mark.root, pytest.mark.bpf]

TCP = frames.ethernet(frames.tcp6(), 0x86DD)
STACK = frames.ethernet(frames.na(), 0x86DD, tags=((0x8100, 0), (0x8100, 11)))
AUDIT, ENFORCE = Mode.AUDIT, Mode.ENFORCE


def on_vlan(vlan_id: int, mode: Mode = ENFORCE, *, guard: bool = False) -> PortPolicy:
    return replace(policy(vlan_id - 11, vlan_id), mode=mode, source_guard=guard, tags_may_be_hidden=True)


def passed(bench: Router, *sent: bytes) -> list[bytes]:
    """Those of the frames that come through the filter."""
    tap = Tap(bench.namespace, "p0", outgoing=False)
    bench.send(0, *sent)
    return [frame for frame in tap.close() if frame in sent]


@pytest.mark.parametrize(
    ("ports", "na_passes", "tcp_passes"),
    [
        ([on_vlan(11), on_vlan(12)], False, True),
        ([on_vlan(11, AUDIT), on_vlan(12)], False, True),
        ([on_vlan(11), on_vlan(12, AUDIT)], False, True),
        ([on_vlan(11, AUDIT), on_vlan(12, AUDIT)], True, True),
        ([on_vlan(11), on_vlan(12, guard=True)], False, False),
        ([on_vlan(11, AUDIT), on_vlan(12, guard=True)], False, False),
        ([on_vlan(11), on_vlan(12, AUDIT, guard=True)], False, True),
        ([on_vlan(11, AUDIT, guard=True), on_vlan(12, AUDIT)], True, True),
    ],
    ids=lambda one: " and ".join(f"{each.mode}{' guarded' * each.source_guard}" for each in one) if isinstance(one, list) else None,
)
def test_what_seems_untagged_is_dropped_as_soon_as_any_port_would_drop_it(
    trunk: Router,  # noqa: F811
    ports: list[PortPolicy],
    na_passes: bool,
    tcp_passes: bool,
) -> None:
    bench, guard = trunk, any(port.source_guard for port in ports)
    for order in (ports, ports[::-1]):
        one, _ = bench.opened(guard)
        bench.add(one, *order)
        assert passed(bench, NA, TCP) == [NA] * na_passes + [TCP] * tcp_passes
        counted = one.counters_of(NOBODY)["unknown-port"]
        assert passed(bench, NA, STACK) == [NA, STACK] * na_passes
        assert one.counters_of(NOBODY)["unknown-port"] == counted + 1, "what passes in audit is counted all the same"
        assert passed(bench, TCP) == [TCP] * tcp_passes
        assert one.counters_of(NOBODY)["unknown-port"] == counted + 1 + guard
        bench.remove(one, *ports)


def test_a_port_that_changes_its_mode_is_one_change_and_all_ports_of_the_trunk_are_as_they_should_be(trunk: Router) -> None:  # noqa: F811
    bench, one = trunk, trunk.open()
    other = on_vlan(12, AUDIT)
    bench.add(one, on_vlan(11, AUDIT), other)
    for mode, passes in ((ENFORCE, False), (AUDIT, True), (ENFORCE, False)):
        wanted = {"web0": on_vlan(11, mode), "web1": other}
        assert [change.port for change in bench.make_true(one, *wanted.values())] == ["web0"]
        assert one.remembered(wanted, bench.links) == one.read(bench.links) == bench.open().read(bench.links) == wanted
        assert bench.make_true(one, *wanted.values()) == []
        assert passed(bench, NA, STACK) == [NA, STACK] * passes
    assert [change.verb for change in bench.make_true(one, other)] == [Verb.REMOVE]
    assert one.read(bench.links) == {"web1": other}
    assert passed(bench, NA, STACK) == [NA, STACK]


def test_a_port_that_moves_takes_its_mode_along(trunk: Router) -> None:  # noqa: F811
    bench, one = trunk, trunk.open()
    other = on_vlan(12, AUDIT)
    bench.add(one, on_vlan(11), other)
    bench.make_true(one, replace(policy(0), guard="p1"), other)
    assert one.read(bench.links) == {"web0": replace(policy(0), guard="p1"), "web1": other}
    assert passed(bench, NA, STACK) == [NA, STACK]


@pytest.mark.parametrize("adopted", [False, True], ids=["same process", "new process"])
@pytest.mark.parametrize("flags", [0, 2, 4, 2 | 8, 2 | 4 | 8 | 16])
def test_flags_of_a_netdev_that_are_not_what_its_ports_make_of_it_show_and_are_mended(
    trunk: Router,  # noqa: F811
    flags: int,
    adopted: bool,
) -> None:
    bench, one = trunk, trunk.open()
    wanted = {"web0": on_vlan(11), "web1": on_vlan(12, AUDIT)}
    bench.add(one, *wanted.values())
    ifs, key = bench.map("ifs"), struct.pack("<I", bench.ifindex(0))
    raw = ifs.lookup(key) or b""
    layout = abi().structs["netdev"]
    assert layout.number(raw, "flags") == 2 | 4
    ifs.update(key, netdev(0, layout.number(raw, "trunk"), flags))
    one = bench.open() if adopted else one
    assert not wanted.items() & one.read(bench.links).items()
    assert bench.make_true(one, *wanted.values())
    assert one.read(bench.links) == wanted
    assert ifs.lookup(key) == raw
    assert passed(bench, NA) == []


def test_who_is_killed_between_a_record_and_its_netdevs_flags_leaves_what_the_next_one_mends(
    trunk: Router,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench, one = trunk, trunk.open()
    wanted = {"web0": on_vlan(11, AUDIT), "web1": on_vlan(12, AUDIT)}
    bench.add(one, on_vlan(11), wanted["web1"])
    monkeypatch.setattr(Tables, "_mark", lambda *_: None)
    bench.remove(one, on_vlan(11))
    monkeypatch.undo()
    assert passed(bench, NA) == []
    bench.make_true(bench.open(), *wanted.values())
    assert bench.open().read(bench.links) == wanted
    assert passed(bench, NA) == [NA]


def test_a_port_of_all_of_an_outer_tag_is_refused_with_the_mend(router: Router, filter_: Filter) -> None:  # noqa: F811
    plain = on_vlan(11)
    router.add(filter_, plain)
    for change in (Change("web0", Verb.REPLACE, replace(plain, qinq=True)), Change("web1", Verb.ADD, replace(on_vlan(12), qinq=True))):
        with pytest.raises(FilterFailed, match="p0 is a veth, which may hide the outer of two tags") as refused:
            router.apply(filter_, change)
        assert "`trunk: p0.1" in refused.value.mend
    assert filter_.read(router.links) == {"web0": plain}, "who was guarded stays guarded"


def apply(bench: Router, one: Filter, *policies: PortPolicy) -> list[tuple[Change, FilterFailed]]:
    with bench.namespace.entered():
        return [gone for each in policies for gone in one.apply(Change(each.port, Verb.ADD, each), bench.links)]


@pytest.mark.parametrize("names", [("a", "z"), ("z", "a")], ids=" untagged, ".join)
def test_where_tags_may_be_hidden_a_port_of_untagged_frames_gives_way_to_vlans_whoever_was_first(
    trunk: Router,  # noqa: F811
    names: Iterable[str],
) -> None:
    bench, one = trunk, trunk.open()
    name, other = names
    untagged, vlan = replace(policy(0), port=name), replace(on_vlan(12), port=other)
    assert apply(bench, one, vlan) == []
    with pytest.raises(FilterFailed, match="as a veth it may hide which of them a frame is for") as refused:
        bench.add(one, untagged)
    assert "a netdev of its own" in refused.value.mend
    assert one.read(bench.links) == {other: vlan}
    bench.remove(one, vlan)

    assert apply(bench, one, untagged) == []
    ((change, why),) = apply(bench, one, vlan)
    assert (change, str(why)) == (Change(name, Verb.ADD, untagged), str(refused.value))
    assert one.read(bench.links) == bench.open().read(bench.links) == {other: vlan}
    assert passed(bench, NA) == [], "an enforced port's netdev does not let pass what may be hidden"
    bench.make_true(one)
    bench.make_true(one, untagged)
    assert one.read(bench.links) == {name: untagged}


def add_netdev(bench: Router, kind: str) -> str:
    """A netdev of a kind, where this kernel makes such."""
    below = "link p1 " if kind in ("ipvlan", "macvlan", "macvtap") else ""
    more = " id 7 dstport 4789 remote 192.0.2.1" if kind == "vxlan" else ""
    try:
        bench.namespace.ip(f"link add {below}name k0 type {kind}{more}")
    except LabFailed as error:
        pytest.skip(f"this kernel makes no {kind}: {error}")
    assert bench.links["k0"].kind == kind
    return "k0"


@pytest.mark.parametrize("kind", ["vxlan", "ifb", "netkit"])
def test_of_a_kind_of_netdev_that_we_do_not_know_the_worst_is_thought(router: Router, filter_: Filter, kind: str) -> None:  # noqa: F811
    guard = add_netdev(router, kind)
    untagged, vlan = (replace(one, guard=guard) for one in (policy(0), on_vlan(12)))
    assert router.links[guard].may_hide_tags
    router.add(filter_, vlan)
    with pytest.raises(FilterFailed, match=f"as a {kind} it may hide"):
        router.add(filter_, untagged)
    with pytest.raises(FilterFailed, match=f"k0 is a {kind}, which may hide"):
        router.add(filter_, replace(vlan, qinq=True))
    assert filter_.read(router.links) == {"web1": vlan}


@pytest.mark.parametrize("kind", ["bridge", "macvlan", "macvtap", "ipvlan"])
def test_above_a_receive_handler_a_trunk_is_refused_and_a_port_of_its_own_is_not(router: Router, filter_: Filter, kind: str) -> None:  # noqa: F811
    guard = add_netdev(router, kind)
    untagged = replace(policy(0), guard=guard)
    router.add(filter_, untagged)
    with pytest.raises(FilterFailed, match=f"generic XDP sees no VLAN tags on k0, a {kind}") as refused:
        router.add(filter_, replace(policy(1, 12), guard=guard))
    assert "interface: k0.12" in refused.value.mend
    assert filter_.read(router.links) == {"web0": untagged}
