"""The filter's life in the kernel, and what it does to frames that really arrive.

router namespace: p0 ── q0 in the customer's namespace, p1 ── q1, …      one veth pair a port; the filter sits on the p's
"""

import fcntl
import os
import random
import signal
import socket
import struct
import subprocess
import sys
import time
from array import array
from collections.abc import Callable, Iterator
from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network
from pathlib import Path

import pytest

from l3ctl.diff import diff
from l3ctl.errors import FilterFailed, MissingRequirement, StandsInTheWay
from l3ctl.kernel.tables import Kernel
from l3ctl.lab import frames
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.model import Change, Host, LinkFacts, Mode, PortPolicy, PortState, Verb
from l3ctl.xdp import offload
from l3ctl.xdp.abi import abi, source_id
from l3ctl.xdp.filter import Filter
from l3ctl.xdp.libbpf import XDP_FLAGS_SKB_MODE, Link, Map, Program
from l3ctl.xdp.loader import Bytecode
from l3ctl.xdp.program import load_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ROUTER_MAC = frames.ROUTER_MAC.hex(":")
NA = frames.ethernet(frames.na(), 0x86DD, destination=b"\x33\x33\0\0\0\1")
ARP_REPLY = frames.ethernet(frames.arp(2), 0x0806)
ASK6 = frames.ethernet(frames.ns(), 0x86DD, destination=b"\x33\x33\xff\0\0\1")
ASK4 = frames.ethernet(frames.arp(), 0x0806)
PASS_ALL = Program.load("foreign", struct.pack("<BBhiBBhi", 0xB7, 0, 0, 2, 0x95, 0, 0, 0)) if os.geteuid() == 0 else None


def policy(number: int = 0, vlan_id: int | None = None, hosts: int = 1) -> PortPolicy:
    """Of port `webN` on `pN`; its first host is the one that `frames` speaks as."""
    billed = []
    for each in range(hosts):
        ours = not each and not number
        network = (0x20010DB8 << 96) | (number << 8 | each) << 72
        billed.append(
            Host(
                (frames.HOST_MAC if ours else frames.HOST_MAC[:4] + bytes([each, number])).hex(":"),
                IPv6Address(frames.HOST_LL) + (each << 8) + number,
                (IPv6Network((network, 56)), IPv6Network((network, 64))),
                (IPv4Address(frames.HOST_IP4) if ours else IPv4Address(0x0A000000 + (number << 8) + each),),
            )
        )
    return PortPolicy(
        port=f"web{number}",
        guard=f"p{number}" if vlan_id is None else "p0",
        vlan_id=vlan_id,
        router_lladdr=ROUTER_MAC,
        hosts=tuple(sorted(billed, key=lambda host: host.lladdr)),
        gateways=(IPv4Address(frames.GATEWAY4), IPv6Address(frames.GATEWAY6)),
        mode=Mode.ENFORCE,
        source_guard=False,
        router_solicitations_pass=False,
        unknown_vlan_drop=False,
        answer_rate=100,
        answer_burst=200,
    )


