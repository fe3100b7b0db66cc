"""Whoever waits at a terminal is told for what; a program that reads our stderr is not."""

import os
import pty
import select
import subprocess
import sys
import time

SLOW = """
import sys, time
from l3ctl.cli.patience import patience
with patience("reading the inventory", lambda: ", 3 left"):
    time.sleep(float(sys.argv[1]))
print("done")
"""


def seen(seconds: float) -> str:
    """All that a terminal is sent."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(sys.executable, [sys.executable, "-c", SLOW, str(seconds)])
    told, until = b"", time.monotonic() + 60
    while time.monotonic() < until and select.select([terminal], [], [], 60)[0]:
        try:
            told += os.read(terminal, 65536)
        except OSError:
            break
    os.close(terminal)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    return told.decode()


def test_what_takes_long_is_told_on_a_terminal_and_leaves_no_trace() -> None:
    told = seen(2.5)
    assert "\r\033[Kreading the inventory: 1 s, 3 left\r\033[Kreading the inventory: 2 s, 3 left" in told
    assert told.endswith("\r\033[Kdone\r\n")


def test_what_is_soon_over_needs_no_word() -> None:
    assert seen(0.1) == "done\r\n"


def test_a_program_is_told_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", SLOW, "1.2"], capture_output=True, text=True, check=True)
    assert (done.stdout, done.stderr) == ("done\n", "")
