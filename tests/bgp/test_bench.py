"""The benchmark's instrument beside real BIRD, and the benchmark itself with tiny numbers."""

import select
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

import pytest

from l3ctl.lab.bench_bgp import bench_bgp
from l3ctl.lab.bgp_peer import BgpPeer, said
from l3ctl.lab.gobgp_speaker import has_gobgp
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Verb
from l3ctl.peering import Peer
from tests.bgp.two_routers import TwoRouters, announcements, peer, settings

pytestmark = pytest.mark.root

NEAR, LISTENING = IPv6Address("2001:db8:fffe::2"), IPv6Address("2001:db8:fffe::1")
BOTH = settings(peer(), Peer(LISTENING, 65000, NEAR, NEAR))


@pytest.fixture
def listening(cabled: TwoRouters, namespace: Callable[[], Namespace]) -> Iterator[BgpPeer]:
    """In a namespace of its own, since BIRD listens on every address of its own."""
    there = namespace()
    cabled.router.ip(f"link add up1 type veth peer name down1 netns {there.name}")
    for one, link, address in ((cabled.router, "up1", NEAR), (there, "down1", LISTENING)):
        one.ip(f"link set {link} up", f"addr add {address}/64 dev {link} nodad")
    with there.entered():
        listener = BgpPeer(LISTENING, 65000, IPv4Address("198.51.100.1"))
    with listener:
        yield listener


def test_it_sees_what_bird_sees(cabled: TwoRouters, listening: BgpPeer) -> None:
    cabled.peer.start()
    cabled.start_exabgp(BOTH)
    agent = cabled.agent(BOTH)
    agent.speaker.complete()
    table: set[tuple[int, bytes]] = set()

    def read() -> None:
        while select.select([listening], [], [], 0)[0]:
            for seen in listening.read():
                verb, *prefix = seen.said
                (table.add if verb is Verb.ANNOUNCE else table.discard)((prefix[0], prefix[1]))

    def both_see(*prefixes: str) -> bool:
        read()
        told = {(family, encoded) for _, family, encoded in said(Verb.ANNOUNCE, map(ip_network, prefixes))}
        return table == told and cabled.peer.routes().keys() == set(prefixes)

    some = ["2001:db8:11::/64", "2001:db8:12::/48", "2001:db8:13::1/128", "2001:db8:14::/57", "203.0.113.11/32", "198.51.100.128/32"]
    agent.speaker.want("web1", announcements(*some))
    agent.until(lambda: both_see(*some))
    assert listening.established
    agent.speaker.want("web1", announcements(*some[1:4], "203.0.113.12/32"))
    agent.until(lambda: both_see(*some[1:4], "203.0.113.12/32"))
    agent.speaker.want("web1", frozenset())
    agent.until(both_see)


@pytest.mark.bpf
def test_the_benchmark_measures_something() -> None:
    began = time.monotonic()
    rows = {row.name: row for row in bench_bgp(2, 4, 2, 0.002)}
    took = time.monotonic() - began
    names = ["link-to-update-p50", "link-to-update-p99", "cold-1k", "cold-10k", "cold-50k"]
    others = ("-bird", "-gobgp") if has_gobgp() else ("-bird",)
    assert list(rows) == [name + ending for name in names for ending in ("", *others)]
    for row in rows.values():
        assert 0 < row.low <= row.ratio <= row.high
        assert row.repeats == 2
        assert row.unit == "ms"
        assert 0 < row.ours < took * 1000
        assert 0 < row.reference < took * 1000
    assert rows["link-to-update-p50"].ours <= rows["link-to-update-p99"].ours
