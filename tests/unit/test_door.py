"""Who is let in at the agent's sockets, and what becomes of those who are not, or who lie."""

import gc
import logging
import os
import resource
import selectors
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from l3ctl.door import Door
from tests.unit.test_bgp_speaker import ATTRIBUTES, PEER, Table, table  # noqa: F401  the fixture

NOBODY = 65534
LIES = int(os.environ.get("L3CTL_LIES", "64")) << 20
"""bytes that a lying relay tells"""
BOUND = 96 << 20
"""bytes of memory that lies may take: what is kept, and what Python takes to keep it"""


@pytest.fixture
def said() -> Iterator[list[str]]:
    """The log's lines."""
    lines: list[str] = []

    class Keeps(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            lines.append(record.getMessage())

    logger, handler = logging.getLogger("l3ctl"), Keeps()
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lines
    logger.removeHandler(handler)
    logger.setLevel(logging.NOTSET)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[tuple[Door, list[socket.socket], Callable[[], None]]]:
    """One, who came in, and a turn of the loop."""
    tmp_path.chmod(0o755)
    inside: list[socket.socket] = []
    with selectors.DefaultSelector() as selector:
        one = Door(tmp_path / "sock", selector, inside.append)
        one.open({os.geteuid()})

        def turn() -> None:
            for key, _ in selector.select(0.2):
                key.data()

        yield one, inside, turn
        one.close()
        for each in inside:
            each.close()


def knock(path: Path, uid: int, times: int = 1) -> None:
    """Connect as another user, so many times."""
    knocks = f"import os, socket\nos.chdir({str(path.parent)!r})\nos.setgid({uid})\nos.setuid({uid})\n"
    knocks += f"for _ in range({times}):\n    s = socket.socket(socket.AF_UNIX)\n    s.settimeout(1)\n    s.connect({path.name!r})\n"
    subprocess.run([sys.executable, "-c", knocks], check=True)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_who_is_not_known_is_not_let_in_whatever_the_mode_and_the_log_says_so_once(
    door: tuple[Door, list[socket.socket], Callable[[], None]], said: list[str]
) -> None:
    one, inside, turn = door
    one.path.chmod(0o777)
    knock(one.path, NOBODY, 10)
    for _ in range(10):
        turn()
    assert inside == []
    assert said == [f'refuse reason="the user of id {NOBODY} is not let in at {one.path}"']
    with socket.socket(socket.AF_UNIX) as friend:
        friend.connect(str(one.path))
        turn()
        assert len(inside) == 1


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_many_strangers_do_not_fill_the_log(door: tuple[Door, list[socket.socket], Callable[[], None]], said: list[str]) -> None:
    one, _, turn = door
    one.path.chmod(0o777)
    strangers = f"""
import os, socket
os.chdir({str(one.path.parent)!r})
for uid in range(70_000, 70_300):
    os.seteuid(uid)
    s = socket.socket(socket.AF_UNIX)
    s.connect({one.path.name!r})
    os.seteuid(0)
"""
    crowd = subprocess.Popen([sys.executable, "-c", strangers])
    while crowd.poll() is None:
        turn()
    assert crowd.wait() == 0
    turn()
    assert len(said) == 100


@pytest.mark.parametrize("harm", ["mode", "owner", "gone", "another"])
@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give a file away")
def test_what_somebody_did_to_the_socket_is_put_right(
    door: tuple[Door, list[socket.socket], Callable[[], None]], said: list[str], harm: str
) -> None:
    one, inside, turn = door
    match harm:
        case "mode":
            one.path.chmod(0o666)
        case "owner":
            os.chown(one.path, NOBODY, NOBODY)
        case _:
            one.path.unlink()
    with socket.socket(socket.AF_UNIX) as usurper:
        if harm == "another":
            usurper.bind(str(one.path))
        one.keep()
        one.keep()
    assert said == [f'replace what=socket path={one.path} reason="somebody had removed or changed it"']
    found = one.path.stat()
    assert (stat.S_IMODE(found.st_mode), found.st_uid) == (0o600, os.geteuid())
    with socket.socket(socket.AF_UNIX) as friend:
        friend.connect(str(one.path))
        turn()
    assert len(inside) == 1


def test_what_cannot_be_put_right_yet_is_tried_again(tmp_path: Path, said: list[str]) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    with selectors.DefaultSelector() as selector:
        door = Door(folder / "sock", selector, lambda _: None)
        door.open({os.geteuid()})
        (folder / "sock").unlink()
        folder.rmdir()
        door.keep()
        assert said == []
        folder.mkdir()
        door.keep()
        assert (folder / "sock").is_socket()
        door.close()


def resident() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


@pytest.mark.parametrize(
    "lie",
    [
        lambda number: f"held {PEER} 2001:db8:{number & 0xFFFF:x}::/64 med {number} community {'1' * 4000}",
        lambda number: f"held {'x' * 4000}{number} 2001:db8::/64 {ATTRIBUTES}",
        lambda number: f"heard {PEER} announce 2001:db8:{number & 0xFFFF:x}:{number >> 16:x}::/64 fe80::1",
        lambda number: f"peer {'y' * 4000}{number} up",
        lambda number: f"nonsense {number} " + "z" * 4000,
    ],
    ids=["attributes", "peers", "heard", "sessions", "nonsense"],
)
def test_a_relay_that_lies_takes_no_memory_and_one_line_of_the_log(
    table: Table,  # noqa: F811
    said: list[str],
    lie: Callable[[int], str],
) -> None:
    """It calls again each time it is let go."""
    table.speaker.complete()
    began, before = time.monotonic(), resident()
    highest = before
    told = number = 0
    while told < LIES:
        liar = table.relay()
        liar.setblocking(False)
        with suppress(OSError):
            while told < LIES:
                batch = "".join(f"{lie(number + ahead)}\n" for ahead in range(200)).encode()
                number += 200
                while batch:
                    with suppress(BlockingIOError):
                        sent = liar.send(batch)
                        batch, told = batch[sent:], told + sent
                    table.turn()
                if number % 20_000 == 0:
                    highest = max(highest, resident())
        liar.close()
        table.turn()
    assert resident() - before < BOUND
    assert highest - before < BOUND
    complaints = [line for line in said if line.startswith("refuse ") and "come and go too often" not in line]
    assert len(complaints) <= 1 + (time.monotonic() - began) / 60
    assert len(said) <= 130 * (1 + (time.monotonic() - began) / 60), "of its coming and going, too"