class Router:
    """A namespace with ports, and the filter in it."""

    def __init__(self, namespace: Namespace, customer: Namespace, bpffs: Path) -> None:
        self.namespace, self.customer, self.bpffs = namespace, customer, bpffs
        self.directory = bpffs / "l3ctl"
        with namespace.entered():
            self.kernel = Kernel()

    def add_port(self, number: int, ifindex: int = 0) -> None:
        index = f"index {ifindex} " if ifindex else ""
        self.namespace.ip(
            f"link add p{number} {index}address {ROUTER_MAC} type veth peer name q{number} netns {self.customer.name}",
            f"link set p{number} addrgenmode none up",
        )
        self.customer.ip(f"link set q{number} address {frames.HOST_MAC.hex(':')} addrgenmode none up")

    @property
    def links(self) -> dict[str, LinkFacts]:
        return self.kernel.links()

    def ifindex(self, number: int) -> int:
        return self.links[f"p{number}"].ifindex

    def open(self) -> Filter:
        return self.opened()[0]

    def opened(self, source_guard: bool = False) -> tuple[Filter, bool]:
        filter_ = Filter(self.bpffs)
        return filter_, filter_.open(source_guard)

    def apply(self, filter_: Filter, *changes: Change) -> None:
        with self.namespace.entered():
            for change in changes:
                filter_.apply(change, self.links)

    def add(self, filter_: Filter, *policies: PortPolicy) -> None:
        self.apply(filter_, *(Change(one.port, Verb.ADD, one) for one in policies))

    def remove(self, filter_: Filter, *policies: PortPolicy) -> None:
        self.apply(filter_, *(Change(one.port, Verb.REMOVE, one) for one in policies))

    def make_true(self, filter_: Filter, *wanted: PortPolicy) -> list[Change]:
        """Read, compare and apply, as the agent does."""
        found, want = filter_.read(self.links), {one.port: one for one in wanted}
        changes = [
            change
            for port in sorted(found.keys() | want.keys())
            for change in diff(port, PortState(policy=found.get(port)), PortState(policy=want.get(port)))
        ]
        self.apply(filter_, *changes)
        return changes

    def programs(self) -> dict[str, int]:
        """Program id by netdev, as the kernel tells it."""
        found, name = {}, ""
        for line in run("ip", "-n", self.namespace.name, "-d", "link").splitlines():
            if line[0].isdigit():
                name = line.split(":")[1].strip().partition("@")[0]
            if "prog/xdp id" in line:
                found[name] = int(line.split("prog/xdp id ")[1].split()[0])
        return found

    def map(self, name: str) -> Map:
        return Map.open(self.directory / f"map-{name}")

    def send(self, number: int, *sent: bytes) -> list[bytes]:
        """Send from the customer's end; what came in there meanwhile. veth hands frames over before `send` returns."""
        with self.customer.entered():
            end = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
        with end:
            end.bind((f"q{number}", 3))
            for frame in sent:
                end.send(frame)
            end.settimeout(0.05)
            received = []
            try:
                while True:
                    frame, (_, _, kind, _, _) = end.recvfrom(2048)
                    if kind != socket.PACKET_OUTGOING:
                        received.append(frame)
            except TimeoutError:
                return received


@pytest.fixture
def router(namespace: Callable[[], Namespace]) -> Iterator[Router]:
    bpffs = Path(f"/run/l3ctl-test-{os.getpid()}-{random.randrange(1 << 32):08x}")
    one = Router(namespace(), namespace(), bpffs)
    for number in range(2):
        one.add_port(number)
    yield one
    one.kernel.close()
    subprocess.run(["umount", bpffs], check=False, capture_output=True)
    bpffs.rmdir()


