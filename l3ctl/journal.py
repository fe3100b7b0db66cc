"""systemd's journal, told of events with their fields, so that `journalctl L3CTL_EVENT=violation L3CTL_PORT=web1` finds them.

Its own protocol over its own socket (systemd's JOURNAL_NATIVE_PROTOCOL): a field a line, and one of several lines with its length. Nobody
waits for it: what it has no room for is the caller's to count.
"""

import os
import socket
import struct
from collections.abc import Mapping

_SOCKET = "/run/systemd/journal/socket"
_IDENTIFIER = "l3ctl"


def is_read_by_it(fd: int, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether what is written to this descriptor is the journal's (systemd.exec(5), $JOURNAL_STREAM)."""
    try:
        found = os.fstat(fd)
    except OSError:
        return False
    return environ.get("JOURNAL_STREAM") == f"{found.st_dev}:{found.st_ino}"


class Journal:
    """The one of this machine."""

    def __init__(self, path: str = _SOCKET) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC)

    def tell(self, priority: int, message: str, fields: Mapping[str, str]) -> bool:
        """Whether it took that; `priority` is one of syslog(3), 0 to 7."""
        told = {"MESSAGE": message, "PRIORITY": str(priority), "SYSLOG_IDENTIFIER": _IDENTIFIER}
        told |= {f"L3CTL_{name.upper()}": value for name, value in fields.items()}
        try:
            self._socket.sendto(b"".join(_packed(name, value) for name, value in told.items()), self._path)
        except OSError:  # no room, too long for one datagram, or it is being started again
            return False
        return True


def _packed(name: str, value: str) -> bytes:
    raw = value.encode(errors="backslashreplace")
    if b"\n" in raw:
        return name.encode() + b"\n" + struct.pack("<Q", len(raw)) + raw + b"\n"
    return name.encode() + b"=" + raw + b"\n"
