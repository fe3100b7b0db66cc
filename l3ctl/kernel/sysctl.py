"""Settings of a port's interface that decide whether the kernel still believes what a customer says.

Writes below /proc/sys/net, which shows the network namespace of the thread that opens it. Changes values only where they differ.
"""

import json
import os
import socket
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from l3ctl.errors import MissingRequirement, NetlinkFailed

SETTINGS = (
    ("ipv6", "addr_gen_mode", "1", 47),
    ("ipv6", "accept_ra", "0", 3),
    ("ipv6", "accept_redirects", "0", 4),
    ("ipv6", "autoconf", "0", 5),
    ("ipv6", "accept_dad", "0", 27),
    ("ipv6", "dad_transmits", "0", 6),
    ("ipv6", "drop_unsolicited_na", "1", 41),
    ("ipv4", "rp_filter", "1", 8),
    ("ipv4", "accept_redirects", "0", 4),
    ("ipv4", "send_redirects", "0", 6),
    ("ipv4", "drop_gratuitous_arp", "1", 31),
)
"""A port gets no link-local from its MAC, which would bring a route to all of fe80::/64. A router takes no advertisement, redirect or
unasked-for answer from a customer, and no IPv4 packet from an address that is not routed to where it came from (RFC 3704). It sends no
redirect to a neighbour that a host may not reach, and asks no customer whether its own address is free: the answer would be the customer's
to forge.

The number is that of the kernel's own list, linux/ipv6.h (DEVCONF_) or linux/ip.h (IPV4_DEVCONF_), by which it tells them of a link."""
_LONGEST = 64
"""bytes of a value"""


class Trust(NamedTuple):
    """What a netdev believes that a port's should not: the sysctls that differ, and what they are."""

    name: str
    ifindex: int
    differing: dict[str, str]


class Sysctls:
    """Sets interfaces up as ports', and notes in a file what differed before, to be restored when l3ctl is done with this router.

    A line for each time that something differed: interface, ifindex, and what each sysctl was. The first line that names one counts.
    """

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._news: list[str] = []

    def foresee(self, told: Iterable[Trust]) -> None:
        """Note what `guard` is about to change of these: who is killed in between must still be able to give it back."""
        self._news += (json.dumps(one) for one in told if one.differing)
        self.remember()

    def guard(self, name: str, told: Trust | None = None) -> dict[str, str]:
        """Set an interface up as a port's; what differed before, by sysctl. `told`: what differs, which was foreseen.

        Idempotent. A setting this kernel does not have is left out.

        Raises:
            NetlinkFailed: there is no such interface.
            MissingRequirement: a sysctl cannot be written.
        """
        try:
            # "all" and "default" stand beside the interfaces and are none
            index = socket.if_nametoindex(name)
        except OSError as error:
            raise NetlinkFailed(f"there is no interface {name}") from error
        known = told.differing if told is not None and told.ifindex == index else None
        differed: dict[str, str] = {}
        try:
            for family, setting, wanted, _ in SETTINGS:
                sysctl = f"net/{family}/conf/{name}/{setting}"
                if known is not None and sysctl not in known:
                    continue
                try:
                    if (was := _exchange(sysctl, wanted, None if known is None else known[sysctl])) != wanted:
                        differed[sysctl] = was
                except FileNotFoundError:
                    continue
                except OSError as error:
                    raise MissingRequirement(f"{sysctl} cannot be set to {wanted}: {error.strerror}", "make /proc/sys writable") from error
        finally:
            if differed and known is None and self._memory is not None:
                self._news.append(json.dumps([name, index, differed]))
        return differed

    def remember(self) -> None:
        """Write down what is new, after any number of `guard`s."""
        if self._news and self._memory is not None:
            try:
                with self._memory.open("a") as file:
                    file.writelines(f"\n{line}\n" for line in self._news)  # a line before it may not have been written to its end
            except OSError as error:
                what = f"cannot note in {self._memory} what sysctls were before: {error.strerror}"
                raise MissingRequirement(what, "make room there; they are set all the same") from error
        self._news.clear()

    def restore(self) -> None:
        """Set every interface that is still there as it was before it was a port's, and forget that it was.

        Raises:
            MissingRequirement: one could not be set; nothing is forgotten then.
        """
        if self._memory is None or not self._memory.exists():
            return
        first: dict[tuple[str, int], dict[str, str]] = {}
        for line in self._memory.read_text().splitlines():
            with suppress(ValueError, TypeError, AttributeError):  # empty, or not written to its end
                name, index, differed = json.loads(line)
                for sysctl, was in differed.items():
                    first.setdefault((name, index), {}).setdefault(sysctl, was)
        refused: list[str] = []
        for (name, index), settings in reversed(first.items()):
            for sysctl, was in reversed(settings.items()) if _is_there(name, index) else ():
                try:
                    _exchange(sysctl, was)
                except FileNotFoundError:  # it has gone just now, or is one of another kernel's
                    continue
                except OSError as error:
                    refused.append(f"{sysctl} cannot be set back to {was}: {error.strerror}")
        if refused:
            more = f", nor can {len(refused) - 1} others" if refused[1:] else ""
            raise MissingRequirement(refused[0] + more, f"make /proc/sys writable, and try again: {self._memory} says what they were")
        self._memory.unlink()


def _is_there(name: str, index: int) -> bool:
    try:
        return socket.if_nametoindex(name) == index
    except OSError:
        return False


def _exchange(sysctl: str, value: str, was: str | None = None) -> str:
    """Set it where it differs; what it was, which is read unless it is known to have been something else.

    One opening at most: of ten thousand netdevs there are a hundred thousand.
    """
    path = f"/proc/sys/{sysctl}"
    refused: OSError | None = None
    try:
        file = os.open(path, os.O_RDWR)
    except FileNotFoundError:
        raise
    except OSError as error:  # read-only, which will do where nothing differs
        file, refused = os.open(path, os.O_RDONLY), error
    try:
        if was is None:
            was = os.pread(file, _LONGEST, 0).decode().strip()
        if was != value:
            if refused is not None:
                raise refused
            os.pwrite(file, value.encode(), 0)
    finally:
        os.close(file)
        del refused  # which keeps this frame, and is kept by it
    return was
