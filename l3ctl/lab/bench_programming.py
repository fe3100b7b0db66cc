"""Neighbours and routes in bulk, by us and by whatever else could put them in: the same entries for each, in turn, in a fresh namespace.

The limit is the kernel's own time: a program whose messages are all made before, and that asks for one acknowledgement at the end. It can
not say which entry failed, and could not make them from an inventory.
"""

import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from pyroute2 import IPRoute

from l3ctl.errors import LabFailed
from l3ctl.kernel import neighbours, routes
from l3ctl.kernel.tables import Kernel
from l3ctl.kernel.wire import HEADER, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR
from l3ctl.lab.bench_kernel import bench_namespace, command_of, make_neighbours, make_routes4, make_routes6, ours
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.model import Item, Neighbour, Route

_SEND = 60_000
"""bytes of messages in a send"""
_PROTOCOL = 201
_ERRNO = struct.Struct("=i")
SCALES = {"1k": 1_000, "10k": 10_000, "100k": 100_000}
KINDS: dict[str, Callable[[int], list[Item]]] = {"neighbours": make_neighbours, "routes6": make_routes6, "routes4": make_routes4}


def _limit(items: Sequence[Item], _folder: Path) -> float:
    with bench_namespace() as inside, inside.entered(), socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE) as raw:
        ifindex = socket.if_nametoindex("p0")
        parts = [b""]
        for number, item in enumerate(items):
            last = number == len(items) - 1
            kind, flags, payload = (
                neighbours.pack_add(item, ifindex, replace=False) if isinstance(item, Neighbour) else routes.pack_add(_route(item), ifindex)
            )
            flags |= NLM_F_REQUEST | (NLM_F_ACK if last else 0)
            message = HEADER.pack(HEADER.size + len(payload), kind, flags, number, 0) + payload
            if len(parts[-1]) + len(message) > _SEND:
                parts.append(b"")
            parts[-1] += message
        began = time.perf_counter()
        for part in parts:
            raw.send(part)
        answer = raw.recv(1 << 16)
        took = time.perf_counter() - began
        kind, code = HEADER.unpack_from(answer)[1], _ERRNO.unpack_from(answer, HEADER.size)[0]
        if kind != NLMSG_ERROR or code:
            raise LabFailed(f"the kernel refused one of {len(items)} entries: {code}")
        _count(inside, items)
    return took


def _route(item: Item) -> Route:
    assert isinstance(item, Route)
    return item


def _count(inside: Namespace, items: Sequence[Item]) -> None:
    """All are there."""
    with inside.entered(), Kernel() as kernel:
        there = kernel.read(["p0"])
    if (count := len(there.neighbours) + len(there.routes)) != len(items):
        raise LabFailed(f"{count} of {len(items)} entries are there")


def _batch(items: Sequence[Item], folder: Path) -> float:
    batch = folder / "batch"
    batch.write_text("".join(f"{command_of(item)}\n" for item in items))
    with bench_namespace() as inside:
        began = time.perf_counter()
        run("ip", "-n", inside.name, "-batch", str(batch))
        return time.perf_counter() - began


def _singly(items: Sequence[Item], _folder: Path) -> float:
    """A process for each, as shell scripts do."""
    with bench_namespace() as inside, inside.entered():
        program = found("ip")
        began = time.perf_counter()
        for item in items:
            subprocess.run([program, *command_of(item).split()], check=True)
        return time.perf_counter() - began


def _pyroute2(items: Sequence[Item], _folder: Path) -> float:
    with bench_namespace() as inside, inside.entered(), IPRoute() as library:
        ifindex = socket.if_nametoindex("p0")
        began = time.perf_counter()
        for item in items:
            if isinstance(item, Neighbour):
                where = {"dst": str(item.address), "lladdr": item.lladdr, "ifindex": ifindex}
                library.neigh("add", **where, state="permanent", family=socket.AF_INET6)
                continue
            route = _route(item)
            if route.prefix.version == 6:
                library.route(
                    "add", dst=str(route.prefix), gateway=str(route.next_hop), oif=ifindex, priority=route.metric, proto=_PROTOCOL
                )
            else:
                via = {"family": socket.AF_INET6, "addr": str(route.next_hop)}
                library.route("add", dst=str(route.prefix), via=via, oif=ifindex, priority=route.metric, proto=_PROTOCOL)
        return time.perf_counter() - began


_PEERS: dict[str, tuple[str, Callable[[Sequence[Item], Path], float], int]] = {
    "limit": ("messages made before, one acknowledgement", _limit, 100_000),
    "batch": ("ip -batch", _batch, 100_000),
    "pyroute2": ("pyroute2, one call each", _pyroute2, 10_000),
    "ip": ("ip, one process each", _singly, 1_000),
}
"""title, what it takes, and up to how many entries anybody would wait"""


def bench_programming(repeats: int, share: float = 1.0) -> Iterator[Row]:
    """Each kind at each scale; of a `share` of the entries."""
    with tempfile.TemporaryDirectory(prefix="l3bench") as name:
        for kind, make in KINDS.items():
            for scale, count in SCALES.items():
                items = make(max(1, int(count * share)))
                peers = {key: peer for key, peer in _PEERS.items() if count <= peer[2]}
                rounds = [(ours(items), {key: take(items, Path(name)) for key, (_, take, _) in peers.items()}) for _ in range(repeats)]
                for key, (title, _, _) in peers.items():
                    yield row_of(f"{kind}-{scale}-{key}", "s", title, [(mine, theirs[key]) for mine, theirs in rounds])
