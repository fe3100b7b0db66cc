"""What the upstream knows from moment to moment: who announces a host's prefixes at BIRD, and which way its kernel sends them.

Polled every few milliseconds over BIRD's control socket and from /proc, without starting a program for a look.
"""

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from l3ctl.lab.beside import Beside
from l3ctl.lab.bird import BirdSocket
from l3ctl.lab.customers import Customer
from l3ctl.lab.programs import Upstream

_EVERY = 0.003
"""seconds between two looks, beside what a look takes"""
_ROUTE = re.compile(r"^(?:\d{4}-| )(\S+/\d+)?\s+unicast \[(\w+) ", re.MULTILINE)
Ways = frozenset[tuple[str, str]]
"""(prefix, name of the router it is reached by)"""


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen from `at` on (`time.time()`), until the next one."""

    at: float
    bird: Ways
    kernel: Ways


class Observer(Beside):
    """Looks while it is entered; `sights` has every change. `uplinks` is the upstream's netdev -> name of the router behind it."""

    def __init__(self, upstream: Upstream, uplinks: Mapping[str, str], host: Customer) -> None:
        super().__init__()
        self.sights: list[Sight] = []
        self._upstream, self._uplinks = upstream, uplinks
        self._prefix4, self._prefix6 = f"{host.ipv4}/32", str(host.ipv6)
        self._proc4 = host.ipv4.packed[::-1].hex().upper()  # as the kernel prints a number that it holds in network order
        self._proc6 = host.ipv6.network_address.packed.hex(), f"{host.ipv6.prefixlen:02x}"

    def last(self) -> Sight:
        """What is seen now."""
        return self.sights[-1] if self.sights else Sight(0.0, frozenset(), frozenset())

    def work(self) -> None:
        """Look, again and again."""
        with self._upstream.entered(), BirdSocket(self._upstream.control) as bird:
            while not self.ending.wait(_EVERY):
                announced = frozenset(self._announced(bird.ask("show route")))
                installed = frozenset(self._installed())
                if (announced, installed) != (self.last().bird, self.last().kernel):
                    self.sights.append(Sight(time.time(), announced, installed))

    def _announced(self, told: str) -> Iterable[tuple[str, str]]:
        prefix = ""
        for named, router in _ROUTE.findall(told):
            prefix = named or prefix  # each further route of a prefix leaves it out
            if prefix in (self._prefix4, self._prefix6):
                yield prefix, router

    def _installed(self) -> Iterable[tuple[str, str]]:
        for line in Path("/proc/thread-self/net/route").read_text().splitlines():
            words = line.split()
            if words[1] == self._proc4:
                yield self._prefix4, self._uplinks[words[0]]
        for line in Path("/proc/thread-self/net/ipv6_route").read_text().splitlines():
            words = line.split()
            if (words[0], words[1]) == self._proc6:
                yield self._prefix6, self._uplinks[words[-1]]
