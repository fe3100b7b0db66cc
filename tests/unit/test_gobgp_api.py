"""The messages to GoBGP's API, read as protocol buffers have it; that GoBGP understands them is seen in tests/bgp/test_bench.py."""

from collections.abc import Iterator
from ipaddress import IPv4Network, IPv6Network, ip_network

from l3ctl.lab.gobgp_api import AT_ONCE, messages
from l3ctl.model import Verb

SIX, FOUR = IPv6Network("2001:db8:1::/64"), IPv4Network("203.0.113.7/32")
NEXT_HOP = "2001:db8:ffff::2"


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and value of each."""
    at = 0

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            value |= (byte & 0x7F) << shift
            at, shift = at + 1, shift + 7
            if byte < 0x80:
                return value

    while at < len(message):
        key = varint()
        value = varint()
        if key & 7 == 0:
            yield key >> 3, value
            continue
        assert key & 7 == 2
        at += value
        assert at <= len(message)
        yield key >> 3, message[at - value : at]


def paths(message: bytes) -> list[list[tuple[int, int | bytes]]]:
    told = list(fields(message))
    assert {number for number, _ in told} == {3}
    return [list(fields(value)) for _, value in told if isinstance(value, bytes)]


def named(message: int | bytes) -> tuple[bytes, dict[int, int | bytes]]:
    assert isinstance(message, bytes)
    told = dict(fields(message))
    assert isinstance(told[1], bytes)
    assert isinstance(told[2], bytes)
    return told[1].removeprefix(b"type.googleapis.com/apipb."), dict(fields(told[2]))


def test_a_path_says_its_prefix_its_attributes_and_its_family() -> None:
    for verb, withdrawn in ((Verb.ANNOUNCE, 0), (Verb.WITHDRAW, 1)):
        (message,) = messages(verb, [SIX, FOUR], NEXT_HOP)
        for path, family, prefix in zip(paths(message), (2, 1), (SIX, FOUR), strict=True):
            (nlri, origin, next_hop), rest = path[:3], path[3:]
            assert (nlri[0], named(nlri[1])) == (1, (b"IPAddressPrefix", {1: prefix.prefixlen, 2: str(prefix.network_address).encode()}))
            assert (origin[0], named(origin[1])) == (2, (b"OriginAttribute", {}))
            assert (next_hop[0], named(next_hop[1])) == (2, (b"NextHopAttribute", {1: NEXT_HOP.encode()}))
            assert rest == [(5, withdrawn), (9, bytes([1 << 3, family, 2 << 3, 1]))]


def test_a_message_has_no_more_paths_than_go_in_one() -> None:
    many = [ip_network((number << 8, 32)) for number in range(2 * AT_ONCE + 1)]
    assert [len(paths(message)) for message in messages(Verb.ANNOUNCE, many, NEXT_HOP)] == [AT_ONCE, AT_ONCE, 1]
    assert messages(Verb.ANNOUNCE, [], NEXT_HOP) == []
