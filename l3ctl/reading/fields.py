"""The kinds of value that configuration and inventory share, each refusing what the network could not carry out.

Owns the reading of one scalar: its text in, a value of the standard library or of `model` out. What holds between values is the business
of the record they stand in.
"""

import re
from collections.abc import Callable
from enum import StrEnum
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from pathlib import Path
from socket import AF_INET, AF_INET6, inet_pton
from typing import Annotated, TypeVar

from pydantic import AfterValidator, PlainValidator, ValidationInfo

from l3ctl.lladdr import format_lladdr, understand_lladdr
from l3ctl.model import Address, Prefix
from l3ctl.reading.validation import Fault, must, refused

LINK_LOCAL = IPv6Network("fe80::/10")
_LINK_LOCAL_BITS = 0xFE80 >> 6
MOST_COMMUNITIES = 100
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,62}")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,9}")
_SPECIAL = (
    (IPv6Network("ff00::/8"), "multicast"),
    (IPv6Network("::/128"), "the unspecified address"),
    (IPv6Network("::1/128"), "loopback"),
    (IPv6Network("::ffff:0:0/96"), "IPv4-mapped"),
    (IPv4Network("224.0.0.0/4"), "multicast"),
    (IPv4Network("127.0.0.0/8"), "loopback"),
    (IPv4Network("0.0.0.0/8"), "of 'this network'"),
    (IPv4Network("255.255.255.255/32"), "broadcast"),
    (IPv4Network("240.0.0.0/4"), "reserved (class E)"),
)
# As integers: every address of a large inventory is held against these, and ipaddress takes 20 times as long.
_NOT_UNICAST = {version: [(int(each[0]), int(each[-1]), why) for each, why in _SPECIAL if each.version == version] for version in (4, 6)}
Choice = TypeVar("Choice", bound=StrEnum)


def is_name(value: object) -> bool:
    """Whether a port can be called that."""
    return isinstance(value, str) and _NAME.fullmatch(value) is not None


def _name(value: object) -> str:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise must("be 1 to 63 letters, digits, or any of . _ : -, and begin with a letter or digit")
    return value


def _interface(value: object) -> str:
    if not isinstance(value, str) or len(value) > 15 or not _is_interface(value):
        raise must("be an interface name, 1 to 15 bytes without '/', ':' or blanks")
    return value


@lru_cache(1000)  # a trunk has thousands of ports
def _is_interface(text: str) -> bool:
    """What the kernel's dev_valid_name takes, without control characters."""
    return text.isprintable() and not re.search(r"[/:\s]", text) and text not in {".", ".."} and 1 <= len(text.encode()) <= 15


def _lladdr(value: object) -> str:
    raw = understand_lladdr(value) if isinstance(value, str) else None
    if raw is None:
        raise must("be a MAC like 52:54:00:0a:00:0b")
    if raw[0] & 1:
        what = "the broadcast address" if raw == b"\xff" * 6 else "a multicast address"
        raise refused(Fault(f"MAC {value} is {what}", "write the host's own"))
    if not any(raw):
        raise refused(Fault(f"MAC {value} is all zero", "write the host's own"))
    return format_lladdr(raw)


def _address(value: object) -> Address:
    """An address of either family that one interface can hold."""
    if isinstance(value, str) and "%" in value:
        raise must("be an IP address without a zone", "name the link in 'interface'")
    try:
        # An IPv6 zone (%eth0) names an interface of this machine; where one is needed it has a key of its own.
        address = ip_address(value) if isinstance(value, str) and "%" not in value else None
    except ValueError:
        address = None
    if address is None:
        raise must("be an IP address")
    _refuse_special(address, int(address), int(address))
    return address


def _ipv6(text: str) -> IPv6Address | None:
    """As ipaddress reads it, in a fifth of the time: a large inventory has hundreds of thousands. A zone (%eth0) is refused by both."""
    try:
        return IPv6Address(inet_pton(AF_INET6, text))
    except (OSError, ValueError):
        return None


