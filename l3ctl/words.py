"""Which hosts are away though their links are up: those of `external` ports, by the last word that somebody gave.

The word is kept in a file that a reboot forgets and an agent's end does not. Until there is one, the link alone counts: hooks tell of
changes, and a router that was booted would wait for them for ever.
"""

import json
from collections.abc import Iterable
from pathlib import Path

from l3ctl.desired import liveness_of
from l3ctl.errors import AgentRefused, MissingRequirement
from l3ctl.log import event
from l3ctl.model import Liveness
from l3ctl.router import Router


class Words:
    """Keeps `away`."""

    def __init__(self, router: Router, file: Path) -> None:
        self._router, self._file = router, file
        self.away: frozenset[str] = frozenset()
        self._down = frozenset(_read(file))
        self.replace()

    def replace(self) -> None:
        """The router has another inventory or other settings."""
        self.away = frozenset(name for name in self._down if name in self._router.ports and self._is_external(name))

    def tell(self, name: str, *, up: bool) -> bool:
        """Take somebody's word for a port; whether that is new.

        Raises:
            AgentRefused: nobody's word counts there.
            MissingRequirement: it cannot be written down; nothing has changed.
        """
        if name not in self._router.ports:
            raise AgentRefused(f"there is no port '{name}' on this router", "`l3ctl status` lists them")
        if not self._is_external(name):
            raise AgentRefused(f"port '{name}' goes by its link", "write 'liveness: external' into its record, or into l3ctl.yaml for all")
        down = self._down - {name} if up else self._down | {name}
        if down == self._down:
            return False
        _write(self._file, down & self._router.ports.keys())
        self._down = down
        self.replace()
        event("up" if up else "down", port=name, reason="somebody said so")
        return True

    def _is_external(self, name: str) -> bool:
        return liveness_of(self._router.ports[name], self._router.settings) is Liveness.EXTERNAL


def _read(file: Path) -> list[str]:
    """Names of ports that are down; none where the file is not there or not ours, as after a reboot."""
    try:
        said = json.loads(file.read_text())
    except (OSError, ValueError, RecursionError):
        return []
    return [name for name in said if isinstance(name, str)] if isinstance(said, list) else []


def _write(file: Path, down: Iterable[str]) -> None:
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(json.dumps(sorted(down)))
        beside.replace(file)
    except OSError as error:
        raise MissingRequirement(f"cannot write {file}: {error.strerror}", "its folder must be writable") from error
