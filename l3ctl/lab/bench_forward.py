"""What the filter leaves of a customer's throughput: TCP and UDP from a host through the router, without it, with it, with source guard.

On veth, where the filter runs in generic mode. All of it shares the machine's CPUs: sender, router and receiver.
"""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

from l3ctl.errors import LabFailed
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.customers import UPSTREAM6
from l3ctl.lab.siege import Siege, ours, routed

_SECONDS = 1.5
_BEFORE = 0.3
"""seconds in which TCP finds its pace"""
_PORT = 5201
_TCP = """
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
with socket.create_connection((address, 5201)) as to:
    data, until = bytes(1 << 20), time.monotonic() + seconds
    while time.monotonic() < until:
        to.sendall(data)
"""
_UDP = """
import socket, sys, time
address, seconds = sys.argv[1], float(sys.argv[2])
with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as to:
    to.connect((address, 5201))
    data, until = bytes(1400), time.monotonic() + seconds
    while time.monotonic() < until:
        for _ in range(64):
            to.send(data)
"""
_TRAFFIC = {"tcp": (_TCP, "Gbit/s"), "udp": (_UDP, "Mpps")}
_DESIGNS: dict[str, tuple[Callable[[Siege], None], dict[str, object]]] = {
    "off": (routed, {}),
    "on": (ours, {"guard": {"mode": "enforce"}}),
    "guard": (ours, {"guard": {"mode": "enforce", "source_guard": True}}),
}


def bench_forward(rounds: int) -> Iterator[Row]:
    """Each traffic through each router in turn; a ratio of 1 is nothing lost, and more is better."""
    with ExitStack() as stack:
        sieges = {
            name: stack.enter_context(Siege(f"l3bench{os.getpid()}{tag}", f"l3{tag}", make, more))
            for tag, (name, (make, more)) in zip("efg", _DESIGNS.items(), strict=True)
        }
        for kind, (program, unit) in _TRAFFIC.items():
            found = [{name: _through(siege, kind, program) for name, siege in sieges.items()} for _ in range(rounds)]
            for name in ("on", "guard"):
                yield row_of(
                    f"forward-{kind}-{name}", unit, "the same router without the filter", [(one[name], one["off"]) for one in found]
                )


def _through(siege: Siege, kind: str, program: str) -> float:
    """Gbit or million packets a second that come to upstream."""
    with siege.upstream.entered():
        listening = socket.socket(socket.AF_INET6, socket.SOCK_STREAM if kind == "tcp" else socket.SOCK_DGRAM)
    with listening, ExitStack() as stack:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((UPSTREAM6, _PORT))
        if kind == "tcp":
            listening.listen()
            listening.settimeout(10.0)
        words = [sys.executable, "-c", program, UPSTREAM6, str(_SECONDS + _BEFORE)]
        sender = stack.enter_context(subprocess.Popen(["ip", "netns", "exec", siege.far.name, *words]))
        if kind == "tcp":
            connection = stack.enter_context(listening.accept()[0])
            drain = [sys.executable, "-c", "import socket, sys\ns = socket.socket(fileno=int(sys.argv[1]))\nwhile s.recv(1 << 20): pass"]
            stack.enter_context(subprocess.Popen([*drain, str(connection.fileno())], pass_fds=(connection.fileno(),)))
            connection.close()
        time.sleep(_BEFORE)
        began, before = time.monotonic(), siege.received()
        time.sleep(_SECONDS - _BEFORE)
        took, came = time.monotonic() - began, siege.received()
        if sender.wait():
            raise LabFailed(f"the sender of {kind} ended with {sender.returncode}")
    packets, size = (after - then for after, then in zip(came, before, strict=True))
    return 8 * size / took / 1e9 if kind == "tcp" else packets / took / 1e6
