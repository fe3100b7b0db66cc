"""The book against a model of ExaBGP that refuses some prefixes, forgets when it restarts, answers when it likes, and sends when it likes.

What ExaBGP has taken it sends by attribute set, in the order in which the sets came to be; that is the trap.
"""

from collections import deque
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from l3ctl.bgp.ledger import UNKNOWN_HOST, WITHDRAWS_AT_ONCE, Ledger
from l3ctl.bgp.lines import Command
from l3ctl.model import Announcement, PathAttributes, Verb
from l3ctl.peering import BgpSettings, Peer

A, B = "2001:db8:ffff::1", "2001:db8:fffe::1"
LOCAL = IPv6Address("2001:db8:ffff::2")
SETTINGS = BgpSettings(IPv4Address("192.0.2.1"), 64512, tuple(Peer(IPv6Address(one), 64512, LOCAL, LOCAL) for one in (A, B)))
ATTRIBUTES = f"next-hop {LOCAL} med 0"
PREFIXES = [f"2001:db8:{number}::/64" for number in range(1, 7)] + [f"192.0.2.{number}/32" for number in range(4)]
REFUSED = {PREFIXES[0], PREFIXES[9]}
owners = st.sampled_from(["web1", "web2", "web3"])
wishes = st.dictionaries(st.sampled_from(PREFIXES), st.sampled_from([0, 0, 0, 7]), max_size=6)
"""prefix -> MED"""
Route = tuple[str, str]


def announcements(prefixes: Iterable[str], med: int = 0) -> frozenset[Announcement]:
    attributes = PathAttributes(med=med) if med else PathAttributes()
    return frozenset(Announcement(ip_network(prefix), IPv6Address("fe80::1"), attributes) for prefix in prefixes)


class Exabgp:
    """Its adj-rib-out as far as it matters here: what it has taken, what of that is pending, and what its peers have been sent."""

    def __init__(self, up: set[str]) -> None:
        self.up = up
        """peers with a session"""
        self.taken: dict[Route, str] = {}
        self.pending: dict[str, dict[Route, Verb]] = {}
        self.latest: dict[Route, str] = {}
        self.peers: dict[Route, str] = {}

    def take(self, command: Command) -> None:
        for route in command.routes():
            if command.verb is Verb.ANNOUNCE and self.taken.get(route) == command.attributes:
                continue
            if command.verb is Verb.WITHDRAW:
                self.pending.get(self.latest.get(route, ""), {}).pop(route, None)
                self.taken.pop(route, None)  # an announce that was refused may be withdrawn before that is known
            else:
                self.taken[route] = command.attributes
            self.pending.setdefault(command.attributes, {})[route] = command.verb
            self.latest[route] = command.attributes

    def send(self, *, withdraws: bool = True) -> None:
        for attributes, changes in self.pending.items():
            for route in [one for one in changes if one[0] in self.up]:
                verb = changes.pop(route)
                self.latest.pop(route, None)
                if verb is Verb.ANNOUNCE:
                    self.peers[route] = attributes
                elif withdraws:
                    self.peers.pop(route, None)
        self.pending = {attributes: changes for attributes, changes in self.pending.items() if changes}

    def session(self, peer: str, *, up: bool) -> None:
        """One that comes up begins with all that is held, beside what has been pending, and without its withdraws."""
        if not up:
            self.up.discard(peer)
        elif peer not in self.up:
            self.send()  # the others are served in between
            self.up.add(peer)
            self.peers = {route: attributes for route, attributes in self.peers.items() if route[0] != peer}
            for route, attributes in self.taken.items():
                if route[0] == peer:
                    self.pending.setdefault(attributes, {})[route] = Verb.ANNOUNCE
            self.send(withdraws=False)