@pytest.fixture
def filter_(router: Router) -> Filter:
    return router.open()


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def hide_tags(name: str, on: bool) -> None:
    """`ethtool -K NAME rxvlan on|off`, as an ioctl."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        value = array("I", [0x25, 0])  # ETHTOOL_GFLAGS
        request = struct.pack("16sP", name.encode(), value.buffer_info()[0])
        fcntl.ioctl(control, 0x8946, request)
        value[0], value[1] = 0x26, value[1] | 1 << 8 if on else value[1] & ~(1 << 8)  # ETHTOOL_SFLAGS, ETH_FLAG_RXVLAN
        fcntl.ioctl(control, 0x8946, request)


@pytest.fixture
def trunk(router: Router) -> Router:
    """p0 as a trunk whose frames come in with their tags."""
    with router.namespace.entered():
        hide_tags("p0", False)
    return router


def test_what_is_applied_is_read_back_and_attached(router: Router, filter_: Filter) -> None:
    wanted = [policy(0, hosts=3), replace(policy(1), mode=Mode.AUDIT, router_solicitations_pass=True, unknown_vlan_drop=True)]
    assert filter_.read(router.links) == {}
    router.add(filter_, *wanted)
    assert filter_.read(router.links) == {one.port: one for one in wanted}
    assert filter_.remembered(["web1", "nobody"], router.links) == {"web1": wanted[1]}
    assert filter_.attached() == {router.ifindex(0), router.ifindex(1)}
    assert set(router.programs()) == {"p0", "p1"}
    assert router.make_true(filter_, *wanted) == []


def test_customers_frames_are_dropped_and_counted_by_port_and_reason(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    router.send(0, NA, NA, ARP_REPLY)
    assert filter_.counters() == {"web0": {"na-unsolicited": 2, "arp-reply": 1}, "web1": {}}
    router.send(1, NA)
    assert filter_.counters()["web1"] == {"nd-mac-spoof": 1}


def test_the_gateways_answers_come_back_to_who_asked(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    reply = frames.arp(2, frames.ROUTER_MAC, frames.GATEWAY4, frames.HOST_IP4, frames.HOST_MAC)
    told = frames.nd(
        136, b"\xe0\0\0\0" + frames.ip6(frames.GATEWAY6) + frames.option(2, frames.ROUTER_MAC), frames.GATEWAY6, frames.HOST_LL
    )
    assert router.send(0, ASK4, ASK6) == [
        frames.ethernet(reply, 0x0806, frames.ROUTER_MAC, frames.HOST_MAC),
        frames.ethernet(told, 0x86DD, frames.ROUTER_MAC, frames.HOST_MAC),
    ]
    assert filter_.counters() == {"web0": {"arp-answer": 1, "ns-answer": 1}}


def test_a_second_filter_adopts_what_is_there(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    router.send(0, NA)
    before = router.programs()
    again, loaded = router.opened()
    assert not loaded
    assert again.read(router.links) == {"web0": policy(0)}
    assert again.counters() == {"web0": {"na-unsolicited": 1}}
    looking = Filter(router.bpffs)
    assert looking.look()
    assert looking.read(router.links) == {"web0": policy(0)}
    assert router.programs() == before
    router.send(0, NA)
    assert filter_.counters() == again.counters() == {"web0": {"na-unsolicited": 2}}


def test_replacing_a_policy_keeps_its_counters(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0, hosts=3))
    router.send(0, NA)
    fewer = replace(policy(0), answer_rate=7)
    assert [change.verb for change in router.make_true(filter_, fewer)] == [Verb.REPLACE]
    assert filter_.read(router.links) == {"web0": fewer}
    assert filter_.counters() == {"web0": {"na-unsolicited": 1}}
    assert len(list(router.map("hosts").items())) == 1


def test_a_port_that_goes_leaves_nothing_and_who_gets_its_place_starts_at_zero(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0, hosts=3))
    router.send(0, NA)
    router.remove(filter_, policy(0))
    assert router.programs() == {}
    assert filter_.read(router.links) == {} == filter_.counters()
    for name in ("hosts", "prefixes", "gateways"):
        assert list(router.map(name).items()) == []
    for name in ("ifs", "vlans", "ports", "names"):
        assert list(router.map(name).used()) == []
    router.add(filter_, policy(1))
    assert filter_.counters() == {"web1": {}}
    router.remove(filter_, policy(0))
    assert filter_.read(router.links) == {"web1": policy(1)}


def test_of_two_vlans_on_a_trunk_one_can_go(trunk: Router) -> None:
    filter_ = trunk.open()
    both = [policy(0, 11), policy(1, 12)]
    trunk.add(filter_, *both)
    assert filter_.read(trunk.links) == {one.port: one for one in both}
    tagged = [frames.ethernet(frames.na(), 0x86DD, tags=((0x8100, vlan_id),)) for vlan_id in (11, 12, 13)]
    trunk.send(0, *tagged)
    assert filter_.counters() == {"web0": {"na-unsolicited": 1}, "web1": {"nd-mac-spoof": 1}}
    trunk.remove(filter_, both[0])
    assert set(trunk.programs()) == {"p0"}
    trunk.send(0, *tagged)
    assert filter_.read(trunk.links) == {"web1": both[1]}
    assert filter_.counters() == {"web1": {"nd-mac-spoof": 2}}
    trunk.remove(filter_, both[1])
    assert trunk.programs() == {}


def test_vlans_of_two_ports_can_be_swapped(trunk: Router) -> None:
    filter_ = trunk.open()
    trunk.add(filter_, policy(0, 11), policy(1, 12))
    swapped = [policy(0, 12), policy(1, 11)]
    assert len(trunk.make_true(filter_, *swapped)) == 2
    assert filter_.read(trunk.links) == {one.port: one for one in swapped}


def test_netdevs_of_two_ports_can_be_swapped(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    swapped = [replace(policy(0), guard="p1"), replace(policy(1), guard="p0")]
    assert len(router.make_true(filter_, *swapped)) == 2
    assert filter_.read(router.links) == {one.port: one for one in swapped}
    router.send(1, NA)
    assert filter_.counters() == {"web0": {"na-unsolicited": 1}, "web1": {}}


def test_names_of_two_ports_can_be_swapped(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    swapped = [replace(policy(0), port="web1"), replace(policy(1), port="web0")]
    router.make_true(filter_, *swapped)
    assert filter_.read(router.links) == {one.port: one for one in swapped}


def test_a_port_that_moves_takes_the_filter_with_it(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    moved = replace(policy(0), guard="p1")
    assert [change.verb for change in router.make_true(filter_, moved)] == [Verb.REPLACE]
    assert set(router.programs()) == {"p1"}
    assert filter_.read(router.links) == {"web0": moved}


def test_on_a_trunk_receive_vlan_offload_is_switched_off_and_elsewhere_left_alone(router: Router, filter_: Filter) -> None:
    with router.namespace.entered():
        hide_tags("p0", True)
    router.add(filter_, policy(0))
    assert "rx-vlan-offload: on" in router.namespace.run("ethtool", "-k", "p0")
    router.add(filter_, policy(0, 11))
    assert "rx-vlan-offload: off" in router.namespace.run("ethtool", "-k", "p0")
    assert set(router.programs()) == {"p0"}


def test_a_trunk_that_goes_on_hiding_tags_is_refused_with_the_mend(
    router: Router, filter_: Filter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No netdev of this kernel does: the driver that will not is stood in for by a command it takes and that changes nothing."""
    monkeypatch.setattr(offload, "_SFEATURES", 0x2B)
    with router.namespace.entered():
        hide_tags("p0", True)
    with pytest.raises(FilterFailed, match="p0 takes VLAN tags off before XDP sees the frame, and does not stop") as refused:
        router.add(filter_, policy(0, 11))
    assert "ethtool -K p0 rxvlan off" in refused.value.mend
    assert router.programs() == {}


