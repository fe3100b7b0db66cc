"""When a router is not to announce what is up: all of it while it is drained, and a port whose link flaps."""

import time
from collections.abc import Collection
from pathlib import Path

from l3ctl.damping import Damper
from l3ctl.errors import MissingRequirement
from l3ctl.log import event
from l3ctl.peering import Damping
from l3ctl.router import Router


class Silence:
    """Keeps a router's `drained` and `held_down`. That it is drained is written down, for an agent after us."""

    def __init__(self, router: Router, mark: Path, damping: Damping | None) -> None:
        self._router, self._mark = router, mark
        self._damper = Damper(damping)
        router.drained = mark.exists()

    def watch(self, ports: Collection[str]) -> None:
        """Something was heard of these ports' links, which were read again."""
        now = time.monotonic()
        held = [name for name in ports if name in self._router.ports and self._damper.saw(name, self._router.is_up(name), now)]
        for name in held:
            if name not in self._router.held_down:
                event("hold", port=name, seconds=round(self._damper.held(now)[name]), reason="its link flaps")
        if held:
            self._router.held_down = frozenset(self._damper.held(now))

    def released(self, now: float) -> set[str]:
        """The ports that were held down until now, and are to be looked at."""
        released = self._damper.released(now)
        for name in released:
            event("release", port=name)
        if released:
            self._router.held_down -= released
        return released

    def replace(self) -> None:
        """The router has another inventory."""
        self._damper.forget_all_but(self._router.ports.keys())
        # not `&=` with keys: that is a set, which would be changed in place where it is remembered as it was
        self._router.held_down = self._router.held_down.intersection(self._router.ports)

    def seconds_left(self) -> dict[str, float]:
        """Of the ports that are held down, if their links stay quiet."""
        return self._damper.held(time.monotonic())

    def drain(self, *, on: bool) -> None:
        """Announce nothing, or again what is there; the next full pass makes it true.

        Raises:
            MissingRequirement: it cannot be written down; nothing has changed.
        """
        try:
            if on:
                self._mark.touch()
            else:
                self._mark.unlink(missing_ok=True)
        except OSError as error:
            raise MissingRequirement(f"cannot write {self._mark}: {error.strerror}", "its folder must be writable") from error
        if self._router.drained != on:
            event("drain" if on else "undrain")
        self._router.drained = on
