"""One bad record keeps its last good version and costs no other its place; what stands never contradicts itself."""

from ipaddress import ip_address

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3ctl.inventory.faults import Reserved, conflicts
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.standing import Proposal, Standing
from l3ctl.reading.document import Value
from tests.unit.inventories import delivery, names, record

RESERVED = Reserved("r1", gateways=frozenset({ip_address("fe80::1"), ip_address("198.51.100.1")}))


def standing(*records: Value) -> Standing:
    """That of these, which are all good."""
    one = Standing(RESERVED)
    taken = take(one, delivery(*records))
    assert not taken.quarantined
    return one


def take(one: Standing, told: Delivery) -> Proposal:
    proposal = one.consider(told)
    one.take(proposal)
    return proposal


def prefixes(one: Standing) -> dict[str, list[str]]:
    return {port.name: [str(prefix) for host in port.hosts for prefix in host.prefixes()] for port in one.ports()}


A, B, C = record("a", 1), record("b", 2), record("c", 3)
P1, P2, P3, P4 = (f"2001:db8:0:{number}::/64" for number in (1, 2, 3, 4))


@pytest.mark.parametrize(
    ("delivered", "stand", "quarantined", "said"),
    [
        ([A, B, C], {"a": [P1], "b": [P2], "c": [P3]}, [], ""),
        ([C, B, A], {"a": [P1], "b": [P2], "c": [P3]}, [], ""),
        ([A, B], {"a": [P1], "b": [P2]}, [], ""),
        ([A, B | {"mac": "x"}, C], {"a": [P1], "b": [P2], "c": [P3]}, ["b"], "[1].mac: 'mac' must be a MAC"),
        ([A, B | {"ipv6": [P4]}, C], {"a": [P1], "b": [P4], "c": [P3]}, [], ""),
        ([A, B | {"ipv6": [P1]}, C], {"a": [P1], "b": [P2], "c": [P3]}, ["b"], "port 'b' claims 2001:db8:0:1::/64, which overlaps"),
        ([A | {"ipv6": [P2]}, B, C], {"a": [P1], "b": [P2], "c": [P3]}, ["a"], "port 'a' claims 2001:db8:0:2::/64, which overlaps"),
        ([A | {"ipv6": [P2]}, B | {"ipv6": [P1]}, C], {"a": [P2], "b": [P1], "c": [P3]}, [], ""),
        ([A | {"ipv6": [P2]}, B | {"ipv6": [P3]}, C | {"ipv6": [P1]}], {"a": [P2], "b": [P3], "c": [P1]}, [], ""),
        (
            [A | {"ipv6": [P2]}, B | {"ipv6": [P3], "mac": "x"}, C | {"ipv6": [P1]}],
            {"a": [P1], "b": [P2], "c": [P3]},
            ["a", "b", "c"],
            "port 'c' claims 2001:db8:0:1::/64, which overlaps",
        ),
        ([A, B, C, record("d", 4, ipv6=[P1])], {"a": [P1], "b": [P2], "c": [P3]}, ["d"], "(db: [0])"),
        ([record("d", 4, ipv6=[P1]), A, B, C], {"a": [P1], "b": [P2], "c": [P3]}, ["d"], "of port 'a' (db: [0])"),
        ([record("d", 4, ipv6=[P1]), B, C], {"b": [P2], "c": [P3], "d": [P1]}, [], ""),
        (
            [A, B, C, A | {"ipv6": [P4]}],
            {"a": [P1], "b": [P2], "c": [P3]},
            ["db: [3]"],
            "port name 'a' is used twice, first at db: [0].name",
        ),
        (
            [A | {"ipv6": [P4]}, A, B, C],
            {"a": [P1], "b": [P2], "c": [P3]},
            ["db: [0]"],
            "port name 'a' is used twice, first at db: [1].name",
        ),
        ([A, B, C | {"link_local": "fe80::1"}], {"a": [P1], "b": [P2], "c": [P3]}, ["c"], "which is a gateway address of the router"),
        ([A, B, C | {"router": "r2"}], {"a": [P1], "b": [P2]}, [], ""),
        ([A, B, "c"], {"a": [P1], "b": [P2], "c": [P3]}, ["db: [2]"], "db: [2]: "),
        ([A, B | {"name": "b b"}], {"a": [P1], "b": [P2], "c": [P3]}, ["db: [1]"], "'name' must be 1 to 63"),
    ],
    ids=[
        *("the same", "the same in another order", "one goes", "a bad MAC", "another prefix", "another's prefix", "that of a later one"),
        *("two swap", "three go round", "three would go round", "a new one in the way", "a new one first in the way"),
        *("one takes the place of who goes", "a name twice", "a name twice, the newer first", "a gateway's", "moved to another router"),
        *("no mapping", "a name that is none"),
    ],
)
def test_what_becomes_of_three_ports(delivered: list[Value], stand: dict[str, list[str]], quarantined: list[str], said: str) -> None:
    one = standing(A, B, C)
    proposal = take(one, delivery(*delivered))
    assert prefixes(one) == stand
    assert names(proposal.quarantined) == quarantined
    assert said in "\n".join(map(str, proposal.problems()))


