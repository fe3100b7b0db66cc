"""What every test may use: namespaces of this run's own, removed again whatever happens."""

import itertools
import os
from collections.abc import Callable, Iterator

import pytest

from l3ctl.lab.namespaces import Namespace

_numbers = itertools.count()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if os.geteuid() == 0:
        return
    for item in items:
        if item.get_closest_marker("root") or item.get_closest_marker("bpf"):
            item.add_marker(pytest.mark.skip(reason="needs root: run `make test` as root for the whole suite"))


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
