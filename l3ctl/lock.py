"""One agent a router: a lock that the kernel lets go of with its holder."""

import fcntl
import os
from pathlib import Path
from typing import IO

from l3ctl.errors import AlreadyRunning, MissingRequirement


class Lock:
    """The one agent of a router. Held through an open file, so that the kernel lets go of it when the agent dies, however it dies."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: IO[str] | None = None

    def acquire(self) -> None:
        """Take it, or raise `AlreadyRunning`."""
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            # Nobody else may open it: to read is enough for flock(2), and whoever waits for it would get it before the next agent.
            file = os.fdopen(os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600), "r+")
            self._path.chmod(0o600)
        except OSError as error:
            raise MissingRequirement(f"cannot write {self._path}: {error.strerror}", "run as root") from error
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read().strip() or "another process"
            file.close()
            raise AlreadyRunning(f"an agent runs for this router already: {holder}", "stop it first, or ask it: `l3ctl status`") from None
        file.truncate(0)
        file.write(f"pid {os.getpid()}")
        file.flush()
        self._file = file

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            self._file.close()
            self._file = None
