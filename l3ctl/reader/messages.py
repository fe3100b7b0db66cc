"""What the two ends say to each other, and how: a length, and a pickle of it. They are one program, and nobody else has the channel."""

import pickle
import socket
import struct
from dataclasses import dataclass

from l3ctl.errors import L3ctlError
from l3ctl.report import Report, Update
from l3ctl.site import Site

HEADER = struct.Struct("!Q")


@dataclass(frozen=True, slots=True)
class Told:
    """What the child says: a site as a whole, or what becomes of some of its ports, or neither where only the report is new.

    To each that holds one of both, a `Verdict` is due. ``asked``: it is the answer to a question, and may hold an error instead.
    """

    report: Report
    site: Site | None = None
    update: Update | None = None
    error: L3ctlError | None = None
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Ask:
    """What the parent asks: `verb` is reload, keep or roll back."""

    verb: str
    why: str = ""
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether what was told last is carried out."""

    taken: bool
    on_trial: bool = False


def send(channel: socket.socket, message: object) -> None:
    """All of it. Raises OSError where the other end is gone."""
    data = pickle.dumps(message)
    channel.sendall(HEADER.pack(len(data)) + data)
