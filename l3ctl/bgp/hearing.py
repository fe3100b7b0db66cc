"""What peers announce to this router, as ExaBGP tells it: the relay's memory of it, bounded. Standard library only, as the relay.

A peer may say anything. So of its words only those that look like prefixes and addresses are kept or passed on, and no more than `LIMIT`
of them, whoever sends a whole table. Paths of their own (RFC 7911) are not asked for: a peer has one route for a prefix, the latest.
"""

import re
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

LIMIT = 50_000
"""routes of all peers together; of more, those beyond are not kept, and the agent is told so"""
_FAMILIES = ("ipv4 unicast", "ipv6 unicast")
_PREFIX = re.compile(r"[0-9a-f:.]{2,39}/[0-9]{1,3}", re.ASCII)
_ADDRESS = re.compile(r"[0-9a-f:.]{2,39}", re.ASCII)


class Hearing:
    """Everything that is heard comes out again as lines for the agent."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._routes: dict[tuple[str, str], str] = {}
        """(peer, prefix) -> next hop"""
        self._overflowing: set[str] = set()
        """peers of which something was not kept"""

    def update(self, peer: str, message: Any) -> Iterator[str]:
        """One UPDATE. Of another message, or of one that is not as it should be, what there was until then."""
        with suppress(LookupError, TypeError, AttributeError):
            yield from self._update(peer, message["update"])

    def _update(self, peer: str, told: Any) -> Iterator[str]:
        for family in _FAMILIES:
            for route in told.get("withdraw", {}).get(family, ()):
                yield from self._withdraw(peer, str(route["nlri"]))
            for next_hop, routes in told.get("announce", {}).get(family, {}).items():
                for route in routes:
                    yield from self._announce(peer, str(route["nlri"]), next_hop)

    def recover(self, words: list[str]) -> None:
        """A row `neighbor P ... family-allowed F AFI SAFI PREFIX next-hop N ...` of ExaBGP's own memory."""
        at = words.index("family-allowed") + 4
        if words[at + 1] == "next-hop":
            list(self._announce(words[1], words[at], words[at + 2]))

    def forget(self, peer: str) -> None:
        """Its session ended or began: what it says next, it says from the beginning. The agent concludes the same."""
        for key in [key for key in self._routes if key[0] == peer]:
            del self._routes[key]
        self._overflowing.discard(peer)

    def lines(self) -> Iterator[str]:
        """All of it, for an agent that has just come."""
        for (peer, prefix), next_hop in self._routes.items():
            yield f"heard {peer} announce {prefix} {next_hop}"
        for peer in self._overflowing:
            yield f"heard {peer} more"

    def _announce(self, peer: str, prefix: str, next_hop: str) -> Iterator[str]:
        key = peer, prefix
        if not (_PREFIX.fullmatch(prefix) and _ADDRESS.fullmatch(next_hop)) or self._routes.get(key) == next_hop:
            return
        if key in self._routes or len(self._routes) < self._limit:
            self._routes[key] = next_hop
            yield f"heard {peer} announce {prefix} {next_hop}"
        elif peer not in self._overflowing:
            self._overflowing.add(peer)
            yield f"heard {peer} more"

    def _withdraw(self, peer: str, prefix: str) -> Iterator[str]:
        if self._routes.pop((peer, prefix), None) is not None:
            yield f"heard {peer} withdraw {prefix}"
