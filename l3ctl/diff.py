"""From what is to what should be: the changes, in the one order that keeps the promise. Pure.

The promise, at every instant: announced ⊆ (link up ∧ route installed ∧ neighbour permanent ∧ policy loaded). So things go in the order
withdraw, routes, policy, neighbours, and come in the order policy, neighbours, routes, announce. Over several ports, everything that goes
goes before anything comes, so that a prefix can move from one port to another.
"""

from collections.abc import Collection, Iterable, Mapping

from l3ctl.model import Announcement, Change, GatewayAddress, Item, Neighbour, PortPolicy, PortState, Route, Verb

_GOING = (Announcement, Route, PortPolicy, Neighbour, GatewayAddress)
_COMING = (PortPolicy, GatewayAddress, Neighbour, Route, Announcement)


def goes(change: Change) -> bool:
    """Whether a change only takes away."""
    return change.verb in (Verb.REMOVE, Verb.WITHDRAW)


def stage(change: Change) -> int:
    """Where in the order a change belongs; lower is earlier."""
    kind = type(change.item)
    return _GOING.index(kind) if goes(change) else len(_GOING) + _COMING.index(kind)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Changes of any number of ports in the promised order."""
    return sorted(changes, key=lambda change: (stage(change), change.port, str(change.item)))


def diff_all(have: Mapping[str, PortState], want: Mapping[str, PortState]) -> list[Change]:
    """What to do to bring all these ports, by name, from `have` to `want`, in order. A port that is missing on one side has nothing."""
    changes: list[Change] = []
    kept: list[tuple[str, Announcement, bool]] = []
    for port in have.keys() | want.keys():
        before, after = have.get(port, PortState()), want.get(port, PortState())
        if before != after:
            changes += _changes(port, before, after)
        stays = {(one.prefix, one.host) for one in after.announcements}
        kept += ((port, one, one in after.announcements) for one in before.announcements if (one.prefix, one.host) in stays)
    return in_order([*changes, *_pauses(changes, kept)])


def diff(port: str, have: PortState, want: PortState) -> list[Change]:
    """What to do to bring one port from `have` to `want`, in order."""
    return diff_all({port: have}, {port: want})


def _changes(port: str, have: PortState, want: PortState) -> Iterable[Change]:
    yield from _policy(port, have.policy, want.policy)
    yield from _by_key(port, have.addresses, want.addresses)
    yield from _by_key(port, have.neighbours, want.neighbours)
    yield from _by_key(port, have.routes, want.routes)
    yield from _announcements(port, have.announcements - want.announcements, want.announcements - have.announcements)


def _announcements(port: str, gone: Iterable[Announcement], come: Iterable[Announcement]) -> Iterable[Change]:
    """Other attributes for a prefix of a host replace those it had: it is not withdrawn in between."""
    before = {(one.prefix, one.host): one for one in gone}
    after = {(one.prefix, one.host) for one in come}
    yield from (Change(port, Verb.WITHDRAW, one) for one in gone if (one.prefix, one.host) not in after)
    yield from (Change(port, Verb.ANNOUNCE, one, before.get((one.prefix, one.host))) for one in come)


def _pauses(changes: Iterable[Change], kept: Iterable[tuple[str, Announcement, bool]]) -> Iterable[Change]:
    """What stays announced while its route moves, as with a port to another netdev, is withdrawn for as long as there is none.

    The old route must go before the new one comes: the kernel does not take both. `kept` says of each whether it stays just as it is.
    """
    routes = [change for change in changes if isinstance(change.item, Route)]
    going = {change.item.prefix for change in routes if change.verb is not Verb.ADD and isinstance(change.item, Route)}
    coming = {(change.port, change.item.prefix) for change in routes if not goes(change) and isinstance(change.item, Route)}
    for port, one, unchanged in kept:
        if one.prefix in going and (port, one.prefix) in coming:
            yield Change(port, Verb.WITHDRAW, one)
            if unchanged:
                yield Change(port, Verb.ANNOUNCE, one)


def _policy(port: str, have: PortPolicy | None, want: PortPolicy | None) -> Iterable[Change]:
    if have == want:
        return
    if want is None:
        assert have is not None
        yield Change(port, Verb.REMOVE, have)
    else:
        yield Change(port, Verb.ADD if have is None else Verb.REPLACE, want, have)


def _key(item: Item) -> object:
    """What the kernel knows an item by: of two with one key, the later replaces the earlier."""
    if isinstance(item, Neighbour):
        return item.interface, item.address
    if isinstance(item, Route):
        return item.interface, item.prefix, item.metric, item.table
    return item


def _by_key(port: str, have: Collection[Item], want: Collection[Item]) -> Iterable[Change]:
    """Of what was found there may be several under one key, where somebody made our route a multipath one."""
    found: dict[object, list[Item]] = {}
    for item in have:
        found.setdefault(_key(item), []).append(item)
    wanted = {_key(item): item for item in want}
    for key, item in wanted.items():
        there = found.pop(key, [])
        others = sorted((one for one in there if one != item), key=str)
        if not there:
            yield Change(port, Verb.ADD, item)
        elif item not in there:
            yield Change(port, Verb.REPLACE, item, others.pop(0))
        yield from (Change(port, Verb.REMOVE, one) for one in others)
    yield from (Change(port, Verb.REMOVE, one) for there in found.values() for one in there)


def lacks_ground(change: Change, broken: Iterable[Change]) -> bool:
    """Whether what comes would rest on one of these changes of its port, which failed."""
    return any(not goes(failure) and _rests_on(change.item, failure.item) for failure in broken)


def _rests_on(item: Item, ground: Item) -> bool:
    """Everything of a port rests on its policy; routes and announcements on their neighbours; announcements on their routes.

    Nothing rests on a gateway's address: the filter answers in its stead.
    """
    if isinstance(ground, Neighbour) and isinstance(item, Route | Announcement):
        host = item.next_hop if isinstance(item, Route) else item.host
        return ground.address in (host, item.prefix.network_address)
    if isinstance(ground, Route):
        return isinstance(item, Announcement) and item.prefix == ground.prefix
    return isinstance(ground, PortPolicy)