class Book(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(SETTINGS)
        self.wishes: dict[str, dict[str, int]] = {}
        self.newest: dict[str, list[str]] = {}
        """prefix -> its owners, the newest last"""
        self.exabgp = Exabgp({A, B})
        self.flushing = False
        self.asked: deque[Command] = deque()
        self.ready = self.complete = False

    def wished(self) -> set[str]:
        return set().union(*self.wishes.values())

    @rule(owner=owners, wish=wishes)
    def want(self, owner: str, wish: dict[str, int]) -> None:
        before = self.wishes.get(owner, {})
        self.wishes[owner] = wish
        for prefix in before.keys() | wish.keys():
            if before.get(prefix) != wish.get(prefix):
                owners = [one for one in self.newest.get(prefix, []) if one != owner]
                self.newest[prefix] = [*owners, owner] if prefix in wish else owners
        self.ledger.want(owner, frozenset().union(*(announcements([prefix], med) for prefix, med in wish.items())))

    def wish_for(self, prefix: str) -> str:
        return f"next-hop {LOCAL} med {self.wishes[self.newest[prefix][-1]][prefix]}"

    @rule()
    def say_complete(self) -> None:
        self.complete = True
        self.ledger.complete()

    @rule(lost=st.booleans(), taken=st.booleans())
    def reconnect(self, lost: bool, taken: bool) -> None:
        """The agent's end breaks, a command being answered meanwhile or not; `lost`: because ExaBGP restarted."""
        while self.asked and taken:
            self.answer_at_exabgp()
        self.asked.clear()
        if lost:
            self.exabgp = Exabgp(set())
        self.flushing = False
        self.ledger.disconnected()
        assert self.ledger.held() is None
        self.exabgp.send()  # the relay greets after a flush
        for (peer, prefix), attributes in self.exabgp.taken.items():
            self.ledger.adopt(peer, prefix, attributes)
        for peer in self.exabgp.up:
            self.ledger.session(peer, up=True)
        self.ledger.ready()
        self.ready = True

    @rule()
    def ask(self) -> None:
        command = self.ledger.next_command()
        if command is None:
            return
        assert self.ready
        assert self.complete
        unanswered = {route: other for other in self.asked for route in other.routes()}
        for route in command.routes():
            if route in unanswered:
                assert (unanswered[route].verb, command.verb) == (Verb.ANNOUNCE, Verb.WITHDRAW), (
                    "no answer is forestalled but with a withdraw"
                )
                assert unanswered[route].attributes == command.attributes
            elif command.verb is Verb.WITHDRAW:
                assert self.exabgp.taken[route] == command.attributes, "a withdraw repeats the announce"
        self.asked.append(command)
        assert len(self.asked) <= WITHDRAWS_AT_ONCE

    def answer_at_exabgp(self) -> bool:
        command = self.asked.popleft()
        if REFUSED & set(command.prefixes):
            return False
        self.exabgp.take(command)
        return True

    @rule()
    def send(self) -> None:
        self.exabgp.send()

    @precondition(lambda self: not self.flushing)
    @rule()
    def flush(self) -> None:
        self.flushing = self.ledger.flush()

    @precondition(lambda self: self.flushing)
    @rule()
    def flushed(self) -> None:
        self.exabgp.send()
        self.flushing = False
        self.ledger.flushed()

    @precondition(lambda self: self.asked)
    @rule()
    def answer(self) -> None:
        self.ledger.answered(self.answer_at_exabgp())

    @rule(peer=st.sampled_from([A, B]), up=st.booleans())
    def session(self, peer: str, up: bool) -> None:
        self.exabgp.session(peer, up=up)
        if self.ready:
            self.ledger.session(peer, up=up)

    @invariant()
    def what_is_held_is_what_exabgp_holds(self) -> None:
        held = self.ledger.held()
        if held is None:
            return
        taken = self.exabgp.taken
        wished = {(prefix, f"next-hop {LOCAL} med {med}") for wish in self.wishes.values() for prefix, med in wish.items()}
        everywhere = {prefix for prefix, attributes in wished if taken.get((A, prefix)) == taken.get((B, prefix)) == attributes}
        strays = {prefix for _, prefix in taken} - self.wished()
        assert {str(one.prefix) for one in held} == everywhere | strays
        assert {str(one.prefix) for one in held if one.host == UNKNOWN_HOST} == strays

    @invariant()
    def what_is_wanted_is_counted(self) -> None:
        assert self.ledger.count() == len(self.ledger.wanted())

    @invariant()
    def it_ends_with_exactly_the_wishes_that_are_not_refused(self) -> None:
        if not self.ledger.in_sync():
            return
        wished, up = self.wished(), self.exabgp.up
        taken = {(peer, prefix): self.wish_for(prefix) for peer in up for prefix in wished - REFUSED}
        assert {route: attributes for route, attributes in self.exabgp.taken.items() if route[0] in up} == taken
        if self.ledger.sent():
            self.exabgp.send()
            assert {route: attributes for route, attributes in self.exabgp.peers.items() if route[0] in up} == taken
        if up != {A, B}:
            return
        assert {command.prefixes for command in self.ledger.refused()} == {(prefix,) for prefix in wished & REFUSED}
        assert self.ledger.queued() == 0
        assert self.ledger.withdrawn(announcements(wished | {"2001:db8:ffff::/64"}), {A, B})

    def teardown(self) -> None:
        self.say_complete()
        if not self.ready:
            self.reconnect(lost=False, taken=False)
        for peer in (A, B):
            self.session(peer, True)
        for _ in range(100):
            if self.asked:
                self.answer()
            if self.flushing:
                self.flushed()
            if self.ledger.sent():
                break
            self.flush()
            self.ask()
        else:
            raise AssertionError("it never ends")
        self.it_ends_with_exactly_the_wishes_that_are_not_refused()


TestBook = Book.TestCase
TestBook.settings = hypothesis_settings(max_examples=200, stateful_step_count=40, deadline=None)


def test_a_prefix_that_moves_between_ports_is_never_withdrawn() -> None:
    """The new port wishes it before the old one lets go."""
    ledger = Ledger(SETTINGS)
    wish = announcements({PREFIXES[1]})
    ledger.want("old", wish)
    ledger.complete()
    for peer in (A, B):
        ledger.adopt(peer, PREFIXES[1], ATTRIBUTES)
    ledger.ready()
    ledger.want("new", wish)
    ledger.want("old", frozenset())
    assert ledger.next_command() is None
    ledger.want("new", frozenset())
    command = ledger.next_command()
    assert command is not None
    assert command.verb is Verb.WITHDRAW


def test_other_attributes_wait_until_what_was_taken_before_is_sent() -> None:
    ledger, exabgp = Ledger(SETTINGS), Exabgp({A, B})
    ledger.complete()
    for peer in (A, B):
        ledger.session(peer, up=True)
    ledger.ready()

    def ask_all() -> None:
        for command in iter(ledger.next_command, None):
            exabgp.take(command)
            ledger.answered(accepted=True)

    ledger.want("web1", announcements({PREFIXES[1]}, med=7))
    ask_all()
    ledger.want("web2", announcements({PREFIXES[2]}))
    ask_all()
    ledger.want("web2", announcements({PREFIXES[2]}, med=7))  # into the set of PREFIXES[1], which goes out first
    ask_all()
    assert exabgp.taken[A, PREFIXES[2]] == ATTRIBUTES
    assert ledger.waits_for_flush()
    assert not ledger.in_sync()
    assert ledger.flush()
    exabgp.send()
    ledger.flushed()
    ask_all()
    exabgp.send()
    assert exabgp.peers[A, PREFIXES[2]] == ATTRIBUTES.replace("med 0", "med 7")
    assert ledger.in_sync()


def test_what_a_peer_without_session_was_told_is_not_sent_whatever_a_flush_says() -> None:
    ledger, exabgp = Ledger(SETTINGS), Exabgp(set())
    ledger.complete()
    ledger.ready()

    def wish(**meds: int) -> None:
        """What web1 wishes of two prefixes; ask it, and flush."""
        each = {"p": PREFIXES[1], "q": PREFIXES[2]}
        ledger.want("web1", frozenset().union(*(announcements({each[name]}, med) for name, med in meds.items())))
        for _ in range(2):
            for command in iter(ledger.next_command, None):
                exabgp.take(command)
                ledger.answered(accepted=True)
            if ledger.flush():
                exabgp.send()
                ledger.flushed()

    wish(p=0, q=0)
    wish(p=5, q=5)
    wish(p=0)
    assert ledger.in_sync(), "nobody waits for a peer that may never come"
    for peer in (A, B):
        exabgp.session(peer, up=True)
        ledger.session(peer, up=True)
    wish(p=0)
    exabgp.send()
    assert exabgp.peers == {(A, PREFIXES[1]): ATTRIBUTES, (B, PREFIXES[1]): ATTRIBUTES}
    assert ledger.sent()


def test_a_peer_that_left_the_configuration_is_withdrawn_from() -> None:
    ledger = Ledger(SETTINGS)
    ledger.want("web1", announcements({PREFIXES[1]}))
    ledger.complete()
    for peer in (A, B, "2001:db8:fffd::1"):
        ledger.adopt(peer, PREFIXES[1], ATTRIBUTES)
    ledger.ready()
    assert ledger.next_command() == Command(Verb.WITHDRAW, "2001:db8:fffd::1", ATTRIBUTES, (PREFIXES[1],))


def test_a_refused_prefix_is_asked_again_only_when_its_wish_changes() -> None:
    ledger = Ledger(SETTINGS)
    wish = announcements({PREFIXES[0]})
    ledger.want("web1", wish)
    ledger.complete()
    ledger.ready()
    for _ in (A, B):
        assert ledger.next_command() is not None
        ledger.answered(accepted=False)
    assert ledger.next_command() is None
    ledger.want("web1", wish)
    ledger.want("web2", announcements({PREFIXES[1]}))
    asked = [ledger.next_command()]
    ledger.answered(accepted=True)
    asked.append(ledger.next_command())
    ledger.answered(accepted=True)
    assert {command.prefixes for command in asked if command} == {(PREFIXES[1],)}
    ledger.want("web1", frozenset())
    assert ledger.refused() == ()
    assert ledger.next_command() is None
    ledger.want("web1", wish)
    again = ledger.next_command()
    assert again is not None
    assert again.prefixes == (PREFIXES[0],)


def refusing(ledger: Ledger) -> None:
    """Let both peers refuse the one prefix that is wished."""
    for _ in (A, B):
        assert ledger.next_command() is not None
        ledger.answered(accepted=False)
    assert len(ledger.refused()) == 2
    assert ledger.next_command() is None


def test_a_restarted_exabgp_is_asked_again_for_what_the_former_refused() -> None:
    ledger = Ledger(SETTINGS)
    ledger.want("web1", announcements({PREFIXES[0]}))
    ledger.complete()
    ledger.ready()
    refusing(ledger)
    ledger.disconnected()
    assert ledger.refused() == ()
    ledger.ready()
    refusing(ledger)


def test_a_refusal_of_what_is_no_longer_wished_is_not_reported() -> None:
    ledger = Ledger(SETTINGS)
    ledger.want("web1", announcements({PREFIXES[0]}))
    ledger.complete()
    ledger.ready()
    assert ledger.next_command() is not None
    ledger.want("web1", frozenset())
    ledger.answered(accepted=False)
    assert ledger.refused() == ()
    assert ledger.in_sync()
