"""The book against a model of ExaBGP that refuses some prefixes, forgets when it restarts, and answers when it likes."""

from collections import deque
from ipaddress import IPv4Address, IPv6Address, ip_network

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from l3ctl.bgp.ledger import UNKNOWN_HOST, Ledger
from l3ctl.bgp.lines import Command
from l3ctl.bgp.relay import WINDOW
from l3ctl.model import Announcement, BgpSettings, Peer, Verb

A, B = "2001:db8:ffff::1", "2001:db8:fffe::1"
LOCAL = IPv6Address("2001:db8:ffff::2")
SETTINGS = BgpSettings(IPv4Address("192.0.2.1"), 64512, tuple(Peer(IPv6Address(one), 64512, LOCAL, LOCAL) for one in (A, B)))
ATTRIBUTES = f"next-hop {LOCAL} med 0"
PREFIXES = [f"2001:db8:{number}::/64" for number in range(1, 7)] + [f"192.0.2.{number}/32" for number in range(4)]
REFUSED = {PREFIXES[0], PREFIXES[9]}
owners = st.sampled_from(["web1", "web2", "web3"])
wishes = st.frozensets(st.sampled_from(PREFIXES), max_size=6)


def announcements(prefixes: frozenset[str] | set[str]) -> frozenset[Announcement]:
    return frozenset(Announcement(ip_network(prefix), IPv6Address("fe80::1")) for prefix in prefixes)


class Book(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.ledger = Ledger(SETTINGS)
        self.wishes: dict[str, frozenset[str]] = {}
        self.exabgp: dict[tuple[str, str], str] = {}
        self.asked: deque[Command] = deque()
        self.ready = self.complete = False

    def wished(self) -> set[str]:
        return set().union(*self.wishes.values())

    @rule(owner=owners, wish=wishes)
    def want(self, owner: str, wish: frozenset[str]) -> None:
        self.wishes[owner] = wish
        self.ledger.want(owner, announcements(wish))

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
            self.exabgp.clear()
        self.ledger.disconnected()
        assert self.ledger.held() is None
        for (peer, prefix), attributes in self.exabgp.items():
            self.ledger.adopt(peer, prefix, attributes)
        self.ledger.ready()
        self.ready = True

    @rule()
    def ask(self) -> None:
        command = self.ledger.next_command()
        if command is None:
            return
        assert self.ready
        assert self.complete
        others = {route for other in self.asked for route in other.routes()}
        assert not others & set(command.routes()), "what became of a route is known before it is changed again"
        if command.verb is Verb.WITHDRAW:
            assert all(self.exabgp[route] == command.attributes for route in command.routes()), "a withdraw repeats the announce"
        self.asked.append(command)
        assert len(self.asked) <= WINDOW

    def answer_at_exabgp(self) -> bool:
        command = self.asked.popleft()
        if REFUSED & set(command.prefixes):
            return False
        for route in command.routes():
            if command.verb is Verb.ANNOUNCE:
                self.exabgp[route] = command.attributes
            else:
                self.exabgp.pop(route)
        return True

    @precondition(lambda self: self.asked)
    @rule()
    def answer(self) -> None:
        self.ledger.answered(self.answer_at_exabgp())

    @rule(peer=st.sampled_from([A, B]))
    def peer_up(self, peer: str) -> None:
        self.ledger.retry(peer)

    @invariant()
    def what_is_held_is_what_exabgp_holds(self) -> None:
        held = self.ledger.held()
        if held is None:
            return
        everywhere = {prefix for prefix in PREFIXES if (A, prefix) in self.exabgp and (B, prefix) in self.exabgp}
        strays = {prefix for _, prefix in self.exabgp} - self.wished()
        assert {str(one.prefix) for one in held} == (everywhere & self.wished()) | strays
        assert {str(one.prefix) for one in held if one.host == UNKNOWN_HOST} == strays

    @invariant()
    def it_ends_with_exactly_the_wishes_that_are_not_refused(self) -> None:
        if not self.ledger.in_sync():
            return
        wished = self.wished()
        assert self.exabgp == {(peer, prefix): ATTRIBUTES for peer in (A, B) for prefix in wished - REFUSED}
        assert {command.prefixes for command in self.ledger.refused()} == {(prefix,) for prefix in wished & REFUSED}
        assert self.ledger.queued() == 0
        assert self.ledger.settled(announcements(wished))

    def teardown(self) -> None:
        self.say_complete()
        if not self.ready:
            self.reconnect(lost=False, taken=False)
        for _ in range(100):
            if self.asked:
                self.answer()
            if self.ledger.in_sync():
                break
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
