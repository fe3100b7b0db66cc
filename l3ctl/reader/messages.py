"""What the two ends say to each other, and how: a length, and a pickle of it. They are one program, and nobody else has the channel."""

import copyreg
import pickle
import socket
import struct
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from l3ctl.errors import L3ctlError
from l3ctl.report import Report, Update
from l3ctl.site import Site

HEADER = struct.Struct("!Q")
# By themselves addresses are pickled as the text they would be written as, which takes ten times as long to write and to read.
copyreg.pickle(IPv4Address, lambda address: (IPv4Address, (int(address),)))
copyreg.pickle(IPv6Address, lambda address: (IPv6Address, (int(address),)))
copyreg.pickle(IPv4Network, lambda network: (IPv4Network, ((int(network.network_address), network.prefixlen),)))
copyreg.pickle(IPv6Network, lambda network: (IPv6Network, ((int(network.network_address), network.prefixlen),)))


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
    """What the parent asks: `verb` is reload, confirm, keep or roll back."""

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
