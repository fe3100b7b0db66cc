"""Which ports a netdev concerns: those it is the layer-3 device or the guard of, and what is wanted on it beside ports."""

from collections.abc import Iterable

from l3ctl.model import Port
from l3ctl.names import ORPHAN


class Netdevs:
    """For these ports, and for names of what is beside them."""

    def __init__(self, ports: Iterable[Port], beside: Iterable[str]) -> None:
        self._ports: dict[str, set[str]] = {}
        self.change((), ports)
        for name in beside:
            self._ports.setdefault(name.removeprefix(ORPHAN), set()).add(name)

    def change(self, before: Iterable[Port], after: Iterable[Port]) -> None:
        """Some ports are others now."""
        for port in before:
            for netdev in (port.interface, port.guard):
                self._ports.get(netdev, set()).discard(port.name)
        for port in after:
            for netdev in (port.interface, port.guard):
                self._ports.setdefault(netdev, set()).add(port.name)

    def ports_on(self, netdevs: Iterable[str]) -> set[str]:
        """All that these concern."""
        return set().union(*(self._ports.get(netdev, ()) for netdev in netdevs))
