"""The filter at work: its pins, the netdevs it is attached to, and the policies that hold there.

Owns the pins under its directory. A policy counts as present only while its netdev has our program attached.
"""

import errno
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from l3ctl.errors import FilterFailed, StandsInTheWay
from l3ctl.model import UPPER_KINDS, Change, LinkFacts, PortPolicy, Verb, XdpMode
from l3ctl.xdp.abi import abi
from l3ctl.xdp.libbpf import XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, Program, program_on
from l3ctl.xdp.links import Links, pinned, release
from l3ctl.xdp.offload import show_vlan_tags
from l3ctl.xdp.program import Loaded, is_pinned, mount_bpffs, open_or_load, open_pinned, pin_again, pin_program, translate
from l3ctl.xdp.samples import Sample, Samples
from l3ctl.xdp.tables import Reading, Tables

T = TypeVar("T")

_NO_NATIVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE)
"""what drivers answer that have no native XDP, or not with these queues or this MTU"""
NOBODY = "-"
"""in the place of a port's name"""


@contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise translate(error, what, "run `l3ctl plan` to see what is left to do") from error


class Filter:
    """The filter of one network namespace, by its pins in a folder of its own in the bpffs at `bpffs`."""

    def __init__(self, bpffs: Path, xdp_mode: XdpMode = XdpMode.AUTO) -> None:
        self._bpffs = bpffs
        self._directory = bpffs / "l3ctl"
        self._xdp_mode = xdp_mode
        self._settled = True

    def open(self, source_guard: bool) -> bool:
        """Adopt the pinned filter or load a new one; whether a program was loaded.

        Links of an older program get the new one. Links that guard no port any more, or whose netdev is gone, are what a process left that
        was killed between two steps; they go. Where the pinned maps are of another layout, that waits for `settle`: until then links run
        the program that they ran, with the records that it had.
        """
        mount_bpffs(self._bpffs)
        with _naming(f"cannot pin a filter in {self._bpffs}"):
            self._directory.mkdir(mode=0o700, exist_ok=True)
        loaded, changed = open_or_load(self._directory, source_guard)
        self._use(loaded)
        self._loaded, self._source_guard, self._settled = loaded, source_guard, loaded.pinned
        if self._settled:
            self._renew_all()
        return changed

    def look(self) -> bool:
        """Open what is pinned, to read it; False where nothing is. Loads nothing, changes nothing."""
        with _naming(f"cannot look for a filter in {self._bpffs}"):
            if not is_pinned(self._directory) and not (self._directory.is_dir() and pinned(self._directory)):
                return False
        self._use(open_pinned(self._directory))
        return True

    def _use(self, loaded: Loaded) -> None:
        self._links = Links(self._directory, loaded.program)
        self._tables = Tables(loaded.maps)
        if not loaded.fresh:
            with _naming("cannot read the filter's maps"):
                self._tables.read()

    def settle(self, billed: Iterable[str], links: Mapping[str, LinkFacts]) -> None:
        """Every port has its records by now, or cannot have them: links of a program with maps of another layout get ours, one by one.

        `billed`: the netdevs that ports are guarded on. Those of them that have no records keep the filter that they have.
        """
        if not self._settled:
            self._renew_all({links[name].ifindex for name in billed if name in links})
            pin_program(self._directory, self._loaded.program, self._source_guard)
            self._settled = True

    def _renew_all(self, billed: Collection[int] = ()) -> None:
        with _naming("cannot put the new filter in the old one's place"):
            for ifindex in self._links.pinned():
                guards = self._tables.guards(ifindex)
                if not (self._links.renew(ifindex) if guards else ifindex in billed):
                    self._links.release(ifindex)

    def keep(self) -> list[str]:
        """Make again what somebody has removed of the pins; which these were. What was attached by them is to be put again."""
        return pin_again(self._directory, self._loaded, self._source_guard) if self._settled else []

    def attached(self) -> set[int]:
        """The ifindexes whose frames go through our program."""
        with _naming("cannot read the filter's links"):
            return self._links.all()

    def everywhere(self) -> set[int]:
        """The ifindexes whose frames go through a program of ours, also an older one."""
        with _naming("cannot read the filter's links"):
            return self._links.everywhere()

    def is_on(self, ifindex: int) -> bool:
        """Whether a netdev's frames go through our program, now."""
        with _naming("cannot read the filter's links"):
            return self._links.is_on(ifindex)

    def lost(self, at_most: int) -> bool:
        """Whether the program is not where it was last seen or put. Not told of more netdevs than `at_most`, since each is asked."""
        return self._links.lost(at_most) or (self._settled and not is_pinned(self._directory))

    def take_note(self) -> None:
        """Where the program is now is where it was seen."""
        self._links.take_note()

    def read(self, links: Mapping[str, LinkFacts]) -> dict[str, PortPolicy]:
        """Every port's policy, as the maps hold it and a program carries it out. `links` gives netdevs their names."""
        self.refresh()
        return self.remembered(self._tables.ports(), links)

    def refresh(self, *, whole: bool = True) -> None:
        """Read every record anew. Not `whole`: without looking for what nobody knows of, which is most of the work."""
        with _naming("cannot read the filter's maps"):
            self._tables.read(whole=whole)

    def refresh_of(self, ports: Iterable[str]) -> None:
        """Where a record of these ports is not what it was known to be, read every one anew."""
        with _naming("cannot read the filter's maps"):
            if not all(self._tables.stands(port) for port in ports):
                self._tables.read(whole=False)

    def ports(self) -> frozenset[str]:
        """Every port that has records."""
        return self._tables.ports()

    def digest(self, highest: int) -> bytes:
        """A name for what the maps hold of all that is known of, and for where the program is attached. Between two alike, all held.

        `highest` is that of the ifindexes there are.
        """
        with _naming("cannot read the filter's maps"):
            return self._tables.digest(highest) + repr(sorted(self.attached())).encode()

    def remembered(
        self, ports: Iterable[str], links: Mapping[str, LinkFacts], wanted: Mapping[str, PortPolicy | None] = MappingProxyType({})
    ) -> dict[str, PortPolicy]:
        """The same of a few ports, from the last `read` and what was applied since; attachment and pointers are looked up.

        Records that are just those of what is wanted need not be understood.
        """
        found = self._of(ports, links, lambda port, netdevs: self._tables.policy(port, netdevs, wanted.get(port)))
        return {port: policy for port, policy in found.items() if policy is not None}

    def readings(self, ports: Iterable[str], links: Mapping[str, LinkFacts]) -> dict[str, Reading | None]:
        """The same, not yet understood: which is enough to see that nothing has changed."""
        return self._of(ports, links, self._tables.reading)

    def _of(self, ports: Iterable[str], links: Mapping[str, LinkFacts], tell: Callable[[str, Mapping[int, str]], T]) -> dict[str, T]:
        with _naming("cannot read the filter's maps"):
            asked = {port: self._tables.ifindex(port) for port in ports}
            attached = {ifindex for ifindex in set(asked.values()) if ifindex and self._links.is_on(ifindex)}
            netdevs = {facts.ifindex: facts.name for facts in links.values() if facts.ifindex in attached}
            return {port: tell(port, netdevs) for port in asked}

    def counters(self) -> dict[str, dict[str, int]]:
        """Frames counted so far, by port and reason."""
        with _naming("cannot read the filter's counters"):
            return self._tables.counters()

    def counters_of(self, port: str) -> dict[str, int]:
        """Of one port, by reason; nothing for one without records. `NOBODY` is what belongs to no port."""
        with _naming("cannot read the filter's counters"):
            index = 0 if port == NOBODY else self._tables.index_of(port)
            return {} if index is None else self._tables.counters_at(index)

    def ask(self, ports: Iterable[str], until: int) -> None:
        """Let answers to probes of these ports count, until a time in nanoseconds of the coarse monotonic clock."""
        for port in ports:
            if (index := self._tables.index_of(port)) is not None:
                self._tables.asked[index] = until

    def seen(self, port: str) -> int:
        """When the port's host last answered a probe, or asked for the gateway: the same clock; 0 for never."""
        index = self._tables.index_of(port)
        return 0 if index is None else self._tables.seen[index]

    def samples(self) -> Samples:
        """The samples that the filter takes, for whoever reads them."""
        with _naming("cannot read the filter's samples"):
            self._tables.refill(0, [reason.number for reason in abi().reasons if reason.verdict == "drop"])  # of no port: nobody puts it
            return Samples(self._tables.ring())

    def port_of(self, sample: Sample) -> str:
        """Whose frame a sample is; `NOBODY` where it is no port's, or no longer one's."""
        return self._tables.name_at(sample.index) or NOBODY

    def refill(self, port: str, reasons: Iterable[str]) -> None:
        """Let samples of these reasons be taken again."""
        numbers = {reason.name: reason.number for reason in abi().reasons}
        index = 0 if port == NOBODY else self._tables.index_of(port)
        with _naming("cannot refill the filter's budgets"):
            if index is not None:
                self._tables.refill(index, [numbers[reason] for reason in reasons])

    def apply(self, change: Change, links: Mapping[str, LinkFacts]) -> list[tuple[Change, FilterFailed]]:
        """Carry out one change of a policy. What another port had until then, and may not have beside it, with the reason."""
        with _naming(f"cannot {change.verb} the filter's policy of port {change.port}"):
            try:
                if change.verb is not Verb.REMOVE:
                    assert isinstance(change.item, PortPolicy)
                    return self._put(change.item, links.get(change.item.guard))
                self._detach(self._tables.remove(change.port))
                return []
            except OSError:
                self._tables.read()  # nothing is trusted from memory after an error
                raise

    def _detach(self, ifindexes: Iterable[int]) -> None:
        for ifindex in ifindexes:
            self._links.release(ifindex)

    def _put(self, policy: PortPolicy, facts: LinkFacts | None) -> list[tuple[Change, FilterFailed]]:
        if facts is None:
            raise FilterFailed(f"port {policy.port}: netdev {policy.guard} does not exist")
        if policy.vlan_id is not None and not show_vlan_tags(facts.name):
            what = f"port {policy.port}: {facts.name} takes VLAN tags off before XDP sees the frame, and does not stop when told to"
            raise FilterFailed(what, f"`ethtool -K {facts.name} rxvlan off` may say why; another NIC or driver is needed else")
        if facts.may_hide_tags and policy.qinq:
            what = f"port {policy.port}: {facts.name} is a {facts.kind}, which may hide the outer of two tags"
            mend = f"trunk: {facts.name}.{policy.vlan_id}` and `vlan`, the inner tag's"
            raise FilterFailed(f"{what}: a frame would be judged by the inner one", f"guard the outer VLAN's own netdev: `{mend}")
        if facts.may_hide_tags and policy.vlan_id is None and self._tables.has_vlans(facts.ifindex, policy.port):
            raise self._mixed(policy, facts)
        self._detach(self._tables.put(policy, facts.ifindex))
        gave_way = self._give_way(facts) if facts.may_hide_tags and policy.vlan_id is not None else []
        self._attach(facts)
        native = facts.kind not in UPPER_KINDS or program_on(facts.ifindex, XDP_FLAGS_DRV_MODE) != 0
        if policy.vlan_id is not None and not native:
            self._detach(self._tables.remove(policy.port))
            what = f"port {policy.port}: generic XDP sees no VLAN tags on {facts.name}, a {facts.kind}"
            raise FilterFailed(what, f"guard the VLAN's own netdev: `interface: {facts.name}.{policy.vlan_id}` in place of trunk and vlan")
        return gave_way

    def _mixed(self, untagged: PortPolicy, facts: LinkFacts) -> FilterFailed:
        what = f"port {untagged.port}: {facts.name} would have both a port of its untagged frames and ports of VLANs, and as a"
        return FilterFailed(f"{what} {facts.kind} it may hide which of them a frame is for", "give the untagged port a netdev of its own")

    def _give_way(self, facts: LinkFacts) -> list[tuple[Change, FilterFailed]]:
        """Where VLANs have come to a netdev that may hide tags, the port of its untagged frames goes, whichever was there first."""
        port = self._tables.untagged(facts.ifindex)
        policy = self._tables.policy(port, {facts.ifindex: facts.name})
        if policy is None:
            return []
        self._detach(self._tables.remove(port))
        return [(Change(port, Verb.ADD, policy), self._mixed(policy, facts))]

    def _attach(self, facts: LinkFacts) -> None:
        if not self._settled and self._links.is_older(facts.ifindex):
            return  # other ports of this netdev may not have their records yet: it goes on with what it runs
        if self._links.renew(facts.ifindex):
            return
        self._links.release(facts.ifindex)  # of a netdev that is gone and whose number came back
        self._links.await_release(facts.ifindex)
        for flags in self._attach_flags(facts):
            try:
                self._links.attach(facts.ifindex, flags)
                return
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.EEXIST):
                    raise self._stands_in_the_way(facts) from error
                if flags == XDP_FLAGS_DRV_MODE and self._xdp_mode is XdpMode.AUTO and error.errno in _NO_NATIVE:
                    continue
                mend = "try xdp_mode: generic" if flags == XDP_FLAGS_DRV_MODE else "the kernel log may say more"
                raise FilterFailed(f"cannot attach the filter to {facts.name}: {error.strerror}", mend) from error

    def _stands_in_the_way(self, facts: LinkFacts) -> StandsInTheWay:
        """Whose program is on the netdev, by name and number; or on one above it: then the kernel allows none below (dev_xdp_attach)."""
        number = program_on(facts.ifindex)
        if not number:
            what = f"a netdev above {facts.name}, such as one of its VLANs', has an XDP program of its own"
            return StandsInTheWay(
                f"{what}, and then {facts.name} may have none", "guard all VLANs of a trunk on the trunk, or each on its own netdev"
            )
        try:
            with closing(Program.by_id(number)) as program:
                who = f"{program.name() or 'unnamed'} (id {number})"
        except OSError:
            who = f"id {number}"
        return StandsInTheWay(f"another XDP program is attached to {facts.name}: {who}", "detach it first")

    def _attach_flags(self, facts: LinkFacts) -> tuple[int, ...]:
        if self._xdp_mode is XdpMode.GENERIC or (self._xdp_mode is XdpMode.AUTO and facts.kind == "veth"):
            return (XDP_FLAGS_SKB_MODE,)
        return (XDP_FLAGS_DRV_MODE,) if self._xdp_mode is XdpMode.NATIVE else (XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE)

    def detach(self) -> int:
        """Take the filter off every netdev and remove every pin; how many netdevs it guarded."""
        with _naming(f"cannot take the filter in {self._bpffs} away"):
            if not self._directory.is_dir():
                return 0
            guarded = sum(release(self._directory, ifindex) for ifindex in pinned(self._directory))
            # The program first: what is left by who is killed meanwhile is no filter to anyone.
            for pin in sorted(self._directory.iterdir(), key=lambda pin: pin.name != "program"):
                pin.unlink(missing_ok=True)
            return guarded
