"""An end to what may never end: a server that was stopped, a network that swallows packets, a name server that does not answer.

What is waited for runs in a thread of its own, since neither libpq nor the resolver nor a web client bounds all of what it does. At the
deadline the thread is given up: whoever started it cuts its connection, so that it ends by itself, and its outcome is nobody's.
"""

from collections.abc import Callable
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TypeVar

Outcome = TypeVar("Outcome")


def within(seconds: float, work: Callable[[], Outcome], cut: Callable[[], None]) -> Outcome:
    """What ``work`` returns or raises. Calls ``cut`` and raises `TimeoutError` when it takes longer."""
    outcomes: SimpleQueue[tuple[Outcome | None, BaseException | None]] = SimpleQueue()

    def run() -> None:
        try:
            outcomes.put((work(), None))
        except BaseException as error:
            outcomes.put((None, error))

    Thread(target=run, name="inventory source", daemon=True).start()
    try:
        outcome, error = outcomes.get(timeout=seconds)
    except Empty:
        cut()
        raise TimeoutError from None
    except BaseException:  # a signal's
        cut()
        raise
    if error is not None:
        raise error
    return outcome  # type: ignore[return-value]  # None only where work returns it
