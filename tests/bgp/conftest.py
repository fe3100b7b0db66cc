from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l3ctl.lab.namespaces import Namespace
from tests.bgp.two_routers import TwoRouters, settings


@pytest.fixture
def cabled(tmp_path: Path, namespace: Callable[[], Namespace]) -> Iterator[TwoRouters]:
    """The two routers with nothing running yet."""
    one = TwoRouters(tmp_path, namespace(), namespace())
    yield one
    one.stop()


@pytest.fixture
def routers(cabled: TwoRouters) -> TwoRouters:
    """BIRD and ExaBGP running, no agent yet."""
    cabled.start_bird()
    cabled.start_exabgp(settings())
    return cabled
