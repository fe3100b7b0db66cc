"""What every test may use: namespaces of this run's own, removed again whatever happens, and a machine to itself where it floods."""

import fcntl
import functools
import itertools
import os
import signal
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from l3ctl.errors import MissingRequirement
from l3ctl.lab.machine import require_bpf, require_namespaces
from l3ctl.lab.namespaces import Namespace

if os.environ.get("L3CTL_VM") != "1":  # on an emulated processor it takes seconds to import, and no test there uses it
    import hypothesis

    # No test asserts a time, and 200 ms an example would be one.
    hypothesis.settings.register_profile("l3ctl", deadline=None)
    hypothesis.settings.load_profile("l3ctl")
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Started in a shell's background: all that tests start, and interrupt, would ignore it too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
_numbers = itertools.count()
_LOCKS = Path("/run")


@functools.cache
def lacking(mark: str) -> str:
    """What this machine lacks for tests with a mark, with the mend; empty when nothing."""
    try:
        require_namespaces()
        if mark == "bpf":
            require_bpf()
    except MissingRequirement as error:
        return "; ".join(error.lines())
    return ""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave out what this machine cannot run, and say why."""
    for item in items:
        for mark in ("root", "bpf"):
            if item.get_closest_marker(mark) and (reason := lacking(mark)):
                item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """No test runs beside one that floods, not even another run's: the neighbour table is the whole machine's."""
    if not item.get_closest_marker("root") or item.get_closest_marker("skip"):
        return (yield)
    with ExitStack() as held:
        # Whoever waits for the machine stands in the door, so that those who share it do not keep it from him by taking turns.
        with (_LOCKS / "l3ctl-tests.door").open("w") as door:
            fcntl.flock(door, fcntl.LOCK_EX)
            machine = held.enter_context((_LOCKS / "l3ctl-tests.machine").open("w"))
            fcntl.flock(machine, fcntl.LOCK_EX if item.get_closest_marker("flood") else fcntl.LOCK_SH)
        return (yield)


@pytest.fixture
def namespace() -> Iterator[Callable[[], Namespace]]:
    """Makes fresh network namespaces, named for this process so that runs side by side do not meet."""
    made: list[Namespace] = []

    def make() -> Namespace:
        one = Namespace(f"l3t{os.getpid()}-{next(_numbers)}")
        made.append(one)
        one.add()
        return one

    yield make
    for one in made:
        one.remove()
