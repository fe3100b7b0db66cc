"""How numbers and lists are said to people. Imported in no time."""

from collections.abc import Sequence

_SAID = 10
"""names: a line of them is read, a page of them is not"""


def counted(number: int, noun: str, ending: str = "s") -> str:
    """`1 port`, `2 ports`."""
    return f"{number} {noun}{'' if number == 1 else ending}"


def shortened(names: Sequence[str]) -> str:
    """The first ten of them, and whether there are more."""
    return ", ".join(names[:_SAID]) + (" and more" if len(names) > _SAID else "")
