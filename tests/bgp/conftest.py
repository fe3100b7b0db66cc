from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l3ctl.lab.namespaces import Namespace
from tests.bgp.peers import Bird, Daemon
from tests.bgp.two_routers import TwoRouters, settings


@pytest.fixture
def cable(tmp_path: Path, namespace: Callable[[], Namespace]) -> Iterator[Callable[[type[Daemon]], TwoRouters]]:
    """Makes the two routers, for a daemon, with nothing running yet."""
    made: list[TwoRouters] = []

    def make(daemon: type[Daemon]) -> TwoRouters:
        made.append(TwoRouters(tmp_path, namespace(), namespace(), daemon))
        return made[-1]

    yield make
    for one in made:
        one.stop()


@pytest.fixture
def cabled(cable: Callable[[type[Daemon]], TwoRouters]) -> TwoRouters:
    """With BIRD, nothing running yet."""
    return cable(Bird)


@pytest.fixture
def routers(cabled: TwoRouters) -> TwoRouters:
    """BIRD and ExaBGP running, no agent yet."""
    cabled.peer.start()
    cabled.start_exabgp(settings())
    return cabled
