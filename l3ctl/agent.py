"""The agent: watch, diff, apply, for as long as it lives. What it leaves behind when it dies works on without it.

One thread and one selector. Every event only says which port to look at again; a full pass now and then finds what no event told.
"""

import gc
import math
import selectors
import signal
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager

from l3ctl import __version__
from l3ctl.asking import Answer
from l3ctl.bgp.lines import Command
from l3ctl.bgp.speaker import Speaker
from l3ctl.configuration import Configuration
from l3ctl.control import ControlServer, Later
from l3ctl.desk import Desk
from l3ctl.errors import L3ctlError
from l3ctl.failures import Failed, Failures
from l3ctl.intake import Intake
from l3ctl.kept import Kept
from l3ctl.kernel.tables import Kernel
from l3ctl.liveness import Hosts
from l3ctl.lock import Lock
from l3ctl.log import event
from l3ctl.model import Announcement, Change, Prefix
from l3ctl.next_hops import NextHops
from l3ctl.reader.parent import Reader
from l3ctl.router import Made, Router
from l3ctl.service_manager import ServiceManager
from l3ctl.signals import catch
from l3ctl.silence import Silence
from l3ctl.site import Site
from l3ctl.tally import Tally
from l3ctl.untold import Untold
from l3ctl.urgent import Waiting, look_at
from l3ctl.violations import Violations
from l3ctl.xdp.filter import Filter

TICK = 0.5
"""seconds between two looks at what no event tells: answers overdue, ports to try again, the filter taken off by hand"""
_STALL = 2.0
"""seconds too long that waiting may take: then we were stopped, or had no processor"""


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without the collector of cycles: it takes a fifth of a start, going through ports, which hold none; later it passes them over."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


