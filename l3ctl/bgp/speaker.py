"""The agent's end of the line to ExaBGP: a Unix socket on which ExaBGP's relay calls. Owns the socket; what to say is `ledger`'s affair.

No threads and no asyncio: sockets are registered with the agent's selector, each with the function to call when it is ready. The protocol
is in `relay`. Losing the relay loses nothing: the next one begins by saying what ExaBGP holds.
"""

import os
import selectors
import socket
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from ipaddress import IPv6Address
from pathlib import Path

from l3ctl.bgp.exabgp_config import fingerprint
from l3ctl.bgp.flush import unacknowledged
from l3ctl.bgp.ledger import Ledger
from l3ctl.bgp.lines import Command, is_prefix
from l3ctl.bgp.others import Duplicate, Others
from l3ctl.bgp.sessions import Sessions
from l3ctl.bgp.user import ids_of
from l3ctl.door import Door
from l3ctl.log import event
from l3ctl.model import Announcement, Prefix
from l3ctl.peering import BgpSettings, Peer

ANSWER_TIMEOUT = 30.0
"""seconds ExaBGP has for one answer; it needs milliseconds"""
LINE_LIMIT = 64 * 1024
_LONGEST, _LONGEST_ROUTE = 4096, 100
"""characters of what a relay may say in a line, with all communities that a route may have; and of a prefix and its next hop"""
_COMPLAINS_EACH, _QUOTED = 60.0, 60
"""seconds between two lines of the log about a relay that talks nonsense, and how many bytes of it they quote"""
_SAID_EACH = 120
"""lines about relay and sessions in so many seconds"""


