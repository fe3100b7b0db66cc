"""What a host is asked, byte by byte."""

from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address

import pytest

from l3ctl.lab.frames import ROUTER_MAC, arp, ethernet, icmpv6, ip6, ipv6, option
from l3ctl.lladdr import format_lladdr, parse_lladdr
from l3ctl.model import Host, Settings
from l3ctl.probing import question
from tests.unit.test_desired import SETTINGS, WEB, host

ROUTER = format_lladdr(ROUTER_MAC)
ONLY_IPV4 = host(12, "192.0.2.12/32")
NO_IPV6 = replace(SETTINGS, gateway_ipv6=())
NO_IPV4 = replace(SETTINGS, gateway_ipv4=())


def solicits(one: Host, gateway: str = "fe80::1") -> bytes:
    target = str(one.link_local)
    message = icmpv6(135, bytes(4) + ip6(target) + option(1, ROUTER_MAC), gateway, target)
    return ethernet(ipv6(message, 58, gateway, target), 0x86DD, ROUTER_MAC, parse_lladdr(one.lladdr))


def requests(one: Host) -> bytes:
    packet = arp(1, ROUTER_MAC, "192.0.2.1", str(one.ipv4[0]))
    return ethernet(packet, 0x0806, ROUTER_MAC, parse_lladdr(one.lladdr))


@pytest.mark.parametrize(
    ("one", "settings", "frame"),
    [
        (WEB, SETTINGS, solicits(WEB)),
        (WEB, NO_IPV6, requests(WEB)),
        (ONLY_IPV4, SETTINGS, requests(ONLY_IPV4)),
        (ONLY_IPV4, NO_IPV4, solicits(ONLY_IPV4)),
        (host(13), SETTINGS, solicits(host(13))),
        (host(13), NO_IPV6, None),
        (WEB, replace(SETTINGS, gateway_ipv6=(IPv6Address("2001:db8::1"), IPv6Address("fe80::1"))), solicits(WEB)),
        (WEB, replace(SETTINGS, gateway_ipv6=(IPv6Address("2001:db8::1"),)), solicits(WEB, "2001:db8::1")),
        (ONLY_IPV4, replace(SETTINGS, gateway_ipv4=(IPv4Address("192.0.2.1"), IPv4Address("192.0.2.2"))), requests(ONLY_IPV4)),
    ],
)
def test_a_host_is_asked_for_its_link_local_or_its_only_ipv4_address(one: Host, settings: Settings, frame: bytes | None) -> None:
    assert question(one, ROUTER, settings) == frame


@pytest.mark.parametrize("number", range(1, 400, 7))
def test_every_checksum_holds(number: int) -> None:
    """Also those that begin with zeroes."""
    one = replace(WEB, link_local=IPv6Address(f"fe80::{number:x}:{number * 137 & 0xFFFF:x}"))
    assert question(one, ROUTER, SETTINGS) == solicits(one)
