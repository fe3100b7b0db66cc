"""What one row of the matrix is: a fault, and what is promised about it."""

from collections.abc import Callable
from dataclasses import dataclass

from tests.faults.network import Network


@dataclass(frozen=True, slots=True)
class Fault:
    """`happens` makes the fault, lasts as long as it does, and takes its cause away where nothing else would; then it is to heal.

    What it returns is told to the operator beside what the agent's log tells.
    """

    name: str
    happens: Callable[[Network], str | None]
    told: str | None
    """a regular expression, of which some line that is told has a match; None where there is nothing to tell"""
    by: str = "the agent"
    """whose work it is to heal it"""
    costs: str = ""
    """why the innocent host may lose packets; where nothing is said, it loses none"""
    wrong: tuple[str, ...] = ()
    """what announcements may be without meanwhile, as it is the fault itself that takes it away: of excess.KINDS"""