def test_a_program_that_the_kernel_refuses_is_told_with_the_verifiers_last_words() -> None:
    with pytest.raises(FilterFailed, match=r"the kernel does not take the filter \(`R0 !read_ok`\)"):
        load_program(Bytecode(struct.pack("<BBhi", 0x95, 0, 0, 0), ()), {})


def test_another_program_stands_in_the_way_and_stays(router: Router, filter_: Filter) -> None:
    with router.namespace.entered():
        foreign = Link.attach(PASS_ALL, router.ifindex(0), XDP_FLAGS_SKB_MODE)
    before = router.programs()
    with pytest.raises(StandsInTheWay, match=r"another XDP program is attached to p0: foreign \(id \d+\)"):
        router.add(filter_, policy(0))
    assert router.programs() == before
    assert filter_.read(router.links)["web0"] != policy(0)
    foreign.close()
    assert [change.verb for change in router.make_true(filter_, policy(0))] == [Verb.REPLACE]
    assert filter_.read(router.links) == {"web0": policy(0)}


def test_a_netdev_that_does_not_exist_is_refused(router: Router, filter_: Filter) -> None:
    with pytest.raises(FilterFailed, match="netdev p7 does not exist"):
        router.add(filter_, policy(7))


def other_layout(router: Router) -> None:
    Map.open(router.directory / "layout").update(bytes(4), b"\xee" * 32)


def map_missing(router: Router) -> None:
    (router.directory / "map-hosts").unlink()


def all_pins_but_links(router: Router) -> None:
    for pin in router.directory.iterdir():
        if not pin.name.startswith("link-"):
            pin.unlink()


