"""What is wished, what ExaBGP holds, and the next step from one to the other. No I/O: `speaker` carries the lines.

A route is told apart by (peer, prefix). A wish names no peer: it is for all of them. Nothing is asked of ExaBGP before it said what it
holds (`ready`) *and* the agent said that its wishes are whole (`complete`): an agent that has just started knows only some of its ports,
and would withdraw the others.

Announcing a prefix with other attributes than before needs a moment's patience: ExaBGP sends what is pending by attribute set, in the order
in which the sets came to be, so that the newer wish could go out first and the older one stay. Such a change waits until ExaBGP has sent
all that it took before (a flush), a fraction of a second; the prefix stays as it was meanwhile.
"""

from collections import deque
from collections.abc import Iterable, KeysView
from ipaddress import IPv6Address, ip_network

from l3ctl.bgp.lines import Command, Key, Wording
from l3ctl.bgp.pending import Pending
from l3ctl.bgp.relay import WINDOW
from l3ctl.model import Announcement, Verb
from l3ctl.peering import BgpSettings

UNKNOWN_HOST = IPv6Address("::")
"""the host of a prefix that is held though nobody wishes it: BGP does not carry it"""


HELD_LIMIT = 500_000
"""routes of all peers: an ExaBGP with so many takes minutes to say so"""
SAID_LIMIT = 16 * 1024 * 1024
"""bytes of all different peers and sets of attributes; a set has some hundred"""
WITHDRAWS_AT_ONCE = 64
"""commands that may be unanswered while there is something to withdraw: 1,536 prefixes, and fewer bytes than a relay reads ahead"""


