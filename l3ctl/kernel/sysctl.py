"""Settings of a port's interface that decide whether the kernel still believes what a customer says.

Writes below /proc/sys/net, which shows the network namespace of the thread that opens it. Changes values only where they differ.
"""

import socket
from pathlib import Path

from l3ctl.errors import MissingRequirement, NetlinkFailed

_ROOT = Path("/proc/sys/net")
_SETTINGS = (
    ("ipv6", "addr_gen_mode", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "accept_redirects", "0"),
    ("ipv6", "autoconf", "0"),
    ("ipv6", "accept_dad", "0"),
    ("ipv6", "dad_transmits", "0"),
    ("ipv6", "drop_unsolicited_na", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv4", "drop_gratuitous_arp", "1"),
)
"""A port gets no link-local from its MAC, which would bring a route to all of fe80::/64. A router takes no advertisement, redirect or
unasked-for answer from a customer, sends it no redirect to a neighbour it may not reach, and asks no customer whether its own address is
free: the answer would be the customer's to forge."""


def guard_interface(name: str) -> dict[str, str]:
    """Set an interface up as a port's; what differed before, by sysctl.

    Idempotent. A setting this kernel does not have is left out.

    Raises:
        NetlinkFailed: there is no such interface.
        MissingRequirement: a sysctl cannot be written.
    """
    differed: dict[str, str] = {}
    try:
        # "all" and "default" stand beside the interfaces and are none
        socket.if_nametoindex(name)
    except OSError as error:
        raise NetlinkFailed(f"there is no interface {name}") from error
    for family, setting, wanted in _SETTINGS:
        sysctl = f"net/{family}/conf/{name}/{setting}"
        path = _ROOT / family / "conf" / name / setting
        try:
            was = path.read_text().strip()
            if was != wanted:
                path.write_text(wanted)
                differed[sysctl] = was
        except FileNotFoundError:
            continue
        except OSError as error:
            raise MissingRequirement(f"{sysctl} cannot be set to {wanted}: {error.strerror}", "make /proc/sys writable") from error
    return differed
