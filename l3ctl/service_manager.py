"""What a service manager is told over its socket: that all works, that we are alive, and that we are about to end (sd_notify(3)).

Without one, as in a terminal, nothing is told to nobody.
"""

import os
import socket
from collections.abc import Mapping
from contextlib import suppress


class ServiceManager:
    """The one that `environ` names, if any. Nobody waits for it."""

    def __init__(self, environ: Mapping[str, str] = os.environ) -> None:
        path = environ.get("NOTIFY_SOCKET", "")
        # An abstract one begins with @ for people, and with NUL for the kernel.
        self._path = f"\0{path[1:]}" if path.startswith("@") else path
        ours = environ.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        given = environ.get("WATCHDOG_USEC", "")
        self.patience = int(given) / 1e6 if ours and given.isdigit() else None
        """seconds without a word from us after which it takes us for dead; None where it does not watch"""
        self._next = 0.0

    def ready(self, status: str) -> None:
        """Everything works; `status` is for people."""
        self._tell(f"READY=1\nSTATUS={status}")

    def alive(self, now: float) -> None:
        """We are. As often as one likes: it is told each quarter of its patience."""
        if self.patience is not None and now >= self._next:
            self._next = now + self.patience / 4
            self._tell("WATCHDOG=1")

    def stopping(self) -> None:
        """We are about to end, and mean to."""
        self._tell("STOPPING=1")

    def _tell(self, words: str) -> None:
        if not self._path:
            return
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC) as teller:
            teller.sendto(words.encode(), self._path)
