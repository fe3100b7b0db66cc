"""Which netdevs believe their customers, still or again, because somebody has set their sysctls back. The kernel sends no event of it.

It tells the sysctls of a netdev with its link (IFLA_AF_SPEC), which costs a thousandth of reading as many files.
"""

import struct
from collections.abc import Iterator
from socket import AF_INET, AF_INET6

from l3ctl.kernel.links import HEADER_SIZE, ifindex_of
from l3ctl.kernel.sysctl import SETTINGS, Trust
from l3ctl.kernel.wire import attributes

_IFLA_IFNAME, _IFLA_AF_SPEC = 3, 26
_LISTS = (("ipv6", AF_INET6, 2, 0), ("ipv4", AF_INET, 1, 1))
"""family, its number, the attribute its list is in (IFLA_INET6_CONF, IFLA_INET_CONF), and the number of the list's first"""
_VALUE = struct.Struct("=i")
_WANTED = {
    family: tuple((_VALUE.size * (number - first), _VALUE.pack(int(value)), name) for of, name, value, number in SETTINGS if of == family)
    for family, _, _, first in _LISTS
}


def trust_of(payload: bytes) -> Trust:
    """A netdev's, of an RTM_NEWLINK."""
    found = attributes(payload, HEADER_SIZE)
    name = found[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")
    return Trust(name, ifindex_of(payload), {f"net/{family}/conf/{name}/{setting}": was for family, setting, was in _differing(found)})


def trusting(payload: bytes) -> str:
    """The netdev's name, of an RTM_NEWLINK, where a sysctl of it is not as a port's should be; else nothing."""
    found = attributes(payload, HEADER_SIZE)
    return found[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace") if any(_differing(found)) else ""


def _differing(found: dict[int, bytes]) -> Iterator[tuple[str, str, str]]:
    """Family, setting and value of what is not as it should be.

    What this kernel does not have is not in its list, which is shorter then, and cannot differ.
    """
    families = attributes(found.get(_IFLA_AF_SPEC, b""), 0)
    for family, number, attribute, _ in _LISTS:
        told = attributes(families.get(number, b""), 0).get(attribute, b"")
        for at, wanted, setting in _WANTED[family]:
            if at < len(told) and (value := told[at : at + _VALUE.size]) != wanted:
                yield family, setting, str(_VALUE.unpack(value)[0])
