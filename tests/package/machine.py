"""A bare Debian with a systemd of its own, in a network namespace that somebody else made: what a router is, but for the kernel."""

import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from l3ctl.errors import LabFailed, MissingRequirement
from l3ctl.lab.namespaces import Namespace

_ROOT = Path(__file__).with_name("root.sh")
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LC_ALL": "C.UTF-8",
    "TERM": "dumb",
}
_HIERARCHIES = [Path("/sys/fs/cgroup", name) for name in ("", "systemd", "unified")]
"""where a systemd keeps its units apart: version 2, or version 1 of control groups with either name (cgroups(7))"""
_HALT = signal.SIGRTMIN + 4
"""systemd(1): powers the machine off"""
WHOLE = 60.0
"""seconds after which something has gone wrong"""


class Machine:
    """Made with `build`, and removed again whatever state it is in. Its root is a copy, in a folder of its own."""

    def __init__(self, name: str, namespace: Namespace) -> None:
        self.name = name
        self._namespace = namespace
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._groups = [one / name for one in _HIERARCHIES if (one / "cgroup.procs").exists()]
        self.root = Path("/var/cache/l3ctl/machines") / name

    def build(self) -> None:
        """Lay its root out, which the first time takes minutes."""
        bare = subprocess.run([_ROOT], stdout=subprocess.PIPE, text=True, check=True).stdout.strip()
        self.root.parent.mkdir(parents=True, exist_ok=True)
        for left in self.root.parent.glob("l3t*"):  # by a run that was killed
            if (owner := re.match(r"l3t(\d+)", left.name)) and not Path(f"/proc/{owner[1]}").exists():
                shutil.rmtree(left) if left.is_dir() else left.unlink()
        subprocess.run(["cp", "--archive", "--reflink=auto", bare, self.root], check=True)

    def boot(self) -> None:
        """Until its systemd has nothing more to start.

        Raises:
            MissingRequirement: this machine can have none in it.
        """
        for group in self._groups:
            group.mkdir(exist_ok=True)
        # By way of a shell, which goes into the groups first: two machines at once would have units of the same names.
        into = 'while [ "$1" != -- ]; do echo $$ > "$1/cgroup.procs"; shift; done; shift; exec "$@"'
        nspawn = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe", f"--directory={self.root}", "--boot"]
        # Everything that a real machine has: what a unit lacks of it is to be the unit's own doing.
        nspawn += ["--capability=all", "--system-call-filter=bpf perf_event_open", f"--network-namespace-path={self._namespace.path}"]
        with (self.root.parent / f"{self.name}.log").open("wb") as log:
            self._nspawn = subprocess.Popen(
                ["setpriv", "--pdeathsig", "KILL", "sh", "-ec", into, "sh", *map(str, self._groups), "--", *nspawn],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network"},  # as /proc/sys/net is on a real machine
            )
        until = time.monotonic() + WHOLE
        while self._first() is None:
            if self._nspawn.poll() is not None or time.monotonic() > until:
                said = (self.root.parent / f"{self.name}.log").read_text(errors="replace").strip()
                raise MissingRequirement(f"no machine can be started on this one: {said}", "systemd-nspawn --boot has to work here")
            time.sleep(0.02)
        self.wait("its boot", self._is_up)

    def _is_up(self) -> bool:
        return self._first() is not None and self.run("systemctl", "is-system-running", ok=(0, 1)).strip() in {"running", "degraded"}

    def _first(self) -> int | None:
        """The pid of its process 1."""
        assert self._nspawn is not None
        with suppress(FileNotFoundError):
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            return int(children[0]) if children else None
        return None

    def command(self, *words: str) -> list[str]:
        """What runs that inside."""
        variables = [f"{name}={value}" for name, value in _ENVIRONMENT.items()]
        return ["nsenter", "--target", str(self._first()), "--all", "env", "-i", *variables, *words]

    def run(self, *words: str, ok: Sequence[int] = (0,)) -> str:
        """What a program inside prints."""
        done = subprocess.run(self.command(*words), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        if done.returncode not in ok:
            raise LabFailed(f"{' '.join(words)} exited {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def write(self, path: str, text: str) -> None:
        """As root inside would with an editor."""
        inside = self.root / path.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        inside.write_text(text)

    def place(self, file: Path, folder: str) -> None:
        """A copy of this file, in there."""
        inside = self.root / folder.lstrip("/")
        inside.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, inside)

    def journal(self, unit: str, *options: str) -> str:
        """What a unit said."""
        return self.run("journalctl", "--no-pager", "--quiet", f"--unit={unit}", *options)

    def state(self, unit: str) -> str:
        """As `systemctl is-active` has it."""
        return self.run("systemctl", "is-active", unit, ok=(0, 3, 4)).strip()

    def main_pid(self, unit: str) -> int:
        """By the numbers inside; 0 while it does not run."""
        return int(self.run("systemctl", "show", "--property=MainPID", "--value", unit))

    def wait(self, what: str, reached: Callable[[], bool], seconds: float = WHOLE) -> None:
        """Look until it is so."""
        until = time.monotonic() + seconds
        while not reached():
            if time.monotonic() > until:
                raise LabFailed(f"{what}: not within {seconds:g} s")
            time.sleep(0.05)

    def remove(self) -> None:
        """Power it off, and leave nothing of it."""
        if self._nspawn is not None:
            with suppress(LabFailed, ProcessLookupError):
                if (first := self._first()) is not None:
                    os.kill(first, _HALT)
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        for group in self._groups:
            for inner in sorted(group.rglob("*/"), key=lambda path: len(path.parts), reverse=True):
                with suppress(OSError):
                    inner.rmdir()
            with suppress(OSError):
                group.rmdir()
        shutil.rmtree(self.root, ignore_errors=True)
        (self.root.parent / f"{self.name}.log").unlink(missing_ok=True)
