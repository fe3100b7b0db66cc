"""What the filter says to frames of a capture: the real program, on maps of its own, beside whatever runs on this machine."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from l3ctl.errors import FilterFailed
from l3ctl.model import PortPolicy
from l3ctl.xdp import clock
from l3ctl.xdp.capture import Captured
from l3ctl.xdp.program import load_private
from l3ctl.xdp.tables import Tables

_LOOPBACK = 1
"""where BPF_PROG_TEST_RUN lets frames come in: ifindex 1 is the loopback of every network namespace"""
_FOR_EVER = 2**64 - 1
_VERDICTS = {1: "drop", 2: "pass", 3: "answer"}
_ETHERNET_HEADER = 14
_LONGEST = 3000
"""bytes of a frame that BPF_PROG_TEST_RUN takes for sure: a page less its margins"""


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
        self.program, self._budgets = loaded.program, loaded.maps["budgets"]
        self.tables = Tables(loaded.maps)
        self.add(policy)
        self._index = self.tables.index(policy.port)
        # A capture does not say what the agent had asked then: every answer to a probe is taken for one that was asked for.
        self.tables.asked[self._index] = _FOR_EVER if policy.probed else 0
        self._before = self._counted()
        self._ahead = 0
        """how far the budget has run ahead of the capture's time, in nanoseconds"""

    def add(self, policy: PortPolicy, ifindex: int = _LOOPBACK) -> None:
        """Guard a port more. No frame ever comes in on another netdev than the loopback; such ports are only there."""
        self.tables.put(policy, ifindex)

    def _counted(self) -> Counter[str]:
        """Everything counted, the frames of no port included."""
        return Counter(self.tables.counters_at(self._index)) + Counter(self.tables.counters_at(0))

    def run(self, frame: bytes) -> tuple[str, str, bytes | None]:
        """(verdict, reason, answer) of one frame."""
        if len(frame) < _ETHERNET_HEADER:
            # No driver hands XDP less than an Ethernet header, and BPF_PROG_TEST_RUN refuses to: the kernel drops it before.
            return "drop", "truncated", None
        action, out = self._run(frame[:_LONGEST])
        after = self._counted()
        reason = next((name for name in after if after[name] != self._before[name]), "")
        self._before = after
        if reason == "ext-header" and len(frame) > _LONGEST:
            raise FilterFailed(f"a frame of {len(frame)} bytes, most of it extension headers, is longer than the kernel runs for a test")
        verdict = _VERDICTS[action]
        return verdict, reason, out if verdict == "answer" else None

    def _run(self, frame: bytes) -> tuple[int, bytes]:
        """Run the program at a moment when its clock stands still.

        Else the budget would refill while we work, and a capture would get another verdict on a slower machine.
        """
        key = self._index.to_bytes(4, "little")
        while True:
            now = clock.now()
            self._budgets.update(key, (now + self._ahead).to_bytes(8, "little"))
            try:
                action, out = self.program.test_run(frame)
            except OSError as error:
                raise FilterFailed(f"the kernel does not run a frame of {len(frame)} bytes: {error.strerror}") from error
            arrival = int.from_bytes(self._budgets.lookup(key) or bytes(8), "little")
            if clock.now() == now:
                self._ahead = arrival - now
                return action, out
            self._before = self._counted()

    def let_time_pass(self, nanoseconds: int) -> None:
        """Refill the budget for answers as if so much time had gone by: a capture is judged by its own clock."""
        self._ahead = max(0, self._ahead - nanoseconds)

    def judge(self, capture: Iterable[Captured]) -> Iterator[Judged]:
        """Judge each frame of a capture, numbered from 1."""
        latest: int | None = None
        for number, captured in enumerate(capture, 1):
            if captured.time is not None:
                if latest is not None and captured.time > latest:
                    self.let_time_pass(captured.time - latest)
                latest = captured.time if latest is None else max(latest, captured.time)
            yield Judged(number, *self.run(captured.frame))
