"""The agent's end."""

import os
import pickle
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from l3ctl.errors import MissingRequirement
from l3ctl.reader.messages import HEADER, Ask, Told, Verdict, send

_AGAIN = (1.0, 60.0)
"""seconds after which a reader that died is replaced: the first time, and at most"""


class Reader:
    """The parent's end. `fileno` is for a selector; it changes when a new child is made."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channel: socket.socket | None = None
        self._child = 0
        self._received = bytearray()
        self._rest = _AGAIN[0]
        self._next = 0.0

    def open(self) -> None:
        """Make the child. Only for a process with one thread. Raises `MissingRequirement` where there is no room for it."""
        ours, theirs = socket.socketpair()
        try:
            child = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            raise MissingRequirement(f"no process can be made to read {self._path}: {error.strerror}", "make room for one") from error
        if child == 0:
            from l3ctl.reader.child import live  # with all that reads strictly, which is to be in the child alone

            live(self._path, theirs)
        theirs.close()
        self._received.clear()
        self._channel, self._child = ours, child

    def fileno(self) -> int:
        """Of the channel; -1 while there is no child."""
        return self._channel.fileno() if self._channel is not None else -1

    def first(self) -> Told:
        """The site to begin with: wait for it, and take it.

        Raises:
            L3ctlError: as the child met it; or `MissingRequirement`, where it has died.
        """
        self.ask("reload", why="start")
        told = self._wait()
        if told.error is not None:
            raise told.error
        self.answer(taken=True)
        return told

    def ask(self, verb: str, *, why: str = "", asked: bool = False) -> None:
        """Ask; the answer is among what is received. Raises `MissingRequirement` where there is nobody to ask."""
        self._send(Ask(verb, why, asked))

    def receive(self) -> Iterator[Told]:
        """When the channel is readable: all that has come in full. Raises `MissingRequirement` where the child has died."""
        assert self._channel is not None
        try:
            self._received += self._alive(self._channel.recv(1 << 20, socket.MSG_DONTWAIT))
        except BlockingIOError:
            return
        except OSError:  # reset, where it died with something of ours unread
            self._alive(b"")
        while (told := self._take()) is not None:
            yield told

    def answer(self, *, taken: bool, on_trial: bool = False) -> None:
        """Whether what was told is carried out."""
        self._send(Verdict(taken, on_trial))

    def again(self, now: float) -> bool:
        """After it died: whether it is time for another one, which is made."""
        if self._channel is not None or now < self._next:
            return False
        self._next, self._rest = now + self._rest, min(2 * self._rest, _AGAIN[1])
        self.open()
        return True

    def close(self) -> None:
        """End the child, which holds nothing that an end could break."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(self._child, signal.SIGKILL)
                os.waitpid(self._child, 0)

    def _send(self, message: object) -> None:
        if self._channel is None:
            raise MissingRequirement(f"nobody reads {self._path}", "another reader is made within a minute")
        try:
            send(self._channel, message)
        except OSError:
            self._alive(b"")

    def _take(self) -> Told | None:
        if len(self._received) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self._received)
        if len(self._received) < HEADER.size + length:
            return None
        told: Told = pickle.loads(memoryview(self._received)[HEADER.size : HEADER.size + length])  # noqa: S301  of our own child
        del self._received[: HEADER.size + length]
        self._rest = _AGAIN[0]
        return told

    def _wait(self) -> Told:
        while (told := self._take()) is None:
            assert self._channel is not None
            try:
                self._received += self._alive(self._channel.recv(1 << 20))
            except OSError:
                self._alive(b"")
        return told

    def _alive(self, received: bytes) -> bytes:
        """The same; `MissingRequirement` where it is the end of all, and the child is buried."""
        if received:
            return received
        assert self._channel is not None
        self._channel.close()
        self._channel = None
        self._next = time.monotonic() + self._rest
        status = 0
        with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel has taken the child away
            status = os.waitpid(self._child, 0)[1]
        why = f"signal {os.WTERMSIG(status)}" if os.WIFSIGNALED(status) else "an error of its own"
        raise MissingRequirement(f"the process that reads {self._path} was ended by {why}", "the kernel log may say more")
