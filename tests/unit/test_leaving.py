"""What billing takes away keeps its ground until peers can have heard of it. The speaker is the real one; this test is its relay."""

import time
from dataclasses import replace
from ipaddress import IPv6Address, ip_network

import pytest

from l3ctl.bgp import sessions
from l3ctl.bgp.sessions import CATCHES_UP
from l3ctl.bgp.speaker import Speaker
from l3ctl.desired import port_policy
from l3ctl.leaving import _AFTERWARDS, _PATIENCE, _UNSURE, Leaving
from l3ctl.model import Change, Host, Neighbour, Port, PortPolicy, Route, Settings, Verb
from l3ctl.names import ORPHAN
from tests.unit.test_bgp_speaker import ATTRIBUTES, PEER, SETTINGS, Table, announcements, command, table  # noqa: F401  the fixture

PREFIX, OTHER = "2001:db8:11::/64", "2001:db8:12::/64"


def port(name: str, netdev: str, *prefixes: str) -> Port:
    networks = tuple(ip_network(prefix) for prefix in prefixes)
    return Port(name, netdev, netdev, None, (Host("52:54:00:00:00:01", IPv6Address("fe80::1"), networks),))  # type: ignore[arg-type]


def withdraw(name: str, prefix: str) -> Change:
    (one,) = announcements(prefix)
    return Change(name, Verb.WITHDRAW, one)


def remove(name: str, netdev: str, prefix: str) -> Change:
    return Change(name, Verb.REMOVE, Route(netdev, ip_network(prefix), IPv6Address("fe80::1"), 1024))


WEB, DB = port("web1", "p0", PREFIX), port("db1", "p1", OTHER)
GOING = [withdraw("web1", PREFIX), remove(f"{ORPHAN}p0", "p0", PREFIX)]
"""web1 is billed no longer: what is left stands under its netdev's name"""
UP = f"peer {PEER} up"
ELSEWHERE = remove("db1", "p1", "2001:db8:13::/64")


def announcing(bench: Table) -> Leaving:
    """All of it is announced, and the relay there."""
    bench.speaker.want_together({"web1": announcements(PREFIX), "db1": announcements(OTHER)})
    bench.speaker.complete()
    bench.say(bench.relay(), *(f"held {PEER} {prefix} {ATTRIBUTES}" for prefix in (PREFIX, OTHER)), UP, "ready")
    leaving = Leaving(bench.speaker)
    leaving.others([WEB, DB])
    return leaving


def send_all(one: Table) -> None:
    """ExaBGP has sent what it took; what it has not, shows by its relay's silence."""
    one.speaker.tick(time.monotonic())
    said = one.heard(one.relays[-1])
    assert said is not None
    assert said[-1] == "flush"
    one.say(one.relays[-1], "flushed")


