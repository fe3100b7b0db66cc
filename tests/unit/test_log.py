"""The log goes on without who reads it: what there is no room for is counted, and nobody waits."""

import ast
import contextlib
import logging
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

import l3ctl
from l3ctl.journal import Journal, is_read_by_it
from l3ctl.log import VOCABULARY, _Fields, _Lines, event
from l3ctl.model import Verb

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


def words_used() -> set[str]:
    """The first argument of every call of `event`, as far as it is written down there."""
    ways = {"speaker.py": "self._tell"}  # by which it tells of what may be often
    found: set[str] = set()
    for path in Path(l3ctl.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and path.name != "log.py" and ast.unparse(node.func) == ways.get(path.name, "event"):
                first = node.args[0]
                told = (first.body, first.orelse) if isinstance(first, ast.IfExp) else (first,)
                found |= {one.value for one in told if isinstance(one, ast.Constant)}
    return found


def test_the_log_has_one_vocabulary() -> None:
    assert words_used() | set(Verb) | {"lost"} == set(VOCABULARY)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[tuple[socket.socket, _Fields]]:
    """A socket such as the journal's, and what tells it."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as there:
        there.bind(str(tmp_path / "socket"))
        there.setblocking(False)
        handler = _Fields(Journal(str(tmp_path / "socket")))
        logger = logging.getLogger("l3ctl")
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        yield there, handler
        logger.removeHandler(handler)
        logger.setLevel(logging.NOTSET)


def test_the_journal_is_told_every_field_and_how_grave_it_is(journal: tuple[socket.socket, _Fields]) -> None:
    there, _ = journal
    event("violation", port="web1", reason="arp-reply", frames=7, text='claimed "203.0.113.11"', lladdr=None)
    assert there.recv(1 << 16).decode().splitlines() == [
        "MESSAGE=violation port=web1 reason=arp-reply frames=7 text=\"claimed '203.0.113.11'\"",
        "PRIORITY=5",
        "SYSLOG_IDENTIFIER=l3ctl",
        "L3CTL_EVENT=violation",
        "L3CTL_PORT=web1",
        "L3CTL_REASON=arp-reply",
        "L3CTL_FRAMES=7",
        'L3CTL_TEXT=claimed "203.0.113.11"',
    ]


def test_a_value_of_several_lines_is_one_field_and_cannot_pass_for_another(journal: tuple[socket.socket, _Fields]) -> None:
    there, _ = journal
    event("refuse", reason="first\nL3CTL_EVENT=announce")
    told = there.recv(1 << 16)
    assert b"L3CTL_REASON\n" + struct.pack("<Q", 26) + b"first\nL3CTL_EVENT=announce\n" in told
    assert b"MESSAGE=refuse reason=" in told
    assert b"PRIORITY=4\n" in told


def test_a_journal_that_takes_nothing_is_not_waited_for(journal: tuple[socket.socket, _Fields]) -> None:
    there, handler = journal
    for number in range(2000):
        event("up", port="web1", reason=str(number))
    assert handler.lost > 0
    taken = 0
    with contextlib.suppress(BlockingIOError):
        while there.recv(1 << 16):
            taken += 1
    assert taken + handler.lost == 2000
    event("up", port="web1", reason="again")
    assert f"MESSAGE=lost lines={handler.lost}".encode() in there.recv(1 << 16)
    assert b"reason=again" in there.recv(1 << 16)


def test_what_is_written_to_a_pipe_is_not_the_journals(pipe: tuple[int, int]) -> None:
    _, writes = pipe
    found = os.fstat(writes)
    assert not is_read_by_it(writes, {})
    assert not is_read_by_it(writes, {"JOURNAL_STREAM": "1:2"})
    assert is_read_by_it(writes, {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"})


@pytest.mark.parametrize(
    ("said", "told"),
    [
        ("web1", "web1"),
        ("", '""'),
        ("a b", '"a b"'),
        ('a"b', '"a\'b"'),
        ("a=b", '"a=b"'),
        ("a\nb", '"a\\x0ab"'),
        ("é", "é"),
        ("\x1b[2J", '"\\x1b[2J"'),
    ],
)
def test_a_value_is_one_word_and_prints_nothing_but_itself(said: str, told: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "l3ctl")
    event("start", said=said)
    assert caplog.messages == [f"start said={told}"]
