"""Settings of a port's interface that decide whether the kernel still believes what a customer says.

Writes below /proc/sys/net, which shows the network namespace of the thread that opens it. Changes values only where they differ.
"""

import json
import socket
from contextlib import suppress
from pathlib import Path

from l3ctl.errors import MissingRequirement, NetlinkFailed

_ROOT = Path("/proc/sys/net")
_SETTINGS = (
    ("ipv6", "addr_gen_mode", "1"),
    ("ipv6", "accept_ra", "0"),
    ("ipv6", "accept_redirects", "0"),
    ("ipv6", "autoconf", "0"),
    ("ipv6", "accept_dad", "0"),
    ("ipv6", "dad_transmits", "0"),
    ("ipv6", "drop_unsolicited_na", "1"),
    ("ipv4", "accept_redirects", "0"),
    ("ipv4", "send_redirects", "0"),
    ("ipv4", "drop_gratuitous_arp", "1"),
)
"""A port gets no link-local from its MAC, which would bring a route to all of fe80::/64. A router takes no advertisement, redirect or
unasked-for answer from a customer, sends it no redirect to a neighbour it may not reach, and asks no customer whether its own address is
free: the answer would be the customer's to forge."""


class Sysctls:
    """Sets interfaces up as ports', and remembers in a file what differed before, to be restored when l3ctl is done with this router."""

    def __init__(self, memory: Path | None = None) -> None:
        self._memory = memory
        self._was: dict[str, dict[str, str]] = {}
        """by interface and ifindex, `name index`: what each sysctl was"""
        self._kept = 0

    def guard(self, name: str) -> dict[str, str]:
        """Set an interface up as a port's; what differed before, by sysctl.

        Idempotent. A setting this kernel does not have is left out.

        Raises:
            NetlinkFailed: there is no such interface.
            MissingRequirement: a sysctl cannot be written.
        """
        differed: dict[str, str] = {}
        try:
            # "all" and "default" stand beside the interfaces and are none
            index = socket.if_nametoindex(name)
        except OSError as error:
            raise NetlinkFailed(f"there is no interface {name}") from error
        for family, setting, wanted in _SETTINGS:
            sysctl = f"net/{family}/conf/{name}/{setting}"
            try:
                if (was := _exchange(sysctl, wanted)) != wanted:
                    differed[sysctl] = was
            except FileNotFoundError:
                continue
            except OSError as error:
                raise MissingRequirement(f"{sysctl} cannot be set to {wanted}: {error.strerror}", "make /proc/sys writable") from error
        known = self._was.setdefault(f"{name} {index}", {})
        for sysctl, was in differed.items():
            known.setdefault(sysctl, was)  # what it was before the first time
        return differed

    def remember(self) -> None:
        """Write down what is new, after any number of `guard`s."""
        size = sum(map(len, self._was.values()))
        if self._memory is None or size == self._kept:
            return
        known = self._remembered()
        for interface, before in self._was.items():
            known[interface] = {**before, **known.get(interface, {})}
        fresh = self._memory.with_name(f"{self._memory.name}.new")
        fresh.write_text(json.dumps(known))
        fresh.replace(self._memory)
        self._kept = size

    def restore(self) -> None:
        """Set every interface that is still there as it was before it was a port's, and forget that it was."""
        for interface, before in self._remembered().items():
            name, _, index = interface.rpartition(" ")
            with suppress(OSError):
                if socket.if_nametoindex(name) != int(index):
                    continue
                for sysctl, was in reversed(before.items()):
                    _exchange(sysctl, was)
        self._was.clear()
        if self._memory is not None:
            self._memory.unlink(missing_ok=True)

    def _remembered(self) -> dict[str, dict[str, str]]:
        try:
            known: dict[str, dict[str, str]] = json.loads(self._memory.read_text()) if self._memory is not None else self._was
        except (OSError, ValueError):  # never written, or not to its end: the network does not depend on it
            return {}
        return known


def _exchange(sysctl: str, value: str) -> str:
    """Set it where it differs; what it was."""
    path = _ROOT.parent / sysctl
    was = path.read_text().strip()
    if was != value:
        path.write_text(value)
    return was
