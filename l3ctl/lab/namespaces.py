"""Network namespaces of the lab: made, entered, and removed again, also after a crash.

Owns names that begin with its prefix, and nothing of the host's own namespace.
"""

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.kernel.namespace import entered

NETNS_DIR = Path("/run/netns")


def run(*argv: str, stdin: str | None = None, ok: tuple[int, ...] = (0,)) -> str:
    """Run a program to its end; its output, or `LabFailed` with what it complained of when its exit code is not among `ok`."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    if done.returncode not in ok:
        complaint = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[0]
        raise LabFailed(f"{' '.join(argv)} exited {done.returncode}: {complaint}")
    return done.stdout


class Namespace:
    """One network namespace, by name."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = NETNS_DIR / name

    def add(self) -> None:
        """Create it, with its loopback up."""
        run("ip", "netns", "add", self.name)
        self.ip("link set lo up")

    def exists(self) -> bool:
        """Whether the name is taken."""
        return self.path.exists()

    def remove(self) -> None:
        """End every process inside and remove it; nothing to do when it does not exist."""
        if not self.exists():
            return
        for signum in (signal.SIGTERM, signal.SIGKILL):
            deadline = time.monotonic() + 2
            while (pids := self.pids()) and time.monotonic() < deadline:
                for pid in pids:
                    with suppress(ProcessLookupError):
                        os.kill(pid, signum)
                time.sleep(0.02)
        run("ip", "netns", "del", self.name)

    def pids(self) -> list[int]:
        """The processes inside."""
        return [int(line) for line in run("ip", "netns", "pids", self.name).split()]

    def ip(self, *commands: str) -> None:
        """Run `ip` commands inside, as one batch that stops at the first failure."""
        run("ip", "-n", self.name, "-batch", "-", stdin="\n".join(commands) + "\n")

    def sysctl(self, *settings: str) -> None:
        """Set sysctls of this namespace: `net.ipv4.ip_forward=1`."""
        with self.entered():
            for setting in settings:
                name, _, value = setting.partition("=")
                Path("/proc/sys", *name.split(".")).write_text(value)

    def run(self, *argv: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run a program inside to its end."""
        return run("ip", "netns", "exec", self.name, *argv, ok=ok)

    def start(self, argv: Sequence[str], log: Path, env: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a program inside, its output appended to `log`, detached from our terminal."""
        with log.open("ab") as output:
            return subprocess.Popen(
                ["ip", "netns", "exec", self.name, *argv],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                env={**os.environ, **(env or {})},
            )

    def entered(self) -> AbstractContextManager[None]:
        """Put this thread inside for the length of a block."""
        return entered(self.path)
