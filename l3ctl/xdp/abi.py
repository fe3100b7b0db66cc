"""The filter's map layout, read from bpf/abi.h. No I/O beyond that one file.

The header is the only copy: struct members, reasons and limits are taken from its text, so C and Python cannot drift apart.
"""

import functools
import hashlib
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_DEFINE = re.compile(r"^#define (\w+) (\d+)\s*$", re.MULTILINE)
_STRUCT = re.compile(r"struct (\w+) \{\n(.*?)\n\};", re.DOTALL)
_MEMBER = re.compile(r"__u(8|16|32|64) (\w+)(?:\[(\d+)\])?;")
_REASON = re.compile(r'REASON\((\w+), (PASS|DROP|ANSWER), "([a-z-]*)"\)')


def source_dir() -> Path:
    """Where the filter's sources are: beside the package in a checkout, inside it when installed."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_bpf"
    return installed if installed.is_dir() else package.parent / "bpf"


@dataclass(frozen=True, slots=True)
class Member:
    """One struct member: `count` unsigned numbers of `width` bytes from `offset`; `count` 0 is a single one."""

    offset: int
    width: int
    count: int


@dataclass(frozen=True, slots=True)
class Layout:
    """A C struct of fixed-width unsigned members, laid out by the C ABI's natural alignment, in host byte order."""

    name: str
    size: int
    members: dict[str, Member]

    def pack(self, **values: int | bytes) -> bytes:
        """The struct's bytes. Arrays of bytes take `bytes` no longer than they are; what is not named is zero."""
        raw = bytearray(self.size)
        for name, value in values.items():
            member = self.members[name]
            room = member.width * max(member.count, 1)
            data = value if isinstance(value, bytes) else value.to_bytes(member.width, "little")
            if len(data) > room:
                raise ValueError(f"{self.name}.{name} holds {room} bytes, not {len(data)}")
            raw[member.offset : member.offset + len(data)] = data
        return bytes(raw)

    def number(self, raw: bytes, name: str) -> int:
        """A member that is a single number."""
        member = self.members[name]
        return int.from_bytes(raw[member.offset : member.offset + member.width], "little")

    def data(self, raw: bytes, name: str) -> bytes:
        """A member's bytes as they stand."""
        member = self.members[name]
        return raw[member.offset : member.offset + member.width * max(member.count, 1)]


_LETTERS = {1: "B", 2: "H", 4: "I", 8: "Q"}


@functools.cache
def _struct(name: str, members: tuple[str, ...]) -> struct.Struct:
    """These members of a struct, to be named in the order in which they stand there; what is between them is zero."""
    layout = abi().structs[name]
    letters, at = "=", 0
    for member in (layout.members[one] for one in members):
        room = member.width * max(member.count, 1)
        letters += f"{member.offset - at}x" + (f"{room}s" if member.count else _LETTERS[member.width])
        at = member.offset + room
    return struct.Struct(f"{letters}{layout.size - at}x")


@functools.cache
def unpacker(name: str, *members: str) -> Callable[[bytes], tuple[Any, ...]]:
    """Numbers and arrays of a struct that stands at the beginning of what is given, in the order in which they stand there."""
    return _struct(name, members).unpack_from


@functools.cache
def packer(name: str, *members: str) -> Callable[..., bytes]:
    """`Layout.pack` of just these members of a struct, named in the order in which they stand there: a fifth of its time.

    Raises:
        ValueError: a value of an array is longer than that.
        OverflowError: a number does not fit.
    """
    made, layout = _struct(name, members), abi().structs[name]
    rooms = [(place, one.width * one.count) for place, one in enumerate(layout.members[member] for member in members) if one.count]

    def pack(*values: Any) -> bytes:
        for place, room in rooms:
            if len(values[place]) > room:
                raise ValueError(f"{name}.{members[place]} holds {room} bytes, not {len(values[place])}")
        try:
            return made.pack(*values)
        except struct.error as error:
            raise OverflowError(f"{name}: {error}") from error

    return pack


def _layout(name: str, body: str) -> Layout:
    members: dict[str, Member] = {}
    offset, alignment = 0, 1
    for bits, member, count in _MEMBER.findall(body):
        width = int(bits) // 8
        offset += -offset % width
        members[member] = Member(offset, width, int(count or 0))
        offset += width * max(int(count or 0), 1)
        alignment = max(alignment, width)
    return Layout(name, offset + -offset % alignment, members)


@dataclass(frozen=True, slots=True)
class Reason:
    """A row of the filter's contract."""

    number: int
    name: str
    verdict: str


@dataclass(frozen=True, slots=True)
class Abi:
    """Everything abi.h says. `layout_id` names the layout of pinned maps: 16 bytes."""

    structs: dict[str, Layout]
    numbers: dict[str, int]
    reasons: tuple[Reason, ...]
    layout_id: bytes


@functools.cache
def abi() -> Abi:
    """Read abi.h, once a process."""
    text = _COMMENT.sub("", (source_dir() / "abi.h").read_text())
    return Abi(
        structs={name: _layout(name, body) for name, body in _STRUCT.findall(text)},
        numbers={name: int(value) for name, value in _DEFINE.findall(text)},
        reasons=tuple(Reason(number, name, verdict.lower()) for number, (_, verdict, name) in enumerate(_REASON.findall(text))),
        layout_id=hashlib.sha256(" ".join(text.split()).encode()).digest()[:16],
    )


@functools.cache
def source_id(source_guard: bool) -> bytes:
    """Name of the program that these sources make: 16 bytes."""
    digest = hashlib.sha256(b"guard" if source_guard else b"plain")
    for file in sorted(source_dir().rglob("*.[ch]")):
        digest.update(str(file.relative_to(source_dir())).encode() + b"\0" + file.read_bytes() + b"\0")
    return digest.digest()[:16]
