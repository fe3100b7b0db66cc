"""What stands of the inventory, and what becomes of it when a source delivers: a bad record keeps its last good version, the rest goes on.

A record yields to whatever stood before it. So nobody takes an address from somebody by being entered later, and one bad record costs no
other its place. Where two are new, the first in the inventory's own order has it.
"""

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import blake2b

from pydantic import ValidationError

from l3ctl.errors import Problem
from l3ctl.inventory.claims import Claims, Entry
from l3ctl.inventory.faults import Reserved, faults
from l3ctl.inventory.schema import PortRecord
from l3ctl.inventory.source import Delivery
from l3ctl.model import Port
from l3ctl.reading.document import Document, Value, in_order
from l3ctl.reading.fields import is_name
from l3ctl.reading.validation import problems_of


@dataclass(frozen=True, slots=True)
class Kept:
    """A record that stands. Of what was written, enough to see whether it is the same."""

    entry: Entry
    digest: bytes


@dataclass(frozen=True, slots=True)
class Fresh:
    """A record that would stand, and was not there or was otherwise."""

    kept: Kept
    value: Value

    @property
    def place(self) -> str:
        """Where it was read."""
        return self.kept.entry.source.place()


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A record that does not stand, and why. ``kept``: its last good version does. ``name`` is None where that cannot be read."""

    name: str | None
    source: Document
    problems: tuple[Problem, ...]
    kept: bool


@dataclass(slots=True)
class Proposal:
    """What would become of the inventory. Until it is taken or left, no other is made."""

    fresh: dict[str, Fresh] = field(default_factory=dict)
    gone: dict[str, Kept] = field(default_factory=dict)
    quarantined: dict[str, Quarantined] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    """missing in what was delivered, and kept: as long as there are records whose names cannot be read, nobody knows that they are gone"""
    order: dict[str, Document] = field(default_factory=dict)
    """where the records are that are as they were"""

    def problems(self) -> list[Problem]:
        """Why what is quarantined is."""
        return in_order(problem for one in self.quarantined.values() for problem in one.problems)

    def growth(self, standing: "Standing") -> int:
        """How many records more there would be."""
        return sum(name not in standing for name in self.fresh) - len(self.gone)

    def __bool__(self) -> bool:
        """Whether anything would change."""
        return bool(self.fresh or self.gone)


class Standing:
    """The records that stand, of all routers: they contradict neither each other nor the router's own addresses."""

    def __init__(self, reserved: Reserved) -> None:
        self._reserved = reserved
        self.here: set[str] = set()
        """names of the ports of this router"""
        self.held_back: dict[str, bytes | None] = {}
        """records that are as somebody rolled them back from, by digest; None for gone. They count as unchanged"""
        self._kept: dict[str, Kept] = {}
        self._claims = Claims()
        self.quarantined: Mapping[str, Quarantined] = {}
        self.held: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self._kept)

    def __contains__(self, name: str) -> bool:
        return name in self._kept

    def ports(self) -> tuple[Port, ...]:
        """Those of this router, by name."""
        return tuple(self._kept[name].entry.port for name in sorted(self.here))

    def port(self, name: str) -> Port | None:
        """The port of that name, if it stands on this router."""
        return self._kept[name].entry.port if name in self.here else None

    def is_here(self, entry: Entry) -> bool:
        """Whether it is for this router."""
        return entry.router in (None, self._reserved.router)

    def hold_back(self, records: Mapping[str, Value]) -> None:
        """As long as a source delivers these as they are here, they count as unchanged. None stands for one that it delivers no more."""
        self.held_back = {name: None if value is None else _digest(value) for name, value in records.items()}

    def consider(self, delivery: Delivery) -> Proposal:
        """What would become of it. `take` it or `leave` it."""
        proposal = Proposal()
        candidates = self._candidates(delivery, proposal)
        for name in proposal.gone:
            self._claims.remove(self._kept[name].entry)
        for name in candidates.keys() & self._kept.keys():
            self._claims.remove(self._kept[name].entry)
        self._settle(candidates, proposal)
        return proposal

    def take(self, proposal: Proposal) -> None:
        """It stands from now on."""
        for name in proposal.gone:
            del self._kept[name]
            self.here.discard(name)
        for name, source in proposal.order.items():
            self._kept[name].entry.source = source.settled()
        for name, fresh in proposal.fresh.items():
            fresh.kept.entry.settle()
            self._kept[name] = fresh.kept
            (self.here.add if self.is_here(fresh.kept.entry) else self.here.discard)(name)
        self.quarantined, self.held = proposal.quarantined, proposal.held

    def leave(self, proposal: Proposal) -> None:
        """All stays as it was."""
        for fresh in proposal.fresh.values():
            self._claims.remove(fresh.kept.entry)
        for name in (*proposal.gone, *proposal.fresh):
            if name in self._kept:
                self._claims.add(self._kept[name].entry)

    def _candidates(self, delivery: Delivery, proposal: Proposal) -> dict[str, Fresh]:
        """The valid ones that are not what stands, by name. The others go where they belong in the proposal."""
        records = [*delivery.records]
        if not delivery.whole:
            # What waits for another to give way is looked at again, as it may have.
            told = {_name_of(source) for source in records} | delivery.gone
            for key, one in self.quarantined.items():
                if one.name != key:  # without a name, or one that another has: only a reading of everything tells what it is now
                    proposal.quarantined[key] = one
                elif one.name not in told:
                    records.append(one.source)
        named: dict[str, list[Document]] = {}
        for source in records:
            name = _name_of(source)
            if name is not None:
                named.setdefault(name, []).append(source)
            else:
                proposal.quarantined[source.place()] = Quarantined(None, source, self._judged(source)[1], kept=False)
        candidates = {}
        for name, sources in named.items():
            if (fresh := self._chosen(name, sources, proposal)) is not None:
                candidates[name] = fresh
        missing = self._kept.keys() - named.keys() if delivery.whole else (delivery.gone & self._kept.keys()) - named.keys()
        missing -= {name for name, digest in self.held_back.items() if digest is None}
        if delivery.whole and any(one.name is None for one in proposal.quarantined.values()):
            proposal.held = tuple(sorted(missing))
        else:
            proposal.held = () if delivery.whole else tuple(name for name in self.held if name not in missing | named.keys())
            proposal.gone = {name: self._kept[name] for name in sorted(missing)}
        return candidates

    def _chosen(self, name: str, sources: list[Document], proposal: Proposal) -> Fresh | None:
        """Of several with one name the one that stands, or else the first. None where it is as it was, or no good."""
        kept = self._kept.get(name)
        digests = [_digest(source.value) for source in sources]
        at = digests.index(kept.digest) if kept is not None and kept.digest in digests else 0
        source = sources[at]
        for other in (*sources[:at], *sources[at + 1 :]):
            what = f"port name '{name}' is used twice, first at {source.place(('name',))}"
            problem = other.problem(("name",), what, "give each port its own")
            proposal.quarantined[other.place()] = Quarantined(name, other, (problem,), kept=False)
        if kept is not None and kept.digest == digests[at]:
            proposal.order[name] = source
            return None
        if self.held_back.get(name) == digests[at]:
            return None
        entry, problems = self._judged(source)
        if entry is None:
            proposal.quarantined[name] = Quarantined(name, source, problems, kept is not None)
            return None
        return Fresh(Kept(entry, digests[at]), source.value)

    def _judged(self, source: Document) -> tuple[Entry | None, tuple[Problem, ...]]:
        """The record by itself: an entry, or what is wrong with it."""
        try:
            entry = Entry(PortRecord.model_validate(source.value), source)
        except ValidationError as error:
            return None, tuple(problems_of(error, source, PortRecord))
        problems = tuple(faults(entry, self._reserved))
        return (None, problems) if problems else (entry, ())

    def _settle(self, candidates: dict[str, Fresh], proposal: Proposal) -> None:
        """Let the candidates take their places, as far as these are free. It ends: nobody is refused twice, and what stood agrees."""
        waiting = deque((name, fresh.kept.entry) for name, fresh in candidates.items())
        while waiting:
            name, entry = waiting.popleft()
            is_new = name in candidates and candidates[name].kept.entry is entry
            collisions = [*self._claims.collisions(entry)]
            if is_new and collisions:
                refused = [(name, collisions)]
            else:
                # What stood before comes back: whoever took its place meanwhile is new, and yields.
                others = dict.fromkeys(other for _, other in collisions)
                for other in others:
                    self._claims.remove(other)
                self._claims.add(entry)
                refused = [(other.port.name, [*self._claims.collisions(other)]) for other in others]
            for its_name, its_collisions in refused:
                source = candidates.pop(its_name).kept.entry.source
                problems = tuple(problem for problem, _ in its_collisions)
                proposal.quarantined[its_name] = Quarantined(its_name, source, problems, its_name in self._kept)
                if its_name in self._kept:
                    waiting.append((its_name, self._kept[its_name].entry))
        proposal.fresh = candidates


def _name_of(source: Document) -> str | None:
    """The record's name, where it is one."""
    name = source.value.get("name") if isinstance(source.value, dict) else None
    return name if isinstance(name, str) and is_name(name) else None


def _digest(value: Value) -> bytes:
    return blake2b(repr(value).encode(), digest_size=12).digest()
