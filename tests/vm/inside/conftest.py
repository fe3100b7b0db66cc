"""Streets for the tests, each built on a wire, and removed whatever happens."""

import functools
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from l3ctl.lab.customers import CUSTOMERS
from tests.vm.inside.street import NATIVE, OFFLOADING, VETH, Street, Wire, record

_numbers = itertools.count()
_MODULES = ("8021q", "bridge", "vrf", "sch_netem", "virtio_net", "e1000")


@functools.cache
def lacking() -> str:
    """Why these tests cannot run on this kernel; empty where they can."""
    if os.environ.get("L3CTL_VM") != "1":
        return "not in a virtual machine of its own (mend: make vm)"
    return subprocess.run(["modprobe", "-a", *_MODULES], capture_output=True, text=True).stderr.strip()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """These need kernel modules that not every kernel has, and NICs that they may take."""
    for item in items:
        if item.nodeid.startswith("tests/vm/inside/") and (reason := lacking()):
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Tell of each test at once: they are slow, and a machine that is ended before its time tells nothing any more."""
    report = yield
    if report.when == "call" and not report.failed:
        item.config.get_terminal_writer().write(f"{report.nodeid} {report.outcome} in {report.duration:.0f} s\n", flush=True)
    if report.failed:
        item.config.get_terminal_writer().write(f"\n{report.nodeid} ({report.when}) failed:\n{report.longreprtext}\n", flush=True)
    return report


@contextmanager
def _built(wire: Wire) -> Iterator[Street]:
    one = Street(f"l3t{os.getpid()}x{next(_numbers)}", wire)
    try:
        one.build()
        yield one
    finally:
        one.remove()


@pytest.fixture
def street() -> Iterator[Callable[[Wire], Street]]:
    """Builds a street without VLAN devices, agent and customers."""
    made: list[Street] = []

    def build(wire: Wire) -> Street:
        made.append(Street(f"l3t{os.getpid()}x{next(_numbers)}", wire))
        made[-1].build()
        return made[-1]

    yield build
    for one in made:
        one.remove()


@pytest.fixture(scope="module", params=[NATIVE, OFFLOADING, VETH], ids=str)
def whole(request: pytest.FixtureRequest) -> Iterator[Street]:
    """A street of each kind with three customers, one for all tests of a room, each of which leaves it as it was."""
    with _built(request.param) as one:
        one.add_vlans()
        one.start([record(customer) for customer in CUSTOMERS])
        for customer in CUSTOMERS:
            one.plug_in(customer)
        one.wait("the ports", lambda: one.settled(*CUSTOMERS))
        yield one
