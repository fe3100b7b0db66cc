"""VLAN tags that a NIC takes off before XDP sees the frame: the filter would judge it as untagged. On a trunk that is switched off."""

import array
import errno
import fcntl
import socket
import struct
from contextlib import suppress

_SIOCETHTOOL = 0x8946
_ETHTOOL_GFLAGS, _ETHTOOL_SFLAGS = 0x25, 0x26
_ETH_FLAG_RXVLAN = 1 << 8


def show_vlan_tags(interface: str) -> bool:
    """Switch receive VLAN offload off, and look: whether XDP sees the tags. A driver that cannot say has no such offload."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioctl_socket:
        flags = _flags(ioctl_socket, interface)
        if flags is None or not flags & _ETH_FLAG_RXVLAN:
            return True
        with suppress(OSError):  # a driver may refuse, or do something else: what counts is what it says then
            _ask(ioctl_socket, interface, _ETHTOOL_SFLAGS, flags & ~_ETH_FLAG_RXVLAN)
        flags = _flags(ioctl_socket, interface)
        return flags is None or not flags & _ETH_FLAG_RXVLAN


def _flags(ioctl_socket: socket.socket, interface: str) -> int | None:
    try:
        return _ask(ioctl_socket, interface, _ETHTOOL_GFLAGS, 0)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise


def _ask(ioctl_socket: socket.socket, interface: str, command: int, flags: int) -> int:
    value = array.array("I", [command, flags])
    address, _ = value.buffer_info()
    fcntl.ioctl(ioctl_socket, _SIOCETHTOOL, struct.pack("16sP", interface.encode(), address))
    return value[1]
