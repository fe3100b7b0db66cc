"""What customers were refused, as a list that stays short: of each port and reason the latest evidence, and how many frames it stands for.

The filter's counters are exact and its samples few; a line of this list is a sample together with what its counter grew by. A flood makes
one line at its beginning and one each `AGAIN` seconds, however many frames it is of and from however many ports: beyond `LINES` a second
lines wait their turn, and lose nothing by it but time.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from l3ctl.evidence import Billing, Evidence, explain
from l3ctl.model import Port
from l3ctl.xdp.filter import Filter

AGAIN = 10.0
"""seconds between two lines of one port and reason"""
LINES = 20
"""lines a second, on average"""
KEPT = 1000
"""lines remembered, and as many of what is no attack"""
REFILLS = 200
"""of the filter's budgets for samples, a second: what reading evidence may cost at most"""
Key = tuple[str, str]
"""(port, reason)"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A line: `count` frames since the last one of this port and reason, of which `evidence` is one. `frame` is that one's beginning."""

    sequence: int
    at: float
    count: int
    evidence: Evidence
    frame: str


@dataclass(slots=True)
class _Open:
    """A port and reason with something to tell, or that lately had."""

    evidence: Evidence
    frame: bytes
    due: float
    was_told: bool = False


class Violations:
    """Reads the samples of a filter that is open, and refills its budgets."""

    def __init__(self, filter_: Filter, clock: Callable[[], float] = time.monotonic) -> None:
        self._filter, self._clock = filter_, clock
        self._samples = filter_.samples()
        self._open: dict[Key, _Open] = {}
        self._told: dict[Key, int] = {
            (port, reason): count for port, counts in filter_.counters().items() for reason, count in counts.items()
        }
        """what each counter stood at when something was told of it last; before us, somebody else told of it"""
        self._lines: dict[bool, deque[Violation]] = {False: deque(maxlen=KEPT), True: deque(maxlen=KEPT)}
        self._sequence = 0
        self._sampled: dict[Key, None] = {}
        self._allowance, self._refills, self._since = float(LINES), float(REFILLS), clock()

    def fileno(self) -> int:
        """For a selector: there are samples to read."""
        return self._samples.fileno()

    def read(self, ports: Mapping[str, Port], billing: Billing) -> None:
        """Take in the samples that are there. What there is to tell of them, `tick` tells."""
        for sample in self._samples.read():
            name = self._filter.port_of(sample)
            evidence = explain(ports.get(name), sample.reason, sample.frame, billing)
            key = name, sample.reason
            self._sampled[key] = None
            known = self._open.get(key)
            if known is None:
                self._open[key] = _Open(evidence, sample.frame, self._clock())
            elif known.evidence.quiet or not evidence.quiet:  # an attack is not to be hidden by what a healthy host does
                known.evidence, known.frame = evidence, sample.frame

    def tick(self) -> Iterator[Violation]:
        """What is to be told now, several times a second; and let new samples be taken of what was read."""
        now = self._clock()
        passed, self._since = now - self._since, now
        self._allowance = min(self._allowance + passed * LINES, LINES)
        self._refills = min(self._refills + passed * REFILLS, REFILLS)
        self._refill()
        counted: dict[str, Mapping[str, int]] = {}
        for key, one in [item for item in self._open.items() if now >= item[1].due]:
            port, reason = key
            if port not in counted:
                counted[port] = self._filter.counters_of(port)
            count = counted[port].get(reason, 0)
            told = self._told.get(key, 0)
            more = count - told if count >= told else count  # less than before: another port's counters, under the same name
            if more <= 0 and one.was_told:
                del self._open[key]
                continue
            if self._allowance < 1:
                return
            self._allowance -= 1
            self._told[key], one.due, one.was_told = count, now + AGAIN, True
            self._open[key] = self._open.pop(key)  # to the end of the queue
            self._sequence += 1
            line = Violation(self._sequence, time.time(), max(more, 1), one.evidence, one.frame.hex())
            self._lines[one.evidence.quiet].append(line)
            yield line

    def _refill(self) -> None:
        granted: dict[str, list[str]] = {}
        for port, reason in list(self._sampled)[: int(self._refills)]:
            granted.setdefault(port, []).append(reason)
            del self._sampled[port, reason]
            self._refills -= 1
        for port, reasons in granted.items():
            self._filter.refill(port, reasons)

    def since(self, sequence: int, *, quiet: bool) -> list[Violation]:
        """The lines after this number that are still remembered, oldest first; with `quiet`, those of no attack too."""
        lines: Iterable[Violation] = self._lines[False]
        if quiet:
            lines = sorted((*self._lines[False], *self._lines[True]), key=lambda line: line.sequence)
        return [line for line in lines if line.sequence > sequence]

    def last(self) -> int:
        """The number of the latest line."""
        return self._sequence
