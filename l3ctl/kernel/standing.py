"""What stands in the kernel where routes of ours were to go, and how it is taken away when it is to give way."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from l3ctl.kernel import routes
from l3ctl.kernel.found import ASKED_SINGLY, routes_of
from l3ctl.kernel.netlink import NetlinkSocket
from l3ctl.kernel.wire import PROTOCOL
from l3ctl.model import GatewayAddress, Neighbour, Prefix, Route

Entry = GatewayAddress | Neighbour | Route
E = TypeVar("E", bound=Entry)
Spot = tuple[int, Prefix, int, int]
"""table, prefix, metric, and ifindex of one that is on link: it stands beside those of other netdevs, where any other has the spot alone"""


@dataclass(frozen=True, slots=True)
class Step(Generic[E]):
    """One thing to add or remove, for the change at ``position``."""

    position: int
    removes: bool
    item: E
    ifindex: int


def remove_rivals(kernel: NetlinkSocket, blocked: Sequence[Step[Route]]) -> None:
    """Delete others' routes of the same prefix and metric as these, path by path; beside one that is on link, those of its device alone."""
    spots = {spot(step) for step in blocked}
    doomed = [
        routes.pack_delete(entry, hop)
        for entry in routes_of(kernel, *_where(spots), [None], ours=False)
        for hop in entry.hops
        if spots & {(entry.table, entry.prefix, entry.metric, ifindex) for ifindex in (0, hop[0])}
    ]
    kernel.batch(doomed)  # what is refused is found standing by who adds


def is_the_very_one(entry: routes.RouteEntry, step: Step[Route]) -> bool:
    """Whether a route that was found is the very one that was to be added."""
    if entry.protocol != PROTOCOL or entry.table != step.item.table or entry.blackhole != (not step.item.interface):
        return False
    return entry.blackhole or entry.hops == ((step.ifindex, step.item.next_hop),)


def spot(step: Step[Route]) -> Spot:
    """Where a route goes."""
    on_link = step.item.interface and not step.item.next_hop
    return step.item.table, step.item.prefix, step.item.metric, step.ifindex if on_link else 0


def _where(spots: Iterable[Spot]) -> tuple[set[Prefix], set[int]]:
    """The prefixes and tables of spots."""
    return {prefix for _, prefix, _, _ in spots}, {table for table, _, _, _ in spots}


def _spots(entry: routes.RouteEntry) -> Iterator[Spot]:
    for ifindex in {0, *(ifindex for ifindex, _ in entry.hops)}:
        yield entry.table, entry.prefix, entry.metric, ifindex


def standing_at(kernel: NetlinkSocket, blocked: Sequence[Step[Route]]) -> dict[Spot, list[routes.RouteEntry]]:
    """What stands where routes could not be added, looked for where it costs least first.

    The kernel can be asked how it reaches an address but not for a prefix, so these are dumps: ours on the same interfaces, which is
    a repetition; ours anywhere; a whole table only for what is another's.
    """
    spots = {spot(step) for step in blocked}
    same: set[int | None] = {step.ifindex for step in blocked}
    found: dict[Spot, list[routes.RouteEntry]] = {}
    for ours, ifindexes in ((True, same if len(same) <= ASKED_SINGLY else ()), (True, [None]), (False, [None])):
        missing = spots - found.keys()
        for entry in routes_of(kernel, *_where(missing), ifindexes, ours=ours):
            for one in missing.intersection(_spots(entry)):
                found.setdefault(one, []).append(entry)
    return found
