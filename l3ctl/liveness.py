"""Which hosts are away though their links are up: by somebody's word, or since they do not answer. Keeps a router's `away`."""

from collections.abc import Collection, Iterable
from pathlib import Path

from l3ctl.probing import Probing
from l3ctl.router import Router
from l3ctl.words import Words


class Hosts:
    """Those of a router's ports. `words` is the file in which what was said is kept."""

    def __init__(self, router: Router, words: Path) -> None:
        self._router = router
        self._words, self._probing = Words(router, words), Probing(router)

    @property
    def next(self) -> float:
        """When to `ask`, by the monotonic clock."""
        return self._probing.next

    def replace(self, now: float, ports: Collection[str] | None = None) -> None:
        """The router has others of these ports, or other ports and settings."""
        self._words.replace()
        if ports is None:
            self._probing.replace(now)
        else:
            self._probing.change(now, ports)
        self._note()

    def links_changed(self, ports: Iterable[str]) -> None:
        """The netdevs of these."""
        self._probing.links_changed(ports)

    def ask(self, now: float) -> set[str]:
        """Ask those whose turn it is; the ports whose hosts have come or gone."""
        changed = self._probing.run(now)
        if changed:
            self._note()
        return changed

    def tell(self, name: str, *, up: bool) -> bool:
        """Take somebody's word, as `Words.tell`; whether it is new."""
        new = self._words.tell(name, up=up)
        self._note()
        return new

    def _note(self) -> None:
        self._router.away = self._words.away | self._probing.away
