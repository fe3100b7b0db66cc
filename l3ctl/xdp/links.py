"""Where the filter is attached: a link a netdev, pinned as `link-<ifindex>`, so that it outlives whoever made it.

An older program's link stays attached until it is renewed, in one step between two frames.
"""

import os
import time
from contextlib import closing, suppress
from pathlib import Path

from l3ctl.xdp.libbpf import Link, Program, program_on

_LINK = "link-"
_RELEASE = 1.0
"""seconds the kernel may take to let go of a link that has lost its pin; it takes milliseconds"""


class Links:
    """Those pinned in a directory, and the program that they should run. Raises `OSError` where the kernel refuses."""

    def __init__(self, directory: Path, program: Program) -> None:
        self._directory, self._program = directory, program
        self.program_id = program.id()
        self._held: set[int] = set()
        """the ifindexes where the program was seen last (`take_note`) or put since; those that we took it off are gone"""

    def _pin(self, ifindex: int) -> Path:
        return self._directory / f"{_LINK}{ifindex}"

    def pinned(self) -> list[int]:
        """The ifindexes that links are pinned for."""
        return pinned(self._directory)

    def _facts(self, ifindex: int) -> tuple[int, int]:
        """(program id, ifindex) of a pinned link; zeroes where there is none. One at a time: there may be more than we may have open."""
        try:
            with closing(Link.open(self._pin(ifindex))) as link:
                return link.facts()
        except FileNotFoundError:
            return 0, 0

    def is_on(self, ifindex: int) -> bool:
        """Whether a netdev's frames go through our program, now."""
        return self._facts(ifindex) == (self.program_id, ifindex)

    def is_older(self, ifindex: int) -> bool:
        """Whether they go through another program, by a link of ours."""
        program, attached_to = self._facts(ifindex)
        return attached_to == ifindex and program != self.program_id

    def all(self) -> set[int]:
        """The ifindexes whose frames go through our program."""
        return {ifindex for ifindex in self.pinned() if self.is_on(ifindex)}

    def everywhere(self) -> set[int]:
        """The ifindexes whose frames go through a program of ours, this one or an older."""
        return {ifindex for ifindex in self.pinned() if self._facts(ifindex)[1] == ifindex}

    def lost(self, at_most: int) -> bool:
        """Whether the program is not where it was last seen or put. Not told of more netdevs than `at_most`, since each is asked."""
        return len(self._held) <= at_most and self.all() != self._held

    def take_note(self) -> None:
        """Where the program is now is where it was seen."""
        self._held = self.all()

    def renew(self, ifindex: int) -> bool:
        """Make a pinned link run our program; False where it is not attached to its netdev any more."""
        program, attached_to = self._facts(ifindex)
        if attached_to != ifindex:
            return False
        if program != self.program_id:
            with closing(Link.open(self._pin(ifindex))) as link:
                link.update(self._program)
        self._held.add(ifindex)
        return True

    def attach(self, ifindex: int, flags: int) -> None:
        """Put the program on a netdev that has none."""
        Link.attach(self._program, ifindex, flags).pin(self._pin(ifindex))
        self._held.add(ifindex)

    def release(self, ifindex: int) -> bool:
        """Take the program off a netdev, and its pin away; whether it was on it."""
        self._held.discard(ifindex)
        return release(self._directory, ifindex)

    def await_release(self, ifindex: int) -> None:
        """Our own program without a pin: the kernel is about to take off a link whose pin someone removed."""
        until = time.monotonic() + _RELEASE
        while program_on(ifindex) == self.program_id and time.monotonic() < until:
            time.sleep(0.005)


def pinned(directory: Path) -> list[int]:
    """The ifindexes that links are pinned for in a directory; none where it is not there."""
    if not directory.is_dir():
        return []
    numbers = (name.removeprefix(_LINK) for name in os.listdir(directory) if name.startswith(_LINK))  # noqa: PTH208  names alone
    return [int(number) for number in numbers if number.isdecimal()]


def release(directory: Path, ifindex: int) -> bool:
    """Take whatever program a pinned link runs off its netdev, and the pin away; whether it was on it."""
    pin = directory / f"{_LINK}{ifindex}"
    with suppress(FileNotFoundError), closing(Link.open(pin)) as link:
        attached = link.facts()[1] == ifindex
        link.detach()
        pin.unlink(missing_ok=True)
        return attached
    return False
