"""The configuration and the inventory it names, followed together: each reading is a site that is taken or left, and can be rolled back."""

from dataclasses import dataclass
from pathlib import Path

from l3ctl.configuration import Configuration
from l3ctl.errors import BadInput, Refused, SourceFailed
from l3ctl.inventory.following import Following
from l3ctl.reading.document import Value
from l3ctl.report import Report
from l3ctl.site import Site, load_configuration


@dataclass(frozen=True, slots=True)
class _Trial:
    serial: int | None
    config: Configuration


class FollowedSite:
    """What is taken is told by `site`; between a reading and `taken` or `left`, nothing else is read."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._following: Following | None = None
        self._config: Configuration | None = None
        self._next: tuple[Configuration, Following] | None = None
        self._trial: _Trial | None = None

    @property
    def following(self) -> Following:
        """That of the configuration taken. Only after one was."""
        assert self._following is not None
        return self._following

    @property
    def config(self) -> Configuration:
        """The one taken. Only after one was."""
        assert self._config is not None
        return self._config

    def reload(self, why: str, *, asked: bool = False) -> Site:
        """Read both again: what would be. At the beginning the last good copy serves where the source does not.

        Raises:
            BadInput: the configuration is no good; or nothing of the inventory is, and there is nothing to go by instead.
            Refused: the inventory would take away more than is believed unasked.
            SourceFailed: there is no inventory, and no last good copy of one.
        """
        config = load_configuration(self._path)
        following = Following(config, self._following)
        if self._following is None:
            following.end_trial()
        if self._following is None and not asked and len(following.standing):
            # What stood serves at once: the source may hang, and links change meanwhile. It is read next.
            self._next = config, following
            return Site(self._path, config, following.ports())
        try:
            following.read(why=why, asked=asked)
        except (SourceFailed, BadInput, Refused) as error:
            goes_on = isinstance(error, SourceFailed) if self._following is not None else True
            if not goes_on or not len(following.standing):
                following.close()
                raise
        self._next = config, following
        return Site(self._path, config, following.ports(), *((following.news_of_ports(), following.netdevs_of_news()) if asked else ()))

    def taken(self, *, on_trial: bool = False) -> None:
        """What was read last is carried out; on trial, until `keep` or `roll_back`."""
        before = self._config
        if self._next is not None:
            if self._following is not None:
                self._following.close()
            (self._config, self._following), self._next = self._next, None
        serial = self.following.taken()
        self.keep()  # what was on trial: there is no way back past something that came after it
        if on_trial and before is not None:
            self._trial = _Trial(serial, before)
            self.following.on_trial(serial)

    def left(self) -> None:
        """It is not."""
        if self._next is not None:
            self._next[1].left()
            self._next[1].close()
            self._next = None
        elif self._following is not None:
            self._following.left()

    def confirm(self) -> Site:
        """What was refused for all that it takes away may go: what would be then. Raises `Refused` where nothing was, and as `reload`."""
        self.following.confirm()
        return self.reload("confirm", asked=True)

    def is_on_trial(self) -> bool:
        """Whether what was taken last may be rolled back. Until that is known, nothing that the source says by itself is to be taken."""
        return self._trial is not None

    def keep(self) -> None:
        """What is on trial stays."""
        if self._trial is not None:
            self._trial = None
            self.following.on_trial(None)

    def roll_back(self) -> Site | None:
        """What would be, without what is on trial; None where nothing is."""
        trial, self._trial = self._trial, None
        if trial is None:
            return None
        following = Following(trial.config, self._following)
        if trial.serial is not None:
            following.roll_back(trial.serial)
        following.on_trial(None)
        self._next = trial.config, following
        return Site(self._path, trial.config, following.ports())

    def outlook(self) -> Report:
        """How it would stand, were what was read last taken."""
        return self._next[1].outlook() if self._next is not None else self.report()

    def report(self) -> Report:
        """How it stands with the inventory."""
        return self._following.report if self._following is not None else Report()


def read_once(path: Path) -> tuple[FollowedSite, Site]:
    """For a command without an agent: what would be, by the last good copy and the source. The caller takes it or leaves it."""
    followed = FollowedSite(path)
    return followed, followed.reload("apply", asked=True)


@dataclass(frozen=True, slots=True)
class Difference:
    """A record that the source says otherwise. ``here``: it is of a port of this router, or was."""

    name: str
    verb: str
    place: str
    was: Value
    value: Value
    here: bool


@dataclass(frozen=True, slots=True)
class Compared:
    """What the source says, against the last good copy."""

    changes: list[Difference]
    report: Report


def compare(path: Path) -> Compared:
    """Read the source, and change nothing. What is refused is among the changes, and why, in the report.

    Raises:
        BadInput: the configuration is no good, or nothing of the inventory is.
        SourceFailed: it cannot be read.
    """
    config = load_configuration(path)
    following = Following(config)
    following.read(asked=True, refuse=False)
    stood = {one.name: one.value for one in following.copied()}
    proposal = following.proposal()
    changes = [Difference(name, "remove", "", stood.get(name), None, following.standing.port(name) is not None) for name in proposal.gone]
    for name, fresh in proposal.fresh.items():
        verb = "replace" if name in following.standing else "add"
        here = following.standing.port(name) is not None or following.standing.is_here(fresh.kept.entry)
        changes.append(Difference(name, verb, fresh.place, stood.get(name), fresh.value, here))
    report = following.outlook()
    following.left()
    return Compared(sorted(changes, key=lambda one: one.name), report)


def confirm_loss(path: Path) -> str:
    """Let what max_shrink refuses now go the next time: what that is, in words. Raises `Refused` where nothing is refused."""
    following = Following(load_configuration(path))
    try:
        following.read(asked=True)
    except Refused as refused:
        following.confirm()
        return refused.what
    following.left()
    raise Refused("nothing waits to be confirmed", "`l3ctl inventory diff` says what the source says otherwise")
