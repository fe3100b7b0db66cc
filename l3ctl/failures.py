"""What could not be done, and why: told once when it fails, and asked about for as long as it does."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from l3ctl.errors import L3ctlError
from l3ctl.log import event
from l3ctl.model import Change

_TOLD = 1000
"""refused commands that are remembered"""
NOWHERE = "-"
"""in the place of a port, for what is no port's"""


@dataclass(frozen=True, slots=True)
class Failed:
    """A change that could not be made, and why."""

    change: Change
    reason: str


def reason_of(error: L3ctlError) -> str:
    """An error as one line."""
    return "; ".join(error.lines())


class Failures:
    """Those of an agent, by port, and its troubles that are no port's."""

    def __init__(self) -> None:
        self._failed: dict[str, list[Failed]] = {}
        self._told: dict[str, list[str]] = {}
        self._trouble = ""
        self._bad_input: list[str] = []
        self._next_hops: list[str] = []
        self._refused: set[str] = set()

    def ports(self) -> Collection[str]:
        """Where something failed, and is to be tried again."""
        return self._failed.keys()

    def looked_at(self, ports: Collection[str] | None, failed: Iterable[Failed]) -> None:
        """These ports were looked at again, or all of them, and this failed."""
        for name in list(self._failed) if ports is None else ports:
            self._failed.pop(name, None)
        for failure in failed:
            self._failed.setdefault(failure.change.port, []).append(failure)
        for name, failures in self._failed.items():
            lines = [f"{failure.change}: {failure.reason}" for failure in failures]
            if self._told.get(name) != lines:
                for line in lines:
                    event("refuse", port=name, reason=line)
            self._told[name] = lines
        for name in self._told.keys() - self._failed.keys():
            del self._told[name]

    def broke_off(self, error: L3ctlError) -> None:
        """Work on no port in particular broke off."""
        if self._trouble != reason_of(error):
            self._trouble = reason_of(error)
            event("refuse", reason=self._trouble)

    def went_through(self) -> None:
        """It did not, this time."""
        self._trouble = ""

    def read(self, error: L3ctlError | None = None) -> None:
        """Configuration and inventory were read, well or not."""
        self._bad_input = error.lines() if error is not None else []
        for line in self._bad_input:
            event("refuse", reason=line)

    def next_hops(self, missing: list[str]) -> None:
        """These are not there."""
        for line in missing if missing != self._next_hops else ():
            event("refuse", reason=line)
        self._next_hops = missing

    def refused(self, command: str) -> None:
        """ExaBGP would not take a command: told once, however often it is asked."""
        if command not in self._refused:
            event("refuse", command=command, reason="ExaBGP answered error")
            self._refused = {*self._refused, command} if len(self._refused) < _TOLD else {command}

    def as_json(self) -> list[dict[str, object]]:
        """All that fails now."""
        told: list[dict[str, object]] = [
            {"port": name, "change": str(failure.change), "reason": failure.reason}
            for name, failures in sorted(self._failed.items())
            for failure in failures
        ]
        told += ({"port": NOWHERE, "change": "find the next hop", "reason": line} for line in self._next_hops)
        told += ({"port": NOWHERE, "change": "read the configuration and inventory", "reason": line} for line in self._bad_input)
        return [*told, {"port": NOWHERE, "change": "look at everything", "reason": self._trouble}] if self._trouble else told
