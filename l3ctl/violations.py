"""What is not as billed, as a list that stays short: what customers were refused, and what is announced elsewhere too.

Of what was refused, it has of each port and reason the latest evidence, and how many frames it stands for. The filter's counters are exact
and its samples few; a line of this list is a sample together with what its counter grew by. A flood makes one line at its beginning and one
each `AGAIN` seconds, however many frames it is of and from however many ports: beyond `LINES` a second lines wait their turn, and lose
nothing by it but time.

What is announced elsewhere too is no frame, but lasts: it makes one line when it begins, and one each `AGAIN` seconds until it ends.
"""

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_network

from l3ctl.bgp.others import Duplicate
from l3ctl.evidence import Billing, Evidence, duplicate, explain
from l3ctl.model import Port
from l3ctl.xdp.filter import Filter

AGAIN = 10.0
"""seconds between two lines of one port and reason"""
LINES = 20
"""lines a second, on average"""
LASTING_LINES = 5
"""the same, of what lasts: however much that is, it leaves room for the rest"""
KEPT = 1000
"""lines remembered, and as many of what is no attack"""
REFILLS = 200
"""of the filter's budgets for samples, a second: what reading evidence may cost at most"""
_STRANGE = frozenset({"arp-mac-spoof", "nd-mac-spoof"})
_LATELY = 600.0
"""seconds in which a MAC that is not billed tells of a record that is wrong"""
Key = tuple[str, str]
"""(port, reason)"""


@dataclass(frozen=True, slots=True)
class Violation:
    """A line: `count` frames since the last one of this port and reason, of which `evidence` is one. `frame` is that one's beginning.

    Of what is no frame, `count` is 1 and `frame` empty.
    """

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
        self._duplicates: tuple[list[Duplicate], Billing | None] = [], None
        self._lasting: dict[Evidence, None] = {}
        self._lasting_due: dict[Evidence, float] = {}
        """when each may be told again, also if it ended meanwhile"""
        self._allowance, self._refills, self._since = float(LINES), float(REFILLS), clock()
        self._lasting_allowance = float(LASTING_LINES)

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

    def duplicates(self, found: list[Duplicate], billing: Billing) -> None:
        """These are announced elsewhere too, and nothing else is."""
        if (found, billing) != self._duplicates:
            self._duplicates = found, billing
            self._lasting = dict.fromkeys(duplicate(ip_network(one.prefix), one.next_hop, one.peer, billing) for one in found)

    def lasting(self) -> list[str]:
        """In words, what lasts now."""
        return [one.text for one in self._lasting]

    def tick(self) -> Iterator[Violation]:
        """What is to be told now, several times a second; and let new samples be taken of what was read."""
        now = self._clock()
        passed, self._since = now - self._since, now
        self._allowance = min(self._allowance + passed * LINES, LINES)
        self._refills = min(self._refills + passed * REFILLS, REFILLS)
        self._lasting_allowance = min(self._lasting_allowance + passed * LASTING_LINES, LASTING_LINES)
        self._refill()
        yield from self._tell_lasting(now)
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
            yield self._line(max(more, 1), one.evidence, one.frame)

    def _tell_lasting(self, now: float) -> Iterator[Violation]:
        due = self._lasting_due = {one: then for one, then in self._lasting_due.items() if one in self._lasting or now < then}
        for evidence in sorted((one for one in self._lasting if due.get(one, 0.0) <= now), key=lambda one: due.get(one, 0.0)):
            if self._lasting_allowance < 1:
                return
            self._lasting_allowance -= 1
            due[evidence] = now + AGAIN
            yield self._line(1, evidence, b"")

    def _line(self, count: int, evidence: Evidence, frame: bytes) -> Violation:
        self._sequence += 1
        line = Violation(self._sequence, time.time(), count, evidence, frame.hex())
        self._lines[evidence.quiet].append(line)
        return line

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

    def strangers(self) -> dict[str, str]:
        """By port, the MAC that was not billed there and sent ARP or ND last, of the last ten minutes."""
        since = time.time() - _LATELY
        lines = (line for line in self._lines[False] if line.at >= since and line.evidence.reason in _STRANGE)
        return {line.evidence.port: line.evidence.lladdr for line in lines}

    def last(self) -> int:
        """The number of the latest line."""
        return self._sequence
