"""Frames of a capture file: pcap in both byte orders and both resolutions, and pcapng. Ethernet only.

Read by hand, since a cut-off or foreign file must be refused by packet number and offset, which the libraries pass over in silence.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from l3ctl.errors import BadInput, Problem

_ETHERNET = 1
_MAX_FRAME = 262144
_PCAP_MAGIC = {
    b"\xd4\xc3\xb2\xa1": ("<", 1000),
    b"\xa1\xb2\xc3\xd4": (">", 1000),
    b"\x4d\x3c\xb2\xa1": ("<", 1),
    b"\xa1\xb2\x3c\x4d": (">", 1),
}
"""first four bytes -> byte order, nanoseconds a unit of the fraction"""
_SECTION, _INTERFACE, _OLD_PACKET, _SIMPLE, _ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6


@dataclass(frozen=True, slots=True)
class _Interface:
    """What an interface block says: timestamp units a second, and the bytes a packet is cut to (0: not cut)."""

    resolution: int
    longest: int


@dataclass(frozen=True, slots=True)
class Captured:
    """One frame. `time` is in nanoseconds, None where the format has none; `whole` is False where the capture cut it short."""

    frame: bytes
    time: int | None
    whole: bool


def read_capture(path: Path) -> Iterator[Captured]:
    """The frames of a capture, in order. Raises `BadInput` at the first thing that cannot be read."""
    try:
        with path.open("rb") as file:
            magic = file.read(4)
            if magic in _PCAP_MAGIC:
                yield from _read_pcap(path, file, *_PCAP_MAGIC[magic])
            elif magic == _SECTION.to_bytes(4, "big"):
                file.seek(0)
                yield from _read_pcapng(path, file)
            else:
                raise _bad(path, 0, "not a pcap or pcapng file", "capture with `tcpdump -w FILE`")
    except OSError as error:
        raise BadInput([Problem(str(path), error.strerror or str(error))]) from error


def _bad(
    path: Path, offset: int, what: str, mend: str = "capture again, or cut the file before it with `tcpdump -r FILE -w NEW`"
) -> BadInput:
    return BadInput([Problem(f"{path}: byte {offset}", what, mend)])


def _exactly(path: Path, file: BinaryIO, size: int, what: str) -> bytes:
    offset = file.tell()
    data = file.read(size)
    if len(data) != size:
        raise _bad(path, offset, f"{what} is cut off: {len(data)} of {size} bytes")
    return data


def _require_ethernet(path: Path, offset: int, link_type: int) -> None:
    if link_type != _ETHERNET:
        raise _bad(path, offset, f"link type {link_type} is not Ethernet (1)", "capture on the port's netdev, not on `any`")


def _read_pcap(path: Path, file: BinaryIO, order: str, fraction: int) -> Iterator[Captured]:
    header = _exactly(path, file, 20, "the file header")
    _require_ethernet(path, 20, struct.unpack(order + "I", header[16:20])[0] & 0x03FFFFFF)
    number = 0
    while head := file.read(16):
        number += 1
        at = file.tell() - len(head)
        if len(head) < 16:
            raise _bad(path, at, f"the header of packet {number} is cut off: {len(head)} of 16 bytes")
        seconds, part, captured, original = struct.unpack(order + "IIII", head)
        if captured > _MAX_FRAME:
            raise _bad(path, at, f"packet {number} claims {captured} bytes")
        frame = _exactly(path, file, captured, f"packet {number}")
        yield Captured(frame, seconds * 1_000_000_000 + part * fraction, captured >= original)


def _resolution(options: bytes, order: str) -> int:
    """Units a second of the interface's timestamps (option if_tsresol)."""
    at = 0
    while at + 4 <= len(options):
        code, length = struct.unpack_from(order + "HH", options, at)
        if code == 9 and length == 1 and at + 4 < len(options):
            value = options[at + 4]
            return int(2 ** (value & 0x7F)) if value & 0x80 else int(10**value)
        if code == 0:
            break
        at += 4 + length + -length % 4
    return 1_000_000


def _read_pcapng(path: Path, file: BinaryIO) -> Iterator[Captured]:
    order, interfaces, number = "<", list[_Interface](), 0
    while head := file.read(8):
        at = file.tell() - len(head)
        if len(head) < 8:
            raise _bad(path, at, f"a block header is cut off: {len(head)} of 8 bytes")
        if head[:4] == _SECTION.to_bytes(4, "big"):
            magic = _exactly(path, file, 4, "the section header")
            if magic not in (b"\x4d\x3c\x2b\x1a", b"\x1a\x2b\x3c\x4d"):
                raise _bad(path, at + 8, "not a pcapng section")
            order, interfaces = "<" if magic[0] == 0x4D else ">", []
            file.seek(-4, 1)
        kind, length = struct.unpack(order + "II", head)
        if length < 12 or length % 4 or length > 2 * _MAX_FRAME:
            raise _bad(path, at, f"a block of {length} bytes")
        body = _exactly(path, file, length - 8, "a block")
        body, again = body[:-4], struct.unpack(order + "I", body[-4:])[0]
        if again != length:
            raise _bad(path, at, f"a block of {length} bytes ends as one of {again}")
        if kind == _INTERFACE:
            interfaces.append(_interface(path, at, body, order))
        elif kind in (_OLD_PACKET, _SIMPLE, _ENHANCED):
            number += 1
            yield _pcapng_packet(path, at, number, kind, body, order, interfaces)


def _interface(path: Path, at: int, body: bytes, order: str) -> _Interface:
    if len(body) < 8:
        raise _bad(path, at, f"an interface block of {len(body)} bytes")
    link_type, _, longest = struct.unpack_from(order + "HHI", body)
    _require_ethernet(path, at, link_type)
    return _Interface(_resolution(body[8:], order), longest)


def _pcapng_packet(path: Path, at: int, number: int, kind: int, body: bytes, order: str, interfaces: list[_Interface]) -> Captured:
    head = 4 if kind == _SIMPLE else 20
    if len(body) < head:
        raise _bad(path, at, f"packet {number}: a block of {len(body)} bytes cannot hold it")
    if kind == _SIMPLE:
        interface, time, original = 0, None, struct.unpack_from(order + "I", body)[0]
        captured = min(original, interfaces[0].longest or original) if interfaces else original
    else:
        interface, high, low, captured, original = struct.unpack_from(order + ("IIIII" if kind == _ENHANCED else "HxxIIII"), body)
        time = high << 32 | low
    if interface >= len(interfaces) or captured > len(body) - head:
        raise _bad(path, at, f"packet {number} names an interface or a length that the file does not have")
    nanoseconds = None if time is None else time * 1_000_000_000 // interfaces[interface].resolution
    return Captured(body[head : head + captured], nanoseconds, captured >= original)
