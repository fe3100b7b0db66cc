"""Changes to neighbours, routes and gateway addresses, carried out in bulk and in the order given.

What l3ctl does not own is neither overwritten nor removed here, whatever the plan says: the kernel would do either without asking.
Adding what is there already and removing what is gone are successes.
"""

import errno
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import cast

from l3ctl.kernel import addresses, neighbours, routes
from l3ctl.kernel.bulk import alike, uniform_neighbours, uniform_routes
from l3ctl.kernel.found import Names, describe_neighbour, describe_route
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.standing import E, Entry, Step, is_the_very_one, remove_rivals, spot, standing_at
from l3ctl.kernel.wire import PROTOCOL, Message, Refusal
from l3ctl.model import Change, GatewayAddress, Neighbour, Route, Verb

Reasons = dict[int, str]
"""position of the change -> why it failed"""
_MANY = 64
"""additions of one kind in a row that are worth being packed together"""
_GONE = frozenset({errno.ESRCH, errno.ENOENT, errno.ENODEV, errno.EADDRNOTAVAIL})


@dataclass(frozen=True, slots=True)
class Failure:
    """A change that the kernel, or respect for what is another's, did not allow."""

    change: Change
    reason: str


def apply(kernel: NetlinkSocket, changes: Sequence[Change], *, take_over: bool = False) -> list[Failure]:
    """Carry out what can be; the failures in the order of the changes. With `take_over`, what is another's and in the way gives way.

    Raises:
        NetlinkFailed: the kernel did not answer; what has been done is unknown.
    """
    reasons: Reasons = {}
    begins = 0
    for added, run in _runs(changes):
        failed = (_add_many if added and len(run) >= _MANY else _apply_few)(kernel, run, take_over)
        reasons |= {begins + position: reason for position, reason in failed.items()}
        begins += len(run)
    return [Failure(changes[position], reasons[position]) for position in sorted(reasons)]


def _runs(changes: Sequence[Change]) -> Iterator[tuple[type[Neighbour] | type[Route] | None, Sequence[Change]]]:
    """The changes in turn, as long as they are additions of one kind, or are not. All of them mostly are, which is seen faster at once."""
    if alike([change.verb for change in changes]) and alike([*map(type, [change.item for change in changes])]):
        yield _added(changes[0]), changes
        return
    for added, grouped in groupby(changes, key=_added):
        yield added, list(grouped)


def _added(change: Change) -> type[Neighbour] | type[Route] | None:
    """What can be added by the thousand."""
    if change.verb is Verb.ADD:
        return Route if isinstance(change.item, Route) else Neighbour if isinstance(change.item, Neighbour) else None
    return None


def _add_many(kernel: NetlinkSocket, run: Sequence[Change], take_over: bool) -> Reasons:
    """Additions of one kind, in whatever order: packed together, and taken one by one only where the kernel refuses."""
    items = cast(list[Neighbour | Route], [change.item for change in run])
    names = [item.interface for item in items]
    indexes = {name: kernel.index_of(name) if name else 0 for name in set(names)}
    found = {name: index for name, index in indexes.items() if index is not None}
    positions: Sequence[int] = range(len(run))
    reasons: Reasons = {}
    if len(found) < len(indexes):
        reasons = {position: _missing(items[position]) for position, name in enumerate(names) if name not in found}
        positions = [position for position in positions if position not in reasons]
        items, names = [items[position] for position in positions], [names[position] for position in positions]
    ifindexes = [found[name] for name in names]
    added = _added(run[0])
    if added is Route:
        groups = uniform_routes(cast(list[Route], items), ifindexes)
    else:
        groups = uniform_neighbours(cast(list[Neighbour], items), ifindexes)
    blocked: list[Step[Neighbour | Route]] = []
    for place, why in sorted(kernel.bulk(groups).items()):
        if why.errno == errno.EEXIST:
            blocked.append(Step(positions[place], False, items[place], ifindexes[place]))
        else:
            reasons[positions[place]] = _say(why)
    if added is Route:
        return reasons | _make_way_for_routes(kernel, cast(list[Step[Route]], blocked), take_over)
    return reasons | _make_way_for_neighbours(kernel, cast(list[Step[Neighbour]], blocked), take_over)


def _missing(item: Entry) -> str:
    return f"there is no interface {item.interface}"


