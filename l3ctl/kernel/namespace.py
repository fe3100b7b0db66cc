"""Another network namespace, for the length of a block."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_HERE = Path("/proc/thread-self/ns/net")
_CLONE_NEWNET = 0x40000000


@contextmanager
def entered(path: Path) -> Iterator[None]:
    """Put this thread into the namespace at `path` (as /run/netns/NAME), and back. Sockets opened inside stay there.

    Other threads stay where they are, and may enter and leave others meanwhile: nothing is kept but here.
    """
    with _HERE.open() as before, path.open() as inside:
        _set(inside.fileno())
        try:
            yield
        finally:
            _set(before.fileno())


def _set(descriptor: int) -> None:
    if ctypes.CDLL(None, use_errno=True).setns(descriptor, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
