"""Where XDP sees VLAN tags, and where it does not: without its tag a frame would be judged as another port's.

A NIC may take tags off before XDP runs; on a trunk that is switched off. Above a bond or a bridge (`UPPER_KINDS`) the kernel has taken them
off by the time a generic program runs: `__netif_receive_skb_core` moves the tag into the skb before the receive handler, and runs generic
XDP once more after it. There the filter must be native, or sit on each VLAN's own netdev.
"""

import array
import errno
import fcntl
import functools
import socket
import struct

_SIOCETHTOOL = 0x8946
_GSTRINGS, _GSSET_INFO, _GFEATURES, _SFEATURES = 0x1B, 0x37, 0x3A, 0x3B
"""commands of linux/ethtool.h"""
_FEATURES = 4
"""ETH_SS_FEATURES"""
_NAME = 32
_TAKES_TAGS_OFF = ("rx-vlan-hw-parse", "rx-vlan-stag-hw-parse")
"""of 0x8100 and of 0x88a8"""


def show_vlan_tags(interface: str) -> bool:
    """Switch receive VLAN offload off, and look: whether XDP sees the tags. A driver that cannot say has no such offload."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioctl_socket:
        try:
            names = _names(interface)
            wrong = [number for number, name in enumerate(names) if name in _TAKES_TAGS_OFF]
            if on := _active(ioctl_socket, interface, len(names), wrong):
                _switch_off(ioctl_socket, interface, len(names), on)
            # A driver may refuse, or do something else: what counts is what it says then.
            return not on or not _active(ioctl_socket, interface, len(names), wrong)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return True
            raise


def shows_vlan_tags(interface: str) -> bool:
    """The same, without switching anything."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioctl_socket:
        try:
            names = _names(interface)
            wrong = [number for number, name in enumerate(names) if name in _TAKES_TAGS_OFF]
            return not _active(ioctl_socket, interface, len(names), wrong)
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return True
            raise


@functools.cache
def _names(interface: str) -> tuple[str, ...]:
    """The kernel's names of features, by bit: alike for every netdev, and asked of one since the question needs one."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ioctl_socket:
        (count,) = struct.unpack_from("=I", _ask(ioctl_socket, interface, struct.pack("=IIQI", _GSSET_INFO, 0, 1 << _FEATURES, 0)), 16)
        told = _ask(ioctl_socket, interface, struct.pack("=III", _GSTRINGS, _FEATURES, count) + bytes(count * _NAME))[12:]
    return tuple(told[at : at + _NAME].split(b"\0")[0].decode() for at in range(0, len(told), _NAME))


def _blocks(count: int) -> int:
    return -(-count // 32)


def _active(ioctl_socket: socket.socket, interface: str, count: int, asked: list[int]) -> list[int]:
    """Those of the asked bits that are on. A block: available, requested, active, never_changed."""
    told = _ask(ioctl_socket, interface, struct.pack("=II", _GFEATURES, _blocks(count)) + bytes(16 * _blocks(count)))
    return [bit for bit in asked if struct.unpack_from("=I", told, 8 + bit // 32 * 16 + 8)[0] >> bit % 32 & 1]


def _switch_off(ioctl_socket: socket.socket, interface: str, count: int, bits: list[int]) -> None:
    """A block: valid, requested."""
    valid = [0] * _blocks(count)
    for bit in bits:
        valid[bit // 32] |= 1 << bit % 32
    _ask(ioctl_socket, interface, struct.pack("=II", _SFEATURES, len(valid)) + b"".join(struct.pack("=II", block, 0) for block in valid))


def _ask(ioctl_socket: socket.socket, interface: str, question: bytes) -> bytes:
    value = array.array("B", question)
    address, _ = value.buffer_info()
    fcntl.ioctl(ioctl_socket, _SIOCETHTOOL, struct.pack("16sP", interface.encode(), address))
    return value.tobytes()
