"""A clock that becomes readable, for what is looked at a moment after it changed; Python has one from 3.13 on."""

import ctypes
import os
import time

_LIBC = ctypes.CDLL(None, use_errno=True)


class _Timer(ctypes.Structure):
    """struct itimerspec of two struct timespec."""

    _fields_ = tuple((name, ctypes.c_long) for name in ("every_s", "every_ns", "first_s", "first_ns"))


class Alarm:
    """Off until it is set; readable from its time on until it is taken or set again."""

    def __init__(self) -> None:
        number: int = _LIBC.timerfd_create(time.CLOCK_MONOTONIC, os.O_NONBLOCK | os.O_CLOEXEC)
        if number < 0:
            raise OSError(ctypes.get_errno(), "timerfd_create")
        self._file = os.fdopen(number, "rb", buffering=0)

    def fileno(self) -> int:
        """What becomes readable."""
        return self._file.fileno()

    def set(self, seconds: float) -> None:
        """Ring in so many seconds, more than none."""
        nanoseconds = int(seconds * 1e9)
        if _LIBC.timerfd_settime(self.fileno(), 0, ctypes.byref(_Timer(0, 0, *divmod(nanoseconds, 10**9))), None):
            raise OSError(ctypes.get_errno(), "timerfd_settime")

    def take(self) -> bool:
        """Whether it has rung; it is off then."""
        return self._file.read(8) is not None

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
