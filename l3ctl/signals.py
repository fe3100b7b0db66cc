"""Signals as events of a selector: nothing of ours runs inside a signal handler."""

import os
import selectors
import signal
from collections.abc import Callable, Mapping

_AT_ONCE = 65536
"""as many as a pipe holds"""


def hold(*signums: int) -> None:
    """Let these wait until they are caught: one that comes before would end us."""
    signal.pthread_sigmask(signal.SIG_BLOCK, signums)


def let_go(*signums: int) -> None:
    """As it is for a program that has not asked for anything else."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, signums)


def catch(selector: selectors.BaseSelector, caught: Mapping[int, Callable[[], object]], stopping: Callable[[], bool]) -> None:
    """Call what belongs to each signal, in this order, until ``stopping``. Many of one kind that have come are one."""
    wake_read, wake_write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(wake_write)
    for signum in caught:
        signal.signal(signum, lambda *_: None)
    let_go(*caught)

    def wake() -> None:
        arrived = set(os.read(wake_read, _AT_ONCE))
        for signum in (one for one in caught if one in arrived):
            if not stopping():
                caught[signum]()

    selector.register(wake_read, selectors.EVENT_READ, wake)