class Speaker:
    """Keeps ExaBGP announcing what is wished.

    `on_answer` is called for each command ExaBGP has answered, with whether it took it; it must not call back.
    """

    def __init__(
        self,
        socket_path: Path,
        settings: BgpSettings,
        selector: selectors.BaseSelector,
        on_answer: Callable[[Command, bool], None] | None = None,
    ) -> None:
        self._door = Door(socket_path, selector, self._come_in)
        self._selector = selector
        self._on_answer = on_answer
        self._settings = settings
        self.restart_time = settings.restart_time
        self._ledger = Ledger(settings)
        self._others = Others(settings)
        self._duplicates: list[Duplicate] = []
        self._sessions = Sessions((str(peer.address) for peer in settings.peers), settings.restart_time)
        self._relay: socket.socket | None = None
        self._incoming, self._outgoing = bytearray(), bytearray()
        self._asked_at = 0.0
        self._waits_to_write = False
        self._made_for = ""
        self._next_complaint = 0.0
        self._said: deque[float] = deque()
        self.called = self.completed = False
        """whether a relay has ever called, without which nothing is known of what ExaBGP announces; and every port had its wish"""

    def open(self) -> None:
        """Listen for the relay. What a dead agent left at the path is removed.

        Only root, our own user and ExaBGP's may connect: who else is of ExaBGP's group gets no further than the door.
        """
        user = self._settings.user
        uid, gid = ids_of(user) if user else (os.geteuid(), None)
        self._door.open({0, os.geteuid(), uid}, os.getegid() if gid is None else gid)

    def close(self) -> None:
        """Let go of the relay. ExaBGP goes on announcing what it holds."""
        self._disconnect()
        self._door.close()

    def want(self, prefix_owner: str, announcements: frozenset[Announcement]) -> None:
        """Replace the wish of one owner (a port, by name); an empty one is no wish. What changed is sent at once, ahead of any resync."""
        self.want_together({prefix_owner: announcements})

    def want_together(self, wishes: Mapping[str, frozenset[Announcement]]) -> None:
        """The same of several, in as few commands as can be."""
        for owner, announcements in wishes.items():
            self._ledger.want(owner, announcements)
        self._advance()

    def resolve(self, peer: Peer, link_local: IPv6Address) -> None:
        """What our link-local is on the link to a peer that is told it as next hop. Until then it is told nothing."""
        self._ledger.resolve(str(peer.address), link_local)
        self._advance()

    def complete(self) -> None:
        """Every port's wish has been given once. Before this nothing is sent, so that a restarting agent withdraws nothing by mistake."""
        self.completed = True
        self._ledger.complete()
        self._advance()

    def wanted(self) -> frozenset[Announcement]:
        """The wishes of all owners."""
        return self._ledger.wanted()

    def held(self) -> frozenset[Announcement] | None:
        """What ExaBGP announces to every peer, and strays to any (their host is `ledger.UNKNOWN_HOST`); None while no relay is ready."""
        return self._ledger.held()

    def withdrawn(self, announcements: Iterable[Announcement]) -> bool:
        """Whether no peer keeps any of these prefixes, but for those that are wished: ExaBGP has answered that it holds them no more.

        And no peer that may have had them is still to be told (`Sessions`).
        """
        peers = self._sessions.may_know()
        return not peers or (not self._sessions.are_late(peers) and self._ledger.withdrawn(announcements, peers))

    def acknowledged(self) -> bool:
        """Whether each peer's kernel has all that ExaBGP has written by now: nothing is under way, or to be sent anew."""
        return not unacknowledged(self._sessions.up())

    def holders(self, prefix: Prefix) -> dict[str, bool]:
        """For each peer, by address, whether ExaBGP has taken this prefix for it."""
        return self._ledger.holders(str(prefix))

    def in_sync(self) -> bool:
        """Whether a relay is there and nothing is left to be sent or answered."""
        return self._ledger.in_sync()

    def sent(self) -> bool:
        """Whether, further, ExaBGP has sent it all to each peer that has a session. It may be stopped then without losing a withdraw."""
        return self._ledger.sent()

    def peers(self) -> dict[str, str]:
        """Each peer's session: up, down, or unknown."""
        return dict(self._sessions.states)

    def without_session(self) -> list[str]:
        """Peers that hear nothing of us now, and may keep for a while what they heard before."""
        return sorted(self._sessions.states.keys() - self._sessions.up())

    def refused(self) -> tuple[Command, ...]:
        """What ExaBGP answered `error` to; each is asked again only when its wish changes, its peer comes up or ExaBGP restarts."""
        return self._ledger.refused()

    def duplicates(self) -> list[Duplicate]:
        """Prefixes of ours that somebody else announces too, and not only while a host moves. As of the last `tick`."""
        return self._duplicates

    def unheard(self) -> list[str]:
        """Peers that say more than the relay keeps: duplicates in the rest go unseen."""
        return sorted(self._others.overflowing)

    def status(self) -> dict[str, object]:
        """For people and metrics; `queued` counts each peer, `held` and `wanted` do not."""
        held = self._ledger.held()
        return {
            "relay": held is not None,
            "held": len(held or ()),
            "wanted": self._ledger.count(),
            "queued": self._ledger.queued(),
            "refused": [{"line": str(command), "prefix": command.prefixes[0]} for command in self._ledger.refused()],
            "peers": self.peers(),
            "configuration": None if held is None else "current" if self._made_for == fingerprint(self._settings) else "stale",
        }

    def tick(self, now: float) -> None:
        """About once a second, with `time.monotonic()`: give up on a relay that does not answer; the next one tells the truth again.

        When there is nothing else to do, see what ExaBGP took off to its peers. And look for duplicates.
        """
        self._duplicates = self._others.lasting(self._ledger.prefixes(), now)
        self._door.keep()
        if self._ledger.sent():
            self._sessions.have_caught_up()
        if self._ledger.awaits_answer() and now - self._asked_at > ANSWER_TIMEOUT:
            self._disconnect()
        elif self._ledger.flush():
            self._send("flush")

    def _come_in(self, relay: socket.socket) -> None:
        self._disconnect()
        self._relay = relay
        self.called = True
        self._tell("relay", state="connected")
        self._selector.register(relay, selectors.EVENT_READ, self._serve)

    def _disconnect(self) -> None:
        self._ledger.disconnected()
        self._others.clear()
        self._sessions.lose()
        self._waits_to_write = False
        self._incoming.clear()
        self._outgoing.clear()
        self._made_for = ""
        if self._relay is not None:
            self._tell("relay", state="gone")
            self._selector.unregister(self._relay)
            self._relay.close()
            self._relay = None

    def _serve(self) -> None:
        assert self._relay is not None
        self._flush()
        try:
            chunk = self._relay.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        *lines, rest = (self._incoming + chunk).split(b"\n")
        self._incoming = rest
        said = next((line for line in lines if not self._heard(line.decode("ascii", "replace"))), rest if len(rest) > LINE_LIMIT else None)
        if said is not None:
            self._tell_of(said)
        if chunk and said is None:
            self._advance()
        else:
            self._disconnect()

    def _tell(self, word: str, **fields: str) -> None:
        """What may be said often by who means harm, so many times a minute."""
        now = time.monotonic()
        while self._said and self._said[0] <= now - _COMPLAINS_EACH:
            self._said.popleft()
        if len(self._said) < _SAID_EACH:
            self._said.append(now)
            event(word, **fields)
            if len(self._said) == _SAID_EACH:
                event("refuse", reason="relay and sessions come and go too often to tell of each; see ExaBGP's own log")

    def _tell_of(self, nonsense: bytes | bytearray) -> None:
        """Once in a while: who talks it may call again and again."""
        now = time.monotonic()
        if now >= self._next_complaint:
            self._next_complaint = now + _COMPLAINS_EACH
            event("refuse", reason=f"who called as ExaBGP's relay is let go, for it said {bytes(nonsense[:_QUOTED])!r}")

    def _heard(self, line: str) -> bool:
        """One line of the relay; False for one that does not belong here: who runs as ExaBGP's user may say anything."""
        if len(line) > _LONGEST or not (line.isascii() and line.isprintable()):
            return False
        match line.split(" ", 3):
            case ["done" | "error" as answer] if self._ledger.awaits_answer():
                command = self._ledger.answered(answer == "done")
                self._asked_at = time.monotonic()
                if self._on_answer is not None:
                    self._on_answer(command, answer == "done")
            case ["held", peer, prefix, attributes] if not self._ledger.is_ready() and is_prefix(prefix):
                return self._ledger.adopt(peer, prefix, attributes)
            case ["peer", address, ("up" | "down") as state]:
                if address in self._sessions.states:  # ExaBGP may still have one that is no longer in our configuration
                    if self._sessions.states[address] != state:
                        self._tell("session", peer=address, state=state)
                    self._sessions.turn(address, state)
                    self._others.forget(address)
                    self._ledger.session(address, up=state == "up")
            case ["made-for", fingerprint_]:
                self._made_for = fingerprint_
            case ["flushed"]:
                self._ledger.flushed()
                if self._sessions.synced_at is not None:
                    self._sessions.have_caught_up()
            case ["heard", peer, *_] if peer not in self._sessions.states:
                pass
            case ["heard", peer, "announce", route] if route.count(" ") == 1 and len(route) <= _LONGEST_ROUTE:
                return self._others.announce(peer, *route.split(" "))
            case ["heard", peer, "withdraw", prefix]:
                self._others.withdraw(peer, prefix)
            case ["heard", peer, "more"]:
                self._others.overflowing.add(peer)
            case ["ready"] if not self._ledger.is_ready():
                self._ledger.ready()
            case _:
                return False
        return True

    def _advance(self) -> None:
        """Send the next commands, or that there is none left."""
        if not self._ledger.awaits_answer():
            self._asked_at = time.monotonic()
        if commands := list(iter(self._ledger.next_command, None)):
            self._send("\n".join(map(str, commands)))
        elif self._ledger.in_sync() and self._sessions.synced_at is None:
            self._sessions.synced_at = time.monotonic()
            self._send("synced")
        elif self._ledger.waits_for_flush() and self._ledger.flush():
            self._send("flush")

    def _send(self, lines: str) -> None:
        self._outgoing += lines.encode("ascii") + b"\n"
        self._flush()

    def _flush(self) -> None:
        if self._relay is None or not self._outgoing:
            return
        try:
            del self._outgoing[: self._relay.send(self._outgoing)]
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self._outgoing.clear()  # the end of file that follows is seen by _serve
        if bool(self._outgoing) != self._waits_to_write:
            self._waits_to_write = bool(self._outgoing)
            events = selectors.EVENT_READ | (selectors.EVENT_WRITE if self._waits_to_write else 0)
            self._selector.modify(self._relay, events, self._serve)
