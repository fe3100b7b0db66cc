"""What the relay keeps of what peers say, and what it makes of nonsense."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3ctl.bgp.hearing import Hearing

PEER, OTHER = "2001:db8:ffff::1", "2001:db8:fffe::1"
R2, R3 = "2001:db8:ffff::3", "2001:db8:ffff::4"
WEB1, WEB1_4 = "2001:db8:11::/64", "192.0.2.11/32"
ROW = f"neighbor {PEER} local-ip ::2 local-as 65010 peer-as 65000 router-id 192.0.2.1 family-allowed in-open ipv6 unicast"


def update(announce: dict[str, dict[str, list[str]]] | None = None, withdraw: dict[str, list[str]] | None = None) -> dict[str, Any]:
    """As ExaBGP 5 says it."""
    told: dict[str, Any] = {"attribute": {"origin": "igp", "as-path": {"0": {"element": "as-sequence", "value": [65000, 65010]}}}}
    if announce:
        told["announce"] = {
            family: {next_hop: [{"nlri": prefix} for prefix in prefixes] for next_hop, prefixes in hops.items()}
            for family, hops in announce.items()
        }
    if withdraw:
        told["withdraw"] = {family: [{"nlri": prefix} for prefix in prefixes] for family, prefixes in withdraw.items()}
    return {"update": told}


BOTH = update({"ipv6 unicast": {R2: [WEB1]}, "ipv4 unicast": {R2: [WEB1_4]}})


def test_only_changes_are_told_and_a_new_agent_is_told_all() -> None:
    hearing = Hearing()
    told = [f"heard {PEER} announce {WEB1_4} {R2}", f"heard {PEER} announce {WEB1} {R2}"]
    assert list(hearing.update(PEER, BOTH)) == told
    assert list(hearing.update(PEER, BOTH)) == []
    assert list(hearing.update(PEER, update({"ipv6 unicast": {R3: [WEB1]}}))) == [f"heard {PEER} announce {WEB1} {R3}"]
    assert list(hearing.lines()) == [told[0], f"heard {PEER} announce {WEB1} {R3}"]
    gone = update(withdraw={"ipv4 unicast": [WEB1_4, "192.0.2.99/32"]})
    assert list(hearing.update(PEER, gone)) == [f"heard {PEER} withdraw {WEB1_4}"]
    hearing.forget(OTHER)
    assert list(hearing.lines()) == [f"heard {PEER} announce {WEB1} {R3}"]
    hearing.forget(PEER)
    assert list(hearing.lines()) == []


def test_of_a_whole_table_no_more_is_kept_than_the_limit_and_that_is_told_once() -> None:
    hearing = Hearing(limit=3)
    table = [f"2001:db8:{number:x}::/64" for number in range(10)]
    told = list(hearing.update(PEER, update({"ipv6 unicast": {R2: table}})))
    assert told == [*(f"heard {PEER} announce {prefix} {R2}" for prefix in table[:3]), f"heard {PEER} more"]
    assert list(hearing.update(PEER, update({"ipv6 unicast": {R3: table}}))) == [f"heard {PEER} announce {one} {R3}" for one in table[:3]]
    assert list(hearing.lines())[-1] == f"heard {PEER} more"
    hearing.forget(PEER)
    assert list(hearing.update(OTHER, update({"ipv6 unicast": {R2: table[:3]}}))) == [f"heard {OTHER} announce {p} {R2}" for p in table[:3]]


def test_what_a_relay_that_has_just_been_born_is_shown_of_exabgps_memory() -> None:
    hearing = Hearing()
    hearing.recover(f"{ROW} {WEB1} next-hop {R2} origin igp as-path [ 65000 65010 ]".split())
    hearing.recover(f"{ROW} {WEB1} label 3 next-hop {R2}".split())
    assert list(hearing.lines()) == [f"heard {PEER} announce {WEB1} {R2}"]


@pytest.mark.parametrize(
    ("prefix", "next_hop"),
    [
        ("2001:db8::/64 x", R2),
        ("2001:db8::/64\ndone", R2),
        ("", R2),
        ("::", R2),
        (WEB1, "null"),
        (WEB1, f"{R2} more"),
        (WEB1, ""),
        (f"{'1' * 99}/64", R2),
        ("٣::/64", R2),
    ],
)
def test_what_does_not_look_like_a_route_is_neither_kept_nor_told(prefix: str, next_hop: str) -> None:
    hearing = Hearing()
    assert list(hearing.update(PEER, update({"ipv6 unicast": {next_hop: [prefix]}}))) == []
    assert list(hearing.lines()) == []


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.sampled_from([WEB1, R2]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["update", "announce", "withdraw", "ipv6 unicast", "ipv4 unicast", "nlri", R2, "eor"]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(JSON)
def test_any_document_at_all_is_read_or_refused_in_a_known_way(message: object) -> None:
    hearing = Hearing()
    try:
        told = list(hearing.update(PEER, message))
    except (LookupError, TypeError, AttributeError, ValueError):
        return
    assert all(len(line.split(" ")) == (5 if "announce" in line else 4) for line in told)
