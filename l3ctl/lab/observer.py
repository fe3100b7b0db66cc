"""An observer: which prefixes are announced while what they rest on is missing, looked at every 10 ms by a process of its own.

Announced is what the upstream's kernel has from BIRD: that is what packets follow, it is a step later than BIRD's own table, and asking
BIRD at this pace would take away the time in which it is to hear of withdraws. Of the router are read: routes and permanent neighbours
(followed by their notifications, see `mirror`), the filter's records and where it is attached (through the pins), links (IFF_RUNNING).

The reads of a sample follow each other, so the upstream is read twice: before the router, and after it. A prefix is in excess only where
it was announced both times. So neither the withdraw that arrives while the router is read makes an excess, nor the announcement that
comes after it. What can still be wrong is a prefix that goes and comes back within one sample, a few milliseconds. How long an excess
lasted is told as two bounds: from the first sample that saw it to the last, and from the last one without it to the next one without.

Run as `python -m l3ctl.lab.observer CONFIG ROUTER UPSTREAM FILE`; at SIGTERM it leaves its report in FILE. `Observing` does that.
"""

import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Self

from l3ctl.desired import desired_policy
from l3ctl.errors import L3ctlError, LabFailed
from l3ctl.kernel import neighbours, routes
from l3ctl.kernel.steady import Steady
from l3ctl.kernel.tables import Kernel
from l3ctl.kernel.wire import PROTOCOL, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE
from l3ctl.lab.excess import Ledger, Report
from l3ctl.lab.mirror import Mirror, Understand
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.peered import BIRD_PROTOCOL, Peered
from l3ctl.model import Address, LinkFacts, PortPolicy
from l3ctl.site import Site, load_site
from l3ctl.xdp.filter import Filter

PERIOD = 0.01
_POLICY_SHARE = 10
"""Reading what the filter has takes longer than a period, and only the agent changes it: it may take one part in so many of the time."""
_SIOCGIFFLAGS = 0x8913
_IFF_UP, _IFF_RUNNING = 0x1, 0x40
_IFREQ = struct.Struct("=16sH22x")
_ROUTE_GROUPS, _NEIGHBOUR_GROUPS = (7, 11), (3,)
"""RTNLGRP_IPV4_ROUTE, _IPV6_ROUTE and _NEIGH"""
_NEIGHBOUR = Steady(12, {3, 4})
"""as `neighbours.steady`, and of entries that are not permanent too: they take the place of one"""
_STOPS_WITHIN = 60.0
_LIVES = 7200.0


def _routes(protocol: int, understand: Understand) -> Mirror:
    requests = tuple(routes.pack_dump(family, protocol, None) for family in (socket.AF_INET6, socket.AF_INET))
    return Mirror(requests, _ROUTE_GROUPS, (RTM_NEWROUTE, RTM_DELROUTE), routes.steady, understand)


def _announced(payload: bytes) -> tuple[str, bool] | None:
    entry = routes.parse(payload)
    return (str(entry.prefix), True) if entry is not None and entry.protocol == BIRD_PROTOCOL else None


def judged_rightly(wanted: PortPolicy | None, found: PortPolicy | None) -> set[str]:
    """The prefixes whose host's frames are judged as they should be: whatever the policy says of other hosts."""
    if wanted is None or found is None or replace(wanted, hosts=()) != replace(found, hosts=()):
        return set()
    there = {(host.lladdr, host.link_local): {*host.prefixes()} for host in found.hosts}
    return {str(prefix) for host in wanted.hosts for prefix in {*host.prefixes()} & there.get((host.lladdr, host.link_local), set())}


