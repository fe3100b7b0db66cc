"""Programs of ours without the seconds that Python takes to start on an emulated processor: forked from the process of the tests, which has
imported all of it. What runs is the same code from the command's first line on.
"""

import os
import signal
import subprocess
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn, cast

import l3ctl.cli.agent
import l3ctl.config
import l3ctl.inventory
from l3ctl.cli import main
from l3ctl.errors import LabFailed
from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.programs import PROGRAM, Router

WARM = (l3ctl.cli.agent, l3ctl.config, l3ctl.inventory)
"""what a child has without importing it: the command that is started most, and what reads files strictly"""


class Forked:
    """A child of ours, with as much of `subprocess.Popen` as the lab uses."""

    def __init__(self, arguments: Sequence[str], namespace: Namespace, log: Path) -> None:
        self.returncode: int | None = None
        self.pid = os.fork()
        if self.pid == 0:
            _become(arguments, namespace, log)

    def poll(self) -> int | None:
        """Its exit code, or None while it runs."""
        if self.returncode is None and (found := os.waitpid(self.pid, os.WNOHANG))[0]:
            self.returncode = os.waitstatus_to_exitcode(found[1])
        return self.returncode

    def wait(self, timeout: float = 600) -> int:
        """Its exit code, once it has ended. Raises `subprocess.TimeoutExpired` when that takes longer."""
        until = time.monotonic() + timeout
        while (code := self.poll()) is None:
            if time.monotonic() > until:
                raise subprocess.TimeoutExpired("l3ctl", timeout)
            time.sleep(0.02)
        return code

    def terminate(self) -> None:
        """Ask it to end."""
        if self.poll() is None:
            os.kill(self.pid, signal.SIGTERM)


class WarmRouter(Router):
    """A router whose l3ctl commands are forked. They are told their configuration: nothing is laid over /etc/l3ctl for them."""

    def start(self, argv: Sequence[str], log: Path, env: dict[str, str] | None = None) -> "subprocess.Popen[bytes]":
        """As `Namespace.start`."""
        program, command, *more = argv
        if program != str(PROGRAM) or env:
            return super().start(argv, log, env)
        forked = Forked([command, "--config", str(self.config), *more], self, log)
        return cast("subprocess.Popen[bytes]", forked)

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """As `Router.l3ctl`."""
        out = self.run_dir / "command.out"
        out.unlink(missing_ok=True)
        code = Forked([arguments[0], "--config", str(self.config), *arguments[1:]], self, out).wait()
        said = out.read_text()
        if code not in ok:
            raise LabFailed(f"l3ctl {' '.join(arguments)} exited {code}: {said.strip()}")
        return said


def _become(arguments: Sequence[str], namespace: Namespace, log: Path) -> NoReturn:
    """The child's whole life: nothing of the tests' terminal, files and signal handlers is left to it."""
    code = 1
    try:
        os.setsid()
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644), 1)
        os.dup2(1, 2)
        os.closerange(3, os.sysconf("SC_OPEN_MAX"))
        sys.stdin, sys.stdout, sys.stderr = os.fdopen(0), os.fdopen(1, "w", 1), os.fdopen(2, "w", 1)
        for signum in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(signum, signal.SIG_DFL)
        with namespace.entered():
            main([*arguments])
    except SystemExit as told:
        code = told.code if isinstance(told.code, int) else int(bool(told.code))
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
