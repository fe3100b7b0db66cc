"""Injuries that happen to a router's tables at the hands of people, drivers and customers, and how long each takes to heal.

A real agent keeps a crowd of ports; one injury at a time is done with `ip`, and the kernel's tables are watched until they read as before.
"""

import random
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.crowd import Crowd
from l3ctl.model import Port
from l3ctl.xdp.libbpf import program_on

PATIENCE = 20.0
"""seconds after which a wound does not heal by itself"""
_POLL = 0.004
OTHER_LLADDR = "02:00:00:00:00:66"

Injury = Callable[["Patient", Port], None]


class Patient:
    """A crowd whose agent has everything in place, looked at from inside its namespace."""

    def __init__(self, crowd: Crowd, kernel: Kernel) -> None:
        self.crowd, self._kernel = crowd, kernel
        self._healthy = {port.name: self._looks(port) for port in crowd.ports}

    def _looks(self, port: Port) -> tuple[object, ...]:
        found = self._kernel.read([port.interface])
        facts = self._kernel.link(port.interface)
        guarded = facts is not None and program_on(facts.ifindex) != 0
        return found.addresses, found.neighbours, found.routes, guarded

    def _differs(self, port: Port) -> str:
        """What of a port is not as before, and what it is now."""
        pairs = zip(("addresses", "neighbours", "routes", "guarded"), self._healthy[port.name], self._looks(port), strict=True)
        return "; ".join(f"{what} {now} and not {was}" for what, was, now in pairs if now != was) or "healed meanwhile"

    def is_healthy(self, port: Port) -> bool:
        """Whether all of a port reads as before, and the filter is on it."""
        return self._looks(port) == self._healthy[port.name]

    def ip(self, *commands: str) -> None:
        """Do it on the router."""
        self.crowd.router.ip(*commands)

    def ifindex(self, port: Port) -> int:
        """Of its netdev."""
        facts = self._kernel.link(port.interface)
        return facts.ifindex if facts else 0

    def heals(self, port: Port, injury: Injury) -> float:
        """Injure it; seconds until it is as before, from when the injury was done."""
        injury(self, port)
        began = time.monotonic()
        while not self.is_healthy(port):
            if time.monotonic() > began + PATIENCE:
                raise LabFailed(f"{port.name} has not healed of '{injury.__name__}' in {PATIENCE:g} s", self._differs(port))
            time.sleep(_POLL)
        return time.monotonic() - began


def _link_local(port: Port) -> str:
    return str(port.hosts[0].link_local)


def neighbour_deleted(patient: Patient, port: Port) -> None:
    """By hand."""
    patient.ip(f"neigh del {_link_local(port)} dev {port.interface}")


def neighbour_with_another_mac(patient: Patient, port: Port) -> None:
    """Replaced by hand, under our own protocol number."""
    patient.ip(f"neigh replace {_link_local(port)} lladdr {OTHER_LLADDR} dev {port.interface} nud permanent protocol 201")


def neighbour_no_longer_permanent(patient: Patient, port: Port) -> None:
    """Left to the kernel's ageing."""
    patient.ip(f"neigh change {port.hosts[0].ipv4[0]} lladdr {port.hosts[0].lladdr} dev {port.interface} nud stale")


def neighbours_flushed(patient: Patient, port: Port) -> None:
    """All of a netdev."""
    patient.crowd.router.run("ip", "neigh", "flush", "dev", port.interface, "nud", "all")


def route_deleted(patient: Patient, port: Port) -> None:
    """The /64."""
    patient.ip(f"route del {port.hosts[0].ipv6[0]} dev {port.interface}")


def routes_flushed(patient: Patient, port: Port) -> None:
    """All of a netdev, of both families."""
    for family in ("-4", "-6"):
        patient.crowd.router.run("ip", family, "route", "flush", "dev", port.interface, "proto", "201")


def gateway_address_deleted(patient: Patient, port: Port) -> None:
    """The router's link-local there."""
    patient.ip(f"addr del fe80::1/64 dev {port.interface}")


def link_down_and_up(patient: Patient, port: Port) -> None:
    """Administratively: the kernel forgets neighbours, routes and addresses."""
    patient.ip(f"link set {port.interface} down", f"link set {port.interface} up")


