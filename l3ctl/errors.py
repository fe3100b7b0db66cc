"""Every exception of l3ctl, and when it is raised.

An error is translated once, at the edge where it arises (an errno, ExaBGP's ``error``, a YAML mark), into one of these. Each names
the thing it is about and the mend; ``cli`` prints it as one line on stderr and turns it into the exit code.
"""

from collections.abc import Iterable
from dataclasses import dataclass


class L3ctlError(Exception):
    """Base of all: ``what`` went wrong with which thing, and the ``mend`` an operator can try."""

    exit_code = 1

    def __init__(self, what: str, mend: str = "") -> None:
        super().__init__(what)
        self.what = what
        self.mend = mend

    def lines(self) -> list[str]:
        """One line a problem, ready for stderr."""
        return [f"{self.what}; {self.mend}" if self.mend else self.what]


@dataclass(frozen=True, slots=True)
class Problem:
    """One fault in something a person wrote: ``place`` is file:line:column."""

    place: str
    what: str
    mend: str = ""

    def __str__(self) -> str:
        text = f"{self.place}: {self.what}"
        return f"{text}; {self.mend}" if self.mend else text


class BadInput(L3ctlError):
    """A configuration, inventory, capture or argument cannot be used. Carries every problem found, not only the first."""

    exit_code = 2

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(str(self.problems[0]) if self.problems else "bad input")

    def __reduce__(self) -> tuple[type["BadInput"], tuple[tuple[Problem, ...]]]:
        return type(self), (self.problems,)  # as from one process to another

    def lines(self) -> list[str]:
        """One line a problem, in the order of their places."""
        return [str(problem) for problem in self.problems]


class MissingRequirement(L3ctlError):
    """The machine lacks something l3ctl needs: root, a kernel feature, a program, a mounted bpffs."""


class SourceFailed(L3ctlError):
    """The inventory's source cannot be reached, does not answer in time, or answers with no inventory. What stood stands."""


class CopyFailed(L3ctlError):
    """The last good copy of the inventory cannot be read or written. What stands in memory is not touched by that."""


class Refused(L3ctlError):
    """What the inventory's source says is not carried out before somebody confirms it: it would take away more than is believed unasked."""


class AlreadyRunning(L3ctlError):
    """Another agent holds this router's lock."""


class AgentUnreachable(L3ctlError):
    """A command needs the agent's answer and none came."""


class AgentRefused(L3ctlError):
    """The agent answered a command with an error."""


class NetlinkFailed(L3ctlError):
    """The kernel refused a netlink request, or did not answer it in time."""


class FilterFailed(L3ctlError):
    """The filter could not be compiled, loaded, attached, or its maps could not be read or written."""


class StandsInTheWay(L3ctlError):
    """Something l3ctl does not own holds the place it needs: a foreign route, neighbour or XDP program."""


class AnnouncementRefused(L3ctlError):
    """ExaBGP answered ``error`` to a command."""


class LabFailed(L3ctlError):
    """The lab could not be built, or the demo observed something other than it promises."""
