"""What every test may use: namespaces of this run's own, removed again whatever happens."""

import functools
import importlib.util
import itertools
import os
import subprocess
from collections.abc import Callable, Iterator

import pytest

from l3ctl.lab.namespaces import Namespace
from l3ctl.xdp.libbpf import Map

_numbers = itertools.count()


def _runs(*argv: str) -> bool:
    return subprocess.run(argv, capture_output=True).returncode == 0


@functools.cache
def lacking(mark: str) -> str:
    """What this machine lacks for tests with a mark, with the mend; empty when nothing."""
    if os.geteuid() != 0:
        return "needs root: run `make test` as root"
    if not _runs("unshare", "--net", "true"):
        return "needs network namespaces (CAP_SYS_ADMIN): run outside of the container"
    if mark == "bpf":
        try:
            Map.create("l3ctl_probe", 2, 4, 4, 1).close()
        except OSError as error:
            return f"needs the bpf system call ({error.strerror}): run as root on a kernel with CONFIG_BPF_SYSCALL, outside of a container"
        if importlib.util.find_spec("bcc") is None:
            return "needs bcc: apt-get install python3-bpfcc, then make setup"
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
