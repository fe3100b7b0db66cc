"""Which netdevs have an XDP program, whosever it is, and how it is attached: IFLA_XDP of a dump of links."""

import struct
from typing import NamedTuple

from l3ctl.kernel.links import HEADER_SIZE
from l3ctl.kernel.wire import attributes

_IFLA_IFNAME, _IFLA_XDP = 3, 43
_IFLA_XDP_ATTACHED, _IFLA_XDP_PROG_ID = 2, 4
_MODES = {1: "native", 2: "generic", 3: "offloaded", 4: "several"}
"""XDP_ATTACHED_ of linux/if_link.h"""
_U32 = struct.Struct("=I")


class XdpState(NamedTuple):
    """What is attached. `program` is its id, 0 where there are several."""

    mode: str
    program: int


def xdp_state(payload: bytes) -> tuple[str, XdpState] | None:
    """The netdev's name, of an RTM_NEWLINK, and what is attached to it; None for nothing."""
    found = attributes(payload, HEADER_SIZE)
    told = attributes(found.get(_IFLA_XDP, b""), 0)
    mode = _MODES.get(told.get(_IFLA_XDP_ATTACHED, b"\0")[0])
    if mode is None:
        return None
    (program,) = _U32.unpack(told.get(_IFLA_XDP_PROG_ID, bytes(4)))
    return found[_IFLA_IFNAME].rstrip(b"\0").decode(errors="replace"), XdpState(mode, program)
