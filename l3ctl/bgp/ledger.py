"""What is wished, what ExaBGP holds, and the next step from one to the other. No I/O: `speaker` carries the lines.

A route is told apart by (peer, prefix). A wish names no peer: it is for all of them. Nothing is asked of ExaBGP before it said what it
holds (`ready`) *and* the agent said that its wishes are whole (`complete`): an agent that has just started knows only some of its ports,
and would withdraw the others.
"""

from collections import Counter
from collections.abc import Iterable, KeysView
from ipaddress import IPv6Address, ip_network

from l3ctl.bgp.lines import Command, Key, attributes_by_peer
from l3ctl.bgp.pending import Pending
from l3ctl.model import Announcement, BgpSettings, Verb

UNKNOWN_HOST = IPv6Address("::")
"""the host of a prefix that is held though nobody wishes it: BGP does not carry it"""


class Ledger:
    """The book of one router's announcements."""

    def __init__(self, settings: BgpSettings) -> None:
        self._attributes = attributes_by_peer(settings)
        self._wishes: dict[str, dict[Announcement, str]] = {}
        self._wishers: Counter[str] = Counter()
        self._have: dict[Key, str] = {}
        self._pending = Pending()
        self._asked: Command | None = None
        self._refused: dict[Key, Command] = {}
        self._ready = self._complete = False

    # what the agent says

    def want(self, owner: str, announcements: frozenset[Announcement]) -> None:
        """Replace the wish of one owner. Two owners may wish the same prefix for a while, when a host moves."""
        old = set(self._wishes.pop(owner, {}).values())
        wish = {announcement: str(announcement.prefix) for announcement in announcements}
        if wish:
            self._wishes[owner] = wish
        new = set(wish.values())
        for prefix in old ^ new:
            self._wishers[prefix] += 1 if prefix in new else -1
            if not self._wishers[prefix]:
                del self._wishers[prefix]
            for peer in self._attributes:
                self._refused.pop((peer, prefix), None)
                self._consider((peer, prefix), live=True)

    def complete(self) -> None:
        """Every port has had its say: from now on what is held and not wished may go."""
        if not self._complete:
            self._complete = True
            self._resync()

    # what ExaBGP says, through the relay

    def adopt(self, peer: str, prefix: str, attributes: str) -> None:
        """It holds this already."""
        self._have[peer, prefix] = attributes

    def ready(self) -> None:
        """It has said all it holds."""
        self._ready = True
        self._resync()

    def disconnected(self) -> None:
        """Nothing is known of it any more."""
        self._have.clear()
        self._pending.clear()
        self._refused.clear()
        self._asked, self._ready = None, False

    def answered(self, accepted: bool) -> Command:
        """The answer to the command asked last. One bad prefix makes ExaBGP refuse a whole command: then each is tried alone."""
        assert self._asked is not None
        command, self._asked = self._asked, None
        for key in command.routes():
            if accepted and command.verb is Verb.ANNOUNCE:
                self._have[key] = command.attributes
            elif accepted:
                self._have.pop(key, None)
            elif len(command.prefixes) == 1 and self._change(key) == (command.verb, command.attributes):
                self._refused[key] = command
            self._consider(key, live=accepted, alone=not accepted)
        return command

    def retry(self, peer: str) -> None:
        """Ask again for what was refused for this peer: it has just shown that it exists."""
        for key in [key for key in self._refused if key[0] == peer]:
            del self._refused[key]
            self._consider(key, live=False)

    # what to do

    def next_command(self) -> Command | None:
        """The next command to send; None while an answer is awaited, or when there is nothing to do."""
        if self._asked is None:
            self._asked = self._pending.take()
            return self._asked
        return None

    def awaits_answer(self) -> bool:
        """Whether a command is outstanding."""
        return self._asked is not None

    def in_sync(self) -> bool:
        """Whether ExaBGP holds all that is wished and it would take, and nothing else."""
        return self._ready and self._complete and self._asked is None and not self._pending

    # what the agent asks

    def wanted(self) -> frozenset[Announcement]:
        """The wishes of all owners."""
        return frozenset(announcement for wish in self._wishes.values() for announcement in wish)

    def prefixes(self) -> KeysView[str]:
        """The prefixes of all wishes, as text."""
        return self._wishers.keys()

    def held(self) -> frozenset[Announcement] | None:
        """The wishes that hold for every peer, and what any peer is told without a wish (of `UNKNOWN_HOST`). None: nobody to ask."""
        if not self._ready:
            return None
        kept = {
            announcement
            for wish in self._wishes.values()
            for announcement, prefix in wish.items()
            if all(self._have.get((peer, prefix)) == attributes for peer, attributes in self._attributes.items())
        }
        strays = {prefix for _, prefix in self._have if prefix not in self._wishers}
        return frozenset(kept | {Announcement(ip_network(prefix), UNKNOWN_HOST) for prefix in strays})

    def settled(self, announcements: Iterable[Announcement]) -> bool:
        """Whether no change of these prefixes is still to be asked or answered."""
        asked = set(self._asked.routes()) if self._asked else set()
        keys = {(peer, str(announcement.prefix)) for announcement in announcements for peer in self._attributes}
        return not any(key in asked or key in self._pending for key in keys)

    def refused(self) -> tuple[Command, ...]:
        """What ExaBGP would not take, and is not asked again until the wish changes."""
        return tuple(self._refused.values())

    def queued(self) -> int:
        """Changes still to be asked or answered, counted for each peer."""
        return len(self._pending) + (len(self._asked.prefixes) if self._asked else 0)

    def _resync(self) -> None:
        if self._ready and self._complete:
            wished = {(peer, prefix) for prefix in self._wishers for peer in self._attributes}
            for key in self._have.keys() | wished:
                self._consider(key, live=False)

    def _change(self, key: Key) -> tuple[Verb, str] | None:
        """What leads from what is held to what is wished. Other attributes simply replace: the peer never loses the route."""
        peer, prefix = key
        have, want = self._have.get(key), self._attributes.get(peer) if prefix in self._wishers else None
        if have == want:
            return None
        if want is not None:
            return Verb.ANNOUNCE, want
        assert have is not None
        return Verb.WITHDRAW, have

    def _consider(self, key: Key, *, live: bool, alone: bool = False) -> None:
        if not (self._ready and self._complete):
            return
        change = self._change(key)
        if change is None or key in self._refused:
            self._pending.drop(key)
        else:
            self._pending.put(key, *change, live=live, alone=alone)
