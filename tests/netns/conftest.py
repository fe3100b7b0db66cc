"""The router of `router_bench`, made and removed."""

import ctypes
import os
import selectors
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from l3ctl.bgp.speaker import Speaker
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.namespaces import Namespace
from l3ctl.leaving import Leaving
from l3ctl.model import Port
from l3ctl.peering import BgpSettings
from l3ctl.router import Router
from l3ctl.xdp.filter import Filter
from tests.netns.router_bench import DB1, PEER, SETTINGS, WEB1, WHOLE, Bench, veth


@pytest.fixture(scope="module")
def bpffs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One for all tests: the filter is compiled once, and each test leaves it without a port."""
    path = tmp_path_factory.mktemp("router") / "bpf"
    yield path
    ctypes.CDLL(None).umount2(os.fsencode(path), 2)


@pytest.fixture
def build(namespace: Callable[[], Namespace], bpffs: Path, tmp_path: Path) -> Iterator[Callable[..., Bench]]:
    inside = namespace()
    for name in ("p0", "p1", "p2"):
        inside.ip(*veth(name))
    with inside.entered(), Kernel() as kernel, kernel.watch() as events, selectors.DefaultSelector() as selector:
        filter_ = Filter(bpffs)
        deadline = time.monotonic() + WHOLE
        while not all(facts.up for name, facts in kernel.links().items() if name[0] == "p"):  # carrier comes by the kernel's own timer
            assert time.monotonic() < deadline
            time.sleep(0.01)

        def make(*ports: Port) -> Bench:
            """Made a second time, it is a returning agent."""
            filter_.open(SETTINGS.source_guard)
            bgp = BgpSettings(IPv4Address("192.0.2.1"), 65010, (PEER,))
            router = Router(ports, SETTINGS, kernel, filter_, Speaker(tmp_path / "bgp.sock", bgp, selector))
            router.leaving = Leaving(None)  # there is no ExaBGP to be waited for
            return Bench(inside, router, events, bpffs / "l3ctl")

        yield make
        make().router.full_pass()
        assert filter_.read({}) == {}
        assert not list((bpffs / "l3ctl").glob("link-*"))


@pytest.fixture
def bench(build: Callable[..., Bench]) -> Bench:
    """web1 and db1, installed, and every event so far read."""
    one = build(WEB1, DB1)
    _, failed = one.full_pass()
    assert failed == []
    one.settle()
    one.events.read()
    return one
