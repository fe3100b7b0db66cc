"""Values that came from no file a person could open at a line: from a database, a web server, a program. Their places are said in words."""

from dataclasses import dataclass

from l3ctl.reading.document import Document, Loc


@dataclass(frozen=True, slots=True)
class Fetched(Document):
    """A `Document` whose places read ``NAME: ports[3].ipv6[0]``; ``base`` is where in what was fetched it stands."""

    base: Loc = ()

    def place(self, loc: Loc = (), *, of_key: bool = False) -> str:
        """The way to the value at ``loc``, which is the same as to its key."""
        del of_key
        way = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in (*self.base, *loc)).removeprefix(".")
        return f"{self.name}: {way}" if way else self.name

    def at(self, loc: Loc) -> Document:
        """The part at ``loc``, or at its nearest existing parent."""
        steps = list(self._walk(loc))
        value = steps[-1][0] if steps else self.value
        return Fetched(self.name, value, self.describe(loc), base=(*self.base, *loc[: len(steps)]))
