"""The inventory as the JSON that a program prints. It runs without a shell, in a process group that does not outlive the reading."""

import ctypes
import hashlib
import os
import selectors
import signal
import subprocess
import time
from contextlib import suppress
from typing import IO

from l3ctl.configuration import CommandSource
from l3ctl.errors import SourceFailed
from l3ctl.inventory import fetched_ports
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import quoted
from l3ctl.reading.text import SIZE_LIMIT

_PR_SET_PDEATHSIG = 1
_STDERR_KEPT = 4096
_CHUNK = 1 << 16
_BY_HAND = "run it by hand to see why"
_PRCTL = ctypes.CDLL(None).prctl


class Reader:
    """`Source` of one program's output."""

    def __init__(self, settings: CommandSource, timeout: int) -> None:
        self._arguments = settings.arguments
        self._name = str(settings)
        self._timeout = timeout
        self._digest = b""

    def read(self) -> Delivery:
        """Each record the program prints."""
        return self._delivery(self._run())

    def fileno(self) -> int | None:
        """A program says nothing by itself."""
        return None

    def news(self) -> Delivery | None:
        """Everything; None where the program printed what it had printed before."""
        output = self._run()
        return None if hashlib.blake2b(output).digest() == self._digest else self._delivery(output)

    def close(self) -> None:
        """Nothing is held."""

    def _delivery(self, output: bytes) -> Delivery:
        self._digest = b""
        delivery = fetched_ports.delivery(output, self._name)
        self._digest = hashlib.blake2b(output).digest()
        return delivery

    def _run(self) -> bytes:
        """What it wrote to stdout; `SourceFailed` unless it ended well and in time."""
        try:
            process = subprocess.Popen(
                self._arguments,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                start_new_session=True,
                preexec_fn=_end_with_parent,  # noqa: PLW1509  one system call, of a library that is loaded already
            )
        except FileNotFoundError:
            raise SourceFailed(f"{self._name}: no such program", "write its whole path") from None
        except OSError as error:
            raise SourceFailed(f"{self._name}: cannot be run: {error.strerror}", "check its mode and its first line") from None
        except (ValueError, subprocess.SubprocessError) as error:
            raise SourceFailed(f"{self._name}: cannot be run: {error}", _BY_HAND) from None
        output, words = _Kept(SIZE_LIMIT + 1), _Kept(_STDERR_KEPT, of_the_end=True)
        try:
            ended = self._follow(process, output, words)
        finally:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)  # not reaped yet, so the number is still this group's
            status = process.wait()
            for pipe in (process.stdout, process.stderr):
                if pipe:
                    pipe.close()
        if len(output.kept) > SIZE_LIMIT:
            raise SourceFailed(f"{self._name}: prints more than {SIZE_LIMIT >> 20} MiB", "check that it is the program you mean")
        if not ended:
            raise SourceFailed(
                f"{self._name}: did not end within {self._timeout} s{words.last_line()}", "see what it waits for, or set timeout"
            )
        if status:
            how = f"ended by {_signal(-status)}" if status < 0 else f"exit status {status}"
            raise SourceFailed(f"{self._name}: {how}{words.last_line()}", "" if words.kept else _BY_HAND)
        return bytes(output.kept)

    def _follow(self, process: "subprocess.Popen[bytes]", output: "_Kept", words: "_Kept") -> bool:
        """Take what it writes; whether it ended in time, and within what is kept. What it leaves in the background is not waited for."""
        deadline = time.monotonic() + self._timeout
        assert process.stdout
        assert process.stderr
        pipes = {process.stdout: output, process.stderr: words}
        ending = os.pidfd_open(process.pid)
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(ending, selectors.EVENT_READ)
                for pipe in pipes:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ)
                while (left := deadline - time.monotonic()) > 0:
                    ready = [key.fileobj for key, _ in selector.select(left)]
                    for pipe, kept in pipes.items():
                        while (pipe in ready or ending in ready) and time.monotonic() < deadline and (chunk := _chunk(pipe)) is not None:
                            if not chunk:
                                with suppress(KeyError):
                                    selector.unregister(pipe)
                                break
                            kept.add(chunk)
                            if len(output.kept) > SIZE_LIMIT:
                                return False
                    if ending in ready:
                        return time.monotonic() < deadline
        finally:
            os.close(ending)
        return False


class _Kept:
    """So much of the beginning of what was written, or of its end."""

    def __init__(self, most: int, *, of_the_end: bool = False) -> None:
        self.kept = bytearray()
        self._most = most
        self._of_the_end = of_the_end

    def add(self, chunk: bytes) -> None:
        self.kept += chunk
        if self._of_the_end:
            del self.kept[: -self._most]
        else:
            del self.kept[self._most :]

    def last_line(self) -> str:
        """Fit for a message that goes on with it; empty where nothing was said."""
        lines = [line for line in self.kept.decode(errors="replace").splitlines() if line.strip()]
        return f": {quoted(lines[-1].strip())}" if lines else ""


def _chunk(pipe: IO[bytes]) -> bytes | None:
    """What is there; nothing at its end; None where there is nothing yet."""
    try:
        return os.read(pipe.fileno(), _CHUNK)
    except BlockingIOError:
        return None


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _end_with_parent() -> None:
    _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)
