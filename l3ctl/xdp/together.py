"""What the ports of a trunk make of it together: is any of them enforced, does any guard sources. Pure.

Made of the ports' own records and of nothing else. So whoever reads the maps can tell whether the flags of a netdev are as they should be,
and a port that changes its mode concerns the others on its trunk by those flags alone.
"""

from collections.abc import Iterable

from l3ctl.xdp.abi import abi, unpacker

_FLAGS = ("NETDEV_ENFORCED", "NETDEV_GUARDED", "NETDEV_GUARD_ENFORCED")


def strictness(port: bytes) -> int:
    """What a port that is on a netdev makes of it, as flags of `struct netdev`, by its record or records that begin with it."""
    numbers = abi().numbers
    (flags,) = unpacker("port", "flags")(port)
    enforced, guarded = not flags & numbers["PORT_AUDIT"], bool(flags & numbers["PORT_SOURCE_GUARD"])
    return sum(numbers[name] for name, is_so in zip(_FLAGS, (enforced, guarded, enforced and guarded), strict=True) if is_so)


def made_by_ports() -> int:
    """Those flags of `struct netdev` that are here, as a mask."""
    return sum(abi().numbers[name] for name in _FLAGS)


class Together:
    """The ports of all trunks, by their index. Counted and not asked one by one, as there may be 4,094 on each."""

    def __init__(self, ports: Iterable[tuple[int, int, bytes]] = ()) -> None:
        """Of each port: its index, its trunk's ifindex, and its record."""
        self._members: dict[tuple[int, int], set[int]] = {}
        """(ifindex, flag) -> ports that make it so"""
        for index, ifindex, port in ports:
            self._put(index, ifindex, port)

    def put(self, index: int, ifindex: int, port: bytes) -> None:
        """A port has this record now, and is on this trunk alone."""
        self.drop(index)
        self._put(index, ifindex, port)

    def _put(self, index: int, ifindex: int, port: bytes) -> None:
        made = strictness(port)
        for flag in (abi().numbers[name] for name in _FLAGS):
            if made & flag:
                self._members.setdefault((ifindex, flag), set()).add(index)

    def drop(self, index: int) -> None:
        """A port is on no trunk."""
        for members in self._members.values():
            members.discard(index)
        self._members = {key: members for key, members in self._members.items() if members}

    def flags(self, ifindex: int) -> int:
        """What they make of a netdev."""
        return sum(flag for flag in (abi().numbers[name] for name in _FLAGS) if (ifindex, flag) in self._members)
