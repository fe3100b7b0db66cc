"""`python -m tests.vm [--kernel NAME]... [--seconds N] [-- COMMAND...]`: a command, or the tests of this room, in stock Debian kernels."""

import argparse
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NoReturn

from tests.vm.kernels import SUITES, CannotRun, kernel
from tests.vm.machine import accelerator, run

_ROOT = Path(__file__).parents[2]
_beside_us: "list[subprocess.Popen[str]]" = []
_TESTS = (sys.executable, "-m", "pytest", "-q", "--durations=5", "tests/vm/inside")
_OF_A_TWIN = (*_TESTS, "-k", "native or hidden or agree")
"""what is run in backports' kernel beside trixie's: both are a 6.12, built for another release"""


def main() -> int:
    """Several kernels run at a time: each waits often. The exit status: 1 when one failed, 2 when one could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument("--kernel", action="append", choices=list(SUITES), help="once or several times; all of them otherwise")
    parser.add_argument("--seconds", type=float, default=1500, help="that one machine may take (default: %(default)s)")
    parser.add_argument("command", nargs="*", help="what to run in this folder instead of the tests")
    chosen = parser.parse_args()
    names = list(dict.fromkeys(chosen.kernel or SUITES))
    if len(names) == 1:
        return _one(names[0], chosen.seconds, chosen.command or _TESTS)
    with ThreadPoolExecutor(max_workers=len(names)) as workers:
        twin = "backports" if {"backports", "trixie"} <= {*names} else ""
        commands = [chosen.command or (_OF_A_TWIN if name == twin else _TESTS) for name in names]
        statuses = list(workers.map(lambda name, command: _beside(name, chosen.seconds, command), names, commands))
    return max(statuses)


def _one(name: str, seconds: float, command: Sequence[str]) -> int:
    began = time.monotonic()
    try:
        found = kernel(name)
        print(f"== {name}: {found.release}, {accelerator(found)}", flush=True)
        status = run(found, shlex.join(command), folder=_ROOT, seconds=seconds, show=_show)
    except CannotRun as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    came = "passed" if not status else f"failed ({status})"
    print(f"== {name}: {found.release} {came} in {time.monotonic() - began:.0f} s", flush=True)
    return int(status != 0)


def _beside(name: str, seconds: float, command: Sequence[str]) -> int:
    """One of several, in a process that ends with this one; each of its lines with its name."""
    own = [sys.executable, "-m", "tests.vm", "--kernel", name, "--seconds", str(seconds), "--", *command]
    with subprocess.Popen(
        ["setpriv", "--pdeathsig", "TERM", *own], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    ) as process:
        assert process.stdout is not None
        _beside_us.append(process)
        for line in process.stdout:
            print(f"{name:<10}{line.rstrip()}", flush=True)
    return 2 if process.returncode not in (0, 1) else process.returncode


def _end(*_: object) -> NoReturn:
    """Ended like that, too, it leaves no machine and no files."""
    for process in _beside_us:
        process.terminate()
    sys.exit(143)


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _end)
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
