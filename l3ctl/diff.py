"""From what is to what should be: the changes, in the one order that keeps the promise. Pure.

The promise, at every instant: announced ⊆ (link up ∧ route installed ∧ neighbour permanent ∧ policy loaded). So things go in the order
withdraw, routes, policy, neighbours, and come in the order policy, neighbours, routes, announce. Over several ports, everything that goes
goes before anything comes, so that a prefix can move from one port to another.
"""

from collections.abc import Collection, Iterable

from l3ctl.model import Announcement, Change, GatewayAddress, Item, Neighbour, PortPolicy, PortState, Route, Verb

_GOING = (Announcement, Route, PortPolicy, Neighbour, GatewayAddress)
_COMING = (PortPolicy, GatewayAddress, Neighbour, Route, Announcement)


def stage(change: Change) -> int:
    """Where in the order a change belongs; lower is earlier."""
    kind = type(change.item)
    if change.verb in (Verb.REMOVE, Verb.WITHDRAW):
        return _GOING.index(kind)
    return len(_GOING) + _COMING.index(kind)


def in_order(changes: Iterable[Change]) -> list[Change]:
    """Changes of any number of ports in the promised order."""
    return sorted(changes, key=lambda change: (stage(change), change.port))


def diff(port: str, have: PortState, want: PortState) -> list[Change]:
    """What to do to bring one port from `have` to `want`, in order."""
    changes = list(_policy(port, have.policy, want.policy))
    changes += _by_key(port, have.addresses, want.addresses)
    changes += _by_key(port, have.neighbours, want.neighbours)
    changes += _by_key(port, have.routes, want.routes)
    changes += (Change(port, Verb.WITHDRAW, item) for item in have.announcements - want.announcements)
    changes += (Change(port, Verb.ANNOUNCE, item) for item in want.announcements - have.announcements)
    return sorted(changes, key=lambda change: (stage(change), str(change.item)))


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
        return item.interface, item.prefix, item.metric
    return item


def _by_key(port: str, have: Collection[Item], want: Collection[Item]) -> Iterable[Change]:
    found = {_key(item): item for item in have}
    wanted = {_key(item): item for item in want}
    for key in found.keys() - wanted.keys():
        yield Change(port, Verb.REMOVE, found[key])
    for key, item in wanted.items():
        was = found.get(key)
        if was is None:
            yield Change(port, Verb.ADD, item)
        elif was != item:
            yield Change(port, Verb.REPLACE, item, was)
