"""A program's output is an inventory, or there is one line that says why not; and nothing that it started outlives the reading."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from l3ctl.configuration import CommandSource
from l3ctl.errors import BadInput
from l3ctl.inventory.sources.command import Reader
from tests.sources.outcome import WAIT, lines_of, values

PORTS = """'{"ports": [{"name": "web1", "vlan": 11}]}'"""


def shell(script: str, timeout: int = 10) -> Reader:
    return Reader(CommandSource(("sh", "-c", script)), timeout)


def gone(pid: int) -> bool:
    """Dead, or dead and waiting for whoever has to take note."""
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.01)
    return False


@pytest.mark.parametrize(
    "script",
    [
        f"echo {PORTS}",
        f"cat; echo {PORTS}",  # there is nothing to read, and nobody to ask
        f"head -c 3000000 /dev/zero >&2; echo {PORTS}",
        f"echo {PORTS}; sleep 1000 &",
        f"exec 2>&-; echo {PORTS}",
        f"echo {PORTS}; exec >&- 2>&-; sleep 0.2",
    ],
)
def test_what_it_prints_is_the_inventory(script: str) -> None:
    source = shell(script)
    assert values(source.read()) == [{"name": "web1", "vlan": "11"}]
    assert source.fileno() is None
    source.close()


def test_arguments_are_no_shell_line(tmp_path: Path) -> None:
    words = ("printf", '[{"name": "%s"}]', "a b; touch x $(touch y) *")
    assert values(Reader(CommandSource(words), 10).read()) == [{"name": words[2]}]


def test_the_same_output_is_no_news(tmp_path: Path) -> None:
    output = tmp_path / "output"
    output.write_text("[]")
    source = Reader(CommandSource(("cat", str(output))), 10)
    assert values(source.read()) == []
    assert source.news() is None
    output.write_text('[{"name": "web1"}]')
    assert values(source.news()) == [{"name": "web1"}]
    assert source.news() is None
    assert values(source.read()) == [{"name": "web1"}]
    output.write_text("[")
    lines_of(source.news, BadInput)
    lines_of(source.news, BadInput)


@pytest.mark.parametrize(
    ("script", "line"),
    [
        ("echo starting >&2; echo 'no route to host' >&2; echo >&2; exit 3", "command sh: exit status 3: 'no route to host'"),
        ("exit 3", "command sh: exit status 3; run it by hand to see why"),
        ("printf 'a\\033[2Jb\\377' >&2; exit 1", "command sh: exit status 1: 'a\\x1b[2Jb�'"),
        ("kill -SEGV $$", "command sh: ended by SIGSEGV; run it by hand to see why"),
        ("echo waiting >&2; sleep 1000", "command sh: did not end within 1 s: 'waiting'; see what it waits for, or set timeout"),
        ("exec >&- 2>&-; sleep 1000", "command sh: did not end within 1 s; see what it waits for, or set timeout"),
        ("while :; do echo; done", "command sh: did not end within 1 s; see what it waits for, or set timeout"),
        ("trap '' TERM INT HUP; while :; do sleep 1; done", "command sh: did not end within 1 s; see what it waits for, or set timeout"),
    ],
)
def test_a_program_that_fails(script: str, line: str) -> None:
    assert lines_of(shell(script, timeout=1).read) == [line]


def test_an_endless_output_is_cut_off() -> None:
    line = "command cat: prints more than 64 MiB; check that it is the program you mean"
    assert lines_of(Reader(CommandSource(("cat", "/dev/zero")), 60).read) == [line]


@pytest.mark.parametrize(
    ("output", "line"),
    [
        ("", "command sh: is empty; check what writes it"),
        ("<html>", "command sh: not JSON: expecting value at line 1, column 1; check what writes it"),
        ('{"ports": [{"name": "a", "name": "b"}]}', "command sh: ports[0]: key 'name' is written twice; keep one"),
    ],
)
def test_an_output_that_is_no_inventory(output: str, line: str) -> None:
    assert lines_of(shell(f"printf '%s' '{output}'").read, BadInput) == [line]


def test_a_program_that_cannot_be_run(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.write_text("no program")
    name = f"command {plain}"
    source = Reader(CommandSource((str(plain),)), 10)
    assert lines_of(source.read) == [f"{name}: cannot be run: Permission denied; check its mode and its first line"]
    plain.chmod(0o755)
    assert lines_of(source.read) == [f"{name}: cannot be run: Exec format error; check its mode and its first line"]
    plain.unlink()
    assert lines_of(source.read) == [f"{name}: no such program; write its whole path"]


@pytest.mark.parametrize("ending", ["exit 1", "sleep 1000", "cat /dev/zero"])
def test_nothing_it_started_is_left(tmp_path: Path, ending: str) -> None:
    pid = tmp_path / "pid"
    source = shell(f"sleep 1000 & echo $! > {pid}; {ending}", timeout=1)
    lines_of(source.read)
    assert gone(int(pid.read_text()))


def test_what_it_leaves_in_the_background_ends_with_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    shell(f"sleep 1000 & echo $! > {pid}; echo {PORTS}").read()
    assert gone(int(pid.read_text()))


def test_it_ends_with_whoever_reads_it(tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"""
from l3ctl.configuration import CommandSource
from l3ctl.inventory.sources.command import Reader
Reader(CommandSource(("sh", "-c", "echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 1000")), 1000).read()
"""
    with subprocess.Popen([sys.executable, "-c", script]) as reading:
        deadline = time.monotonic() + WAIT
        while not pid.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(reading.pid, signal.SIGKILL)
    assert gone(int(pid.read_text()))
