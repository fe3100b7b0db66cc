"""Work that goes on in a thread while something else happens."""

import threading
from abc import ABC, abstractmethod
from types import TracebackType
from typing import Self


class Beside(ABC):
    """Goes on from when it is entered until it is left."""

    def __init__(self) -> None:
        self.ending = threading.Event()
        self._thread = threading.Thread(target=self.work, daemon=True)

    @abstractmethod
    def work(self) -> None:
        """What goes on, until `ending` is set."""

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.ending.set()
        self._thread.join()
