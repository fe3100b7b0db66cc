"""What a service manager hears. The socket is a real one; this test is who listens at it."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from l3ctl.service_manager import ServiceManager


@pytest.fixture
def listener(tmp_path: Path) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as one:
        one.bind(str(tmp_path / "notify"))
        one.setblocking(False)
        yield one


def heard(listener: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(listener.recv(4096).decode())
        except BlockingIOError:
            return found


def test_it_hears_that_all_works_and_that_we_end(listener: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname()})
    manager.ready("3 ports")
    manager.stopping()
    assert heard(listener) == ["READY=1\nSTATUS=3 ports", "STOPPING=1"]


def test_it_hears_that_we_are_alive_in_good_time_and_not_more_often(listener: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname(), "WATCHDOG_USEC": "8000000", "WATCHDOG_PID": str(os.getpid())})
    for moment in (100.0, 100.5, 101.9, 102.0, 103.0, 104.1):
        manager.alive(moment)
    assert heard(listener) == ["WATCHDOG=1"] * 3
    assert manager.patience == 8


@pytest.mark.parametrize("environ", [{}, {"WATCHDOG_USEC": "8000000", "WATCHDOG_PID": "1"}, {"WATCHDOG_USEC": "soon"}])
def test_who_does_not_watch_hears_nothing_of_it(listener: socket.socket, environ: dict[str, str]) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname()} | environ)
    manager.alive(100.0)
    assert heard(listener) == []


def test_an_abstract_socket_is_one_too() -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
        name = f"l3ctl-test-{os.getpid()}"
        listener.bind(f"\0{name}")
        ServiceManager({"NOTIFY_SOCKET": f"@{name}"}).stopping()
        assert listener.recv(100) == b"STOPPING=1"


def test_nobody_waits_for_one_that_does_not_listen(listener: socket.socket) -> None:
    manager = ServiceManager({"NOTIFY_SOCKET": listener.getsockname()})
    for _ in range(10_000):
        manager.stopping()  # more than its queue takes
    listener.close()
    manager.stopping()
    ServiceManager({"NOTIFY_SOCKET": "/nowhere/at/all"}).ready("")
    ServiceManager({}).ready("")
