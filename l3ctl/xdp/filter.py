"""The filter at work: its pins, the netdevs it is attached to, and the policies that hold there.

Owns the pins under its directory. A policy counts as present only while its netdev has our program attached.
"""

import errno
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from l3ctl.errors import FilterFailed, StandsInTheWay
from l3ctl.model import Change, LinkFacts, PortPolicy, Verb, XdpMode
from l3ctl.xdp.libbpf import XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE, Link
from l3ctl.xdp.offload import vlan_tags_hidden
from l3ctl.xdp.program import Loaded, is_pinned, mount_bpffs, open_or_load, open_pinned
from l3ctl.xdp.tables import Tables

_NO_NATIVE = (errno.EOPNOTSUPP, errno.EINVAL, errno.ERANGE)
"""what drivers answer that have no native XDP, or not with these queues or this MTU"""


@contextmanager
def _naming(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise FilterFailed(f"{what}: {error.strerror}", "run `l3ctl plan` to see what is left to do") from error


class Filter:
    """The filter of one network namespace, by its pins in a folder of its own in the bpffs at `bpffs`."""

    def __init__(self, bpffs: Path, xdp_mode: XdpMode = XdpMode.AUTO) -> None:
        self._bpffs = bpffs
        self._directory = bpffs / "l3ctl"
        self._xdp_mode = xdp_mode

    def open(self, source_guard: bool) -> bool:
        """Adopt the pinned filter or load a new one; whether a program was loaded. Links of an older program get the new one."""
        mount_bpffs(self._bpffs)
        self._directory.mkdir(mode=0o700, exist_ok=True)
        loaded, changed = open_or_load(self._directory, source_guard)
        self._use(loaded)
        for link in self._links().values():
            with _naming("cannot put the new filter in the old one's place"):
                if link.facts()[0] != self._program.id():
                    link.update(self._program)
        return changed

    def look(self) -> bool:
        """Open what is pinned, to read it; False where nothing is. Loads nothing, changes nothing."""
        if not is_pinned(self._directory):
            return False
        self._use(open_pinned(self._directory))
        return True

    def _use(self, loaded: Loaded) -> None:
        self._program = loaded.program
        self._tables = Tables(loaded.maps)
        with _naming("cannot read the filter's maps"):
            self._tables.read()

    def _pin(self, ifindex: int) -> Path:
        return self._directory / f"link-{ifindex}"

    def _links(self) -> dict[int, Link]:
        """The pinned links that are attached to a netdev still, by ifindex."""
        found = {int(pin.name.removeprefix("link-")): Link.open(pin) for pin in self._directory.glob("link-*")}
        return {ifindex: link for ifindex, link in found.items() if link.facts()[1] == ifindex}

    def attached(self) -> set[int]:
        """The ifindexes whose frames go through our program."""
        program = self._program.id()
        return {ifindex for ifindex, link in self._links().items() if link.facts()[0] == program}

    def read(self, links: Mapping[str, LinkFacts]) -> dict[str, PortPolicy]:
        """Every port's policy, as the maps hold it and a program carries it out. `links` gives netdevs their names."""
        with _naming("cannot read the filter's maps"):
            self._tables.read()
            return self.remembered(self._tables.ports(), links)

    def remembered(self, ports: Iterable[str], links: Mapping[str, LinkFacts]) -> dict[str, PortPolicy]:
        """The same of a few ports, from the last `read` and what was applied since; attachment and pointers are looked up."""
        attached = self.attached()
        netdevs = {facts.ifindex: facts.name for facts in links.values() if facts.ifindex in attached}
        found = {port: self._tables.policy(port, netdevs) for port in ports}
        return {port: policy for port, policy in found.items() if policy is not None}

    def counters(self) -> dict[str, dict[str, int]]:
        """Frames counted so far, by port and reason."""
        with _naming("cannot read the filter's counters"):
            return self._tables.counters()

    def apply(self, change: Change, links: Mapping[str, LinkFacts]) -> None:
        """Carry out one change of a policy."""
        with _naming(f"cannot {change.verb} the filter's policy of port {change.port}"):
            if change.verb is Verb.REMOVE:
                bare = self._tables.remove(change.port)
                if bare is not None:
                    self._pin(bare).unlink(missing_ok=True)
                return
            assert isinstance(change.item, PortPolicy)
            self._put(change.item, links.get(change.item.guard))

    def _put(self, policy: PortPolicy, facts: LinkFacts | None) -> None:
        if facts is None:
            raise FilterFailed(f"port {policy.port}: netdev {policy.guard} does not exist")
        if policy.vlan_id is not None and vlan_tags_hidden(facts.name):
            raise FilterFailed(
                f"port {policy.port}: {facts.name} takes VLAN tags off before XDP sees the frame", f"ethtool -K {facts.name} rxvlan off"
            )
        self._tables.put(policy, facts.ifindex)
        self._attach(facts)

    def _attach(self, facts: LinkFacts) -> None:
        if facts.ifindex in self.attached():
            return
        pin = self._pin(facts.ifindex)
        pin.unlink(missing_ok=True)  # of a netdev that is gone and whose number came back
        for flags in self._attach_flags(facts):
            try:
                Link.attach(self._program, facts.ifindex, flags).pin(pin)
                return
            except OSError as error:
                if error.errno in (errno.EBUSY, errno.EEXIST):
                    mend = f"`ip link show {facts.name}` names it; detach it first"
                    raise StandsInTheWay(f"another XDP program is attached to {facts.name}", mend) from error
                if flags == XDP_FLAGS_DRV_MODE and self._xdp_mode is XdpMode.AUTO and error.errno in _NO_NATIVE:
                    continue
                mend = "try xdp_mode: generic" if flags == XDP_FLAGS_DRV_MODE else "the kernel log may say more"
                raise FilterFailed(f"cannot attach the filter to {facts.name}: {error.strerror}", mend) from error

    def _attach_flags(self, facts: LinkFacts) -> tuple[int, ...]:
        if self._xdp_mode is XdpMode.GENERIC or (self._xdp_mode is XdpMode.AUTO and facts.kind == "veth"):
            return (XDP_FLAGS_SKB_MODE,)
        return (XDP_FLAGS_DRV_MODE,) if self._xdp_mode is XdpMode.NATIVE else (XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE)

    def detach(self) -> int:
        """Take the filter off every netdev and remove every pin; how many netdevs it guarded."""
        links = list(self._directory.glob("link-*"))
        for pin in (*links, *self._directory.glob("program*"), *self._directory.glob("map-*"), *self._directory.glob("layout")):
            pin.unlink(missing_ok=True)
        return len(links)