def _apply_few(kernel: NetlinkSocket, changes: Sequence[Change], take_over: bool) -> Reasons:
    reasons: Reasons = {}
    steps = list(_steps(kernel, changes, reasons))
    for (kind, removes), grouped in groupby(steps, key=_run_of):
        run = list(grouped)
        if kind is Route:
            failed = _apply_routes(kernel, cast(list[Step[Route]], run), take_over)
        elif kind is Neighbour and removes:
            failed = _remove_neighbours(kernel, cast(list[Step[Neighbour]], run))
        elif kind is Neighbour:
            failed = _add_neighbours(kernel, cast(list[Step[Neighbour]], run), take_over)
        elif removes:
            failed = _remove_addresses(kernel, cast(list[Step[GatewayAddress]], run))
        else:
            failed = _add_addresses(kernel, cast(list[Step[GatewayAddress]], run), take_over)
        for position, reason in failed.items():
            reasons.setdefault(position, reason)
    return reasons


def _run_of(step: Step[Entry]) -> tuple[type[Entry], bool]:
    """What may go out together: routes in any mix, since the kernel takes a batch in order; the others need an answer between verbs."""
    return type(step.item), step.removes and not isinstance(step.item, Route)


def _steps(kernel: NetlinkSocket, changes: Sequence[Change], reasons: Reasons) -> Iterator[Step[Entry]]:
    indexes: dict[str, int | None] = {"": 0}  # of a blackhole

    def index_of(item: Entry) -> int | None:
        if item.interface not in indexes:
            indexes[item.interface] = kernel.index_of(item.interface)
        return indexes[item.interface]

    for position, change in enumerate(changes):
        if not isinstance(change.item, Entry):
            raise TypeError(f"not of the kernel's tables: {change.item!r}")
        gone = change.item if change.verb is Verb.REMOVE else _displaced(change)
        if gone is not None and (ifindex := index_of(gone)) is not None:
            yield Step(position, True, gone, ifindex)
        if change.verb is Verb.REMOVE:
            continue
        if (ifindex := index_of(change.item)) is None:
            reasons[position] = _missing(change.item)
        else:
            yield Step(position, False, change.item, ifindex)


def _displaced(change: Change) -> Entry | None:
    """What a replacement removes first: what it was, but for a neighbour of the same address, which the new one overwrites in place.

    A route is removed and added, in one batch: NLM_F_REPLACE would also take the place of another protocol's.
    """
    item, was = change.item, change.was
    if change.verb is not Verb.REPLACE or not isinstance(was, Entry):
        return None
    if isinstance(was, Neighbour) and isinstance(item, Neighbour) and (was.interface, was.address) == (item.interface, item.address):
        return None
    return was


def _apply_routes(kernel: NetlinkSocket, run: Sequence[Step[Route]], take_over: bool) -> Reasons:
    reasons: Reasons = {}
    blocked: list[Step[Route]] = []
    messages = ((routes.pack_remove if step.removes else routes.pack_add)(step.item, step.ifindex) for step in run)
    for index, why in kernel.batch(messages).items():
        step = run[index]
        if step.removes and why.errno in _GONE:
            continue
        if not step.removes and why.errno == errno.EEXIST:
            blocked.append(step)
        else:
            reasons[step.position] = _say(why)
    return reasons | _make_way_for_routes(kernel, blocked, take_over)


def _make_way_for_routes(kernel: NetlinkSocket, blocked: Sequence[Step[Route]], take_over: bool) -> Reasons:
    """Look at what stands where these were to go: they themselves, or what is in their way."""
    reasons: Reasons = {}
    if blocked and take_over:
        remove_rivals(kernel, blocked)
        refused = kernel.batch(routes.pack_add(step.item, step.ifindex) for step in blocked)
        blocked = [blocked[index] for index in sorted(refused)]
    if blocked:
        names = Names(kernel)
        standing = standing_at(kernel, blocked)
        for step in blocked:
            entries = standing.get(spot(step), [])
            if not entries:
                reasons[step.position] = "another route stood in the way and is gone now"
            elif not any(is_the_very_one(entry, step) for entry in entries):
                reasons[step.position] = f"{describe_route(entries[0], names)} stands in the way"
    return reasons


def _add_neighbours(kernel: NetlinkSocket, run: Sequence[Step[Neighbour]], take_over: bool) -> Reasons:
    """Add where none is; where one is, look whose, and overwrite it unless it is permanent and another's.

    A learned entry is what the billed one is there to displace. Trying first costs nothing where nothing is, which is the bulk case.
    """
    reasons, blocked = _try(kernel, run, (neighbours.pack_add(step.item, step.ifindex, replace=False) for step in run))
    return reasons | _make_way_for_neighbours(kernel, blocked, take_over)