class Ledger:
    """The book of one router's announcements."""

    def __init__(self, settings: BgpSettings) -> None:
        self._wording = Wording(settings)
        self._wishes: dict[str, dict[Announcement, str]] = {}
        self._wished: dict[str, tuple[tuple[str, Announcement], ...]] = {}
        """prefix -> its owners, and what they wish; the newest counts"""
        self._have: dict[Key, str] = {}
        self._said: dict[str, str] = {}
        """every peer and set of attributes that ExaBGP said to have, kept once"""
        self._said_bytes = 0
        self._pending = Pending()
        self._waiting: set[Key] = set()
        """to be announced with other attributes, after a flush"""
        self._lately: dict[Key, str] = {}
        """what ExaBGP has taken and perhaps not sent: the attributes it was told last"""
        self._flushing: dict[Key, str] | None = None
        """the same of what came before the flush that goes on"""
        self._asked: deque[Command] = deque()
        """sent and not answered, in their order"""
        self._underway: dict[Key, Command] = {}
        """what they are about, and which of them is the last: it is considered again when that one is answered"""
        self._refused: dict[Key, Command] = {}
        self._up: set[str] = set()
        """peers that have a session. For one that has none, ExaBGP keeps what it takes, also of one route in several attribute sets: when
        the session comes it sends them in the order in which the sets came to be, and no withdraw among them"""
        self._ready = self._complete = False
        self._held: frozenset[Announcement] | None = None
        """what `held` tells; None after what it is made of has changed"""

    # what the agent says

    def want(self, owner: str, announcements: frozenset[Announcement]) -> None:
        """Replace the wish of one owner. Two owners may wish the same prefix for a while, when a host moves."""
        self._held = None
        before = self._wishes.pop(owner, {})
        wish = {one: before.get(one) or str(one.prefix) for one in announcements}
        if wish:
            self._wishes[owner] = wish
        gone = {prefix for one, prefix in before.items() if one not in wish}
        come = {prefix: one for one, prefix in wish.items() if one not in before}
        for prefix in gone:
            left = tuple(other for other in self._wished.pop(prefix) if other[0] != owner)
            if left:
                self._wished[prefix] = left
        for prefix, one in come.items():
            self._wished[prefix] = (*self._wished.get(prefix, ()), (owner, one))
        for prefix in gone | come.keys():
            for peer in self._wording.peers:
                self._refused.pop((peer, prefix), None)
                self._consider((peer, prefix), live=True)

    def resolve(self, peer: str, link_local: IPv6Address) -> None:
        """Know this router's link-local on the link to a peer that is told it as next hop."""
        if self._wording.resolve(peer, link_local):
            self._held = None
            for prefix in self._wished:
                self._consider((peer, prefix), live=False)

    def complete(self) -> None:
        """Every port has had its say: from now on what is held and not wished may go."""
        if not self._complete:
            self._complete = True
            self._resync()

    # what ExaBGP says, through the relay

    def adopt(self, peer: str, prefix: str, attributes: str) -> bool:
        """It holds this already. False where it says to hold more than it ever could."""
        self._held = None
        for text in (peer, attributes):
            if text not in self._said:
                self._said[text] = text
                self._said_bytes += len(text)
        self._have[self._said[peer], prefix] = self._said[attributes]
        return len(self._have) <= HELD_LIMIT and self._said_bytes <= SAID_LIMIT

    def session(self, peer: str, *, up: bool) -> None:
        """Whether a peer has a session. One that comes up is sent all that is held, and shows that it exists."""
        (self._up.add if up else self._up.discard)(peer)
        if up:
            self._lately = {key: attributes for key, attributes in self._have.items() if key[0] == peer} | self._lately
            self._retry(peer)

    def ready(self) -> None:
        """It has said all it holds, and to whom it has sessions: to the others it has sent nothing of it."""
        self._ready = True
        self._lately = {key: attributes for key, attributes in self._have.items() if key[0] not in self._up}
        self._resync()

    def is_ready(self) -> bool:
        """Whether it has."""
        return self._ready

    def disconnected(self) -> None:
        """Nothing is known of it any more."""
        self._held = None
        self._have.clear()
        self._said.clear()
        self._said_bytes = 0
        self._pending.clear()
        self._waiting.clear()
        self._refused.clear()
        self._lately, self._flushing = {}, None
        self._up.clear()
        self._asked.clear()
        self._underway.clear()
        self._ready = False

    def answered(self, accepted: bool) -> Command:
        """The answer to the oldest command. One bad prefix makes ExaBGP refuse a whole command: then each is tried alone."""
        self._held = None
        command = self._asked.popleft()
        for key in command.routes():
            if self._underway[key] is command:
                del self._underway[key]
            self._lately[key] = command.attributes
            if accepted and command.verb is Verb.ANNOUNCE:
                self._have[key] = command.attributes
            elif accepted:
                self._have.pop(key, None)
            elif len(command.prefixes) == 1 and self._change(key) == (command.verb, command.attributes):
                self._refused[key] = command
            self._consider(key, live=accepted, alone=not accepted)
        return command

    def _retry(self, peer: str) -> None:
        """Ask again for what was refused for this peer."""
        for key in [key for key in self._refused if key[0] == peer]:
            del self._refused[key]
            self._consider(key, live=False)

    def flushed(self) -> None:
        """It has sent all that it had taken when it was asked, to whom it has a session; for the others all of it still waits in there."""
        told, self._flushing = self._flushing or {}, None
        self._lately = {key: attributes for key, attributes in told.items() if key[0] not in self._up} | self._lately
        waiting, self._waiting = self._waiting, set()
        for key in waiting:
            self._consider(key, live=False)

    # what to do

    def next_command(self) -> Command | None:
        """The next command to send now; None while enough are unanswered, or when there is nothing to do.

        Live changes wait for no answer but that of their own route: an answer takes ExaBGP as long as the route takes to the peer. Least of
        all do withdraws: the agent takes the routes away next, and may be busy for seconds before it hears an answer. A resync's commands
        go out one at a time, which keeps ExaBGP busy, and short the queue in which live changes stand.
        """
        if len(self._asked) >= self._limit() or (command := self._pending.take()) is None:
            return None
        self._asked.append(command)
        self._underway.update(dict.fromkeys(command.routes(), command))
        return command

    def _limit(self) -> int:
        live, withdraws = self._pending.first()
        return (WITHDRAWS_AT_ONCE if withdraws else WINDOW) if live else 1

    def awaits_answer(self) -> bool:
        """Whether a command is outstanding."""
        return bool(self._asked)

    def flush(self) -> bool:
        """Whether a flush is to be asked for now: there is nothing else to do, and something that is perhaps not sent."""
        if not (self._ready and self._to_be_sent()) or self._flushing is not None or self._asked or self._pending:
            return False
        self._flushing, self._lately = self._lately, {}
        return True

    def waits_for_flush(self) -> bool:
        """Whether something cannot be asked before ExaBGP has sent what it took."""
        return any(peer in self._up for peer, _ in self._waiting)

    def _to_be_sent(self) -> bool:
        """Whether it has something perhaps not sent to a peer that has a session."""
        return any(peer in self._up for peer, _ in self._lately)

    def in_sync(self) -> bool:
        """Whether ExaBGP holds all that is wished and it would take, and nothing else."""
        return self._ready and self._complete and not self._asked and not self._pending and not self.waits_for_flush()

    def sent(self) -> bool:
        """Whether it has sent it, too, to each peer that has a session."""
        return self.in_sync() and not self._to_be_sent() and self._flushing is None

    # what the agent asks

    def wanted(self) -> frozenset[Announcement]:
        """The wishes of all owners."""
        return frozenset(announcement for wish in self._wishes.values() for announcement in wish)

    def count(self) -> int:
        """How many `wanted` are."""
        return sum(len(owners) if len(owners) == 1 else len({one for _, one in owners}) for owners in self._wished.values())

    def prefixes(self) -> KeysView[str]:
        """The prefixes of all wishes, as text."""
        return self._wished.keys()

    def held(self) -> frozenset[Announcement] | None:
        """The wishes that hold for every peer, and what any peer is told without a wish (of `UNKNOWN_HOST`). None: nobody to ask."""
        if not self._ready:
            return None
        if self._held is not None:
            return self._held
        kept = {
            announcement
            for wish in self._wishes.values()
            for announcement, prefix in wish.items()
            if all(self._is_held(peer, prefix, announcement) for peer in self._wording.peers)
        }
        strays = {prefix for _, prefix in self._have if prefix not in self._wished}
        self._held = frozenset(kept | {Announcement(ip_network(prefix), UNKNOWN_HOST) for prefix in strays})
        return self._held

    def _is_held(self, peer: str, prefix: str, announcement: Announcement) -> bool:
        attributes = self._have.get((peer, prefix))
        return attributes is not None and attributes == self._wording.attributes(peer, announcement)

    def withdrawn(self, announcements: Iterable[Announcement], peers: set[str]) -> bool:
        """Whether these peers have sessions, and ExaBGP has answered that it holds none of these prefixes for them but those wished."""
        if not (self._ready and self._complete and peers <= self._up):
            return False
        prefixes = (str(announcement.prefix) for announcement in announcements)
        keys = {(peer, prefix) for prefix in prefixes if prefix not in self._wished for peer in peers}
        return not any(key in self._have or key in self._underway or key in self._pending for key in keys)

    def holders(self, prefix: str) -> dict[str, bool]:
        """For each peer, whether ExaBGP has taken this prefix for it."""
        return {peer: (peer, prefix) in self._have for peer in self._wording.peers}

    def refused(self) -> tuple[Command, ...]:
        """What ExaBGP would not take, and is not asked again until the wish changes."""
        return tuple(self._refused.values())

    def queued(self) -> int:
        """Changes still to be asked or answered, counted for each peer."""
        return len(self._pending) + len(self._waiting) + len(self._underway)

    def _resync(self) -> None:
        if self._ready and self._complete:
            wished = {(peer, prefix) for prefix in self._wished for peer in self._wording.peers}
            for key in self._have.keys() | wished:
                self._consider(key, live=False)

    def _change(self, key: Key) -> tuple[Verb, str] | None:
        """What leads from what is held to what is wished. Other attributes simply replace: the peer never loses the route.

        Where the next hop that is wished is not known (yet), what is held stays.
        """
        peer, prefix = key
        have = self._have.get(key)
        if prefix in self._wished and peer in self._wording.peers:
            want = self._wording.attributes(peer, self._wished[prefix][-1][1])
            return None if want in (have, None) else (Verb.ANNOUNCE, str(want))
        return None if have is None else (Verb.WITHDRAW, have)

    def _consider(self, key: Key, *, live: bool, alone: bool = False) -> None:
        if not (self._ready and self._complete):
            return
        change = self._change_underway(key) if key in self._underway else self._change(key)
        self._waiting.discard(key)
        if change is None or key in self._refused:
            self._pending.drop(key)
        elif self._might_overtake(key, *change):
            self._pending.drop(key)
            self._waiting.add(key)
        else:
            self._pending.put(key, *change, live=live, alone=alone)

    def _change_underway(self, key: Key) -> tuple[Verb, str] | None:
        """The same of a route that is in a command without an answer: it may be withdrawn in the words in which it was announced.

        Everything else waits for the answer. That does not: the agent takes the route away next, and may be busy before it hears.
        """
        last = self._underway[key]
        unwished = key[1] not in self._wished or key[0] not in self._wording.peers
        return (Verb.WITHDRAW, last.attributes) if unwished and last.verb is Verb.ANNOUNCE else None

    def _might_overtake(self, key: Key, verb: Verb, attributes: str) -> bool:
        """Withdraws cannot: they repeat what was told last."""
        told = self._lately.get(key) or (self._flushing or {}).get(key)
        return verb is Verb.ANNOUNCE and told not in (attributes, None)
