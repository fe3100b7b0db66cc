"""One NetBox for all tests, each of which has a tag of its own in it."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pynetbox
import pytest

from tests.netbox.books import Books, furnish, token_of
from tests.netbox.server import NetBox, build


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """It takes minutes to make the first time, and half a minute to start."""
    for item in items:
        if item.nodeid.startswith("tests/netbox/") and os.environ.get("L3CTL_NETBOX") != "1":
            item.add_marker(pytest.mark.skip(reason="no NetBox is made for them here (mend: make netbox)"))


@pytest.fixture(scope="session")
def netbox() -> Iterator[NetBox]:
    one = NetBox(build())
    begun = time.monotonic()
    try:
        one.start()
        one.wait()
        print(f"\nNetBox answers after {time.monotonic() - begun:.0f} s, and takes {one.kib() >> 10} MiB")
        yield one
        print(f"\nNetBox takes {one.kib() >> 10} MiB at the end")
    finally:
        one.end()


@pytest.fixture(scope="session")
def writer(netbox: NetBox) -> pynetbox.api:
    """Whoever writes."""
    api = pynetbox.api(netbox.url)
    api.create_token("admin", "admin")
    furnish(api)
    return api


@pytest.fixture(scope="session")
def token(writer: pynetbox.api, netbox: NetBox) -> str:
    """Of a user who may look at what l3ctl needs, and no more."""
    return token_of(writer, netbox.url, "l3ctl")


@pytest.fixture
def books(writer: pynetbox.api, netbox: NetBox, token: str, tmp_path: Path) -> Books:
    return Books(writer, netbox.url, token, tmp_path)
