"""`python -m tests.vm [--kernel NAME]... [--seconds N] [-- COMMAND...]`: a command, or the tests of this room, in stock Debian kernels."""

import argparse
import shlex
import signal
import sys
import time
from pathlib import Path

from tests.vm.kernels import SUITES, CannotRun, kernel
from tests.vm.machine import accelerator, run

_ROOT = Path(__file__).parents[2]
_TESTS = (sys.executable, "-m", "pytest", "-q", "--durations=5", "tests/vm/inside", "tests/xdp/test_contract.py")


def main() -> int:
    """One kernel after the other; the exit status is 1 when one of them failed, 2 when one could not be run."""
    parser = argparse.ArgumentParser(prog="python -m tests.vm", description=__doc__)
    parser.add_argument("--kernel", action="append", choices=list(SUITES), help="once or several times; all of them otherwise")
    parser.add_argument("--seconds", type=float, default=900, help="that one machine may take (default: %(default)s)")
    parser.add_argument("command", nargs="*", help="what to run in this folder instead of the tests")
    chosen = parser.parse_args()
    results = []
    for name in chosen.kernel or SUITES:
        started = time.monotonic()
        try:
            found = kernel(name)
            print(f"== {name}: {found.release}, {accelerator(found)}", flush=True)
            status = run(found, shlex.join(chosen.command or _TESTS), folder=_ROOT, seconds=chosen.seconds, show=_show)
        except CannotRun as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
        results.append((name, found.release, status, time.monotonic() - started))
    for name, release, status, seconds in results:
        print(f"== {name:<10} {release:<28} {'passed' if not status else f'failed ({status})'} in {seconds:.0f} s")
    return int(any(status for _, _, status, _ in results))


def _show(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # ended like that, it leaves no machine and no files either
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(130)