def carrier_lost_and_back(patient: Patient, port: Port) -> None:
    """At the far end."""
    patient.crowd.far.ip(f"link set {port.interface} down", f"link set {port.interface} up")


def mac_changed_and_back(patient: Patient, port: Port) -> None:
    """The kernel forgets the neighbours each time."""
    own = Path(f"/sys/class/net/{port.interface}/address")
    before = patient.crowd.router.run("cat", str(own)).strip()
    patient.ip(f"link set {port.interface} address {OTHER_LLADDR}", f"link set {port.interface} address {before}")


def ipv6_off_and_on(patient: Patient, port: Port) -> None:
    """By sysctl."""
    for value in "10":
        patient.crowd.router.sysctl(f"net.ipv6.conf.{port.interface}.disable_ipv6={value}")


def mtu_too_small_and_back(patient: Patient, port: Port) -> None:
    """Below 1280 the kernel takes IPv6 off the netdev."""
    patient.ip(f"link set {port.interface} mtu 1000", f"link set {port.interface} mtu 1500")


def peer_restarted(patient: Patient, port: Port) -> None:
    """The far end's namespace went, and its netdev with it; another of the same name comes."""
    name = port.interface
    patient.ip(f"link del {name}", f"link add {name} type veth peer name {name} netns {patient.crowd.far.name}")
    patient.ip(f"link set {name} addrgenmode none up")
    patient.crowd.far.ip(f"link set {name} addrgenmode none up")


def filter_unpinned(patient: Patient, port: Port) -> None:
    """Taken off its netdev by who removes a file."""
    ifindex = patient.ifindex(port)
    (patient.crowd.run_dir / "bpf" / "l3ctl" / f"link-{ifindex}").unlink()
    until = time.monotonic() + 1
    while program_on(ifindex) and time.monotonic() < until:  # the kernel lets go of it some time later
        time.sleep(_POLL)


INJURIES: tuple[Injury, ...] = (
    neighbour_deleted,
    neighbour_with_another_mac,
    neighbour_no_longer_permanent,
    neighbours_flushed,
    route_deleted,
    routes_flushed,
    gateway_address_deleted,
    link_down_and_up,
    carrier_lost_and_back,
    mac_changed_and_back,
    ipv6_off_and_on,
    mtu_too_small_and_back,
    peer_restarted,
    filter_unpinned,
)


def drift(prefix: str, count: int, seed: int, ports: int = 20) -> Iterator[tuple[str, float]]:
    """That many random injuries, each with the seconds it took to heal."""
    chosen = random.Random(seed)  # noqa: S311  injuries, not secrets
    with Crowd(prefix, ports, trunks=False) as crowd:
        crowd.start_agent()
        with crowd.router.entered(), Kernel() as kernel:
            crowd.wait("everything", lambda: not crowd.plan())
            patient = Patient(crowd, kernel)
            for _ in range(count):
                injury, port = chosen.choice(INJURIES), chosen.choice(crowd.ports)
                yield injury.__name__, patient.heals(port, injury)
            crowd.wait("nothing left to do", lambda: not crowd.plan())


def flap(prefix: str, flaps: int, seed: int, ports: int = 200) -> Iterator[dict[str, int]]:
    """So many links down and up again at full speed, at random. The agent's memory before, and once everything is as before."""
    chosen = random.Random(seed)  # noqa: S311
    with Crowd(prefix, ports, trunks=False) as crowd:
        crowd.start_agent()
        with crowd.router.entered(), Kernel() as kernel:
            crowd.wait("everything", lambda: not crowd.plan())
            patient = Patient(crowd, kernel)
            yield crowd.resident()
            lines = [f"link set {chosen.choice(crowd.ports).interface} {state}" for _ in range(flaps) for state in ("down", "up")]
            for start in range(0, len(lines), 1000):
                batch = _each_up_in_the_end(lines[start : start + 1000])
                (crowd.far if start % 2000 else crowd.router).ip(*batch)
            crowd.wait("the end of it", lambda: all(patient.is_healthy(port) for port in crowd.ports) and not crowd.plan())
            yield crowd.resident()


def _each_up_in_the_end(lines: Sequence[str]) -> list[str]:
    """A down and an up of one choice each stand beside each other for different links: whoever is down at the end comes up."""
    names = {line.split()[2] for line in lines}
    return [*lines, *(f"link set {name} up" for name in sorted(names))]
