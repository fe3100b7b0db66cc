"""What every test may use: namespaces of this run's own, removed again whatever happens."""

import functools
import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from l3ctl.errors import MissingRequirement
from l3ctl.lab.machine import require_bpf, require_namespaces
from l3ctl.lab.namespaces import Namespace

if os.environ.get("L3CTL_VM") != "1":  # on an emulated processor it takes seconds to import, and no test there uses it
    import hypothesis

    # No test asserts a time, and 200 ms an example would be one.
    hypothesis.settings.register_profile("l3ctl", deadline=None)
    hypothesis.settings.load_profile("l3ctl")
_numbers = itertools.count()


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