UNUSABLE = [other_layout, map_missing, all_pins_but_links]


@pytest.mark.parametrize("how", UNUSABLE[:2])
def test_who_only_looks_refuses_what_it_cannot_read(router: Router, filter_: Filter, how: Callable[[Router], None]) -> None:
    router.add(filter_, policy(0))
    how(router)
    before = router.programs()
    with pytest.raises(FilterFailed, match="another layout") as refused:
        Filter(router.bpffs).look()
    assert refused.value.mend.startswith("start the agent")
    assert router.programs() == before


@pytest.mark.parametrize("killed", [False, True], ids=["", "killed meanwhile"])
@pytest.mark.parametrize("how", UNUSABLE)
def test_maps_that_cannot_be_adopted_work_on_until_new_ones_are_filled(
    router: Router, filter_: Filter, how: Callable[[Router], None], killed: bool
) -> None:
    router.add(filter_, policy(0), policy(1))
    before = router.programs()
    how(router)
    newer = router.open()
    assert newer.read(router.links) == {}
    router.add(newer, policy(0))
    assert router.programs() == before, "another port of the same netdev may have no record yet"
    if killed:
        newer = router.open()
        assert router.programs() == before
    router.add(newer, policy(1))
    router.send(0, NA)
    assert newer.counters() == {"web0": {}, "web1": {}}, "the old one's counters counted it"
    newer.settle(["p0", "p1"], router.links)
    after = router.programs()
    assert len(set(after.values())) == 1
    assert after != before
    assert newer.read(router.links) == {"web0": policy(0), "web1": policy(1)}
    router.send(0, NA)
    assert newer.counters()["web0"] == {"na-unsolicited": 1}
    again, loaded = router.opened()
    assert not loaded
    assert again.read(router.links) == {"web0": policy(0), "web1": policy(1)}


