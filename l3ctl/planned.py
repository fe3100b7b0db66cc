"""A plan as it is told: the changes, and why each port has some, in the few words that whoever has to say yes to it needs."""

from collections.abc import Collection, Iterable, Mapping, Sequence

from l3ctl.asking import Answer
from l3ctl.control import as_json
from l3ctl.desired import desired, is_up
from l3ctl.diff import goes
from l3ctl.model import Announcement, Change, LinkFacts, Port, Route, Settings
from l3ctl.names import ORPHAN
from l3ctl.report import Report
from l3ctl.router import Router
from l3ctl.site import Site, waiting


def planned(site: Site, changes: Sequence[Change], router: Router, before: Settings, report: Report) -> Answer:
    """What `plan` answers: the changes, why each port has some, and what it waits for. ``before``: the settings as they were."""
    links = router.kernel.links()
    news = {**site.news, **{ORPHAN + netdev: what for netdev, what in site.news_of_netdevs.items()}}
    why = reasons(changes, news, {port.name: port for port in site.ports}, links, before, site.config.settings, router.away)
    answer = {"changes": as_json(changes), "why": why, "ports": len(site.ports), "notes": waiting(site.ports, links.keys())}
    return {**answer, "inventory": as_json(report)}


def reasons(
    changes: Iterable[Change],
    news: Mapping[str, str],
    ports: Mapping[str, Port],
    links: Mapping[str, LinkFacts],
    before: Settings,
    after: Settings,
    away: Collection[str] = (),
) -> dict[str, str]:
    """By port. ``news``: what the inventory says of it that it did not say; ``before`` and ``after``: the settings then and now.

    ``away``: ports whose host is not there, whatever the link says.
    """
    by_port: dict[str, list[Change]] = {}
    for change in changes:
        by_port.setdefault(change.port, []).append(change)
    told = {}
    for name, steps in by_port.items():
        port = ports.get(name)
        if name in news:
            told[name] = news[name]
        elif name.startswith(ORPHAN):
            told[name] = "nobody asks for it" if all(map(goes, steps)) else "the configuration asks for it"
        elif port is None:
            told[name] = "not in the inventory"
        elif _only_ceases(steps) and not is_up(port, links, after):
            told[name] = "its link is down"
        elif _only_ceases(steps) and name in away:
            told[name] = "its host is away"
        elif before != after and desired(port, links, before) != desired(port, links, after):
            told[name] = "the configuration says otherwise than before"
        else:
            told[name] = _of_what_was_found(steps)
    return told


def _only_ceases(steps: list[Change]) -> bool:
    """What goes when a host does, and nothing else."""
    return all(goes(step) and isinstance(step.item, Route | Announcement) for step in steps)


def _of_what_was_found(steps: list[Change]) -> str:
    """Both files say what they said."""
    if all(isinstance(step.item, Announcement) for step in steps):
        return "drained, or held down as it flaps" if all(map(goes, steps)) else "not announced yet"
    if all(goes(step) for step in steps):
        return "more is there than it is billed"
    return "found otherwise than it is billed" if any(goes(step) or step.was is not None for step in steps) else "missing on the router"