def test_as_long_as_a_record_has_no_name_nobody_is_missing() -> None:
    one = standing(A, B, C)
    proposal = take(one, delivery(A, B | {"name": "b b"}))
    assert proposal.held == ("b", "c")
    proposal = take(one, delivery(A, B))
    assert (proposal.held, list(proposal.gone)) == ((), ["c"])


def test_a_change_of_a_few_says_nothing_of_the_others() -> None:
    one = standing(A, B, C)
    take(one, delivery(B | {"ipv6": [P4]}, gone=frozenset({"c", "unknown"}), whole=False))
    assert prefixes(one) == {"a": [P1], "b": [P4]}


def test_who_waits_for_another_comes_when_that_one_goes() -> None:
    one = standing(A, B)
    newcomer = record("d", 4, ipv6=[P1])
    assert names(take(one, delivery(newcomer, whole=False)).quarantined) == ["d"]
    assert names(take(one, delivery(C, whole=False)).quarantined) == ["d"], "it is still there"
    take(one, delivery(gone=frozenset({"a"}), whole=False))
    assert prefixes(one) == {"b": [P2], "c": [P3], "d": [P1]}
    assert not one.quarantined


def test_what_is_left_changes_nothing() -> None:
    one = standing(A, B, C)
    one.leave(one.consider(delivery(A | {"ipv6": [P2]}, B | {"ipv6": [P1]}, record("d", 4))))
    assert prefixes(one) == {"a": [P1], "b": [P2], "c": [P3]}
    assert not one.consider(delivery(A, B, C))


def test_what_is_held_back_counts_as_unchanged_until_it_is_delivered_otherwise() -> None:
    one = standing(A, B, C)
    one.hold_back({"a": A | {"ipv6": [P4]}, "d": record("d", 5), "b": None})
    rolled_back = delivery(A | {"ipv6": [P4]}, record("d", 5), C)
    assert not take(one, rolled_back)
    assert prefixes(one) == {"a": [P1], "b": [P2], "c": [P3]}
    take(one, delivery(A | {"ipv6": [P4], "announce": False}, record("d", 5), C))
    assert prefixes(one) == {"a": [P4], "b": [P2], "c": [P3]}


RECORDS = st.builds(
    lambda name, tap, prefix, ipv4, fault: record(name, tap, ipv6=[f"2001:db8:0:{prefix}::/{62 + prefix % 3}"], ipv4=ipv4) | fault,
    st.sampled_from("abcdef"),
    st.integers(1, 6),
    st.sampled_from([0, 4, 8, 12]),
    st.lists(st.sampled_from(["203.0.113.1", "203.0.113.2", "203.0.113.3"]), max_size=1),
    st.sampled_from(
        [{}, {}, {}, {}, {"mac": "x"}, {"ipv6": ["2001:db8::1/64"]}, {"name": ""}, {"router": "r2"}, {"link_local": "fe80::1"}]
    ),
)
DELIVERIES = st.builds(
    lambda records, gone, whole: delivery(*records, gone=frozenset() if whole else gone, whole=whole),
    st.lists(RECORDS, max_size=6),
    st.frozensets(st.sampled_from("abcdef"), max_size=2),
    st.booleans(),
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.tuples(DELIVERIES, st.booleans()), max_size=6))
def test_whatever_is_delivered_what_stands_agrees_and_every_record_stands_or_is_told_of(told: list[tuple[Delivery, bool]]) -> None:
    one = Standing(RESERVED)
    for each, taken in told:
        before = {name: one.port(name) for name in "abcdef"}
        proposal = one.consider(each)
        if not taken:
            one.leave(proposal)
            assert {name: one.port(name) for name in "abcdef"} == before
            continue
        one.take(proposal)
        assert not [*conflicts([kept.entry for kept in one._kept.values()], RESERVED)]
        for source in each.records:
            assert isinstance(source.value, dict)
            name = source.value["name"]
            assert name in proposal.fresh or name in proposal.order or name in proposal.quarantined or not name
        for name, quarantined in proposal.quarantined.items():
            assert quarantined.problems
            if quarantined.kept:
                assert one.port(name) == before[name] is not None or one._kept[name].entry.router == "r2"
        again = one.consider(Delivery(each.records, each.gone, each.whole))
        assert not again, "the same once more changes nothing"
        one.leave(again)
