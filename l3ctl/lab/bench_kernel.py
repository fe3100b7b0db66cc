"""What programming and comparing the kernel's tables costs, beside iproute2 doing the same in turn in one run.

Everything happens in a fresh namespace for each measurement: a table's size is part of what an entry costs.
"""

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from math import log
from pathlib import Path

from l3ctl.desired import METRIC_IPV6, route_metric
from l3ctl.errors import LabFailed
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.crowd import Crowd, link_local_of, lladdr_of
from l3ctl.lab.drift import drift
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.model import Change, Item, Neighbour, Route, Verb
from l3ctl.router import Router
from l3ctl.xdp.filter import Filter

_NEXT_HOP = IPv6Address("fe80::5")
_PREFIXES = IPv6Address("2001:db8::")
_ADDRESSES = IPv4Address("10.0.0.0")
"""far from the host's own, and in a namespace of its own"""
_SCALE = (1_000, 10_000, 100_000)
_CROWDS = (("1k", 1_000, 1), ("10k", 10_000, 1), ("100k", 10_000, 10))
"""name of the number of hosts, ports, and hosts of each"""
SHOWN = "ip neigh show, ip -6 route show, ip route show"
"""what `shown` measures"""


def make_neighbours(count: int) -> list[Item]:
    """So many, permanent, on p0."""
    return [Neighbour("p0", link_local_of(number), lladdr_of(number)) for number in range(count)]


def make_routes6(count: int) -> list[Item]:
    """So many /64s through one next hop."""
    return [Route("p0", IPv6Network(((int(_PREFIXES) + (number << 64)), 64)), _NEXT_HOP, METRIC_IPV6) for number in range(count)]


def make_routes4(count: int) -> list[Item]:
    """So many /32s, each through a next hop of its own, which is an IPv6 one."""
    prefixes = (IPv4Network(_ADDRESSES + number) for number in range(count))
    return [Route("p0", prefix, link_local_of(number), route_metric(prefix)) for number, prefix in enumerate(prefixes)]


def command_of(item: Item) -> str:
    """The same as `ip -batch` takes it."""
    if isinstance(item, Neighbour):
        return f"neigh add {item.address} lladdr {item.lladdr} dev {item.interface} nud permanent protocol 201"
    assert isinstance(item, Route)
    via = "" if item.next_hop is None else f"via{' inet6' if item.prefix.version == 4 else ''} {item.next_hop} "
    return f"route add {item.prefix} {via}dev {item.interface} metric {item.metric} protocol 201"


@contextmanager
def bench_namespace() -> Iterator[Namespace]:
    """A fresh one, with p0 up."""
    inside = Namespace(f"l3bench{os.getpid()}")
    inside.add()
    try:
        inside.ip("link add p0 type veth peer name q0", *(f"link set {end} addrgenmode none up" for end in ("p0", "q0")))
        yield inside
    finally:
        inside.remove()


def ours(items: Sequence[Item]) -> float:
    """Seconds that l3ctl takes for them, in a fresh namespace."""
    with bench_namespace() as inside, inside.entered(), Kernel() as kernel:
        changes = [Change("bench", Verb.ADD, item) for item in items]
        began = time.perf_counter()
        failures = kernel.apply(changes)
        took = time.perf_counter() - began
        if failures:
            raise LabFailed(f"{failures[0].change}: {failures[0].reason}")
    return took


def _theirs(batch: Path) -> float:
    """Seconds that `ip -batch` takes."""
    with bench_namespace() as inside:
        began = time.perf_counter()
        run("ip", "-n", inside.name, "-batch", str(batch))
        return time.perf_counter() - began


def _beside_ip(name: str, items: Sequence[Item], repeats: int, folder: Path) -> Row:
    batch = folder / name
    batch.write_text("".join(f"{command_of(item)}\n" for item in items))
    pairs = [(ours(items), _theirs(batch)) for _ in range(repeats)]
    return row_of(name, "s", "ip -batch", pairs)