class Agent:
    """Runs in the network namespace of the thread that makes it."""

    def __init__(self, site: Site, reader: Reader, *, take_over: bool = False) -> None:
        config = site.config
        self._started = time.time()
        self._tally = Tally()
        self._manager = ServiceManager()
        self._next_pass = self._rested = 0.0
        self._failures = Failures()
        self._overrun_told = -math.inf
        self._stopping = False
        self._lock = Lock(config.lock_file)
        self._selector = selectors.DefaultSelector()
        self._kernel = Kernel(config.sysctl_memory)
        self._filter = Filter(config.bpffs, config.xdp_mode)
        bgp = config.bgp
        self._speaker = Speaker(config.bgp_socket, bgp, self._selector, self._tell_answer) if bgp else None
        self._router = Router(site.ports, config.settings, self._kernel, self._filter, self._speaker)
        self._router.take_over = take_over
        self._waiting = Waiting(self._router)
        self._untold = Untold(self._router)
        self._next_hops = NextHops(bgp, self._kernel, self._speaker)
        self._silence = Silence(self._router, config.drain_mark, bgp.damping if bgp else None)
        self._source_guard = site.source_guard()
        self._hosts = Hosts(self._router, config.words)
        self._intake = Intake(site, reader, self._selector)
        self._control = ControlServer(config.agent_socket, self._selector, self._answer)

    def run(self) -> None:
        """Work until SIGTERM or SIGINT; SIGHUP reads both files again. Everything installed stays as it is at the end."""
        self._lock.acquire()
        try:
            caught: dict[int, Callable[[], object]] = {
                signal.SIGTERM: self._stop,
                signal.SIGINT: self._stop,
                signal.SIGHUP: self._intake.reload,
            }
            catch(self._selector, caught, lambda: self._stopping)
            self._begin()
            self._intake.begin(self, self._router, self._filter, self._failures)
            self._desk = self._open_desk()
            self._control.open()
            self._manager.ready(f"{len(self._router.ports)} ports")
            self._loop()
        finally:
            self._manager.stopping()
            self._control.close()
            if self._speaker is not None:
                self._speaker.close()
            self._lock.release()
            event("stop", router=self._config.router)

    @_uncollected()
    def _begin(self) -> None:
        loaded = self._filter.open(self._source_guard)
        event("start" if loaded else "adopt", version=__version__, router=self._config.router, ports=len(self._router.ports))
        # Watching begins before the first look, so that nothing falls between the two.
        self._events = self._kernel.watch()
        self._selector.register(self._events, selectors.EVENT_READ, self._on_events)
        self._violations = Violations(self._filter)
        self._selector.register(self._violations, selectors.EVENT_READ, self._on_samples)
        if self._speaker is not None:
            self._speaker.open()
        self.others()
        self.full_pass()

    def _answer(self, asked: Answer) -> Answer | str | Later:
        self._on_events()  # what the kernel has told by now comes before what is told of it
        return self._desk.answer(asked)

    def _open_desk(self) -> Desk:
        return Desk(
            self._router,
            self._speaker,
            self._intake,
            self._hosts,
            self._silence,
            self._failures,
            self._violations,
            self._tally,
            Kept(self._router),
            full_pass=lambda: self.full_pass(asked=True),
            come_and_gone=self._come_and_gone,
            stop=self._stop,
            started=self._started,
        )

    @property
    def _config(self) -> Configuration:
        return self._intake.config

    def _stop(self) -> None:
        self._stopping = True

    def _loop(self) -> None:
        next_tick = time.monotonic() + TICK
        while not self._stopping:
            began = time.monotonic()
            wait = 0.0 if self._waiting else max(0.0, min(next_tick, self._hosts.next) - began)
            all_ready = self._selector.select(wait)
            if (late := time.monotonic() - began - wait) > _STALL:
                event("stall", seconds=f"{late:.1f}")
            for ready, _ in all_ready:
                key = self._selector.get_map().get(ready.fd)
                if key is not None and key.fileobj is ready.fileobj:  # else a callback before closed it; its number may be another's now
                    key.data()
            if time.monotonic() >= self._hosts.next:
                self._probe()
            if ports := self._waiting.take():
                self._account(ports, lambda: look_at(self._router, ports))
            if time.monotonic() >= next_tick:
                next_tick = time.monotonic() + TICK
                self._tick(time.monotonic())

    def _tick(self, now: float) -> None:
        self._manager.alive(now)
        self._control.keep()
        if self._speaker is not None:
            self._speaker.tick(now)
            self._violations.duplicates(self._speaker.duplicates(), self._intake.billing)
        self._intake.tick(now)
        released = self._silence.released(now)
        if now >= self._next_pass:
            self.full_pass()
        else:
            self.look_again({*self._failures.ports()} | self._disturbed() | released | self._router.leaving.released(now))
        self._tell_violations()

    def _probe(self) -> None:
        try:
            changed = self._hosts.ask(time.monotonic())
        except L3ctlError as error:
            self._stumble(error)
            return
        if changed:
            self._come_and_gone(changed)

    def _come_and_gone(self, ports: Collection[str]) -> None:
        """Hosts have, whatever their links say: as if these had."""
        self._silence.watch(ports)
        self._waiting.add(ports)

    def _on_samples(self) -> None:
        self._violations.read(self._router.ports, self._intake.billing)

    def _tell_violations(self) -> None:
        try:
            for line in self._violations.tick():
                if not line.evidence.quiet:
                    said, frames = line.evidence, line.count if line.frame else None
                    event("violation", port=said.port, reason=said.reason, frames=frames, text=said.text)
        except L3ctlError as error:
            self._stumble(error)

    def _disturbed(self) -> set[str]:
        try:
            return self._untold.ports_when_due()
        except L3ctlError as error:
            self._stumble(error)
            return set()

    def _on_events(self) -> None:
        batch = self._events.read()
        if batch.overrun and self._pass_soon():
            return
        try:
            if self._next_hops.are_concerned(batch.ifindexes):
                self._failures.next_hops(self._next_hops.resolve())
            ports = self._router.concerned(batch.ifindexes, batch.links_changed)
            if batch.links_changed:
                self._tally.link_changed(self._prefixes(ports), time.monotonic())
            self._hosts.links_changed(ports)
            self._silence.watch(ports)
            self._waiting.add(ports)
        except L3ctlError as error:
            self._stumble(error)

    def _prefixes(self, ports: Collection[str]) -> Iterator[Prefix]:
        here = (self._router.ports[name] for name in ports if name in self._router.ports)
        return (prefix for port in here for host in port.hosts for prefix in host.prefixes())

    def look_again(self, ports: Collection[str]) -> None:
        """Compare these and put right what differs."""
        if ports:
            self._account(ports, lambda: self._router.look_again_at(ports))

    def _pass_soon(self) -> bool:
        """After an overrun: a full pass at once, unless one has just ended. A storm leaves time for everything else, also in the log."""
        now = time.monotonic()
        if now >= self._overrun_told + self._config.full_pass:
            self._overrun_told = now
            event("overrun", what="netlink")
        self._next_pass = min(self._next_pass, self._rested)
        if due := now >= self._next_pass:
            self.full_pass()
        return due

    def full_pass(self, *, asked: bool = False) -> list[Change]:
        """Compare everything and put right what differs.

        `asked`: somebody waits for the changes; else they are told one by one, and forgotten.
        """
        began = time.monotonic()
        self._next_pass = began + self._config.full_pass
        made = self._account(None, self._put_right, keep=asked)
        now = time.monotonic()
        self._rested = now + max(TICK, now - began)
        if made is None:
            self._next_pass = self._rested
            return []
        self._failures.went_through()
        if self._speaker is not None:
            # Only now: with wishes that are not whole, ExaBGP would be told to withdraw what the first pass did not come to.
            self._speaker.complete()
        return made

    def others(self, ports: Collection[str] | None = None) -> None:
        """The router has others of these ports, or other ports and settings: what is kept of them is looked through."""
        self._silence.replace()
        try:
            self._hosts.replace(time.monotonic(), ports)
        except L3ctlError as error:
            self._stumble(error)

    def _put_right(self) -> Iterator[Made]:
        self._failures.next_hops(self._next_hops.resolve())
        yield from self._router.put_right()

    def _account(self, ports: Collection[str] | None, work: Callable[[], Iterator[Made]], *, keep: bool = False) -> list[Change] | None:
        """Do the work on these ports, or on all, and tell what came of it, step by step: the changes made, if they are to be kept.

        None where it broke off. A port where something failed is looked at again each tick, and told about once.
        """
        kept: list[Change] = []
        failed: list[Failed] = []
        try:
            for made, not_made in work():
                self._tally.made(made)
                for change in made:
                    if not isinstance(change.item, Announcement):  # those are told when ExaBGP has taken them
                        event(change.verb, port=change.port, item=change.item)
                kept += made if keep else ()
                failed += not_made
        except L3ctlError as error:
            self._stumble(error)
            return None
        self._failures.looked_at(ports, failed)
        return kept

    def _stumble(self, error: L3ctlError) -> None:
        """Work broke off, and what it came to is unknown: look at everything, and tell only once."""
        self._next_pass = min(self._next_pass, time.monotonic() + TICK)
        self._failures.broke_off(error)

    def _tell_answer(self, command: Command, accepted: bool) -> None:
        if accepted:
            self._tally.answered(command.prefixes, time.monotonic())
            event(command.verb, peer=command.peer, prefixes=" ".join(command.prefixes))
        else:
            self._failures.refused(str(command))
