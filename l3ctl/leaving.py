"""Prefixes that billing takes away while their link is up: withdrawn at once, and their ground goes when peers have been told.

ExaBGP takes a command as soon as it is written, and the peer hears of it later: of five thousand, seconds later. A link that is down takes
the ground away by itself; here it is ours to wait. Meanwhile nothing else of the port is changed, as what comes may need the place of what
goes. A prefix that another port is billed for now is not waited for: there it is needed at once.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from l3ctl.bgp.speaker import Speaker
from l3ctl.model import Announcement, Change, Port, Verb
from l3ctl.present import ORPHAN

_PATIENCE = 10.0
"""seconds to wait for an ExaBGP that does not answer"""
_AFTERWARDS = 0.3
"""seconds from its last answer: it answers when it has taken a command, and sends it next"""


@dataclass(slots=True)
class _Wait:
    announcements: list[Announcement]
    until: float
    answered: float | None = None


class Leaving:
    """The ports that wait. With no `speaker`, nobody does."""

    def __init__(self, speaker: Speaker | None) -> None:
        self._speaker = speaker
        self._waits: dict[str, _Wait] = {}
        """by port; what is left on the netdev of one that is billed no longer stands under that netdev's name"""
        self._netdevs: dict[str, str] = {}
        self._held: dict[str, list[Change]] = {}

    def others(self, before: Iterable[Port]) -> None:
        """These ports are billed otherwise now, or no longer."""
        self._netdevs = {port.name: port.interface for port in before}

    def hold(self, changes: Sequence[Change], ports: Mapping[str, Port], is_up: Callable[[str], bool], now: float) -> Sequence[Change]:
        """What of these changes is to be made now."""
        gone = [(one.port, one.item) for one in changes if one.verb is Verb.WITHDRAW and (one.port not in ports or is_up(one.port))]
        if gone and self._speaker is not None and self._speaker.held() is not None:
            billed = {prefix for port in ports.values() for host in port.hosts for prefix in host.prefixes()}
            for name, item in gone:
                assert isinstance(item, Announcement)
                if item.prefix not in billed:
                    self._wait(name, item, now)
        if not self._waits:
            return changes
        held = [one for one in changes if one.port in self._waits and one.verb is not Verb.WITHDRAW]
        for name in {one.port for one in held}:
            self._held[name] = [one for one in held if one.port == name]
        return [one for one in changes if one.port not in self._waits or one.verb is Verb.WITHDRAW]

    def held(self) -> list[Change]:
        """What waits now, and is made soon."""
        return [change for changes in self._held.values() for change in changes]

    def _wait(self, name: str, item: Announcement, now: float) -> None:
        wait = self._waits.setdefault(name, _Wait([], now + _PATIENCE))
        wait.announcements.append(item)
        wait.answered = None
        if name in self._netdevs:
            self._waits[ORPHAN + self._netdevs[name]] = wait

    def released(self, now: float) -> set[str]:
        """The ports that wait no longer, to be looked at again."""
        for wait in self._waits.values():
            if wait.answered is None and (self._speaker is None or self._speaker.settled(wait.announcements)):
                wait.answered = now
        released = {
            name
            for name, wait in self._waits.items()
            if now >= wait.until or (wait.answered is not None and now >= wait.answered + _AFTERWARDS)
        }
        for name in released:
            del self._waits[name]
            self._held.pop(name, None)
        return released