class Observer:
    """Looks at one router, whose site this is, and at its upstream."""

    def __init__(self, site: Site, router: Namespace, upstream: Namespace) -> None:
        self._site = site
        self._hosts = {str(prefix): (port, host) for port in site.ports for host in port.hosts for prefix in host.prefixes()}
        self._by_netdev = _grouped((netdev, name) for name, (port, _) in self._hosts.items() for netdev in {port.interface, port.guard})
        self._by_neighbour = _grouped((_entry(port.interface, host.link_local), name) for name, (port, host) in self._hosts.items())
        self._lladdrs = {_entry(port.interface, host.link_local): host.lladdr for port in site.ports for host in port.hosts}
        with upstream.entered():
            self._announced = _routes(BIRD_PROTOCOL, _announced)
        with router.entered():
            self._kernel = Kernel()
            self._names = {facts.ifindex: facts.name for facts in self._kernel.links().values()}
            self._asked = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._routes = _routes(PROTOCOL, self._route)
            types, requests = (RTM_NEWNEIGH, RTM_DELNEIGH), (neighbours.pack_dump(None),)
            self._neighbours = Mirror(requests, _NEIGHBOUR_GROUPS, types, _NEIGHBOUR, self._neighbour)
        self._filter = Filter(site.config.bpffs)
        self._digest, self._right, self._guarded = b"", set[str](), set[str]()
        self._unguarded: frozenset[str] = frozenset()
        self._ledger = Ledger()
        self._times: list[float] = []
        self._lost, self._next_policies = 0, 0.0

    def _name(self, ifindex: int) -> str:
        """Of a netdev, which may have come since."""
        if ifindex not in self._names and (facts := self._kernel.link(ifindex)) is not None:
            self._names[ifindex] = facts.name
        return self._names.get(ifindex, "")

    def _route(self, payload: bytes) -> tuple[str, bool] | None:
        """A route of ours: right where it leads to the prefix's own host and nowhere else."""
        entry = routes.parse(payload)
        if entry is None or entry.protocol != PROTOCOL or (name := str(entry.prefix)) not in self._hosts:
            return None
        port, host = self._hosts[name]
        return name, [(self._name(ifindex), hop) for ifindex, hop in entry.hops] == [(port.interface, host.link_local)]

    def _neighbour(self, payload: bytes) -> tuple[str, bool] | None:
        """A host's link-local: right where it is the host's MAC, permanent, and no more than that."""
        entry = neighbours.parse(payload)
        if entry is None or (name := _entry(self._name(entry.ifindex), entry.address)) not in self._lladdrs:
            return None
        return name, neighbours.is_as_we_make_them(payload) and entry.lladdr == self._lladdrs[name]

    def _is_up(self, netdev: str) -> bool:
        """With carrier, as the kernel's operational state has it."""
        try:
            (_, flags) = _IFREQ.unpack(fcntl.ioctl(self._asked, _SIOCGIFFLAGS, _IFREQ.pack(netdev.encode(), 0)))
        except OSError:
            return False
        return bool(flags & (_IFF_UP | _IFF_RUNNING) == _IFF_UP | _IFF_RUNNING)

    def _look_at_policies(self) -> None:
        """See which ports' policies hold. They are understood anew only where anything in the filter's maps or pins has changed.

        Where the filter is, is asked first: understanding takes so long that it would be back where it was missing. How long it is until
        the next look is worked out from what looking costs, not from understanding, which is seldom.
        """
        highest, began = max(self._names), time.monotonic()
        places = self._filter.everywhere() if self._digest else set(self._names)
        digest = self._filter.digest(highest) if self._digest else b""
        cost = time.monotonic() - began
        if digest != self._digest or not digest:
            links, settings = self._kernel.links(), self._site.config.settings
            self._names = {facts.ifindex: facts.name for facts in links.values()}
            there_is = self._filter.look()
            # Before it is read: what changes meanwhile is seen at the next look.
            self._digest = self._filter.digest(max(self._names)) if there_is else b""
            found = self._read_policies(links) if there_is else {}
            wanted = {port.name: desired_policy(port, links, settings) for port in self._site.ports}
            self._right = set().union(*(judged_rightly(wanted[name], found.get(name)) for name in wanted))
        there = {self._names.get(ifindex) for ifindex in places}
        self._guarded = {name for name in self._right if self._hosts[name][0].guard in there}
        self._next_policies = time.monotonic() + _POLICY_SHARE * cost

    def _read_policies(self, links: Mapping[str, LinkFacts]) -> Mapping[str, PortPolicy]:
        """What the filter has. It is several maps, and one after the other is read while the agent changes them.

        So a port that changes may seem to be in pieces, which no frame has met. Where one does, it is read once more.
        """
        found = self._filter.read(links)
        if in_pieces := {name for name, policy in found.items() if not policy.router_lladdr}:
            again = self._filter.read(links)
            return {name: policy for name, policy in found.items() if name not in in_pieces} | {
                name: again[name] for name in in_pieces & again.keys()
            }
        return found

    def _missing(self) -> Callable[[frozenset[str]], Mapping[str, Collection[str]]]:
        """Read the router; what of these prefixes lacks what.

        Policies are not looked at each time. A prefix that lacked one when they were may have got it since, and then been announced: only
        one that was announced then, and ever since, lacks it still.
        """
        down = {netdev for netdev in self._by_netdev if not self._is_up(netdev)}
        there, lacking = self._routes.read(), self._by_neighbour.keys() - self._neighbours.read()
        if looked := time.monotonic() >= self._next_policies:
            self._look_at_policies()

        def missing(prefixes: frozenset[str]) -> Mapping[str, Collection[str]]:
            self._unguarded = prefixes - self._guarded if looked else prefixes & self._unguarded
            return {
                "link": prefixes & _all(self._by_netdev, down),
                "route": prefixes - there,
                "neighbour": prefixes & _all(self._by_neighbour, lacking),
                "policy": self._unguarded,
            }

        return missing

    def samples(self) -> Iterator[None]:
        """Take one sample at a time, for ever."""
        start, before = time.monotonic(), self._announced.read()
        while True:
            again = time.monotonic()
            try:
                lacks = self._missing()
                again, after = time.monotonic(), self._announced.read()
                self._times.append(start)
                self._ledger.sample((start, time.monotonic()), lacks(before & after))
                if (left := start + PERIOD - time.monotonic()) <= 0:
                    start, before = again, after  # no time to lose: this one's last read is the next one's first
                yield
                if left > 0:
                    time.sleep(left)
                    start, before = time.monotonic(), self._announced.read()
            except L3ctlError:  # tables that change in the middle of each of many dumps, a filter that is put up anew
                self._lost += 1
                yield
                time.sleep(PERIOD)
                start, before = time.monotonic(), frozenset[str]()

    def report(self) -> Report:
        """What was seen."""
        periods = sorted(later - earlier for earlier, later in zip(self._times, self._times[1:], strict=False))
        corrected = sum(mirror.corrected for mirror in (self._announced, self._routes, self._neighbours))
        return Report(len(self._times), self._lost, corrected, tuple(periods), tuple(self._ledger.over), self._ledger.left())


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, set[str]]:
    grouped: dict[str, set[str]] = {}
    for key, name in pairs:
        grouped.setdefault(key, set()).add(name)
    return grouped


