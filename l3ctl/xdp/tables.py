"""The filter's maps as tables of ports: what each holds, put in and taken out in an order that never shows half a port to a frame."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from l3ctl.errors import FilterFailed
from l3ctl.model import Mode, PortPolicy
from l3ctl.xdp.abi import abi
from l3ctl.xdp.libbpf import Map
from l3ctl.xdp.records import Records, decode, encode, port_of


def _key(number: int) -> bytes:
    return number.to_bytes(4, "little")


@dataclass(frozen=True, slots=True)
class Netdev:
    """An entry of `ifs`: 0 is none."""

    untagged_port: int = 0
    trunk: int = 0
    flags: int = 0


def _broken(port: str) -> PortPolicy:
    return PortPolicy(port, "", None, "", (), (), Mode.ENFORCE, False, False, False, 0, 0)


class Tables:
    """Reads and writes the maps of one loaded filter. What it remembers of them is what it last read or wrote."""

    def __init__(self, maps: Mapping[str, Map]) -> None:
        self._maps = maps
        self._indexes: dict[str, int] = {}
        self._records: dict[int, Records] = {}
        self._trunks: dict[int, int] = {}

    def read(self) -> None:
        """Read every record anew."""
        names = {int.from_bytes(key, "little"): value for key, value in self._maps["names"].items() if value[0]}
        hosts: dict[int, dict[bytes, bytes]] = {}
        keys: dict[str, dict[int, set[bytes]]] = {"prefix_key": {}, "gateway_key": {}}
        for key, value in self._maps["hosts"].items():
            hosts.setdefault(port_of("host_key", key), {})[key] = value
        for kind, table in (("prefix_key", self._maps["prefixes"]), ("gateway_key", self._maps["gateways"])):
            for key, _ in table.items():  # noqa: PERF102  a map is no dict
                keys[kind].setdefault(port_of(kind, key), set()).add(key)
        self._indexes = {value.rstrip(b"\0").decode(errors="replace"): index for index, value in names.items()}
        self._records = {
            index: Records(
                self._maps["ports"].lookup(_key(index)) or bytes(abi().structs["port"].size),
                name,
                hosts.get(index, {}),
                frozenset(keys["prefix_key"].get(index, ())),
                frozenset(keys["gateway_key"].get(index, ())),
            )
            for index, name in names.items()
        }
        netdevs = {ifindex: self._netdev(ifindex) for ifindex in map(self._ifindex, self._records.values())}
        self._trunks = {ifindex: netdev.trunk for ifindex, netdev in netdevs.items() if netdev.trunk}

    def ports(self) -> frozenset[str]:
        """Every port that has records, complete or not."""
        return frozenset(self._indexes)

    def policy(self, port: str, netdevs: Mapping[int, str]) -> PortPolicy | None:
        """What holds for a port, given the netdevs where a program asks the tables (ifindex -> name); None for one without records.

        Where records are there and do not hold, since no program asks, nothing points at them or they do not add up, `guard` is empty: such
        a policy equals no wanted one, and is put right or removed like any other.
        """
        index = self._indexes.get(port)
        if index is None:
            return None
        records = self._records[index]
        ifindex = self._ifindex(records)
        netdev = self._netdev(ifindex)
        holds = ifindex in netdevs and self._points_here(records, index, netdev)
        drops_unknown = bool(netdev.flags & abi().numbers["NETDEV_DROP_UNKNOWN_VLAN"])
        return decode(records, netdevs[ifindex] if holds else "", drops_unknown) or _broken(port)

    def _ifindex(self, records: Records) -> int:
        return abi().structs["port"].number(records.port, "ifindex")

    def _vlan_id(self, records: Records) -> int | None:
        number = abi().structs["port"].number(records.port, "vlan_id")
        return None if number == abi().numbers["UNTAGGED"] else number

    def _netdev(self, ifindex: int) -> Netdev:
        layout = abi().structs["netdev"]
        raw = self._maps["ifs"].lookup(_key(ifindex)) or bytes(layout.size)
        return Netdev(**{name: layout.number(raw, name) for name in layout.members})

    def _write_netdev(self, ifindex: int, netdev: Netdev) -> None:
        packed = abi().structs["netdev"].pack(untagged_port=netdev.untagged_port, trunk=netdev.trunk, flags=netdev.flags)
        self._maps["ifs"].update(_key(ifindex), packed)

    def _points_here(self, records: Records, index: int, netdev: Netdev) -> bool:
        vlan_id = self._vlan_id(records)
        if vlan_id is None:
            return netdev.untagged_port == index
        return bool(netdev.trunk) and self._maps["vlans"].lookup(_key((netdev.trunk - 1) * 4096 + vlan_id)) == _key(index)

    def put(self, policy: PortPolicy, ifindex: int) -> None:
        """Make `policy` true for frames that come in on `ifindex`. Entries come before what points at them, and go after it."""
        if ifindex >= abi().numbers["MAX_IFINDEX"]:
            raise FilterFailed(
                f"port {policy.port}: ifindex {ifindex} of {policy.guard} is beyond the filter's {abi().numbers['MAX_IFINDEX']}"
            )
        index = self._indexes.get(policy.port)
        old = self._records.get(index) if index is not None else None
        if index is None:
            index = self._free_index()
            self._zero_counters(index)
        new = encode(policy, index, ifindex)
        if old is not None and (self._ifindex(old), self._vlan_id(old)) != (ifindex, policy.vlan_id):
            self._unpoint(old, index)
        self._add_entries(new)
        self._maps["ports"].update(_key(index), new.port)
        self._maps["names"].update(_key(index), new.name)
        self._indexes[policy.port] = index
        self._records[index] = new
        self._point(policy, ifindex, index)
        if old is not None:
            self._remove_entries(old, keep=new)

    def remove(self, port: str) -> int | None:
        """Forget a port; the ifindex of its netdev when that guards no port any more."""
        index = self._indexes.get(port)
        if index is None:
            return None
        records = self._records[index]
        ifindex = self._ifindex(records)
        self._unpoint(records, index)
        self._remove_entries(records)
        self._maps["ports"].update(_key(index), bytes(len(records.port)))
        self._maps["names"].update(_key(index), bytes(len(records.name)))
        del self._indexes[port], self._records[index]
        return None if any(self._ifindex(other) == ifindex for other in self._records.values()) else ifindex

    def _free_index(self) -> int:
        taken = set(self._indexes.values())
        for index in range(1, abi().numbers["MAX_PORTS"]):  # 0 counts what belongs to no port
            if index not in taken:
                return index
        raise FilterFailed(f"the filter holds {len(taken)} ports and is full")

    def _add_entries(self, records: Records) -> None:
        for key, value in records.hosts.items():
            self._maps["hosts"].update(key, value)
        for key in records.prefixes:
            self._maps["prefixes"].update(key, b"\1")
        for key in records.gateways:
            self._maps["gateways"].update(key, b"\1")

    def _remove_entries(self, records: Records, keep: Records | None = None) -> None:
        nothing: Iterable[bytes] = ()
        for table, keys, kept in (
            ("hosts", records.hosts.keys(), keep.hosts.keys() if keep else nothing),
            ("prefixes", records.prefixes, keep.prefixes if keep else nothing),
            ("gateways", records.gateways, keep.gateways if keep else nothing),
        ):
            for key in set(keys) - set(kept):
                self._maps[table].delete(key)

    def _point(self, policy: PortPolicy, ifindex: int, index: int) -> None:
        netdev = self._netdev(ifindex)
        drop = abi().numbers["NETDEV_DROP_UNKNOWN_VLAN"]
        flags = netdev.flags & ~drop | (drop if policy.unknown_vlan_drop else 0)
        if policy.vlan_id is None:
            self._write_netdev(ifindex, Netdev(index, netdev.trunk, flags))
            return
        trunk = netdev.trunk or self._free_trunk(ifindex)
        self._maps["vlans"].update(_key((trunk - 1) * 4096 + policy.vlan_id), _key(index))
        self._write_netdev(ifindex, Netdev(netdev.untagged_port, trunk, flags))

    def _free_trunk(self, ifindex: int) -> int:
        free = set(range(1, abi().numbers["MAX_TRUNKS"] + 1)) - set(self._trunks.values())
        if not free:
            raise FilterFailed(f"the filter holds {len(self._trunks)} trunks and is full")
        self._trunks[ifindex] = min(free)
        return min(free)

    def _unpoint(self, records: Records, index: int) -> None:
        ifindex, vlan_id = self._ifindex(records), self._vlan_id(records)
        netdev = self._netdev(ifindex)
        untagged, trunk = netdev.untagged_port, netdev.trunk
        if vlan_id is not None and trunk:
            self._maps["vlans"].update(_key((trunk - 1) * 4096 + vlan_id), _key(0))
        elif untagged == index:
            untagged = 0
        others = [other for at, other in self._records.items() if at != index and self._ifindex(other) == ifindex]
        if all(self._vlan_id(other) is None for other in others):
            trunk = 0
            self._trunks.pop(ifindex, None)
        self._write_netdev(ifindex, Netdev(untagged, trunk, netdev.flags if others else 0))

    def _zero_counters(self, index: int) -> None:
        stride, counters = abi().numbers["REASON_STRIDE"], self._maps["counters"]
        for cell in range(index * stride, (index + 1) * stride):
            counters.update(_key(cell), bytes(counters.room))

    def counters(self) -> dict[str, dict[str, int]]:
        """Frames counted so far, by port and reason; reasons never met are left out."""
        return {name: self.counters_at(index) for name, index in sorted(self._indexes.items())}

    def counters_at(self, index: int) -> dict[str, int]:
        """The counters of one index; 0 is for frames that belong to no port."""
        stride = abi().numbers["REASON_STRIDE"]
        cells = [value for _, value in self._maps["counters"].items(index * stride, stride)]
        totals = [sum(int.from_bytes(value[at : at + 8], "little") for at in range(0, len(value), 8)) for value in cells]
        return {reason.name: totals[reason.number] for reason in abi().reasons if totals[reason.number]}
