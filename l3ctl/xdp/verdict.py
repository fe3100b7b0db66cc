"""What the filter says to frames of a capture: the real program, on maps of its own, beside whatever runs on this machine."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from l3ctl.errors import FilterFailed
from l3ctl.model import PortPolicy
from l3ctl.xdp.abi import abi
from l3ctl.xdp.capture import Captured
from l3ctl.xdp.program import load_private
from l3ctl.xdp.tables import Tables

_LOOPBACK = 1
"""where BPF_PROG_TEST_RUN lets frames come in: ifindex 1 is the loopback of every network namespace"""
_VERDICTS = {1: "drop", 2: "pass", 3: "answer"}
_ETHERNET_HEADER = 14


@dataclass(frozen=True, slots=True)
class Judged:
    """One frame's verdict. `reason` is empty for ordinary traffic; `answer` is the frame sent back."""

    packet: int
    verdict: str
    reason: str
    answer: bytes | None


class Judge:
    """Runs frames through a filter loaded for one port alone."""

    def __init__(self, policy: PortPolicy) -> None:
        loaded = load_private(policy.source_guard)
        self._program, self._budgets = loaded.program, loaded.maps["budgets"]
        self._tables = Tables(loaded.maps)
        self._tables.put(policy, _LOOPBACK)
        self._index = next(
            index for index in range(1, abi().numbers["MAX_PORTS"]) if loaded.maps["names"].lookup(index.to_bytes(4, "little"))
        )
        self._before = self._counted()

    def _counted(self) -> dict[str, int]:
        """Everything counted, the frames of no port included."""
        unknown = self._tables.counters_at(0)
        return {**self._tables.counters_at(self._index), **unknown}

    def run(self, frame: bytes) -> tuple[str, str, bytes | None]:
        """(verdict, reason, answer) of one frame."""
        if len(frame) < _ETHERNET_HEADER:
            # No driver hands XDP less than an Ethernet header, and BPF_PROG_TEST_RUN refuses to: the kernel drops it before.
            return "drop", "truncated", None
        try:
            action, out = self._program.test_run(frame)
        except OSError as error:
            raise FilterFailed(f"the kernel does not run a frame of {len(frame)} bytes: {error.strerror}") from error
        after = self._counted()
        reason = next((name for name in after if after[name] != self._before.get(name, 0)), "")
        self._before = after
        verdict = _VERDICTS[action]
        return verdict, reason, out if verdict == "answer" else None

    def let_time_pass(self, nanoseconds: int) -> None:
        """Refill the budget for answers as if so much time had gone by: a capture is judged by its own clock."""
        key = self._index.to_bytes(4, "little")
        arrival = int.from_bytes(self._budgets.lookup(key) or bytes(8), "little")
        self._budgets.update(key, max(0, arrival - nanoseconds).to_bytes(8, "little"))

    def judge(self, capture: Iterable[Captured]) -> Iterator[Judged]:
        """Judge each frame of a capture, numbered from 1."""
        latest: int | None = None
        for number, captured in enumerate(capture, 1):
            if captured.time is not None:
                if latest is not None and captured.time > latest:
                    self.let_time_pass(captured.time - latest)
                latest = captured.time if latest is None else max(latest, captured.time)
            yield Judged(number, *self.run(captured.frame))
