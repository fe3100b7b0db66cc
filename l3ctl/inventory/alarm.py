"""A clock that becomes readable, for what is looked at a moment after it changed; Python has one from 3.13 on."""

import ctypes
import os
import time
from contextlib import suppress

_LIBC = ctypes.CDLL(None, use_errno=True)


class _Timer(ctypes.Structure):
    """struct itimerspec of two struct timespec."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class Alarm:
    """Off until it is set; readable from its time on until it is taken or set again."""

    def __init__(self) -> None:
        self._file: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if self._file < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self.is_set = False

    def fileno(self) -> int:
        """What becomes readable."""
        return self._file

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, more than none."""
        nanoseconds = int(seconds * 1e9)
        if _LIBC.timerfd_settime(self._file, 0, ctypes.byref(_Timer(0, 0, *divmod(nanoseconds, 10**9))), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")
        self.is_set = True

    def take(self) -> bool:
        """Whether it has rung; it is off then."""
        with suppress(BlockingIOError):
            os.read(self._file, 8)
            self.is_set = False
            return True
        return False

    def close(self) -> None:
        """Let go of it."""
        os.close(self._file)
