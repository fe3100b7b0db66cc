"""What a customer can send when it means harm: frames of its own making, from inside its own namespace, through its own port."""

import random
import socket
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv6Address

from l3ctl.lab import frames
from l3ctl.lab.customers import CUSTOMERS, GATEWAY4, GATEWAY6, Customer
from l3ctl.lab.topology import Lab
from l3ctl.lladdr import parse_lladdr

_TRACTABLE = 40_000
"""frames at most in one attack, so that a flood stops by itself"""


@dataclass(frozen=True, slots=True)
class Attack:
    """`frames` makes what is sent: for an attacker on its port, against a victim on another."""

    name: str
    aim: str
    frames: Callable[[Customer, Customer, int], Iterable[bytes]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of an attack: frames sent, frames the filter counted by reason, and what the router's neighbour table grew by."""

    name: str
    aim: str
    sent: int
    seconds: float
    counted: dict[str, int]
    neighbours_before: int
    neighbours_after: int


def _nd(lladdr: bytes, packet: bytes) -> bytes:
    return frames.ethernet(packet, 0x86DD, lladdr, b"\x33\x33\0\0\0\1")


def _arp(lladdr: bytes, packet: bytes) -> bytes:
    return frames.ethernet(packet, 0x0806, lladdr)


def _random_lladdr(dice: random.Random) -> bytes:
    return bytes([0x52, 0x54, 0x00]) + dice.randbytes(3)


def _random_link_local(dice: random.Random) -> str:
    return str(IPv6Address(b"\xfe\x80" + bytes(6) + dice.randbytes(8)))


def _unsolicited_na(attacker: Customer, victim: Customer, count: int) -> Iterator[bytes]:
    lladdr = parse_lladdr(attacker.lladdr)
    for target in (GATEWAY6, victim.link_local, victim.address6) * count:
        body = b"\x20\0\0\0" + frames.ip6(target) + frames.option(2, lladdr)
        yield _nd(lladdr, frames.nd(136, body, attacker.link_local, "ff02::1"))


def _gratuitous_arp(attacker: Customer, victim: Customer, count: int) -> Iterator[bytes]:
    lladdr, stolen, own = parse_lladdr(attacker.lladdr), str(victim.ipv4), str(attacker.ipv4)
    for _ in range(count):
        yield _arp(lladdr, frames.arp(1, lladdr, stolen, stolen))
        yield _arp(lladdr, frames.arp(2, lladdr, stolen, GATEWAY4))
        yield _arp(lladdr, frames.arp(1, lladdr, own, own))


def _rogue_ra(attacker: Customer, _victim: Customer, count: int) -> Iterator[bytes]:
    lladdr = parse_lladdr(attacker.lladdr)
    for _ in range(count):
        body = b"\x40\0\x07\x08" + bytes(8) + frames.option(1, lladdr)
        yield _nd(lladdr, frames.nd(134, body, attacker.link_local, "ff02::1"))


def _redirects(attacker: Customer, victim: Customer, count: int) -> Iterator[bytes]:
    lladdr = parse_lladdr(attacker.lladdr)
    body = bytes(4) + frames.ip6(attacker.link_local) + frames.ip6(victim.address6)
    for _ in range(count):
        yield _nd(lladdr, frames.nd(137, body, GATEWAY6, "ff02::1"))


def _ns_flood(_attacker: Customer, _victim: Customer, count: int) -> Iterator[bytes]:
    """Each from a host that does not exist: a kernel that answers makes an entry for every one."""
    dice = random.Random(201)  # noqa: S311  the same flood every time
    for _ in range(count):
        lladdr, source = _random_lladdr(dice), _random_link_local(dice)
        yield _nd(lladdr, frames.ns(GATEWAY6, frames.option(1, lladdr), source))


def _own_mac_ns_flood(attacker: Customer, _victim: Customer, count: int) -> Iterator[bytes]:
    dice = random.Random(202)  # noqa: S311
    lladdr = parse_lladdr(attacker.lladdr)
    for _ in range(count):
        yield _nd(lladdr, frames.ns(GATEWAY6, frames.option(1, lladdr), _random_link_local(dice)))


def _arp_flood(attacker: Customer, _victim: Customer, count: int) -> Iterator[bytes]:
    dice = random.Random(203)  # noqa: S311
    lladdr = parse_lladdr(attacker.lladdr)
    for _ in range(count):
        yield _arp(lladdr, frames.arp(1, lladdr, f"203.0.113.{dice.randrange(64, 255)}", GATEWAY4))


def _rs_flood(_attacker: Customer, _victim: Customer, count: int) -> Iterator[bytes]:
    dice = random.Random(204)  # noqa: S311
    for _ in range(count):
        lladdr = _random_lladdr(dice)
        yield _nd(lladdr, frames.rs(frames.option(1, lladdr), _random_link_local(dice)))


ATTACKS = (
    Attack("unsolicited NA", "claim the gateway's and a neighbour's addresses", _unsolicited_na),
    Attack("gratuitous ARP", "claim a neighbour's IPv4 address", _gratuitous_arp),
    Attack("rogue RA", "become everybody's router", _rogue_ra),
    Attack("redirect", "draw a neighbour's traffic", _redirects),
    Attack("NS flood, random MACs", "fill the neighbour table", _ns_flood),
    Attack("NS flood, own MAC", "fill the neighbour table", _own_mac_ns_flood),
    Attack("ARP flood", "fill the neighbour table", _arp_flood),
    Attack("RS flood", "fill the neighbour table", _rs_flood),
)


def send(lab: Lab, attacker: Customer, made: Iterable[bytes]) -> tuple[int, float]:
    """Send frames as they are from the attacker's eth0; how many, in how many seconds."""
    began, sent = time.monotonic(), 0
    with lab.hosts[attacker.name].entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    with raw:
        raw.bind(("eth0", 0))
        for frame in made:
            raw.send(frame)
            sent += 1
    return sent, time.monotonic() - began


def counters(lab: Lab, customer: Customer) -> dict[str, int]:
    """What the filter has counted on a customer's port, as the agent says."""
    ports = {port["name"]: port["counters"] for port in lab.status()["ports"]}
    return dict(ports[customer.name])


def attack(lab: Lab, flood: int) -> Iterator[Outcome]:
    """Every attack in turn from rogue against web1; floods are of `flood` frames, the others of a hundredth."""
    attacker, victim = CUSTOMERS[2], CUSTOMERS[0]
    flood = min(flood, _TRACTABLE)
    for one in ATTACKS:
        count = flood if "flood" in one.name else max(flood // 100, 1)
        table, before = len(lab.neighbours(lab.router)), counters(lab, attacker)
        sent, seconds = send(lab, attacker, list(one.frames(attacker, victim, count)))
        after = counters(lab, attacker)
        counted = {reason: after[reason] - before.get(reason, 0) for reason in after if after[reason] != before.get(reason, 0)}
        yield Outcome(one.name, one.aim, sent, seconds, counted, table, len(lab.neighbours(lab.router)))
