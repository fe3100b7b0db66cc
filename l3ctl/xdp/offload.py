"""VLAN tags that a NIC takes off before XDP sees the frame: the filter would judge it as untagged."""

import array
import errno
import fcntl
import socket
import struct

_SIOCETHTOOL = 0x8946
_ETHTOOL_GFLAGS = 0x25
_ETH_FLAG_RXVLAN = 1 << 8


def vlan_tags_hidden(interface: str) -> bool:
    """Whether receive VLAN offload is on. A driver that cannot say has no such offload."""
    value = array.array("I", [_ETHTOOL_GFLAGS, 0])
    address, _ = value.buffer_info()
    request = struct.pack("16sP", interface.encode(), address)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioctl_socket:
        try:
            fcntl.ioctl(ioctl_socket, _SIOCETHTOOL, request)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return False
            raise
    return bool(value[1] & _ETH_FLAG_RXVLAN)
