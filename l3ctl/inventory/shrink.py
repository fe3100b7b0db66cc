"""The guard against an inventory that loses its ports: a database restored empty, a query whose join finds nothing, a disk that is full.

A port counts as lost when it goes, or keeps none of the prefixes it had; not when its interface goes on under another name. What is lost
is counted over an hour, so that a restore that deletes row by row gets no further than one that does it at once.
"""

from collections.abc import Collection, Mapping

from l3ctl.model import Port

WINDOW = 3600.0
"""seconds"""


class Shrink:
    """What one router has lost of late."""

    def __init__(self) -> None:
        self._lost: dict[str, float] = {}
        """port -> when"""

    def judge(self, percent: int, have: Collection[str], lost: Collection[str], now: float) -> str | None:
        """Why so many cannot be let go, in words; None where they can.

        ``percent`` of the ports may go within the window, and one in any case unless it is the last or nothing may go.
        """
        if not lost or percent >= 100:
            return None
        lately = {name for name, when in self._lost.items() if when > now - WINDOW}
        all_lost = lately | set(lost)
        of = len(lately | set(have))
        if len(have) == len(lost):
            return f"all {len(have)} ports of this router would go" if len(have) > 1 else "the one port of this router would go"
        allowed = max(1, of * percent // 100) if percent else 0
        if len(all_lost) <= allowed:
            return None
        before = f", after {len(lately)} within the hour" if lately else ""
        return f"{len(lost)} of {of} ports would go{before}, and max_shrink is {percent} %"

    def let_go(self, lost: Collection[str], come: Collection[str], now: float) -> None:
        """These went, and these have come or come back."""
        self._lost = {name: when for name, when in self._lost.items() if when > now - WINDOW and name not in come}
        self._lost |= dict.fromkeys(lost, now)

    def forgive(self) -> None:
        """Somebody has said that it is right so."""
        self._lost.clear()


def lost(before: Mapping[str, Port], after: Mapping[str, Port | None]) -> set[str]:
    """Of ports that change from one to the other, the names of those that are lost. ``after`` holds None for what goes."""
    interfaces = {port.interface for name, port in after.items() if port is not None and name not in before}
    gone = {name for name, port in before.items() if after[name] is None and port.interface not in interfaces}
    return gone | {name for name, port in before.items() if (now := after[name]) is not None and _billed(port) and not _billed(now)}


def _billed(port: Port) -> bool:
    return any(host.prefixes() for host in port.hosts)