def test_the_route_goes_when_exabgp_has_taken_the_withdraw(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    made = leaving.hold([*GOING, ELSEWHERE], {"db1": DB}, 0.0)
    assert list(made) == [GOING[0], ELSEWHERE], "others go on"
    assert leaving.held() == [GOING[1]]
    table.speaker.want("web1", frozenset())
    assert leaving.released(1.0) == set()
    assert list(leaving.hold(GOING[1:], {"db1": DB}, 1.0)) == []
    table.say(table.relays[0], "done")
    assert leaving.released(1.0) == leaving.released(1.0 + _AFTERWARDS) == set(), "it answers before it sends"
    send_all(table)
    assert leaving.released(2.0) == set()
    assert leaving.released(2.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0"}
    assert leaving.held() == []
    assert list(leaving.hold(GOING[1:], {"db1": DB}, 3.0)) == GOING[1:]


@pytest.fixture(autouse=True)
def prompt(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Peers let go at once of what they were not told again, but where that is what a test is about."""
    if "slow" not in request.fixturenames:
        monkeypatch.setattr(sessions, "PRUNES", 0.0)


@pytest.fixture
def slow() -> float:
    return sessions.PRUNES


LONGEST = SETTINGS.restart_time


def test_an_exabgp_that_does_not_answer_is_waited_for_so_long(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    assert leaving.released(LONGEST - 0.1) == set()
    assert leaving.released(LONGEST) == {"web1", f"{ORPHAN}p0"}


def policy(*prefixes: str, guard: str = "p0") -> PortPolicy:
    return replace(port_policy(port("web1", "p0", *prefixes), "02:00:00:00:00:01", Settings((IPv6Address("fe80::1"),), ())), guard=guard)


def announce(prefix: str) -> Change:
    (one,) = announcements(prefix)
    return Change("web1", Verb.ANNOUNCE, one)


NEW = "2001:db8:14::/64"
COMES = replace(remove("web1", "p0", NEW), verb=Verb.ADD)
NEXT_POLICY = Change("web1", Verb.REPLACE, policy(NEW), policy(PREFIX))
policy_goes = Change("web1", Verb.REMOVE, policy(PREFIX))


def test_where_something_else_is_to_come_the_wait_is_short(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    changes = [GOING[0], remove("web1", "p0", PREFIX), NEXT_POLICY, COMES, announce(NEW)]
    made = leaving.hold(changes, {"web1": port("web1", "p0", NEW)}, 0.0)
    assert list(made) == changes[:1], "the next policy would not have what is leaving, and what is new would rest on it"
    assert sorted(map(str, leaving.held())) == sorted(map(str, changes[1:]))
    table.speaker.want("web1", frozenset())
    assert leaving.released(_PATIENCE - 0.1) == set()
    assert leaving.released(_PATIENCE) == {"web1", f"{ORPHAN}p0"}


def test_who_is_billed_again_waits_no_longer(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    table.relays[0].close()
    table.turn()
    leaving.hold(GOING, {"db1": DB}, 0.0)
    leaving.others([])
    coming = remove("db2", "p3", PREFIX)
    assert list(leaving.hold([coming], {"db1": DB, "db2": port("db2", "p3", PREFIX)}, 1.0)) == [coming]
    assert leaving.released(1.0) == {"web1", f"{ORPHAN}p0"}


def test_a_peer_whose_session_is_down_keeps_what_it_had_and_is_waited_for(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    table.say(table.relays[0], f"peer {PEER} down", "done")
    assert leaving.released(1.0) == leaving.released(2.0) == set()
    table.say(table.relays[0], UP)
    assert leaving.released(3.0) == leaving.released(4.0) == set(), "it has the session, and not yet what it is sent there"
    send_all(table)
    assert leaving.released(5.0) == set()
    assert leaving.released(5.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0"}


def test_an_exabgp_that_is_away_is_waited_for_and_the_next_one_holds_nothing(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    table.relays[0].close()
    table.turn()
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    assert leaving.released(1.0) == leaving.released(2.0) == set()
    relay = table.relay()
    table.say(relay, UP, "ready")
    table.say(relay, *["done"] * len(table.heard(relay) or ()))
    assert leaving.released(3.0) == leaving.released(4.0) == set(), "the peer has no End-of-RIB yet"
    send_all(table)
    assert leaving.released(5.0) == set()
    assert leaving.released(5.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0"}


def test_peers_that_have_had_no_session_for_the_restart_time_are_not_waited_for(
    table: Table,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaving = announcing(table)
    table.relays[0].close()
    table.turn()
    leaving.hold(GOING, {"db1": DB}, 0.0)
    assert leaving.released(1.0) == set()
    later = time.monotonic() + LONGEST
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert leaving.released(1.0) == leaving.released(1.0 + _AFTERWARDS) == set(), "with no relay there nothing is seen to be sent"
    assert leaving.released(1.0 + _UNSURE) == {"web1", f"{ORPHAN}p0"}


def test_where_there_is_always_more_to_send_some_time_counts_for_it(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    leaving = announcing(table)
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    table.say(table.relays[0], "done")
    table.speaker.want("more", announcements("2001:db8:77::/64"))
    assert leaving.released(1.0) == set(), "the session has just come up, as far as is known"
    later = time.monotonic() + CATCHES_UP
    monkeypatch.setattr(time, "monotonic", lambda: later)
    assert leaving.released(2.0) == leaving.released(3.0) == set()
    assert leaving.released(2.0 + _UNSURE) == {"web1", f"{ORPHAN}p0"}


def test_an_agent_that_begins_takes_no_prefix_away_before_it_knows_what_is_announced(table: Table) -> None:  # noqa: F811
    leaving = Leaving(table.speaker)
    relay = table.relay()
    table.say(relay, f"held {PEER} {PREFIX} {ATTRIBUTES}", UP, "ready")
    going, down, moved = GOING[1], remove("down", "p8", "2001:db8:18::/64"), remove("db1", "p1", "2001:db8:13::/64")
    policy = Change("web1", Verb.REMOVE, port_policy(WEB, "02:00:00:00:00:01", Settings((IPv6Address("fe80::1"),), ())))
    ports = {"db1": DB, "down": port("down", "p8", "2001:db8:18::/64"), "web2": port("web2", "p2", "2001:db8:13::/64")}
    made = leaving.hold([going, policy, down, moved], ports, 0.0)
    assert list(made) == [down, moved], "the one's link is down, the other's prefix is billed elsewhere"
    table.speaker.complete()
    assert table.heard(relay) == [command("withdraw", PREFIX)]
    assert leaving.released(1.0) == set()
    table.say(relay, "done")
    send_all(table)
    assert leaving.released(2.0) == set()
    assert leaving.released(2.0 + _AFTERWARDS) == {f"{ORPHAN}p0", "web1"}, "its policy stands under its own name"
    assert list(leaving.hold([going, policy], {"db1": DB}, 3.0)) == [going, policy]


def test_an_agent_that_never_comes_to_know_it_waits_once(table: Table) -> None:  # noqa: F811
    leaving = Leaving(table.speaker)
    assert list(leaving.hold(GOING[1:], {}, 0.0)) == []
    assert leaving.released(LONGEST - 1.0) == set()
    assert leaving.released(LONGEST) == {f"{ORPHAN}p0"}
    assert list(leaving.hold(GOING[1:], {}, LONGEST)) == GOING[1:]


def test_nobody_waits_where_the_link_is_down_or_the_prefix_is_billed_elsewhere_or_nothing_is_announced(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    going = [withdraw("web1", PREFIX), remove("web1", "p0", PREFIX)]
    assert list(leaving.hold(going, {"web1": WEB}, 0.0)) == going
    assert list(leaving.hold(GOING, {"db1": port("db1", "p1", PREFIX)}, 0.0)) == GOING
    assert list(Leaving(None).hold(GOING, {}, 0.0)) == GOING


def test_what_stands_and_stays_is_announced_meanwhile(table: Table) -> None:  # noqa: F811
    """An agent that has begun anew announces all that it finds, and End-of-RIB would make peers forget the rest."""
    leaving = announcing(table)
    stays = announce(OTHER)
    next_policy = Change("web1", Verb.REPLACE, policy(OTHER), policy(PREFIX, OTHER))
    changes = [remove("web1", "p0", PREFIX), next_policy, stays]
    made = leaving.hold([withdraw("web1", PREFIX), *changes], {"web1": port("web1", "p0", OTHER)}, 0.0)
    assert list(made) == [withdraw("web1", PREFIX), stays]
    assert leaving.held() == changes[:2]
    table.speaker.want("web1", announcements(OTHER))
    assert leaving.released(_PATIENCE) == leaving.released(LONGEST - 0.1) == set(), "nothing comes that would need the place"


def test_what_somebody_has_changed_is_put_right_meanwhile(table: Table) -> None:  # noqa: F811
    """A neighbour that is gone, an XDP program that is off, a map that was wiped: they are no part of what leaves."""
    leaving = announcing(table)
    neighbour = Change("web1", Verb.ADD, Neighbour("p0", IPv6Address("fe80::1"), "52:54:00:00:00:01"))
    unguarded = Change("web1", Verb.REPLACE, policy(OTHER), policy(PREFIX, OTHER, guard=""))
    wiped = Change("web1", Verb.REPLACE, policy(OTHER), policy())
    going = remove("web1", "p0", PREFIX)
    for heals in (neighbour, unguarded, wiped):
        made = leaving.hold([withdraw("web1", PREFIX), going, heals], {"web1": port("web1", "p0", OTHER)}, 0.0)
        assert list(made) == [withdraw("web1", PREFIX), heals]


def test_what_is_billed_elsewhere_leaves_a_port_that_waits_for_something_else(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    moved = remove("web1", "p0", "2001:db8:13::/64")
    ports = {"web1": port("web1", "p0"), "db1": port("db1", "p1", OTHER, "2001:db8:13::/64")}
    changes = [withdraw("web1", PREFIX), remove("web1", "p0", PREFIX), moved]
    assert list(leaving.hold(changes, ports, 0.0)) == [changes[0], moved]


def test_who_comes_to_the_place_of_one_that_leaves_waits_with_it(table: Table) -> None:  # noqa: F811
    """cust2 on the netdev of web1: what web1 leaves there stands under cust2's name."""
    leaving = announcing(table)
    cust2 = port("cust2", "p0", NEW)
    leaving.others([WEB, cust2])
    going, guards = remove("cust2", "p0", PREFIX), Change("cust2", Verb.ADD, cust2_policy := replace(policy(NEW), port="cust2"))
    assert cust2_policy.guard == "p0"
    made = leaving.hold([withdraw("web1", PREFIX), going, guards, policy_goes], {"cust2": cust2}, 0.0)
    assert list(made) == [withdraw("web1", PREFIX)]
    table.speaker.want("web1", frozenset())
    table.say(table.relays[0], "done")
    send_all(table)
    assert leaving.released(1.0) == set()
    assert leaving.released(1.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0", "cust2"}


def test_what_the_peer_has_not_acknowledged_it_has_not_heard(table: Table, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    leaving = announcing(table)
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    table.say(table.relays[0], "done")
    send_all(table)
    assert leaving.released(1.0) == set()
    monkeypatch.setattr(Speaker, "acknowledged", lambda _: False)  # as where segments are lost, which tests/faults does
    assert leaving.released(9.0) == set()
    monkeypatch.undo()
    assert leaving.released(9.0) == {"web1", f"{ORPHAN}p0"}


def test_what_a_lost_link_has_withdrawn_is_waited_for_when_billing_takes_it_away(table: Table) -> None:  # noqa: F811
    """Its segments may be lost as well as any other's."""
    leaving = announcing(table)
    going = [withdraw("web1", PREFIX), remove("web1", "p0", PREFIX)]
    assert list(leaving.hold(going, {"web1": WEB, "db1": DB}, 0.0)) == going
    table.speaker.want("web1", frozenset())
    leaving.others([WEB])
    rest = [Change(f"{ORPHAN}p0", Verb.REMOVE, Neighbour("p0", IPv6Address("fe80::1"), "52:54:00:00:00:01")), policy_goes]
    assert list(leaving.hold(rest, {"db1": DB}, 1.0)) == []
    table.say(table.relays[0], "done")
    send_all(table)
    assert leaving.released(2.0) == set()
    assert leaving.released(2.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0"}
    assert list(leaving.hold(rest, {"db1": DB}, 3.0)) == rest


def test_what_came_back_since_or_was_withdrawn_long_ago_is_not_waited_for(table: Table) -> None:  # noqa: F811
    leaving = announcing(table)
    ports = {"web1": WEB, "db1": DB}
    leaving.hold([withdraw("web1", PREFIX), withdraw("db1", OTHER)], ports, 0.0)
    leaving.hold([announce(PREFIX)], ports, 1.0)
    leaving.others([WEB, DB])
    rest = [policy_goes, replace(policy_goes, port="db1")]
    assert list(leaving.hold(rest, {}, LONGEST + 1.0)) == rest


def test_a_peer_that_was_told_all_anew_has_time_to_let_go_of_the_rest(
    table: Table,  # noqa: F811
    slow: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    leaving = announcing(table)
    table.say(table.relays[0], f"peer {PEER} down", UP)
    leaving.hold(GOING, {"db1": DB}, 0.0)
    table.speaker.want("web1", frozenset())
    table.say(table.relays[0], "done")
    send_all(table)
    now = time.monotonic()
    monkeypatch.setattr(time, "monotonic", lambda: now + slow - 1.0)
    assert leaving.released(1.0) == leaving.released(9.0) == set()
    monkeypatch.setattr(time, "monotonic", lambda: now + slow)
    assert leaving.released(9.0) == set()
    assert leaving.released(9.0 + _AFTERWARDS) == {"web1", f"{ORPHAN}p0"}