def _all(grouped: Mapping[str, set[str]], keys: Iterable[str]) -> set[str]:
    return set().union(*(grouped[key] for key in keys))


def _entry(interface: str, address: Address) -> str:
    return f"{address} {interface}"


class Observing:
    """An observer at work beside the block, on a crowd whose filter is there already; its `report` is there afterwards."""

    def __init__(self, crowd: Peered) -> None:
        self._crowd = crowd
        self._file = crowd.run_dir / "observed.json"
        self.report = Report.of_nothing()

    def __enter__(self) -> Self:
        crowd = self._crowd
        self._file.unlink(missing_ok=True)
        words = [str(crowd.config), crowd.router.name, crowd.upstream.name, str(self._file)]
        self._process = subprocess.Popen([sys.executable, "-P", "-m", __name__, *words], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"watching\n":
            self._process.kill()
            raise LabFailed(f"the observer did not begin; it exited {self._process.wait()}")
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            status = self._process.wait(_STOPS_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        if status or not self._file.exists():
            raise LabFailed(f"the observer left no report; it exited {status}")
        self.report = Report.from_json(json.loads(self._file.read_text()))


def _main(config: str, router: str, upstream: str, file: str) -> None:
    stopped: list[int] = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    observer = Observer(load_site(Path(config)), Namespace(router), Namespace(upstream))
    parent = os.getppid()
    until = time.monotonic() + _LIVES
    for number, _ in enumerate(observer.samples()):
        if number == 0:
            print("watching", flush=True)
        if stopped or os.getppid() != parent or time.monotonic() > until:  # it does not outlive who started it
            break
    Path(file).write_text(json.dumps(observer.report().to_json()))


if __name__ == "__main__":
    _main(*sys.argv[1:])
