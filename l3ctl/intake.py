"""What the reader says, carried out on the router: a new configuration and inventory, or what becomes of a few ports."""

import selectors
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Protocol

from l3ctl.asking import Answer
from l3ctl.control import Later, as_json
from l3ctl.errors import AgentRefused, BadInput, L3ctlError, MissingRequirement, Problem
from l3ctl.evidence import Billing
from l3ctl.failures import Failures
from l3ctl.log import event
from l3ctl.model import Change
from l3ctl.planned import planned
from l3ctl.reader.messages import Told
from l3ctl.reader.parent import Reader
from l3ctl.report import Report, Update
from l3ctl.router import Router
from l3ctl.site import Site, wants_source_guard
from l3ctl.xdp.filter import Filter

LONGEST_TRIAL = 86400
"""seconds"""
Done = Callable[[Told | L3ctlError], object]


class Work(Protocol):
    """The agent's, which makes things true."""

    def full_pass(self, *, asked: bool = False) -> list[Change]:
        """Of everything; the changes made, where somebody asks for them."""

    def look_again(self, ports: Collection[str]) -> None:
        """At these."""

    def others(self, ports: Collection[str] | None = None) -> None:
        """The router has others of these ports, or other ports and settings: what is kept of them is looked through."""


class Intake:
    """Keeps `config` and `billing` as they are now, and the reader at work."""

    def __init__(self, site: Site, reader: Reader, selector: selectors.BaseSelector) -> None:
        self._path, self.config, self._reader, self._selector = site.path, site.config, reader, selector
        self.billing = Billing(site.ports, site.config.gateways)
        self.report = Report()
        self._questions: deque[Done] = deque()
        self._trial_ends: float | None = None
        self._listening: int | None = None

    def begin(self, work: Work, router: Router, filter_: Filter, failures: Failures) -> None:
        """From now on what is read is carried out on these."""
        self._work, self._router, self._filter, self._failures = work, router, filter_, failures
        self._listen()

    def _listen(self) -> None:
        self._listening = self._reader.fileno()
        self._selector.register(self._listening, selectors.EVENT_READ, self._on_readable)

    def _lost(self, error: MissingRequirement) -> None:
        """The reader has died, whoever noticed. What stands stands, who asked is told, and `tick` makes another one."""
        if self._listening is not None:
            self._selector.unregister(self._listening)  # its number may be another's at once
            self._listening = None
        self._failures.read(error)
        questions, self._questions = self._questions, deque()
        for done in questions:
            done(error)

    def tick(self, now: float) -> None:
        """Make another reader where one has died, and end a trial that nobody confirmed."""
        try:
            if self._reader.again(now):
                self._listen()
                self._ask("reload", "a new reader", self._reloaded)
        except MissingRequirement as error:
            self._failures.read(error)
        if self._trial_ends is not None and now >= self._trial_ends and self._listening is not None:
            self._trial_ends = None
            event("roll-back", reason="nobody confirmed it")
            self._ask("roll back", "", self._reloaded)

    def reload(self) -> None:
        """Read both again, as SIGHUP says."""
        self._ask("reload", "SIGHUP", self._reloaded, asked=True)

    def plan(self, asked: Answer) -> Later:
        """What would be changed by what is written now."""
        later = Later()

        def done(told: Told | L3ctlError) -> None:
            if isinstance(told, L3ctlError):
                later.fail(told)
                return
            assert told.site is not None
            self._answer(taken=False)
            try:
                self._check_fixed(told.site)
                changes = [*self._router.preview(told.site.ports, told.site.config.settings), *self._router.unheard()]
                later.give(planned(told.site, changes, self._router, self.config.settings, told.report))
            except L3ctlError as error:
                later.fail(error)

        self._check_path(asked)
        self._ask("reload", "plan", done, asked=True)
        return later

    def apply(self, asked: Answer) -> Later:
        """Read both again, make everything true, and say what was changed. With `confirm`, for so many seconds only.

        Raises:
            AgentRefused: that is no number of seconds.
        """
        seconds = asked.get("confirm")
        if seconds is not None and (type(seconds) is not int or not 1 <= seconds <= LONGEST_TRIAL):
            raise AgentRefused(f"confirm: {seconds!r} is no number of seconds from 1 to {LONGEST_TRIAL}")
        self._check_path(asked)
        return self._carry_out("reload", "apply", take_over=asked.get("take_over") is True, trial=seconds)

    def confirm(self) -> Answer | Later:
        """What is on trial stays; else what is refused for all that it takes away may go, and goes."""
        if self._trial_ends is None:
            return self._carry_out("confirm", "confirm")
        self._trial_ends = None
        event("confirm")
        self._ask("keep", "", lambda _: None)
        return {"kept": True}

    def _carry_out(self, verb: str, why: str, *, take_over: bool = False, trial: int | None = None) -> Later:
        later = Later()

        def done(told: Told | L3ctlError) -> None:
            if isinstance(told, L3ctlError):
                self._failures.read(told)
                later.fail(told)
                return
            assert told.site is not None
            always = self._router.take_over
            self._router.take_over = always or take_over
            try:
                changes = [*self._take(told.site, trial=trial), *self._router.leaving.held()]
            except L3ctlError as error:
                later.fail(error)
                return
            finally:
                self._router.take_over = always
            answer = {"changes": as_json(changes), "failed": self._failures.as_json(), "ports": len(self._router.ports)}
            later.give({**answer, "kept": False, "inventory": as_json(told.report)})

        self._ask(verb, why, done, asked=True)
        return later

    def _ask(self, verb: str, why: str, done: Done, *, asked: bool = False) -> None:
        self._questions.append(done)
        try:
            self._reader.ask(verb, why=why, asked=asked)
        except MissingRequirement as error:
            self._lost(error)

    def _on_readable(self) -> None:
        try:
            for told in self._reader.receive():
                self._tell(told.report)
                if told.asked:
                    self._questions.popleft()(told.error or told)
                elif told.update is not None:
                    self._change(told.update)
        except MissingRequirement as error:
            self._lost(error)

    def _answer(self, *, taken: bool, on_trial: bool = False) -> None:
        """To a reader that may have died meanwhile: what was carried out, another one will find in the source again."""
        try:
            self._reader.answer(taken=taken, on_trial=on_trial)
        except MissingRequirement as error:
            self._lost(error)

    def _tell(self, report: Report) -> None:
        """What is new of how it stands with the inventory."""
        before, self.report = self.report, report
        for line in (*report.trouble, *report.quarantined, *((report.copy,) if report.copy else ())):
            if line not in before.trouble and line not in before.quarantined and line != before.copy:
                event("refuse", reason=line)
        if report.held and report.held != before.held:
            event("refuse", reason=f"missing, and kept as there are records without a name: {' '.join(report.held[:10])}")

    def _reloaded(self, told: Told | L3ctlError) -> None:
        if isinstance(told, L3ctlError):
            self._failures.read(told)
        elif told.site is not None:
            try:
                self._take(told.site)
            except L3ctlError as error:
                self._failures.read(error)

    def _take(self, site: Site, *, trial: int | None = None) -> list[Change]:
        """Another configuration and inventory, if they are good ones; else all stays as it was. The changes made.

        What was on trial before is not any more: whoever has something else carried out has seen what there is.
        """
        try:
            self._check_fixed(site)
            self._load_filter(site.source_guard(), self._wants_guard())
        except L3ctlError:  # also of a filter that does not compile: the one there stays
            self._answer(taken=False)
            raise
        self._answer(taken=True, on_trial=trial is not None)
        self._trial_ends = None if trial is None else time.monotonic() + trial
        self._failures.read()
        self.config = site.config
        self.billing = Billing(site.ports, site.config.gateways)
        self._router.replace(site.ports, site.config.settings)
        self._work.others()
        return self._work.full_pass(asked=True)

    def _change(self, update: Update) -> None:
        """A few ports, as the source has just told."""
        had = self._wants_guard()
        ports = {name: port for name, port in self._router.ports.items() if name not in update.gone}
        ports |= {port.name: port for port in update.ports}
        try:
            self._load_filter(wants_source_guard(self.config.settings, ports.values()), had)
        except L3ctlError as error:
            self._answer(taken=False)
            self._failures.read(error)
            return
        self._answer(taken=True)
        self.billing = Billing(ports.values(), self.config.gateways)
        concerned = self._router.change(update.ports, update.gone)
        self._work.others({*update.gone, *(port.name for port in update.ports)})
        self._work.look_again(concerned)

    def _wants_guard(self) -> bool:
        return wants_source_guard(self.config.settings, self._router.ports.values())

    def _load_filter(self, wanted: bool, had: bool) -> None:
        if wanted != had:
            self._filter.open(wanted)

    def _check_fixed(self, site: Site) -> None:
        if fixed := site.fixed_differences(self.config):
            mend = "restart the agent: what is installed stays meanwhile"
            raise BadInput([Problem(str(site.path), f"a running agent cannot change {' and '.join(fixed)}", mend)])

    def _check_path(self, asked: Answer) -> None:
        """Whoever asks has to mean the configuration that we read."""
        told = asked.get("config")
        try:
            own = self._path.stat()
        except OSError:
            return  # the reader says it better
        if isinstance(told, list) and told != [own.st_dev, own.st_ino]:
            raise BadInput([Problem(str(self._path), "the running agent reads this file, and not the one given", "ask with --config")])