def _make_way_for_neighbours(kernel: NetlinkSocket, blocked: Sequence[Step[Neighbour]], take_over: bool) -> Reasons:
    reasons: Reasons = {}
    overwriting: list[Step[Neighbour]] = []
    answers = kernel.ask([neighbours.pack_ask(step.item, step.ifindex) for step in blocked])
    for step, answer in zip(blocked, answers, strict=True):
        entry = None if isinstance(answer, Refusal) else neighbours.parse(answer)
        if entry and entry.permanent and entry.protocol != PROTOCOL and not take_over:
            reasons[step.position] = f"{describe_neighbour(entry, step.item.interface)} stands in the way"
        elif entry is None or entry.protocol != PROTOCOL or entry.lladdr != step.item.lladdr or not _is_plain(answer):
            overwriting.append(step)
    messages = (neighbours.pack_add(step.item, step.ifindex, replace=True) for step in overwriting)
    for index, why in kernel.batch(messages).items():
        reasons[overwriting[index].position] = _say(why)
    return reasons


def _is_plain(answer: bytes | Refusal) -> bool:
    return not isinstance(answer, Refusal) and neighbours.is_as_we_make_them(answer)


def _remove_neighbours(kernel: NetlinkSocket, run: Sequence[Step[Neighbour]]) -> Reasons:
    ours: list[Step[Neighbour]] = []
    answers = kernel.ask([neighbours.pack_ask(step.item, step.ifindex) for step in run])
    for step, answer in zip(run, answers, strict=True):
        entry = None if isinstance(answer, Refusal) else neighbours.parse(answer)
        if entry and entry.protocol == PROTOCOL:
            ours.append(step)
    refused = kernel.batch(neighbours.pack_remove(step.item, step.ifindex) for step in ours)
    return {ours[index].position: _say(why) for index, why in refused.items() if why.errno not in _GONE}


def _add_addresses(kernel: NetlinkSocket, run: Sequence[Step[GatewayAddress]], take_over: bool) -> Reasons:
    reasons, blocked = _try(kernel, run, (addresses.pack_add(step.item, step.ifindex) for step in run))
    if take_over:  # an address cannot be changed in place: it goes, and ours comes
        for step in blocked:
            kernel.batch([addresses.pack_remove(step.item, step.ifindex)])
        again, blocked = _try(kernel, blocked, (addresses.pack_add(step.item, step.ifindex) for step in blocked))
        reasons |= again
    answers = kernel.ask([addresses.pack_ask(step.item, step.ifindex) for step in blocked])
    for step, answer in zip(blocked, answers, strict=True):
        entry = None if isinstance(answer, Refusal) else addresses.parse(answer)
        if entry is None:
            reasons[step.position] = "another address stood in the way and is gone now"
        elif entry.protocol != PROTOCOL or entry.address != step.item.address:
            reasons[step.position] = f"{entry.address} of protocol {entry.protocol} on {step.item.interface} stands in the way"
    return reasons


def _remove_addresses(kernel: NetlinkSocket, run: Sequence[Step[GatewayAddress]]) -> Reasons:
    ours: list[Step[GatewayAddress]] = []
    answers = kernel.ask([addresses.pack_ask(step.item, step.ifindex) for step in run])
    for step, answer in zip(run, answers, strict=True):
        entry = None if isinstance(answer, Refusal) else addresses.parse(answer)
        if entry and entry.protocol in (PROTOCOL, addresses.KERNEL_LINK_LOCAL):  # the kernel's own has no owner to miss it
            ours.append(step)
    refused = kernel.batch(addresses.pack_remove(step.item, step.ifindex) for step in ours)
    return {ours[index].position: _say(why) for index, why in refused.items() if why.errno not in _GONE}


def _try(kernel: NetlinkSocket, run: Sequence[Step[E]], messages: Iterable[Message]) -> tuple[Reasons, list[Step[E]]]:
    """Send exclusive additions: what failed for good, and what was not done because something is there."""
    refused = kernel.batch(messages)
    blocked = [run[index] for index, why in refused.items() if why.errno == errno.EEXIST]
    return {run[index].position: _say(why) for index, why in refused.items() if why.errno != errno.EEXIST}, blocked


def _say(why: Refusal) -> str:
    text = os.strerror(why.errno)
    return f"{text}: {why.text}" if why.text else text