def _beside_one_metric(name: str, count: int, repeats: int) -> Row:
    """IPv4 routes through an IPv6 next hop, each with its own metric, and all with one: quadratic in the kernel for each device."""
    own = make_routes4(count)
    alike: list[Item] = [Route(item.interface, item.prefix, item.next_hop, 201) for item in own if isinstance(item, Route)]
    return row_of(name, "s", "one metric for all", [(ours(own), ours(alike)) for _ in range(repeats)])


def _growth(name: str, make: Callable[[int], list[Item]], repeats: int) -> Row:
    """How the cost grows with the number: the slope of its logarithm, 1 being linear. Beside that of ten times as many, ten times."""
    pairs = []
    for _ in range(repeats):
        costs = [min(ours(make(count)) for _ in range(2)) for count in _SCALE]
        pairs.append((log(costs[-1] / costs[0]) / log(_SCALE[-1] / _SCALE[0]), 1.0))
    return row_of(name, "exponent", "linear", pairs)


def shown(inside: Namespace) -> float:
    """Seconds that iproute2 takes to show the neighbours and routes; it looks at neither the filter nor the links."""
    began = time.perf_counter()
    for words in (("neigh",), ("-6", "route"), ("route",)):
        with Path(os.devnull).open("w") as nothing:
            subprocess.run([found("ip"), "-n", inside.name, *words, "show"], stdout=nothing, check=True)
    return time.perf_counter() - began


def _compared(router: Router) -> float:
    """Seconds of a full comparison that finds nothing to do."""
    began = time.perf_counter()
    changes, _ = router.full_pass()
    took = time.perf_counter() - began
    if changes:
        raise LabFailed(f"{len(changes)} changes where there should be none: {changes[0]}")
    return took


def _dumped(kernel: Kernel) -> float:
    """Seconds in which all of it is read and understood, and rivals of it are looked for."""
    began = time.perf_counter()
    kernel.read()
    return time.perf_counter() - began


def _comparison(scale: str, ports: int, hosts: int, repeats: int) -> Iterator[Row]:
    with Crowd(f"l3bench{os.getpid()}", ports, hosts=hosts) as crowd, crowd.router.entered(), Kernel() as kernel:
        filter_ = Filter(crowd.run_dir / "bpf")
        filter_.open(source_guard=False)
        router = Router(crowd.ports, crowd.settings, kernel, filter_, None)
        _, failed = router.full_pass()
        if failed:
            raise LabFailed(f"{failed[0].change}: {failed[0].reason}")
        _compared(router)
        rounds = [(_compared(router), _dumped(kernel), shown(crowd.router)) for _ in range(repeats)]
        filter_.detach()
    yield row_of(f"noop-{scale}", "s", SHOWN, [(one[0], one[2]) for one in rounds])
    yield row_of(f"dump-{scale}", "s", SHOWN, [(one[1], one[2]) for one in rounds])


def _healing(repeats: int, injuries: int) -> Row:
    """The 99th of a hundred injuries by the time they take to heal, beside a second."""
    pairs = []
    for repeat in range(repeats):
        healed = sorted(seconds for _, seconds in drift(f"l3bench{os.getpid()}", injuries, repeat))
        pairs.append((healed[-1 - injuries // 100], 1.0))
    return row_of("heal-p99", "s", "a second", pairs)


def bench_kernel(repeats: int, share: float = 1.0) -> Iterator[Row]:
    """Every row; of less than all entries where `share` is less than 1."""
    with tempfile.TemporaryDirectory(prefix="l3bench") as name:
        folder = Path(name)
        yield _beside_ip("neighbours-100k", make_neighbours(int(100_000 * share)), repeats, folder)
        yield _beside_ip("routes6-100k", make_routes6(int(100_000 * share)), repeats, folder)
        yield _beside_one_metric("routes4-20k", int(20_000 * share), repeats)
        for scale, ports, hosts in _CROWDS:
            yield from _comparison(scale, max(1, int(ports * share)), hosts, repeats)
        yield _healing(repeats, int(100 * share) or 1)
        if share == 1.0:
            yield _growth("neighbours-growth", make_neighbours, repeats)
            yield _growth("routes6-growth", make_routes6, repeats)
