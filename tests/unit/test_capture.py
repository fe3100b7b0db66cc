"""Capture files, written here by hand from the formats' definitions: frames come out as they went in, or the file is refused by byte."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.xdp.capture import Captured, read_capture

FRAMES = (b"\xff" * 6 + bytes(6) + b"\x08\x06" + bytes(28), bytes(range(61)), b"", b"\x01" * 150)
SECONDS = 1_700_000_000


def pcap(order: str = "<", magic: int = 0xA1B2C3D4, link_type: int = 1, frames: tuple[bytes, ...] = FRAMES, longer: int = 0) -> bytes:
    out = struct.pack(order + "IHHiIII", magic, 2, 4, 0, 0, 262144, link_type)
    for number, frame in enumerate(frames):
        out += struct.pack(order + "IIII", SECONDS + number, 500, len(frame), len(frame) + longer) + frame
    return out


def block(order: str, kind: int, body: bytes) -> bytes:
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str) -> bytes:
    return block(order, 0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1))


def interface(order: str, resolution: int | None = None, link_type: int = 1, longest: int = 0) -> bytes:
    options = struct.pack(order + "HH", 2, 5) + b"tap-1\0\0\0"  # if_name, padded
    if resolution is not None:
        options += struct.pack(order + "HHBxxx", 9, 1, resolution)
    return block(order, 1, struct.pack(order + "HHI", link_type, 0, longest) + options + bytes(4))


def enhanced(order: str, number: int, units: int, frame: bytes, longer: int = 0) -> bytes:
    head = struct.pack(order + "IIIII", number, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame) + longer)
    return block(order, 6, head + frame + bytes(-len(frame) % 4) + struct.pack(order + "HHI", 2, 4, 0) + bytes(4))


def simple(order: str, frame: bytes, original: int | None = None) -> bytes:
    return block(order, 3, struct.pack(order + "I", len(frame) if original is None else original) + frame)


def old_packet(order: str, number: int, units: int, frame: bytes) -> bytes:
    return block(order, 2, struct.pack(order + "HHIIII", number, 7, units >> 32, units & 0xFFFFFFFF, len(frame), len(frame)) + frame)


def mixed(order: str) -> bytes:
    """One of everything a reader may meet."""
    out = section(order) + interface(order) + interface(order, 9)
    out += enhanced(order, 0, 5_000_000, FRAMES[0]) + block(order, 0xBAD, b"anything") + enhanced(order, 1, 6_000_000_000, FRAMES[1])
    return out + block(order, 5, bytes(20)) + simple(order, FRAMES[2]) + old_packet(order, 0, 7_000_000, FRAMES[3])


@pytest.fixture
def read(tmp_path: Path):
    path = tmp_path / "capture"

    def read(data: bytes) -> list[Captured]:
        path.write_bytes(data)
        return list(read_capture(path))

    return read


def refusal(read, data: bytes) -> str:
    with pytest.raises(BadInput) as caught:
        read(data)
    (line,) = caught.value.lines()
    return line


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("magic", "unit"), [(0xA1B2C3D4, 1000), (0xA1B23C4D, 1)], ids=["micro", "nano"])
def test_pcap_in_both_byte_orders_and_resolutions(read, order: str, magic: int, unit: int) -> None:
    times = [(SECONDS + number) * 1_000_000_000 + 500 * unit for number in range(len(FRAMES))]
    assert read(pcap(order, magic)) == [Captured(frame, at, True) for frame, at in zip(FRAMES, times, strict=True)]


def test_frames_that_the_capture_cut_short_say_so(read) -> None:
    assert [one.whole for one in read(pcap(longer=1))] == [False] * len(FRAMES)
    (one,) = read(section("<") + interface("<") + enhanced("<", 0, 0, FRAMES[1], longer=9))
    assert (one.frame, one.whole) == (FRAMES[1], False)


def test_bits_beside_the_link_type_are_about_the_frame_check_sequence(read) -> None:
    assert len(read(pcap(link_type=0x4400_0001 | 1 << 28))) == len(FRAMES)


@pytest.mark.parametrize("order", ["<", ">"])
def test_pcapng_with_every_kind_of_packet_block(read, order: str) -> None:
    assert read(mixed(order)) == [
        Captured(FRAMES[0], 5_000_000_000, True),
        Captured(FRAMES[1], 6_000_000_000, True),
        Captured(FRAMES[2], None, True),
        Captured(FRAMES[3], 7_000_000_000, True),
    ]


@pytest.mark.parametrize(
    ("resolution", "units"), [(None, 3_000_000), (6, 3_000_000), (9, 3_000_000_000), (0, 3), (3, 3000), (0x80 | 20, 3 << 20), (0x80, 3)]
)
def test_each_interface_has_its_own_resolution(read, resolution: int | None, units: int) -> None:
    captured = read(section(">") + interface(">", 9) + interface(">", resolution) + enhanced(">", 1, units, b"x"))
    assert captured == [Captured(b"x", 3_000_000_000, True)]


def test_a_new_section_has_a_byte_order_and_interfaces_of_its_own(read) -> None:
    first, second = section("<") + interface("<", 9) + enhanced("<", 0, 1, b"a"), section(">") + interface(">") + enhanced(">", 0, 1, b"b")
    assert read(first + second) == [Captured(b"a", 1, True), Captured(b"b", 1000, True)]
    assert "names an interface" in refusal(read, first + section(">") + enhanced(">", 0, 1, b"b"))


def test_a_simple_packet_is_cut_where_the_interface_cuts(read) -> None:
    (one,) = read(section("<") + interface("<", longest=5) + simple("<", b"12345", original=9))
    assert one == Captured(b"12345", None, False)
    (one,) = read(section("<") + interface("<", longest=5) + simple("<", b"123"))
    assert one == Captured(b"123", None, True)


def test_a_capture_without_packets_holds_none(read) -> None:
    assert read(pcap(frames=())) == read(section("<") + interface("<")) == read(section(">")) == []


@pytest.mark.parametrize(
    ("data", "offset", "what"),
    [
        (b"", 0, "not a pcap or pcapng file"),
        (b"\xa1\xb2", 0, "not a pcap or pcapng file"),
        (b"ports:\n  - name: web1\n", 0, "not a pcap or pcapng file"),
        (pcap(link_type=113), 20, "link type 113 is not Ethernet"),
        (section("<") + interface("<", link_type=101), 28, "link type 101 is not Ethernet"),
        (pcap()[:24] + struct.pack("<IIII", 0, 0, 300_000, 300_000), 24, "packet 1 claims 300000 bytes"),
        (section("<")[:8] + b"abcd", 8, "not a pcapng section"),
        (section("<") + enhanced("<", 0, 0, b"x"), 28, "packet 1 names an interface"),
        (section("<") + simple("<", b"x"), 28, "packet 1 names an interface"),
        (section("<") + interface("<") + simple("<", b"x", original=90), 64, "packet 1 names an interface or a length"),
        (section("<") + interface("<") + block("<", 6, bytes(16)), 64, "packet 1: a block of 16 bytes"),
        (section("<") + block("<", 1, bytes(4)), 28, "an interface block of 4 bytes"),
        (section("<") + struct.pack("<III", 5, 11, 11), 28, "a block of 11 bytes"),
        (section("<") + struct.pack("<III", 5, 0, 0), 28, "a block of 0 bytes"),
        (section("<") + struct.pack("<III", 5, 12, 16), 28, "ends as one of 16"),
    ],
)
def test_what_cannot_be_read_is_refused_by_byte(read, data: bytes, offset: int, what: str) -> None:
    line = refusal(read, data)
    assert f": byte {offset}: " in line
    assert what in line
    assert ";" in line, "names a mend"


def test_a_path_that_cannot_be_read_is_refused_by_name(tmp_path: Path) -> None:
    for path, what in ((tmp_path / "none", "No such file"), (tmp_path, "Is a directory")):
        with pytest.raises(BadInput, match=what) as caught:
            list(read_capture(path))
        assert caught.value.lines()[0].startswith(str(path))


@pytest.mark.parametrize("data", [pcap(), pcap(">", 0xA1B23C4D), mixed("<"), mixed(">")], ids=["pcap", "pcap>", "pcapng", "pcapng>"])
def test_a_file_cut_off_at_any_byte_gives_its_first_frames_and_then_names_a_byte(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "capture"
    path.write_bytes(data)
    whole = list(read_capture(path))
    ends = set(ends_of_parts(data))
    for size in range(len(data)):
        path.write_bytes(data[:size])
        frames: list[Captured] = []
        place = None
        try:
            for one in read_capture(path):
                frames.append(one)  # noqa: PERF402  those read before the refusal count
        except BadInput as refused:
            place = int(refused.problems[0].place.rpartition(" ")[2])
        assert frames == whole[: len(frames)]
        assert len(frames) < len(whole)
        assert (place is None) == (size in ends)
        assert place is None or place <= size


def ends_of_parts(data: bytes) -> Iterator[int]:
    """Where a file may end: after its header, and after each packet or block."""
    if data[:4] == b"\x0a\x0d\x0d\x0a":
        order, at = "<" if data[8] == 0x4D else ">", 0
        while at < len(data):
            at += struct.unpack_from(order + "I", data, at + 4)[0]
            yield at
    else:
        order, at = "<" if data[3] == 0xA1 else ">", 24
        yield at
        while at < len(data):
            at += 16 + struct.unpack_from(order + "I", data, at + 8)[0]
            yield at


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    data=st.one_of(st.sampled_from([pcap(), pcap(">", 0xA1B23C4D), mixed("<"), mixed(">")]), st.binary(max_size=300)),
    changes=st.lists(st.tuples(st.integers(0, 1800), st.binary(min_size=1, max_size=8)), max_size=6),
    tail=st.binary(max_size=40),
)
def test_a_file_changed_at_random_is_read_or_refused_and_never_more_than_it_holds(
    tmp_path: Path, data: bytes, changes: list[tuple[int, bytes]], tail: bytes
) -> None:
    raw = bytearray(data)
    for at, written in changes:
        raw[at : at + len(written)] = written
    path = tmp_path / "capture"
    path.write_bytes(bytes(raw) + tail)
    read = 0
    lines = []
    try:
        for one in read_capture(path):
            read += 12 + len(one.frame)  # a packet costs the file a header of 12 bytes at the least
    except BadInput as refused:
        lines = refused.lines()
    assert read <= len(raw) + len(tail)
    assert len(lines) <= 1


def test_lengths_that_lie_do_not_make_the_reader_take_memory(tmp_path: Path) -> None:
    path = tmp_path / "capture"
    for data in (pcap()[:24] + b"\xff" * 16, section("<") + struct.pack("<II", 6, 0xFFFFFFFC)):
        path.write_bytes(data)
        with pytest.raises(BadInput, match=r"bytes"):
            list(read_capture(path))
