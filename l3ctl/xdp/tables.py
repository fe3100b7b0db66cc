"""The filter's maps as tables of ports: what each holds, put in and taken out in an order that never shows half a port to a frame."""

import errno
from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import blake2b

from l3ctl.errors import FilterFailed
from l3ctl.model import Mode, PortPolicy
from l3ctl.xdp.abi import abi, unpacker
from l3ctl.xdp.counters import Counters
from l3ctl.xdp.libbpf import Map
from l3ctl.xdp.pointers import Netdev, Place, Pointers
from l3ctl.xdp.records import KEYS, Records, are_of, decode, encode, netdev_flags, on_the_way, pack, pointer_to, ports_of, unpack
from l3ctl.xdp.together import Together, made_by_ports, strictness

Reading = tuple[bytes, int, str, int]
"""a port's records, packed; its index; the netdev on which they hold, empty for none; and that netdev's own flags"""
SAMPLES_AT_ONCE = 4
"""samples of one port and reason, until the agent has read them"""

_FLAPPING = 256
"""ports whose policies are kept in mind as well, since understanding one is half of a look at a port"""


def _key(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _broken(port: str) -> PortPolicy:
    return PortPolicy(port, "", None, "", (), (), Mode.ENFORCE, False, False, False, 0, 0)


def _text(name: bytes) -> str:
    return name.rstrip(b"\0").decode(errors="replace")


def _name(packed: bytes) -> str:
    begins = abi().structs["port"].size
    return _text(packed[begins : begins + abi().structs["port_name"].size])


@lru_cache(_FLAPPING)
def _decoded(packed: bytes, index: int, guard: str, flags: int) -> PortPolicy | None:
    return decode(unpack(packed), index, guard, flags)


def _place(port: bytes) -> Place:
    """Where the frames of a port come in, by what its record, or records that begin with it, says."""
    ifindex, vlan_id = unpacker("port", "ifindex", "vlan_id")(port)
    return ifindex, None if vlan_id == abi().numbers["UNTAGGED"] else vlan_id


class Tables:
    """Reads and writes the maps of one loaded filter. What it remembers of them is what it last read or wrote."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._pointers = Pointers(maps)
        self._counters = Counters(maps["counters"])
        self.asked, self.seen = maps["asked"].mapped(), maps["seen"].mapped()
        """[index] -> until when an answer to a probe counts; when the port's host was last there. Nanoseconds of the coarse clock"""
        self._indexes: dict[str, int] = {}
        self._records: dict[int, bytes] = {}
        """packed"""
        self._together = Together()
        self._lowest_free = 1  # 0 counts what belongs to no port

    def read(self, *, whole: bool = True) -> None:
        """Read every record anew. Not `whole`: the arrays only as far as anything was known to be; they are mostly empty, and large."""
        self._pointers.read(whole=whole)
        limit = None if whole else max(self._records, default=0) + 1
        rows: dict[str, dict[int, bytearray]] = {table: {} for table in KEYS}
        for table, kind in KEYS.items():
            found, entries = rows[table], self._maps[table]
            width, room = entries.key_size, entries.room if table == "hosts" else 0
            for keys, values in entries.batches():
                for at, index in enumerate(ports_of(kind, keys)):
                    row = found.get(index)
                    if row is None:
                        row = found[index] = bytearray()
                    row += keys[at * width : (at + 1) * width]
                    row += values[at * room : (at + 1) * room]
        ports, names = dict(self._maps["ports"].used(limit)), dict(self._maps["names"].used(limit))
        # Records without a name are of a port whose putting in did not come to its end: kept in mind, for who gets the index next.
        no_port, no_name = bytes(abi().structs["port"].size), bytes(abi().structs["port_name"].size)
        self._records = {}
        for index in {*ports, *names, *(index for found in rows.values() for index in found)}:
            own = {table: bytes(found.pop(index, b"")) for table, found in rows.items()}
            self._records[index] = pack(ports.pop(index, no_port), names.get(index, no_name), own)
        self._indexes = {}
        for index, name in names.items():
            if index:
                self._indexes.setdefault(_text(name), index)
        named = ((index, self._records[index], _place(self._records[index])) for index in self._indexes.values())
        self._together = Together((index, ifindex, port) for index, port, (ifindex, vlan_id) in named if vlan_id is not None)
        self._lowest_free = 1

    def digest(self, highest: int) -> bytes:
        """A name for all that is known of, as it is now. Between two that are the same nothing was changed there.

        `highest` is that of the ifindexes there are.
        """
        made = blake2b(self._pointers.digest(highest), digest_size=16)
        end = max(self._records, default=0) + 1
        for array in ("ports", "names"):
            made.update(self._maps[array].array(0, end))
        for table in KEYS:
            for keys, values in self._maps[table].batches():
                made.update(keys)
                made.update(values)
        return made.digest()

    def stands(self, port: str) -> bool:
        """Whether each record that is known of a port is there, and unchanged; what another hand has put beside them is not looked for."""
        index = self._indexes.get(port)
        if index is None:
            return False
        known = unpack(self._records[index])
        if (self._maps["ports"].lookup(_key(index)), self._maps["names"].lookup(_key(index))) != (known.port, known.name):
            return False
        entries = ((self._maps[table], key, value) for table, found in known.entries().items() for key, value in found.items())
        return all(table.lookup(key) == value for table, key, value in entries)

    def ports(self) -> frozenset[str]:
        """Every port that has records, complete or not."""
        return frozenset(self._indexes)

    def index(self, port: str) -> int:
        """Where a port stands in `ports`, and its counters."""
        return self._indexes[port]

    def index_of(self, port: str) -> int | None:
        """The same; None for a port without records."""
        return self._indexes.get(port)

    def name_at(self, index: int) -> str:
        """Whose index this is; empty for nobody's."""
        packed = self._records.get(index)
        return _name(packed) if packed is not None else ""

    def ring(self) -> Map:
        """Where samples are left."""
        return self._maps["samples"]

    def ifindex(self, port: str) -> int | None:
        """The netdev that a port's records name; None for a port without."""
        return _place(self._records[self._indexes[port]])[0] if port in self._indexes else None

    def has_vlans(self, ifindex: int, but: str) -> bool:
        """Whether there are ports of VLANs on a netdev, but for this one."""
        return self._pointers.has_vlans(ifindex, self._indexes.get(but, 0))

    def untagged(self, ifindex: int) -> str:
        """The port of a netdev's untagged frames; empty for none."""
        return self.name_at(self._pointers.netdev(ifindex).untagged_port)

    def guards(self, ifindex: int) -> bool:
        """Whether any frame that comes in on a netdev belongs to a port."""
        return self._pointers.guards(ifindex)

    def policy(self, port: str, netdevs: Mapping[int, str], wanted: PortPolicy | None = None) -> PortPolicy | None:
        """What holds for a port, given the netdevs where a program asks the tables (ifindex -> name); None for one without records.

        Where records are there and do not hold, since no program asks, nothing points at them or they do not add up, `guard` is empty: such
        a policy equals no wanted one, and is put right or removed like any other. Where they are those of `wanted`, it is that.
        """
        reading = self.reading(port, netdevs)
        if reading is None:
            return None
        packed, index, guard, flags = reading
        if wanted is not None and are_of(wanted, unpack(packed), index, guard, flags):
            return wanted
        return _decoded(*reading) or _broken(port)

    def reading(self, port: str, netdevs: Mapping[int, str]) -> Reading | None:
        """All that the same is made of: while it reads alike, so does the policy. It costs a tenth."""
        index = self._indexes.get(port)
        if index is None:
            return None
        packed = self._records[index]
        ifindex, vlan_id = _place(packed)
        netdev = self._pointers.netdev(ifindex)
        holds = ifindex in netdevs and self._pointers.hold(pointer_to(index, packed), (ifindex, vlan_id), netdev)
        holds = holds and netdev.flags & made_by_ports() == self._made_by_ports(ifindex, netdev)
        return packed, index, netdevs[ifindex] if holds else "", netdev.flags & ~made_by_ports()

    def _made_by_ports(self, ifindex: int, netdev: Netdev) -> int:
        """What its ports, taken together, make of a netdev."""
        untagged = self._records.get(netdev.untagged_port)
        return self._together.flags(ifindex) | (strictness(untagged) if untagged is not None else 0)

    def _mark(self, ifindex: int) -> None:
        """Let a netdev go by those of its ports that it has now."""
        netdev = self._pointers.netdev(ifindex)
        if netdev.untagged_port or netdev.trunk:
            self._pointers.mark(ifindex, netdev.flags & ~made_by_ports() | self._made_by_ports(ifindex, netdev))

    def put(self, policy: PortPolicy, ifindex: int) -> set[int]:
        """Make `policy` true for frames that come in on `ifindex`; the ifindexes that guarded the port and now guard none.

        Entries come before what points at them, and go after it. Where there is no room for all, none is left behind. A record is not
        replaced at once: for a frame that finds half of the old and half of the new one, all that stands beside it counts.
        """
        index = self._indexes.get(policy.port)
        bare: set[int] = set()
        if index is None:
            index = self._free_index()
            bare = self._clear(index)
            self._counters.begin(index)
            self.asked[index] = self.seen[index] = 0
            self.refill(index)
        old = unpack(self._records[index]) if index in self._records else None
        new, place = encode(policy, index, ifindex), (ifindex, policy.vlan_id)
        try:
            self._add_entries(new)
            self._pointers.make_room(place)
        except FilterFailed:
            self._remove_entries(new, old)
            if old is not None:
                self._add_entries(old)
            raise
        if old is not None:
            bare |= self._pointers.unpoint(index, _place(old.port)[0], place)
        pointer = pointer_to(index, new.port)
        self._pointers.suspend(pointer, place)
        for record in (new.port,) if old is None else on_the_way(old.port, new.port):
            self._maps["ports"].update(_key(index), record)
        self._maps["names"].update(_key(index), new.name)
        self._indexes[policy.port] = index
        self._records[index] = new.pack()
        if policy.vlan_id is None:
            self._together.drop(index)
            made = strictness(new.port) | self._together.flags(ifindex)
        else:
            self._together.put(index, ifindex, new.port)
            made = self._made_by_ports(ifindex, self._pointers.netdev(ifindex))
        self._pointers.point(pointer, place, netdev_flags(policy) | made)
        if old is not None:
            self._mark(_place(old.port)[0])
            self._remove_entries(old, keep=new)
        return bare - {ifindex}

    def remove(self, port: str) -> set[int]:
        """Forget a port; the ifindexes that guarded it and now guard none."""
        index = self._indexes.pop(port, None)
        if index is None:
            return set()
        ifindex = _place(self._records[index])[0]
        bare = self._clear(index)
        self._together.drop(index)
        self._mark(ifindex)
        self._lowest_free = min(self._lowest_free, index)
        return bare

    def _clear(self, index: int) -> set[int]:
        """Leave nothing at an index, its name last: as long as that stands, the rest can be found and cleared again."""
        records = unpack(self._records[index]) if index in self._records else None
        bare = self._pointers.unpoint(index, _place(records.port)[0] if records else 0)
        if records is not None:
            self._remove_entries(records)
            self._maps["ports"].update(_key(index), bytes(len(records.port)))
            self._maps["names"].update(_key(index), bytes(len(records.name)))
            del self._records[index]
        return bare

    def _free_index(self) -> int:
        taken = self._records.keys() if len(self._records) == len(self._indexes) else set(self._indexes.values())
        for index in range(self._lowest_free, abi().numbers["MAX_PORTS"]):
            if index not in taken:
                self._lowest_free = index
                return index
        raise FilterFailed(f"the filter holds {len(self._indexes)} ports and is full")

    def _add_entries(self, records: Records) -> None:
        for table, entries in records.entries().items():
            for key, value in entries.items():
                try:
                    self._maps[table].update(key, value)
                except OSError as error:
                    if error.errno not in (errno.E2BIG, errno.ENOSPC):
                        raise
                    raise FilterFailed(f"the filter holds {self._maps[table].max_entries} {table} and is full") from error

    def _remove_entries(self, records: Records, keep: Records | None = None) -> None:
        kept = keep.entries() if keep else {}
        for table, entries in records.entries().items():
            for key in entries.keys() - kept.get(table, {}).keys():
                self._maps[table].delete(key)

    def refill(self, index: int, reasons: Iterable[int] | None = None) -> None:
        """Let samples be taken again: of every reason to drop, or of these."""
        key, tokens = _key(index), self._maps["tokens"]
        left = bytearray(tokens.lookup(key) or bytes(tokens.value_size))
        for number in (one.number for one in abi().reasons if one.verdict == "drop") if reasons is None else reasons:
            left[number] = SAMPLES_AT_ONCE
        tokens.update(key, bytes(left))

    def counters(self) -> dict[str, dict[str, int]]:
        """Frames counted so far, by port and reason; reasons never met are left out."""
        told = dict(self._counters.every(max(self._indexes.values(), default=0) + 1))
        return {name: told.get(index, {}) for name, index in sorted(self._indexes.items())}

    def counters_at(self, index: int) -> dict[str, int]:
        """The counters of one index; 0 is for frames that belong to no port."""
        return self._counters.read(index)
