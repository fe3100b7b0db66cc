"""Which port the frames of a netdev, and of each VLAN on it, belong to: the maps `ifs` and `vlans`.

A trunk's VLANs stand in `vlans` in a slot of 4,096 cells, numbered from 1, that its entry in `ifs` names. What points to a port is packed
as `struct pointer`, and holds more than the port's index, with which it begins.
"""

import errno
from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from l3ctl.errors import FilterFailed
from l3ctl.xdp.abi import abi, packer, unpacker
from l3ctl.xdp.libbpf import Map
from l3ctl.xdp.records import neutral_pointer

_CELLS = 4096
Place = tuple[int, int | None]
"""ifindex and VLAN id; None: untagged"""


_NOWHERE = bytes(32)
_PER_POINTER = len(_NOWHERE) // 4


def _key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _index(pointer: bytes | None) -> int:
    return int.from_bytes(pointer[:4], "little") if pointer is not None else 0


@dataclass(frozen=True, slots=True)
class Netdev:
    """An entry of `ifs`: 0 is none."""

    untagged: bytes = _NOWHERE
    trunk: int = 0
    flags: int = 0

    @property
    def untagged_port(self) -> int:
        """The index that untagged frames belong to."""
        return _index(self.untagged)


class Pointers:
    """Reads and writes the two maps. Remembers what points where; what it writes over, it looks up first."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._ifs, self._far_ifs, self._vlans = maps["ifs"], maps["far_ifs"], maps["vlans"]
        self._untagged: dict[int, set[int]] = {}
        self._cells: dict[int, set[int]] = {}
        self._trunks: dict[int, int] = {}
        self._used: dict[int, set[int]] = {}

    def read(self, *, whole: bool = True) -> None:
        """Read every pointer anew. Not `whole`: those of netdevs up to the highest that is known to have any."""
        known = (*self._trunks, *(ifindex for ifindexes in self._untagged.values() for ifindex in ifindexes))
        limit = None if whole else max(known, default=0) + 1
        self._untagged, self._cells, self._trunks, self._used = {}, {}, {}, {}
        far = ((int.from_bytes(key, "little"), raw) for key, raw in self._far_ifs.items())
        for ifindex, raw in (*self._ifs.used(limit), *far):
            netdev = self._parse(raw)
            if netdev.untagged_port:
                self._untagged.setdefault(netdev.untagged_port, set()).add(ifindex)
            if netdev.trunk:
                self._trunks[ifindex] = netdev.trunk
        for trunk in set(self._trunks.values()):
            self._used[trunk] = set()
            for cell, index in self._slot(trunk):
                self._cells.setdefault(index, set()).add(cell)
                self._used[trunk].add(cell)

    def digest(self, highest: int) -> bytes:
        """A name for all pointers of netdevs up to the highest ifindex there is, as they are now."""
        made = blake2b(digest_size=16)
        known = (*self._trunks, *(ifindex for ifindexes in self._untagged.values() for ifindex in ifindexes))
        made.update(self._ifs.array(0, min(max((highest, *known)) + 1, self._ifs.max_entries)))
        for keys, values in self._far_ifs.batches():
            made.update(keys)
            made.update(values)
        for trunk in sorted(set(self._trunks.values())):
            made.update(self._vlans.array((trunk - 1) * _CELLS, _CELLS) if trunk * _CELLS <= self._vlans.max_entries else b"")
        return made.digest()

    def _slot(self, trunk: int) -> list[tuple[int, int]]:
        """Every cell of a slot that points to a port, with its index. A slot beyond the map, as only a hand can have written, has none."""
        first = (trunk - 1) * _CELLS
        if first + _CELLS > self._vlans.max_entries:
            return []
        indexes = memoryview(self._vlans.array(first, _CELLS)).cast("I")[::_PER_POINTER]
        return [(first + vlan_id, index) for vlan_id, index in enumerate(indexes) if index]

    def guards(self, ifindex: int) -> bool:
        """Whether any frame that comes in on a netdev belongs to a port."""
        netdev = self.netdev(ifindex)
        return bool(netdev.untagged_port or netdev.trunk)

    def has_vlans(self, ifindex: int, but: int) -> bool:
        """Whether frames of a VLAN on a netdev belong to a port, but for that at the index `but`."""
        trunk = self.netdev(ifindex).trunk
        return bool(self._used.get(trunk, set()) - self._cells.get(but, set())) if trunk else False

    def netdev(self, ifindex: int) -> Netdev:
        """The entry of a netdev, as it is now."""
        return self._parse(self._map_of(ifindex).lookup(_key(ifindex)) or bytes(self._ifs.value_size))

    def _map_of(self, ifindex: int) -> Map:
        return self._ifs if ifindex < self._ifs.max_entries else self._far_ifs

    def _parse(self, raw: bytes) -> Netdev:
        return Netdev(*unpacker("netdev", "untagged", "trunk", "flags")(raw))

    def _write(self, ifindex: int, netdev: Netdev) -> None:
        packed = packer("netdev", "untagged", "trunk", "flags")(netdev.untagged, netdev.trunk, netdev.flags)
        if ifindex >= self._ifs.max_entries and netdev == Netdev():
            self._far_ifs.delete(_key(ifindex))
            return
        try:
            self._map_of(ifindex).update(_key(ifindex), packed)
        except OSError as error:
            if error.errno != errno.E2BIG:
                raise
            raise FilterFailed(f"the filter holds {self._far_ifs.max_entries} netdevs of high numbers and is full") from error

    def hold(self, pointer: bytes, place: Place, netdev: Netdev) -> bool:
        """Whether this points from `place`, and nothing from elsewhere, to the port it names. What should point there is looked up.

        `netdev` is the entry of that place's.
        """
        (ifindex, vlan_id), index = place, _index(pointer)
        if vlan_id is None:
            return netdev.untagged == pointer and self._untagged.get(index) == {ifindex} and not self._cells.get(index)
        cell = (netdev.trunk - 1) * _CELLS + vlan_id
        points = 0 < vlan_id < _CELLS and netdev.trunk > 0 and self._vlans.lookup(_key(cell)) == pointer
        return points and self._cells.get(index) == {cell} and not self._untagged.get(index)

    def make_room(self, place: Place) -> None:
        """See to it that the netdev has a slot where it needs one. Raises `FilterFailed` when all are taken."""
        ifindex, vlan_id = place
        netdev = self.netdev(ifindex)
        if vlan_id is None or netdev.trunk:
            return
        free = set(range(1, abi().numbers["MAX_TRUNKS"] + 1)) - set(self._trunks.values())
        if not free:
            raise FilterFailed(f"the filter holds {len(self._trunks)} trunks and is full")
        trunk = min(free)
        for cell, _ in self._slot(trunk):  # of whoever had it and did not come to its end
            self._vlans.update(_key(cell), _NOWHERE)
        self._write(ifindex, replace(netdev, trunk=trunk))
        self._trunks[ifindex] = trunk

    def suspend(self, pointer: bytes, place: Place) -> None:
        """Where something else points from `place` than this, let nobody be welcome by it: its record is about to change, or gives way.

        Who is killed between the record and `point` leaves a filter that judges by the record, and not by what it was before.
        """
        ifindex, vlan_id = place
        netdev = self.netdev(ifindex)
        if vlan_id is None:
            if netdev.untagged_port and netdev.untagged != pointer:
                self._write(ifindex, replace(netdev, untagged=neutral_pointer(netdev.untagged_port)))
            return
        cell = _key((netdev.trunk - 1) * _CELLS + vlan_id)
        points = self._vlans.lookup(cell)
        if (index := _index(points)) and points != pointer:
            self._vlans.update(cell, neutral_pointer(index))

    def point(self, pointer: bytes, place: Place, flags: int) -> None:
        """Let the frames of `place` belong to the port that this names, the netdev having these flags; `make_room` was there before."""
        (ifindex, vlan_id), index = place, _index(pointer)
        netdev = replace(self.netdev(ifindex), flags=flags)
        if vlan_id is None:
            self._untagged.get(netdev.untagged_port, set()).discard(ifindex)
            self._untagged.setdefault(index, set()).add(ifindex)
            self._write(ifindex, replace(netdev, untagged=pointer))
            return
        cell = (netdev.trunk - 1) * _CELLS + vlan_id
        for cells in self._cells.values() if self._taken(cell, index) else ():
            cells.discard(cell)
        self._cells.setdefault(index, set()).add(cell)
        self._used.setdefault(netdev.trunk, set()).add(cell)
        self._vlans.update(_key(cell), pointer)
        self._write(ifindex, netdev)

    def mark(self, ifindex: int, flags: int) -> None:
        """Let a netdev have these flags."""
        netdev = self.netdev(ifindex)
        if netdev.flags != flags:
            self._write(ifindex, replace(netdev, flags=flags))

    def _taken(self, cell: int, index: int) -> bool:
        return _index(self._vlans.lookup(_key(cell))) not in (0, index)

    def unpoint(self, index: int, ifindex: int, keep: Place | None = None) -> set[int]:
        """Let no frames belong to the port at `index`, but for those of `keep`.

        Of the netdevs this concerns, `ifindex` in any case among them, those that guard no port any more.
        """
        kept, vlan_id = keep or (0, None)
        touched = {ifindex} if ifindex > 0 else set()
        for pointing in self._untagged.get(index, set()) - ({kept} if vlan_id is None else set()):
            self._untagged[index].discard(pointing)
            touched.add(pointing)
            netdev = self.netdev(pointing)
            if netdev.untagged_port == index:
                self._write(pointing, replace(netdev, untagged=_NOWHERE))
        kept_cell = (self._trunks.get(kept, 0) - 1) * _CELLS + vlan_id if vlan_id is not None else -1
        for cell in self._cells.get(index, set()) - {kept_cell}:
            self._cells[index].discard(cell)
            self._used.get(cell // _CELLS + 1, set()).discard(cell)
            touched.update(ifindex for ifindex, trunk in self._trunks.items() if trunk == cell // _CELLS + 1)
            if _index(self._vlans.lookup(_key(cell))) == index:
                self._vlans.update(_key(cell), _NOWHERE)
        for one in touched - {kept}:
            self._settle(one)
        return {one for one in touched if not self.guards(one)}

    def _settle(self, ifindex: int) -> None:
        """Give back a slot without VLANs, and forget the flags of a netdev without ports."""
        netdev = settled = self.netdev(ifindex)
        if netdev.trunk and not self._used.get(netdev.trunk):
            self._trunks.pop(ifindex, None)
            settled = replace(netdev, trunk=0)
        if not settled.trunk and not settled.untagged_port:
            settled = Netdev()
        if settled != netdev:
            self._write(ifindex, settled)
