"""A word to whoever waits: what takes long, and for how many seconds by now. On a terminal only, and gone when it is over."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_SILENT = 1.0
"""seconds that need no word"""
_ERASE = "\r\033[K"


@contextmanager
def patience(what: str, left: Callable[[], str] = str) -> Iterator[None]:
    """Beside the block, on stderr: `reading the inventory: 3 s`. `left` says more, where more is known."""
    if not sys.stderr.isatty():
        yield
        return
    over = threading.Event()

    def tell() -> None:
        seconds = 0
        while not over.wait(_SILENT):
            seconds += 1
            sys.stderr.write(f"{_ERASE}{what}: {seconds} s{left()}")
            sys.stderr.flush()
        if seconds:
            sys.stderr.write(_ERASE)
            sys.stderr.flush()

    teller = threading.Thread(target=tell, daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()
