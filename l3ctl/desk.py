"""Where commands come to an agent: each question has its answer, from the rooms that know it."""

import os
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

from l3ctl import __version__
from l3ctl.asking import Answer
from l3ctl.bgp.speaker import Speaker
from l3ctl.control import Later, as_json
from l3ctl.explained import explained
from l3ctl.failures import Failures
from l3ctl.intake import Intake
from l3ctl.kept import Kept
from l3ctl.liveness import Hosts
from l3ctl.metrics import metrics
from l3ctl.model import Mode
from l3ctl.names import ANSWERS
from l3ctl.router import Router
from l3ctl.silence import Silence
from l3ctl.status import Apart
from l3ctl.tally import Tally
from l3ctl.violations import Violations


@dataclass(frozen=True, slots=True)
class Desk:
    """The rooms of a running agent, and what it does when it is asked to."""

    router: Router
    speaker: Speaker | None
    intake: Intake
    hosts: Hosts
    silence: Silence
    failures: Failures
    violations: Violations
    tally: Tally
    kept: Kept
    full_pass: Callable[[], object]
    come_and_gone: Callable[[Collection[str]], None]
    stop: Callable[[], None]
    started: float
    """by the wall clock"""

    def answer(self, asked: dict[str, Any]) -> Answer | str | Later:
        """What a command is told, or the JSON of it; an object with `error` where it is not understood."""
        match asked.get("command"):
            case "status":
                me: dict[str, object] = {"pid": os.getpid(), "since": self.started, "version": __version__}
                inventory = as_json(self.intake.report)
                assert isinstance(inventory, dict)
                return self.kept.status(self.failures.as_json(), me, self._apart(), inventory)
            case "explain":
                return explained(self.router, str(asked.get("what")), self._apart(), self.violations.strangers())
            case "metrics":
                held_down, violations = len(self.silence.seconds_left()), self.violations.last()
                return metrics(self.router, self.failures, self.intake.report, self.tally, held_down, violations)
            case "counters":
                return {"counters": self._refused()}
            case "plan":
                return self.intake.plan(asked)
            case "apply":
                return self.intake.apply(asked)
            case "confirm":
                return self.intake.confirm()
            case "drain" | "undrain" | "drained" as verb:
                return self._drain(verb)
            case "port":
                return self._told_of_port(asked.get("name"), asked.get("up"))
            case "stop":
                self.stop()
                return {}
            case "violations":
                return self._violations(asked.get("since"), quiet=bool(asked.get("quiet")), audited=bool(asked.get("audited")))
            case other:
                return {"error": f"no command {other!r}"}

    def _apart(self) -> Apart:
        return Apart(self.silence.seconds_left(), self.violations.lasting())

    def _violations(self, since: object, *, quiet: bool, audited: bool) -> Answer:
        """Those after a number; `audited`: only of ports where nothing is dropped yet."""
        lines = self.violations.since(since if isinstance(since, int) else 0, quiet=quiet)
        if audited:
            ports, mode = self.router.ports, self.router.settings.mode
            lines = [one for one in lines if (port := ports.get(one.evidence.port)) and (port.mode or mode) is Mode.AUDIT]
        return {"violations": as_json(lines), "last": self.violations.last()}

    def _refused(self) -> dict[str, dict[str, int]]:
        """By port and reason; those with nothing are left out."""
        counters = self.router.filter.counters() if self.router.filter is not None else {}
        refused = {port: {reason: count for reason, count in counts.items() if reason not in ANSWERS} for port, counts in counters.items()}
        return {port: counts for port, counts in refused.items() if counts}

    def _told_of_port(self, name: object, up: object) -> Answer:
        """Somebody knows that a host has come or gone: as if its link had."""
        if not isinstance(name, str) or not isinstance(up, bool):
            return {"error": "'port' wants a name, and up true or false"}
        if new := self.hosts.tell(name, up=up):
            self.come_and_gone([name])
        return {"port": name, "up": up, "new": new, "reachable": self.router.is_up(name)}

    def _drain(self, verb: str) -> Answer:
        """Announce nothing, or again; or only how far that is: what is still to be asked of ExaBGP, and whether it has sent everything."""
        if self.speaker is None:
            return {"error": "it announces nothing, as it was started without 'bgp'; restart it"}
        if verb != "drained":
            self.silence.drain(on=verb == "drain")
            self.full_pass()
        told = self.speaker.status()
        return {
            "drained": self.router.drained,
            "relay": told["relay"],
            "left": told["queued"],
            "sent": self.speaker.sent() and not self.router.present.wishes,
            "without_session": self.speaker.without_session(),
        }
