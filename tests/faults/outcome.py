"""What came of a soak, and what of it must not be."""

import time
from dataclasses import dataclass, field

from l3ctl.lab.excess import Excess, Report, Span

NEWS = 2.0
"""seconds that the news of a link may take to the peer under all this"""


@dataclass
class Soak:
    """What came of one."""

    faults: dict[str, int] = field(default_factory=dict)
    away: list[Span] = field(default_factory=list)
    toggles: int = 0
    attacked: int = 0
    changes: int = 0
    memory: list[tuple[float, int, int]] = field(default_factory=list)
    """(moment, the agent's bytes, its reader's)"""
    sent: int = 0
    lost: list[float] = field(default_factory=list)
    """when pings went that were not answered, by the monotonic clock"""
    report: Report = field(default_factory=Report.of_nothing)
    healed: float = 0.0

    def thirds(self) -> tuple[float, float, float]:
        """The mean of the memory in each third of the time, in bytes."""
        agents, readers = self._thirds(1), self._thirds(2)
        first, second, last = (agent + reader for agent, reader in zip(agents, readers, strict=True))
        return first, second, last

    def _thirds(self, whose: int) -> list[float]:
        began, ended = self.memory[0][0], self.memory[-1][0]
        third = (ended - began) / 3 or 1.0
        means = []
        for number in range(3):
            here = [sample[whose] for sample in self.memory if number == min(2, int((sample[0] - began) / third))]
            means.append(sum(here) / max(1, len(here)))
        return means

    def when_lost(self) -> str:
        """The moments at which pings were lost, each with how many."""
        bursts: list[list[float]] = []
        for at in sorted(self.lost):
            if bursts and at - bursts[-1][-1] < 1.0:
                bursts[-1].append(at)
            else:
                bursts.append([at])
        wall = time.time() - time.monotonic()
        told = (
            f"{len(one)} from {time.strftime('%H:%M:%S', time.localtime(one[0] + wall))} for {one[-1] - one[0]:.2f} s" for one in bursts
        )
        return ", ".join(told) or "none"

    def breaches(self) -> list[Excess]:
        """What must not be."""
        return [
            one
            for one in self.report.excesses
            if one.missing in ("neighbour", "policy") or (one.at_least() > NEWS and not one.meets(self.away))
        ]

    def summary(self) -> list[str]:
        """For people."""
        first, second, last = (size / 1e6 for size in self.thirds())
        return [
            f"{sum(self.faults.values())} faults: " + ", ".join(f"{count} x {name}" for name, count in sorted(self.faults.items())),
            f"{self.toggles} links toggled, {self.changes} changes of the inventory, {self.attacked} frames of attackers",
            f"{self.sent} pings, {len(self.lost)} lost ({self.when_lost()}); healed {self.healed:.1f} s after the last fault",
            (
                f"agent and reader: {first:.1f}, {second:.1f}, {last:.1f} MB in the three thirds of the time, x {last / second:.3f}; "
                f"of that the agent {', '.join(f'{size / 1e6:.1f}' for size in self._thirds(1))} MB"
            ),
            *self.report.summary(self.away),
            f"{len(self.breaches())} breaches, {self.report.left} that did not end",
        ]
