"""Which events get into the socket: classic BPF, run by the kernel before an event takes up any buffer.

A load takes its bytes in network order, and netlink writes in the machine's: constants are swapped instead.
"""

import ctypes
import socket
import struct

from l3ctl.kernel.wire import HEADER, NLM_F_REPLACE, PROTOCOL, RTM_DELNEIGH, RTM_DELROUTE, RTM_NEWNEIGH, RTM_NEWROUTE

_LD_HALF, _LD_BYTE, _LD_WORD, _LD_BYTE_X = 0x28, 0x30, 0x20, 0x50
_LD_CONSTANT, _LDX_CONSTANT, _TAX = 0x00, 0x01, 0x07
_JUMP_EQUAL, _JUMP_SET, _RETURN = 0x15, 0x45, 0x06
_FIND_ATTRIBUTE = 0xFFFFF000 + 12
"""SKF_AD_OFF + SKF_AD_NLATTR: the offset of attribute X at or after offset A, or 0"""
_AT_TYPE, _AT_FLAGS, _AT_PORT_ID = 4, 6, 12
_NDMSG_SIZE, _NDA_PROTOCOL, _NUD_PERMANENT = 12, 12, 0x80
_SO_ATTACH_FILTER = 26
_INSTRUCTION = struct.Struct("=HBBI")

Instruction = tuple[int, str, str, int]
"""code, where to when true, where to when false (a label, or "" for the next one), constant"""


def _program(own_port_id: int) -> bytes:
    """Keep links and addresses; of neighbours and routes those marked ours, and what may have taken their place; none that we caused.

    A neighbour's place is taken by a permanent one, which no packet can make. A replaced route is told of by its successor alone,
    under the successor's protocol.
    """
    lines: list[tuple[str, Instruction]] = [
        ("", (_LD_HALF, "", "", _AT_TYPE)),
        ("", (_JUMP_EQUAL, "neighbour", "", socket.htons(RTM_NEWNEIGH))),
        ("", (_JUMP_EQUAL, "neighbour", "", socket.htons(RTM_DELNEIGH))),
        ("", (_JUMP_EQUAL, "route", "", socket.htons(RTM_NEWROUTE))),
        ("", (_JUMP_EQUAL, "route", "keep", socket.htons(RTM_DELROUTE))),
        ("neighbour", (_LD_HALF, "", "", HEADER.size + 8)),
        ("", (_JUMP_SET, "cause", "", socket.htons(_NUD_PERMANENT))),
        ("", (_LD_CONSTANT, "", "", HEADER.size + _NDMSG_SIZE)),
        ("", (_LDX_CONSTANT, "", "", _NDA_PROTOCOL)),
        ("", (_LD_WORD, "", "", _FIND_ATTRIBUTE)),
        ("", (_JUMP_EQUAL, "drop", "", 0)),
        ("", (_TAX, "", "", 0)),
        ("", (_LD_BYTE_X, "", "", 4)),
        ("", (_JUMP_EQUAL, "cause", "drop", PROTOCOL)),
        ("route", (_LD_BYTE, "", "", HEADER.size + 5)),
        ("", (_JUMP_EQUAL, "cause", "", PROTOCOL)),
        ("", (_LD_HALF, "", "", _AT_FLAGS)),
        ("", (_JUMP_SET, "keep", "drop", socket.htons(NLM_F_REPLACE))),
        ("cause", (_LD_WORD, "", "", _AT_PORT_ID)),
        ("", (_JUMP_EQUAL, "drop", "keep", socket.htonl(own_port_id))),
        ("keep", (_RETURN, "", "", 0xFFFFFFFF)),
        ("drop", (_RETURN, "", "", 0)),
    ]
    places = {label: number for number, (label, _) in enumerate(lines) if label}
    raw = b""
    for number, (_, (code, true, false, constant)) in enumerate(lines):
        jumps = (places[label] - number - 1 if label else 0 for label in (true, false))
        raw += _INSTRUCTION.pack(code, *jumps, constant)
    return raw


def attach(listening: socket.socket, own_port_id: int) -> None:
    """Filter what this socket hears; requests of the socket with this port id cause no events for it."""
    program = _program(own_port_id)
    held = ctypes.create_string_buffer(program, len(program))
    header = struct.pack("@HP", len(program) // _INSTRUCTION.size, ctypes.addressof(held))
    listening.setsockopt(socket.SOL_SOCKET, _SO_ATTACH_FILTER, header)
