"""What is known of each peer's session, and so of what the peer may still believe. No I/O but the clock."""

import time
from collections.abc import Iterable

CATCHES_UP = 15.0
"""seconds from a session's beginning, and from what comes before End-of-RIB, to that, where nothing else tells; 10,000 prefixes take two"""
PRUNES = 5.0
"""seconds that a peer with a new session may take to let go of what it was not told again; BIRD on a busy machine took two"""


class Sessions:
    """Of these peers, by address. At first nothing is known of any."""

    def __init__(self, peers: Iterable[str], restart_time: float) -> None:
        self._restart_time = restart_time
        self.states = dict.fromkeys(peers, "unknown")
        """up, down, or unknown"""
        self._turned = dict.fromkeys(self.states, time.monotonic())
        """when each came up or ended; of the time before us nothing is known"""
        self._caught_up: dict[str, float] = {}
        """peers that were sent all there was since their sessions came up, and when that was seen"""
        self.synced_at: float | None = None
        """when the relay was told that ExaBGP holds all that is wished: End-of-RIB comes next"""

    def up(self) -> set[str]:
        """Those that stand."""
        return {peer for peer, state in self.states.items() if state == "up"}

    def turn(self, peer: str, state: str) -> None:
        """It is now so."""
        if "up" in (state, self.states[peer]) and state != self.states[peer]:
            self._turned[peer] = time.monotonic()
            self._caught_up.pop(peer, None)
        self.states[peer] = state

    def lose(self) -> None:
        """With the relay goes what is known of them all."""
        self.states = dict.fromkeys(self.states, "unknown")
        self._turned = dict.fromkeys(self.states, time.monotonic())  # a session that comes up meanwhile goes unseen
        self._caught_up.clear()
        self.synced_at = None

    def have_caught_up(self) -> None:
        """All that was to be sent is, to each that stands."""
        now = time.monotonic()
        for peer in self.up():
            self._caught_up.setdefault(peer, now)

    def may_know(self) -> set[str]:
        """Peers that may believe something of us: without a session for the restart time (RFC 4724)."""
        now = time.monotonic()
        return self.up() | {peer for peer in self.states if now < self._turned[peer] + self._restart_time}

    def are_late(self, peers: Iterable[str]) -> bool:
        """Whether one of them may believe what it had before its session: until End-of-RIB, which is out when all is that was taken before.

        Where there is always more to send, some time counts for that.
        """
        now = time.monotonic()
        begun = now if self.synced_at is None else self.synced_at
        until = (self._caught_up.get(peer, max(self._turned[peer], begun) + CATCHES_UP) + PRUNES for peer in peers)
        return any(now < moment for moment in until)
