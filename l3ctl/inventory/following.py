"""One source followed: what it delivers becomes an `Update`, which is taken or left, and what was taken is on disk as the last good copy.

The order is a promise. Nothing stands that was not taken by whoever carries it out, and nothing is in the copy that did not stand. What
the source takes away too much of waits for somebody's word; what was rolled back waits until the source says otherwise or somebody asks.
"""

import hashlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from l3ctl.configuration import Configuration
from l3ctl.errors import BadInput, CopyFailed, L3ctlError, Refused
from l3ctl.inventory import collector_paused, reserved_by
from l3ctl.inventory.copy import Copy, Stored
from l3ctl.inventory.shrink import Shrink, lost
from l3ctl.inventory.source import Delivery, Source
from l3ctl.inventory.sources import open_source
from l3ctl.inventory.standing import Proposal, Quarantined, Standing
from l3ctl.model import Port
from l3ctl.reading.document import in_order
from l3ctl.reading.fetched import Fetched
from l3ctl.report import Report, Update

_CONFIRMED = "confirmed"
"""under which the copy holds what may be lost, by its digest"""
_ROLLED_BACK = "rolled back"
"""and the serial that was"""
_TRIAL = "on trial"
"""and the serial that is"""


@dataclass(frozen=True, slots=True)
class _Pending:
    proposal: Proposal
    update: Update
    lost: frozenset[str]
    why: str


