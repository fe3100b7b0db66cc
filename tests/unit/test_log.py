"""The log goes on without who reads it: what there is no room for is counted, and nobody waits."""

import logging
import os
from collections.abc import Iterator

import pytest

from l3ctl.log import _Lines

ROOM = 4096
"""bytes of a pipe, the least there is"""


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    import fcntl

    reads, writes = os.pipe()
    fcntl.fcntl(writes, fcntl.F_SETPIPE_SZ, ROOM)
    yield reads, writes
    os.close(reads)
    os.close(writes)


def say(lines: _Lines, text: str) -> None:
    lines.emit(logging.makeLogRecord({"msg": text}))


def test_what_nobody_takes_is_counted_and_told_with_the_next_line(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    lines = _Lines(writes)
    say(lines, "first")
    for _ in range(10):
        say(lines, "x" * 1000)
    assert os.read(reads, ROOM).startswith(b"first\n")
    say(lines, "again")
    assert b"lost lines=" in (told := os.read(reads, ROOM))
    assert told.endswith(b"\nagain\n")
    say(lines, "and again")
    assert os.read(reads, ROOM) == b"and again\n"


def test_a_line_longer_than_there_is_room_is_cut_and_the_next_one_begins_anew(pipe: tuple[int, int]) -> None:
    reads, writes = pipe
    lines = _Lines(writes)
    say(lines, "y" * 3 * ROOM)
    assert os.read(reads, 2 * ROOM) == b"y" * ROOM
    say(lines, "next")
    assert os.read(reads, ROOM) == b"\nlost lines=1\nnext\n"


def test_a_reader_that_is_gone_costs_nothing() -> None:
    reads, writes = os.pipe()
    lines = _Lines(writes)
    os.close(reads)
    say(lines, "to nobody")
    os.close(writes)
