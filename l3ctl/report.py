"""What is told of an inventory that is followed: how it stands with it, and what becomes of this router's ports. Plain values."""

from dataclasses import dataclass

from l3ctl.model import Port


@dataclass(frozen=True, slots=True)
class Report:
    """How it stands with the inventory; all that `status` tells of it. Times are in seconds since 1970, 0 for never."""

    source: str = ""
    read: float = 0.0
    """when it was last read whole, or said that nothing had changed"""
    changed: float = 0.0
    records: int = 0
    quarantined: tuple[str, ...] = ()
    """a line each: where, why, and the mend"""
    kept: tuple[str, ...] = ()
    """names of records whose last good version stands instead"""
    held: tuple[str, ...] = ()
    """names that are missing and kept, as there are records without a name"""
    trouble: tuple[str, ...] = ()
    """why it cannot be read, or cannot be carried out"""
    copy: str = ""
    """why there is no last good copy on disk"""


@dataclass(frozen=True, slots=True)
class Update:
    """What becomes of this router's ports: those that are new or otherwise, and the names of those that go."""

    ports: tuple[Port, ...]
    gone: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.ports or self.gone)
