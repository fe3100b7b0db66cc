"""A router with ports on a trunk that may hide its tags, as a veth: what one of them is concerns the others, and the router keeps up.

z ── p2 with the VLAN 12 of p0       a ── p0, its untagged frames
y ── p1 with the VLAN 11 of p0
"""

import struct
from collections.abc import Callable
from dataclasses import replace

import pytest

from l3ctl.model import Mode, Port, PortPolicy
from l3ctl.xdp.abi import abi
from l3ctl.xdp.libbpf import Map
from tests.netns.router_bench import DB, DB_PREFIXES, SETTINGS, WEB, WEB_PREFIXES, Bench

pytestmark = [pytest.mark.root, pytest.mark.bpf]

Z = Port("z", "p2", "p0", 12, (DB,))
Y = Port("y", "p1", "p0", 11, (WEB,))


def made_of(bench: Bench, *ports: Port) -> list[str]:
    """Names of the ports whose policy changes, when there are these."""
    bench.router.replace(ports, SETTINGS)
    made, failed = bench.full_pass()
    assert failed == []
    assert bench.router.plan() == []
    assert bench.untold.look() == set()
    return [change.port for change in made if isinstance(change.item, PortPolicy)]


def flags(bench: Bench) -> int:
    raw = Map.open(bench.pins / "map-ifs").lookup(struct.pack("<I", bench.router.links["p0"].ifindex)) or b""
    return abi().structs["netdev"].number(raw, "flags")


def test_a_port_that_changes_its_mode_is_all_that_changes(build: Callable[..., Bench]) -> None:
    bench = build()
    audit = replace(Y, mode=Mode.AUDIT), replace(Z, mode=Mode.AUDIT)
    assert made_of(bench, *audit) == ["y", "z"]
    for ports, changed, expected in (
        ((Y, audit[1]), ["y"], 2 | 4),
        ((Y, replace(audit[1], source_guard=True)), ["z"], 2 | 4 | 8),
        ((replace(Y, source_guard=True), audit[1]), ["y", "z"], 2 | 4 | 8 | 16),
        (audit, ["y"], 2),
        ((audit[0], Z), ["z"], 2 | 4),
        ((audit[0],), ["z"], 2),
        ((), ["y"], 0),
    ):
        assert made_of(bench, *ports) == changed
        assert flags(bench) == expected


def test_a_hand_that_loosens_the_trunk_is_seen_at_the_next_tick(build: Callable[..., Bench]) -> None:
    bench = build()
    made_of(bench, replace(Y, mode=Mode.AUDIT), Z)
    ifs, key = Map.open(bench.pins / "map-ifs"), struct.pack("<I", bench.router.links["p0"].ifindex)
    raw = ifs.lookup(key) or b""
    at = abi().structs["netdev"].members["flags"].offset
    ifs.update(key, raw[:at] + struct.pack("<I", 2) + raw[at + 4 :])
    assert bench.untold.look() == {"y", "z"}
    assert bench.look() == []
    assert ifs.lookup(key) == raw
    assert bench.untold.look() == set()
    assert bench.router.plan() == []


@pytest.mark.parametrize("name", ["a", "zz"])
def test_beside_vlans_a_port_of_untagged_frames_is_refused_whatever_it_is_called(build: Callable[..., Bench], name: str) -> None:
    bench = build(Port(name, "p0", "p0", None, (WEB,)), Z)
    for _ in range(2):
        (failure,) = bench.full_pass()[1]
        assert failure.change.port == name
        assert "p0 would have both a port of its untagged frames and ports of VLANs" in failure.reason
        assert bench.wished() == DB_PREFIXES
        assert bench.untold.look() == {name}


@pytest.mark.parametrize("name", ["a", "zz"])
def test_a_port_of_untagged_frames_gives_way_in_the_same_pass_that_brings_vlans_and_comes_back(
    build: Callable[..., Bench], name: str
) -> None:
    untagged = Port(name, "p0", "p0", None, (WEB,))
    bench = build(untagged)
    bench.full_pass()
    assert bench.wished() == WEB_PREFIXES
    bench.router.replace([untagged, Z], SETTINGS)
    (failure,) = bench.full_pass()[1]
    assert failure.change.port == name
    assert "as a veth it may hide which of them a frame is for" in failure.reason
    assert bench.wished() == DB_PREFIXES, "nothing is announced of a port that is not guarded"
    assert bench.attached() == {"p0"}
    (again,) = bench.full_pass()[1]
    assert again.reason == failure.reason
    bench.router.replace([untagged], SETTINGS)
    assert bench.full_pass()[1] == []
    assert bench.router.plan() == []
    assert bench.wished() == WEB_PREFIXES
