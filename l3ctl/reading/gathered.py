"""Values put together from parts of others, as a record from a host's entry in one file and its row in another.

What is found wrong with such a value is told where the part was written, so that whoever has to mend it finds it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from l3ctl.reading.document import Document, Loc

Origin = tuple[Document, Loc]
"""where a value was written: in which document, and the way to it there"""


@dataclass(frozen=True, slots=True)
class Gathered(Document):
    """A `Document` of parts; ``origins`` says of its values where they are from. What is not told has the place of what it stands in."""

    origins: Mapping[Loc, Origin] = field(default_factory=dict, repr=False)

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """Where the value at ``loc`` was written, or the nearest existing parent of it."""
        origin = self._origin(loc)
        return origin[0].place(origin[1], of_key=of_key) if origin is not None else self.name

    def at(self, loc: Loc) -> Document:
        """The part at ``loc``, or at its nearest existing parent."""
        steps = list(self._walk(loc))
        loc = loc[: len(steps)]
        inside = {way[len(loc) :]: origin for way, origin in self.origins.items() if way[: len(loc)] == loc}
        if (own := self._origin(loc)) is not None:
            inside[()] = own
        return Gathered(self.name, steps[-1][0] if steps else self.value, self.describe(loc), origins=inside)

    def _origin(self, loc: Loc) -> Origin | None:
        """Where the innermost part around ``loc`` is from, and on from there."""
        for length in range(len(loc), -1, -1):
            if (origin := self.origins.get(loc[:length])) is not None:
                return origin[0], (*origin[1], *loc[length:])
        return None