class Following:
    """For one configuration. One that comes after another goes on with what stands, where both keep the same for the router itself."""

    def __init__(self, config: Configuration, before: "Following | None" = None) -> None:
        self._config, self._settings = config, config.inventory
        self._shrink: Shrink
        self.standing: Standing
        self._reserved = reserved_by(config)
        self._copy = Copy(config.inventory_copy)
        self._pending: _Pending | None = None
        self._set_aside: dict[str, bytes | None] = {}
        self._refused = ""
        self.report = Report(source=str(self._settings.source))
        self.source: Source = open_source(self._settings)
        if before is not None and before._reserved == self._reserved:
            self._shrink, self.standing = before._shrink, before.standing
            self._take_over(before)
        else:
            self._shrink, self.standing = Shrink(), self._restored()
        self._stands(read=0.0)

    def _take_over(self, before: "Following") -> None:
        """Another source goes on with what stood by the one before, and so does its copy."""
        if before._config.inventory_copy == self._config.inventory_copy:
            return
        try:
            records = {one.name: one for one in before._copy.records()}
            gone = {one.name for one in self._copy.records()} - records.keys()
            self._copy.commit(records, gone, before.report.source, "another source")
        except CopyFailed as error:
            self._report(copy=_one_line(error))

    def _restored(self) -> Standing:
        """What stood when it was last written down. A record that is no good any more, by this configuration, is left out."""
        standing = Standing(self._reserved)
        try:
            records = self._copy.records()
            rolled_back = self._copy.said(_ROLLED_BACK)
            changes = self._copy.changes(int(rolled_back)) if isinstance(rolled_back, int) else []
        except CopyFailed as error:
            self._report(copy=_one_line(error))
            return standing
        documents = [Fetched(f"{one.place} (last good copy)", one.value, f"port '{one.name}'") for one in records]
        with collector_paused():
            standing.take(standing.consider(Delivery(documents)))
        standing.quarantined = {}
        standing.hold_back({one.name: one.value for one in changes})
        return standing

    def read(self, *, why: str = "read", asked: bool = False, refuse: bool = True) -> Update:
        """Read everything, and propose what becomes of it, which may be nothing: then `taken` or `left` is called.

        `asked` by somebody who is there: what was rolled back is proposed again. Not `refuse`: only to be looked at; what takes away too
        much is proposed too, and the report says so.

        Raises:
            SourceFailed: it cannot be read; what stands stands, here and below.
            BadInput: nothing of it can be used.
            Refused: it would take away more than is believed unasked.
        """
        if asked:
            self._set_aside, self.standing.held_back = self.standing.held_back, {}
        with collector_paused():
            return self._delivered(self.source.read, why, refuse=refuse)

    def news(self) -> Update:
        """After the source's descriptor became readable; as `read`. While something is wrong, everything is read."""
        with collector_paused():
            return self._delivered(self.source.read if self.report.trouble else self.source.news, "news")

    def ports(self) -> tuple[Port, ...]:
        """All the ports that stand on this router, by name, after what is proposed is carried out."""
        ports = {port.name: port for port in self.standing.ports()}
        if self._pending is not None:
            for name in self._pending.update.gone:
                del ports[name]
            ports |= {port.name: port for port in self._pending.update.ports}
        return tuple(ports[name] for name in sorted(ports))

    def news_of_ports(self) -> dict[str, str]:
        """Of each port of this router that is proposed otherwise than it stands, or to go: why, in words."""
        if self._pending is None:
            return {}
        fresh, here = self._pending.proposal.fresh, self.standing.here
        told = {port.name: "billed otherwise" if port.name in here else "new in the inventory" for port in self._pending.update.ports}
        told |= {name: "on another router now" if name in fresh else "no longer in the inventory" for name in self._pending.update.gone}
        return {name: f"{what}, {fresh[name].place}" if name in fresh else what for name, what in told.items()}

    def netdevs_of_news(self) -> dict[str, str]:
        """Of each netdev that such a port is on as it stands, which it may leave: the port, and the same words."""
        told: dict[str, str] = {}
        for name, what in self.news_of_ports().items():
            if (port := self.standing.port(name)) is not None:
                told |= dict.fromkeys((port.interface, port.guard), f"port '{name}' is {what}")
        return told

    def proposal(self) -> Proposal:
        """What waits to be taken or left, of all routers."""
        return self._pending.proposal if self._pending is not None else Proposal()

    def taken(self) -> int | None:
        """What was proposed is carried out: it stands, and is written down. Its serial in the copy; None where there is none."""
        pending, self._pending = self._pending, None
        if pending is None:
            return None
        self.standing.take(pending.proposal)
        if self._set_aside:
            self._set_aside = {}
            self._say(_ROLLED_BACK, None)
        now = time.time()
        self._shrink.let_go(pending.lost, {port.name for port in pending.update.ports}, time.monotonic())
        self._stands(read=now)
        if not pending.proposal:
            return None
        self._report(changed=now)
        fresh = {name: Stored(name, one.value, one.place) for name, one in pending.proposal.fresh.items()}
        try:
            serial = self._copy.commit(fresh, pending.proposal.gone, self.report.source, pending.why, now)
        except CopyFailed as error:
            self._report(copy=_one_line(error))
            return None
        self._report(copy="")
        return serial

    def left(self) -> None:
        """What was proposed is not carried out."""
        if self._pending is not None:
            self.standing.leave(self._pending.proposal)
            self._pending = None
        self._back_from_aside()

    def _back_from_aside(self) -> None:
        if self._set_aside:
            self.standing.held_back, self._set_aside = self._set_aside, {}

    def outlook(self) -> Report:
        """How it would stand, were what is proposed taken."""
        if self._pending is None:
            return self.report
        proposal = self._pending.proposal
        told = self._standing_report(proposal.quarantined, proposal.held, len(self.standing) + proposal.growth(self.standing))
        return replace(told, read=time.time())

    def roll_back(self, serial: int) -> Update:
        """Propose what was before the last change. What it did is not proposed again before the source says otherwise, or somebody asks."""
        changes = self._copy.changes(serial)
        was = [Fetched(f"{one.name} (before change {serial})", one.was, f"port '{one.name}'") for one in changes if one.was is not None]
        new = frozenset(one.name for one in changes if one.was is None)
        self.standing.hold_back({one.name: one.value for one in changes})
        self._say(_ROLLED_BACK, serial)
        return self._proposed(self.standing.consider(Delivery(was, new, whole=False)), f"rolled back {serial}", believed=True)

    def copied(self) -> list[Stored]:
        """What is written down of what stands."""
        return self._copy.records()

    def confirm(self) -> None:
        """What was refused last, for all that it takes away, may go the next time. Raises `Refused` where nothing waits for that."""
        if not self._refused:
            raise Refused("nothing waits to be confirmed")
        self._copy.say(_CONFIRMED, self._refused)

    def on_trial(self, serial: int | None) -> None:
        """Leave word that this change is to be rolled back, if nobody takes the word away again (None) and we are not there to do it."""
        self._say(_TRIAL, serial)

    def end_trial(self) -> None:
        """At the beginning: roll back what was on trial when whoever tried it died. Nothing is carried out yet, so it stands at once."""
        try:
            serial = self._copy.said(_TRIAL)
        except CopyFailed:
            return
        if isinstance(serial, int):
            self.roll_back(serial)
            self.taken()
            self._say(_TRIAL, None)

    def close(self) -> None:
        """Let go of the source and the copy."""
        self.source.close()
        self._copy.close()

    def _delivered(self, get: Callable[[], Delivery | None], why: str, *, refuse: bool = True) -> Update:
        try:
            delivery = get()
        except L3ctlError as error:
            self._back_from_aside()
            self._report(trouble=tuple(error.lines()))
            raise
        if delivery is None:
            self._stands(read=time.time())
            return Update(())
        return self._proposed(self.standing.consider(delivery), why, refuse=refuse)

    def _proposed(self, proposal: Proposal, why: str, *, believed: bool = False, refuse: bool = True) -> Update:
        if proposal.quarantined and (self._settings.strict or not len(self.standing)) and not believed:
            # Of what nobody has vouched for yet, a part may be worse than nothing: what is there of the other part would be removed.
            self.standing.leave(proposal)
            self._back_from_aside()
            problems = proposal.problems()
            self._report(trouble=tuple(str(problem) for problem in problems))
            raise BadInput(problems)
        before: dict[str, Port] = {}
        after: dict[str, Port | None] = {}
        for name in (*proposal.gone, *proposal.fresh):
            port = self.standing.port(name)
            fresh = proposal.fresh.get(name)
            after[name] = fresh.kept.entry.port if fresh is not None and self.standing.is_here(fresh.kept.entry) else None
            if port is not None:
                before[name] = port
        losing = lost(before, after)
        refused = None if believed else self._disbelieved(losing)
        if refused is not None:
            self._report(trouble=tuple(refused.lines()))
            if refuse:
                self.standing.leave(proposal)
                self._back_from_aside()
                raise refused
        changed = tuple(port for name, port in after.items() if port is not None and port != before.get(name))
        update = Update(changed, tuple(name for name in before if after[name] is None))
        self._pending = _Pending(proposal, update, frozenset(losing), why)
        return update

    def _disbelieved(self, losing: set[str]) -> Refused | None:
        """Why too much would go; None where it may, also as somebody has said so. A word said holds once."""
        doubt = self._shrink.judge(self._settings.max_shrink, self.standing.here, losing, time.monotonic())
        self._refused = hashlib.sha256("\0".join(sorted(losing)).encode()).hexdigest() if doubt is not None else ""
        if doubt is None:
            return None
        try:
            if self._copy.said(_CONFIRMED) == self._refused:
                self._copy.say(_CONFIRMED, None)
                self._shrink.forgive()
                self._refused = ""
                return None
        except CopyFailed as error:
            self._report(copy=_one_line(error))
        return Refused(f"{self.report.source}: {doubt}", "look at `l3ctl inventory diff`; if it is right, `l3ctl inventory confirm`")

    def _stands(self, read: float) -> None:
        told = self._standing_report(self.standing.quarantined, self.standing.held, len(self.standing))
        self.report = replace(told, read=read, trouble=()) if read else told

    def _standing_report(self, quarantined: Mapping[str, Quarantined], held: tuple[str, ...], records: int) -> Report:
        lines = tuple(str(problem) for problem in in_order(problem for one in quarantined.values() for problem in one.problems))
        kept = tuple(sorted(one.name for one in quarantined.values() if one.kept and one.name is not None))
        return replace(self.report, records=records, quarantined=lines, kept=kept, held=held)

    def _report(self, **news: object) -> None:
        self.report = replace(self.report, **news)  # type: ignore[arg-type]

    def _say(self, key: str, value: str | float | None) -> None:
        try:
            self._copy.say(key, value)
        except CopyFailed as error:
            self._report(copy=_one_line(error))


def _one_line(error: L3ctlError) -> str:
    return "; ".join(error.lines())