def test_of_a_filter_that_cannot_be_adopted_a_billed_netdev_without_records_keeps_it(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    before = router.programs()
    other_layout(router)
    newer = router.open()
    newer.settle(["p1"], router.links)
    assert router.programs() == {"p1": before["p1"]}
    router.add(newer, policy(1))
    assert router.programs()["p1"] != before["p1"]
    assert newer.read(router.links) == {"web1": policy(1)}


@pytest.mark.parametrize("how", ["other sources", "source guard", "no program"])
def test_another_program_takes_the_old_ones_place_under_the_same_records(router: Router, filter_: Filter, how: str) -> None:
    router.add(filter_, policy(0), policy(1))
    router.send(0, NA)
    before = router.programs()
    if how == "other sources":
        Map.open(router.directory / "layout").update(bytes(4), abi().layout_id + b"\xee" * 16)
    elif how == "no program":
        (router.directory / "program").unlink()
    newer, loaded = router.opened(source_guard=how == "source guard")
    assert loaded
    assert Map.open(router.directory / "layout").lookup(bytes(4)) == abi().layout_id + source_id(how == "source guard")
    now = router.programs()
    assert now.keys() == before.keys()
    assert len(set(now.values())) == 1
    assert set(now.values()) != set(before.values())
    assert newer.read(router.links) == {"web0": policy(0), "web1": policy(1)}
    router.send(0, NA)
    assert newer.counters()["web0"] == {"na-unsolicited": 2}
    assert not router.opened(source_guard=how == "source guard")[1]


def test_a_filter_of_an_older_program_holds_nothing_until_it_is_renewed(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    Map.open(router.directory / "layout").update(bytes(4), abi().layout_id + b"\xee" * 16)
    newer = router.open()
    assert filter_.attached() == set()
    assert newer.attached() == {router.ifindex(0)}


def netdev(untagged_port: int = 0, trunk: int = 0, flags: int = 0) -> bytes:
    """An entry of `ifs`, as a hand might write it."""
    return abi().structs["netdev"].pack(untagged=struct.pack("<I", untagged_port), trunk=trunk, flags=flags)


def wreck(router: Router, what: str) -> None:
    ifindex = struct.pack("<I", router.ifindex(0))
    index = next(index for index, name in router.map("names").used() if name.startswith(b"web0\0"))
    key = struct.pack("<I", index)
    port, names = router.map("ports"), router.map("names")
    layout = abi().structs["port"]
    record = bytearray(port.lookup(key) or b"")
    if what == "link":
        (router.directory / f"link-{router.ifindex(0)}").unlink()
    elif what == "pointer":
        router.map("ifs").update(ifindex, netdev())
    elif what == "what stands beside the pointer":
        pointing = router.map("ifs").lookup(ifindex) or b""
        router.map("ifs").update(ifindex, pointing[:12] + bytes([pointing[12] ^ 2]) + pointing[13:])
    elif what == "what is not beside the pointer":
        record, at = router.map("ports").lookup(key) or b"", abi().structs["port"].members["router_lladdr"].offset
        router.map("ports").update(key, record[:at] + b"\6" + record[at + 1 :])
    elif what == "pointer to another":
        router.map("ifs").update(ifindex, netdev(2))
    elif what == "second pointer":
        router.map("ifs").update(struct.pack("<I", router.ifindex(1)), netdev(index))
    elif what == "record":
        port.update(key, bytes(128))
    elif what == "record of garbage":
        port.update(key, b"\xff" * 128)
    elif what == "a byte of the MAC":
        port.update(key, bytes([record[0] ^ 2]) + bytes(record[1:]))
    elif what == "ifindex of another":
        record[layout.members["ifindex"].offset] ^= 0x77
        port.update(key, bytes(record))
    elif what == "name":
        names.update(key, bytes(64))
    elif what == "name of garbage":
        names.update(key, b"\xfe" * 64)
    elif what == "name of another":
        names.update(key, b"web1".ljust(64, b"\0"))
    elif what in ("hosts", "prefixes", "gateways"):
        table = router.map(what)
        table.delete(next(key for key, _ in table.items() if key[4 if what == "prefixes" else 0] == index))
    elif what == "prefix more":
        router.map("prefixes").update(struct.pack("<II6s2s16s", 96 + 7, index, b"\2\0\0\0\0\1", b"", b"\x20"), b"\1")
    elif what == "prefix shorter than its port":
        router.map("prefixes").update(struct.pack("<II6s2s16s", 40, index, b"\2\0\0\0\0\1", b"", b"\x20"), b"\1")
    elif what == "a VLAN more":
        router.map("ifs").update(ifindex, netdev(index, 3))
        router.map("vlans").update(struct.pack("<I", 2 * 4096 + 5), key.ljust(abi().structs["pointer"].size, b"\0"))
    elif what == "a slot that is not there":
        router.map("ifs").update(ifindex, netdev(0, 99))


WRECKS = [
    "link",
    "pointer",
    "what stands beside the pointer",
    "what is not beside the pointer",
    "pointer to another",
    "second pointer",
    "record",
    "record of garbage",
    "a byte of the MAC",
    "ifindex of another",
    "name",
    "name of garbage",
    "name of another",
    "hosts",
    "prefixes",
    "gateways",
    "prefix more",
    "prefix shorter than its port",
    "a VLAN more",
    "a slot that is not there",
]


@pytest.mark.parametrize("adopted", [False, True], ids=["same process", "new process"])
@pytest.mark.parametrize("what", WRECKS)
def test_what_was_changed_by_hand_shows_and_is_mended(router: Router, filter_: Filter, what: str, adopted: bool) -> None:
    wanted = [policy(0, hosts=2), policy(1)]
    router.add(filter_, *wanted)
    wreck(router, what)
    if adopted:
        filter_ = router.open()
    assert filter_.read(router.links) != {one.port: one for one in wanted}
    assert router.make_true(filter_, *wanted)
    assert filter_.read(router.links) == {one.port: one for one in wanted}
    assert router.make_true(filter_, *wanted) == []
    assert set(router.programs()) == {"p0", "p1"}
    before = filter_.counters()["web0"].get("na-unsolicited", 0)
    router.send(0, NA)
    assert filter_.counters()["web0"]["na-unsolicited"] == before + 1
    router.remove(filter_, *wanted)
    assert router.programs() == {}
    assert list(router.map("ifs").used()) == list(router.map("vlans").used()) == []


def test_a_netdev_that_is_made_anew_is_guarded_anew(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    old = router.ifindex(0)
    router.namespace.ip("link del p0")
    assert filter_.read(router.links) != {"web0": policy(0)}
    router.add_port(0)
    assert router.ifindex(0) != old
    assert [change.verb for change in router.make_true(filter_, policy(0))] == [Verb.REPLACE]
    assert filter_.read(router.links) == {"web0": policy(0)}
    assert not (router.directory / f"link-{old}").exists()
    router.send(0, NA)
    assert filter_.counters() == {"web0": {"na-unsolicited": 1}}


def test_a_netdev_whose_number_comes_back_is_guarded_anew(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0))
    old = router.ifindex(0)
    router.namespace.ip("link del p0")
    router.add_port(0, old)
    assert filter_.attached() == set()
    assert filter_.read(router.links) != {"web0": policy(0)}
    router.make_true(filter_, policy(0))
    assert filter_.read(router.links) == {"web0": policy(0)}
    assert set(router.programs()) == {"p0"}


def test_a_netdev_that_is_gone_can_be_forgotten(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    router.namespace.ip("link del p0")
    router.make_true(filter_, policy(1))
    assert filter_.read(router.links) == {"web1": policy(1)}
    assert [path.name for path in router.directory.glob("link-*")] == [f"link-{router.ifindex(1)}"]


def test_detaching_leaves_no_pin_and_no_program(router: Router, filter_: Filter) -> None:
    router.add(filter_, policy(0), policy(1))
    other = Filter(router.bpffs)
    assert other.detach() == 2
    assert list(router.directory.iterdir()) == []
    assert router.programs() == {}
    assert other.detach() == 0
    assert not other.look()
    assert Filter(router.bpffs / "none").detach() == 0


def test_what_a_full_table_refuses_leaves_nothing_behind(router: Router, filter_: Filter) -> None:
    gateways = router.map("gateways")
    router.add(filter_, policy(1))
    for number in range(gateways.max_entries - 3):
        gateways.update(struct.pack("<IQQ", 99, 0, number), b"\1")
    with pytest.raises(FilterFailed, match=f"{gateways.max_entries} gateways and is full"):
        router.add(filter_, policy(0, hosts=3))
    assert filter_.read(router.links) == {"web1": policy(1)}
    assert len(list(router.map("hosts").items())) == 1
    assert router.programs().keys() == {"p1"}
    more = replace(policy(1, hosts=2), gateways=(*policy(1).gateways, IPv6Address("fe80::2"), IPv6Address("fe80::3")))
    with pytest.raises(FilterFailed, match="gateways and is full"):
        router.apply(filter_, Change("web1", Verb.REPLACE, more))
    assert filter_.read(router.links) == {"web1": policy(1)}


def test_the_trunks_are_counted(trunk: Router) -> None:
    filter_ = trunk.open()
    ifs = trunk.map("ifs")
    for number in range(abi().numbers["MAX_TRUNKS"]):
        ifs.update(struct.pack("<I", 1000 + number), netdev(0, number + 1))
    filter_.read(trunk.links)
    with pytest.raises(FilterFailed, match="64 trunks and is full"):
        trunk.add(filter_, policy(0, 11))
    assert filter_.read(trunk.links) == {}
    ifs.update(struct.pack("<I", 1005), netdev())
    trunk.make_true(filter_, policy(0, 11))
    assert filter_.read(trunk.links) == {"web0": policy(0, 11)}


def test_many_ports_stand_side_by_side_and_need_few_descriptors(trunk: Router) -> None:
    filter_ = trunk.open()
    names = ["wéb-ünï", "ポート", "x" * 64, *(f"port{number}" for number in range(400))]
    wanted = [replace(policy(number % 250, 1 + number), port=name, gateways=()) for number, name in enumerate(names)]
    trunk.add(filter_, *wanted[:1])
    before = open_descriptors()
    with trunk.namespace.entered():
        links = trunk.links
        for one in wanted:
            filter_.apply(Change(one.port, Verb.ADD, one), links)
    assert filter_.read(trunk.links) == {one.port: one for one in wanted}
    with trunk.namespace.entered():
        for one in wanted[::2]:
            filter_.apply(Change(one.port, Verb.REMOVE, one), links)
    assert filter_.read(trunk.links) == {one.port: one for one in wanted[1::2]}
    for _ in range(20):
        trunk.open().read(trunk.links)
    assert open_descriptors() <= before


def test_more_netdevs_than_descriptors_can_be_read(router: Router, filter_: Filter) -> None:
    """A process may have 1,024 open, and a hypervisor more taps than that."""
    import resource

    numbers = range(2, 62)
    for number in numbers:
        router.add_port(number)
    wanted = [policy(number) for number in numbers]
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (open_descriptors() + 40, hard))
    try:
        router.add(filter_, *wanted)
        assert filter_.read(router.links) == {one.port: one for one in wanted}
        assert len(router.open().attached()) == len(wanted)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_port_without_ipv6_or_without_ipv4_is_judged_by_what_it_has(router: Router, filter_: Filter) -> None:
    bare = replace(policy(0), hosts=tuple(replace(host, ipv6=(), ipv4=()) for host in policy(0).hosts))
    router.add(filter_, bare)
    assert filter_.read(router.links) == {"web0": bare}
    assert router.send(0, ASK4, frames.ethernet(frames.ns(source="::1"), 0x86DD)) == []
    assert filter_.counters() == {"web0": {"arp-ip-spoof": 1, "nd-ip-spoof": 1}}
    assert len(router.send(0, ASK6)) == 1


CHILD = """
import sys
from pathlib import Path
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Change, Verb
from l3ctl.xdp.filter import Filter
from tests.xdp.test_filter import policy
filter_ = Filter(Path(sys.argv[1]))
filter_.open(sys.argv[2] == "guard")
links = Kernel().links()
print("open", flush=True)
while True:
    for verb in (Verb.ADD, Verb.REPLACE, Verb.REMOVE):
        for number, hosts in ((0, 40), (1, 20)):
            one = policy(number, hosts=hosts + (verb is Verb.REPLACE))
            filter_.apply(Change(one.port, verb, one), links)
"""


@pytest.mark.parametrize("attempt", range(12))
def test_killed_at_any_moment_the_next_one_ends_complete(router: Router, attempt: int) -> None:
    """Some are killed while the filter is loaded for the first time, some while it is replaced, some amid changes."""
    chance = random.Random(attempt)
    if attempt % 3 == 1:
        router.add(router.open(), policy(0))
    child = subprocess.Popen(
        [
            "ip",
            "netns",
            "exec",
            router.namespace.name,
            sys.executable,
            "-c",
            CHILD,
            str(router.bpffs),
            "guard" if attempt % 3 == 1 else "plain",
        ],
        stdout=subprocess.PIPE,
        cwd=Path(__file__).parents[2],
    )
    assert child.stdout is not None
    if attempt % 3 == 2:
        child.stdout.readline()
        time.sleep(chance.random() * 0.05)
    else:
        time.sleep(0.4 + chance.random() * 3)
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    filter_ = router.open()
    wanted = [policy(0, hosts=3), policy(1)]
    router.make_true(filter_, *wanted)
    assert filter_.read(router.links) == {one.port: one for one in wanted}
    assert set(router.programs()) == {"p0", "p1"}
    assert len(list(router.map("hosts").items())) == 4
    assert len(list(router.map("gateways").items())) == 4
    assert len(list(router.map("prefixes").items())) == 12
    router.send(0, NA)
    assert filter_.counters()["web0"]["na-unsolicited"] >= 1
    router.remove(filter_, *wanted)
    assert router.programs() == {}


def test_without_root_it_says_so(router: Router, filter_: Filter) -> None:
    def refused() -> str:
        os.setresuid(0, 65534, 0)
        try:
            Filter(router.bpffs).look()
        except MissingRequirement as error:
            return error.mend
        finally:
            os.setresuid(0, 0, 0)
        return "nothing"

    assert refused() == "run as root"
