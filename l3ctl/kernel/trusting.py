"""Which netdevs believe their customers again, because somebody has set their sysctls back. The kernel sends no event of it.

It tells the sysctls of every netdev in a dump of links (IFLA_AF_SPEC), which costs a thousandth of reading as many files.
"""

import struct
from socket import AF_INET, AF_INET6

from l3ctl.kernel.links import HEADER_SIZE
from l3ctl.kernel.sysctl import SETTINGS
from l3ctl.kernel.wire import attributes

_IFLA_IFNAME, _IFLA_AF_SPEC = 3, 26
_LISTS = (("ipv6", AF_INET6, 2, 0), ("ipv4", AF_INET, 1, 1))
"""family, its number, the attribute its list is in (IFLA_INET6_CONF, IFLA_INET_CONF), and the number of the list's first"""
_VALUE = struct.Struct("=i")
_WANTED = {
    family: tuple((_VALUE.size * (number - first), _VALUE.pack(int(value))) for of, _, value, number in SETTINGS if of == family)
    for family, _, _, first in _LISTS
}


def trusting(payload: bytes) -> str:
    """The netdev's name, of an RTM_NEWLINK, where a sysctl of it is not as a port's should be; else nothing.

    What this kernel does not have is not in its list, which is shorter then, and cannot differ.
    """
    found = attributes(payload, HEADER_SIZE)
    families = attributes(found.get(_IFLA_AF_SPEC, b""), 0)
    for family, number, attribute, _ in _LISTS:
        told = attributes(families.get(number, b""), 0).get(attribute, b"")
        if any(told[at : at + _VALUE.size] != value for at, value in _WANTED[family] if at < len(told)):
            return found[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace")
    return ""