def _ipv4(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(inet_pton(AF_INET, text))
    except (OSError, ValueError):
        return None


def _ipv6_address(value: object) -> IPv6Address:
    address = _ipv6(value) if isinstance(value, str) else None
    if address is None:
        raise must("be an IPv6 address")
    _refuse_special(address, int(address), int(address))
    return address


def _ipv4_address(value: object) -> IPv4Address:
    text, slash, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    address = _ipv4(text)
    if address is None:
        raise must("be an IPv4 address")
    if slash:
        raise must("be one IPv4 address", f"write {address}" if length == "32" else "list each address")
    _refuse_special(address, int(address), int(address))
    return address


def _link_local(value: object) -> IPv6Address:
    address = _ipv6_address(value)
    if int(address) >> 118 != _LINK_LOCAL_BITS:
        raise must("be a link-local address, in fe80::/10")
    return address


def _billed_prefix(value: object) -> IPv6Network:
    text, slash, length = value.partition("/") if isinstance(value, str) else ("", "", "")
    address = _ipv6(text)
    if address is None or (slash and not (_NUMBER.fullmatch(length) and int(length) <= 128)):
        raise must("be an IPv6 prefix like 2001:db8:11::/64")
    if not slash:
        raise refused(Fault(f"prefix {text} has no length", f"write {address}/128 for the one address, or the length billed"))
    first, bits = int(address), int(length)
    within = (1 << 128 - bits) - 1
    prefix = IPv6Network((first & ~within, bits))
    if first & within:
        raise refused(Fault(f"prefix {value} has host bits set", f"write {prefix}"))
    if bits < 48:
        raise refused(Fault(f"prefix {prefix} is shorter than /48", "bill each host /48 to /128"))
    _refuse_special(prefix, first, first | within)
    if first >> 118 == _LINK_LOCAL_BITS:
        raise refused(Fault(f"prefix {prefix} is link-local", "a link-local address belongs in link_local"))
    return prefix


def _ipv4_prefix(value: object) -> IPv4Network:
    try:
        prefix = IPv4Network(value, strict=False) if isinstance(value, str) and "/" in value else None
    except ValueError:
        prefix = None
    if prefix is None:
        raise must("be an IPv4 prefix like 203.0.113.0/24")
    if str(prefix) != value:
        raise refused(Fault(f"prefix {value} has host bits set or an odd length", f"write {prefix}"))
    return prefix


def _prefix(value: object) -> Prefix:
    """Of either family, of any length but 0."""
    try:
        prefix = ip_network(value, strict=False) if isinstance(value, str) and "/" in value and "%" not in value else None
    except ValueError:
        prefix = None
    if prefix is None or not prefix.prefixlen:
        raise must("be a prefix like 2001:db8::/32 or 203.0.113.0/24")
    if prefix.network_address != ip_address(str(value).partition("/")[0]):
        raise refused(Fault(f"prefix {value} has host bits set", f"write {prefix}"))
    if prefix.version == 6 and prefix.overlaps(LINK_LOCAL):
        raise refused(Fault(f"prefix {prefix} is link-local", "only what is routed can be covered"))
    _refuse_special(prefix, int(prefix[0]), int(prefix[-1]))
    return prefix


def _refuse_special(billed: Address | Prefix, first: int, last: int) -> None:
    """Refuse what no single host can be reached by."""
    for low, high, why in _NOT_UNICAST[billed.version]:
        if first <= high and last >= low:
            kind = "prefix" if isinstance(billed, IPv6Network | IPv4Network) else "address"
            raise refused(Fault(f"{kind} {billed} is {why}", "only unicast can be routed to a host"))


def _text(value: object) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise must("be text")
    return value


def _user_name(value: object) -> str:
    """What useradd(8) takes."""
    if not isinstance(value, str) or not re.fullmatch(r"[a-z_][a-z0-9_-]{0,31}", value):
        raise must("be the name of a user, as in /etc/passwd")
    return value


def _file(value: object, info: ValidationInfo) -> Path:
    """Relative to the folder given as context, and no more absolute than people wrote both: it appears in every message."""
    if not isinstance(value, str) or not value.isprintable() or not value.strip("/"):
        raise must("be the path of a file")
    return Path(info.context or "", value)


def _community(parts: int, largest: int, example: str) -> Callable[[object], tuple[int, ...]]:
    def read(value: object) -> tuple[int, ...]:
        numbers = value.split(":") if isinstance(value, str) else []
        if len(numbers) != parts or not all(_NUMBER.fullmatch(one) and int(one) <= largest for one in numbers):
            raise must(f"be {parts} numbers like {example}, each at most {largest}")
        return tuple(map(int, numbers))

    return read


def _few_communities(value: tuple[tuple[int, ...], ...]) -> tuple[tuple[int, ...], ...]:
    """They travel in one UPDATE with everything else, and a command for ExaBGP is one line."""
    if len(value) > MOST_COMMUNITIES:
        raise refused(Fault(f"{len(value)} communities do not fit into one UPDATE", f"list {MOST_COMMUNITIES} at most"))
    twice = next((one for place, one in enumerate(value) if one in value[:place]), None)
    if twice is not None:
        raise refused(Fault(f"community {':'.join(map(str, twice))} is listed twice", "keep one"))
    return value


def whole_number(low: int, high: int) -> PlainValidator:
    """A decimal number within bounds. A leading zero is refused: half of all readers take it for octal."""

    def read(value: object) -> int:
        if not isinstance(value, str) or not _NUMBER.fullmatch(value) or not low <= int(value) <= high:
            raise must(f"be a whole number from {low} to {high}")
        return int(value)

    return PlainValidator(read)


def one_of(choices: type[Choice]) -> PlainValidator:
    """One of an enumeration's words."""
    return PlainValidator(_one_of(choices))


def _one_of(choices: type[Choice]) -> Callable[[object], Choice]:
    def read(value: object) -> Choice:
        for choice in choices:
            if value == choice.value:
                return choice
        raise must(f"be one of {', '.join(choices)}")

    return read


def word_or_ipv6(choices: type[Choice]) -> PlainValidator:
    """One of an enumeration's words, or an IPv6 address that one host can have."""

    def read(value: object) -> Choice | IPv6Address:
        word = next((choice for choice in choices if value == choice.value), None)
        if word is None and isinstance(value, str) and ":" not in value:
            raise must(f"be one of {', '.join(choices)}, or an IPv6 address")
        return word or _ipv6_address(value)

    return PlainValidator(read)


Name = Annotated[str, PlainValidator(_name)]
InterfaceName = Annotated[str, PlainValidator(_interface)]
UserName = Annotated[str, PlainValidator(_user_name)]
Text = Annotated[str, PlainValidator(_text)]
FilePath = Annotated[Path, PlainValidator(_file)]
Lladdr = Annotated[str, PlainValidator(_lladdr)]
UnicastAddress = Annotated[Address, PlainValidator(_address)]
Ipv6Unicast = Annotated[IPv6Address, PlainValidator(_ipv6_address)]
Ipv4Unicast = Annotated[IPv4Address, PlainValidator(_ipv4_address)]
Ipv4Prefix = Annotated[IPv4Network, PlainValidator(_ipv4_prefix)]
LinkLocal = Annotated[IPv6Address, PlainValidator(_link_local)]
AnyPrefix = Annotated[Prefix, PlainValidator(_prefix)]
BilledPrefix = Annotated[IPv6Network, PlainValidator(_billed_prefix)]
VlanId = Annotated[int, whole_number(1, 4094)]
_Community = Annotated[tuple[int, ...], PlainValidator(_community(2, 65535, "65010:100"))]
_LargeCommunity = Annotated[tuple[int, ...], PlainValidator(_community(3, 4294967295, "65010:1:100"))]
Communities = Annotated[tuple[_Community, ...], AfterValidator(_few_communities)]
LargeCommunities = Annotated[tuple[_LargeCommunity, ...], AfterValidator(_few_communities)]
AsNumber = Annotated[int, whole_number(1, 4294967295)]
