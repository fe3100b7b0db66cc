from dataclasses import replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

import pytest

from l3ctl.bgp.exabgp_config import exabgp_config
from l3ctl.bgp.lines import Command, Wording
from l3ctl.bgp.pending import BATCH, Pending
from l3ctl.errors import AnnouncementRefused, BadInput
from l3ctl.model import Announcement, PathAttributes, Verb
from l3ctl.peering import BgpSettings, NextHop, Peer

A, B = IPv6Address("2001:db8:ffff::1"), IPv6Address("2001:db8:fffe::1")
LOCAL = IPv6Address("2001:db8:ffff::2")


def settings(*peers: Peer, med: int = 0) -> BgpSettings:
    return BgpSettings(IPv4Address("192.0.2.1"), 64512, peers, med=med)


def test_a_withdraw_is_the_announce_with_one_word_changed() -> None:
    said = ("2001:db8:ffff::1", "next-hop 2001:db8:ffff::2 med 0", ("2001:db8:11::/64", "2001:db8:12::/64"))
    announce, withdraw = str(Command(Verb.ANNOUNCE, *said)), str(Command(Verb.WITHDRAW, *said))
    assert announce == (
        "neighbor 2001:db8:ffff::1 announce attributes next-hop 2001:db8:ffff::2 med 0 nlri 2001:db8:11::/64 2001:db8:12::/64"
    )
    assert withdraw == announce.replace("announce", "withdraw")


HOST = IPv6Address("fe80::5054:ff:fe0a:b")
WEB1 = Announcement(IPv6Network("2001:db8:11::/64"), HOST)


def worded(bgp: BgpSettings, announcement: Announcement = WEB1) -> list[str | None]:
    wording = Wording(bgp)
    return [wording.attributes(str(peer.address), announcement) for peer in bgp.peers]


def test_each_peer_has_its_own_next_hop_and_all_the_same_med() -> None:
    peers = (Peer(A, 64512, LOCAL, LOCAL), Peer(B, 64512, LOCAL, IPv6Address("fe80::2")))
    assert worded(settings(*peers, med=5)) == ["next-hop 2001:db8:ffff::2 med 5", "next-hop fe80::2 med 5"]


def test_a_next_hop_may_be_the_hosts_own_or_the_routers_on_that_link_which_has_to_be_known() -> None:
    bgp = settings(Peer(A, 64512, LOCAL, NextHop.HOST), Peer(B, 64512, LOCAL, NextHop.LINK_LOCAL))
    assert worded(bgp) == [f"next-hop {HOST} med 0", None]
    wording = Wording(bgp)
    assert wording.resolve(str(B), IPv6Address("fe80::2"))
    assert not wording.resolve(str(B), IPv6Address("fe80::2"))
    assert wording.attributes(str(B), WEB1) == "next-hop fe80::2 med 0"
    cover = Announcement(IPv6Network("2001:db8::/40"), None)
    assert wording.attributes(str(A), cover) == f"next-hop {LOCAL} med 0", "what covers hosts is reached through the router"


def test_attributes_are_spelled_as_exabgp_shows_them_and_a_port_may_have_its_own() -> None:
    bgp = replace(
        settings(Peer(A, 64512, LOCAL, LOCAL), Peer(B, 64513, LOCAL, LOCAL), med=5),
        local_preference=200,
        communities=((64512, 20), (64512, 3), (65535, 65281), (65535, 0)),
        large_communities=((64512, 1, 2),),
    )
    theirs = "community [ 64512:3 64512:20 65535:0 no-export ] large-community 64512:1:2"
    assert worded(bgp) == [
        f"next-hop {LOCAL} med 5 local-preference 200 {theirs}",
        f"next-hop {LOCAL} med 5 {theirs}",  # an external peer is told no local preference
    ]
    own = PathAttributes(med=7, communities=(), large_communities=((64512, 1, 20), (64512, 1, 3)))
    assert worded(bgp, replace(WEB1, attributes=own)) == [
        f"next-hop {LOCAL} med 7 local-preference 200 large-community [ 64512:1:3 64512:1:20 ]",
        f"next-hop {LOCAL} med 7 large-community [ 64512:1:3 64512:1:20 ]",
    ]


def test_an_ipv4_next_hop_is_refused_by_name() -> None:
    bgp = settings(Peer(A, 64512, LOCAL, IPv4Address("192.0.2.1")))
    with pytest.raises(AnnouncementRefused, match=r"2001:db8:ffff::1: next hop 192\.0\.2\.1"):
        exabgp_config(bgp, "/bin/true")


@pytest.mark.parametrize("command", ["", "relay", '/bin/relay "a\\"b"', "/bin/relay 'a\nb'", "/bin/relay\\\\x", "/bin/relay sóckets"])
def test_a_relay_command_exabgp_could_not_run_is_refused(command: str) -> None:
    with pytest.raises(BadInput):
        exabgp_config(settings(Peer(A, 64512, LOCAL, LOCAL)), command)


def test_the_interface_is_named_only_for_sessions_over_link_local_addresses() -> None:
    link_local = Peer(IPv6Address("fe80::1"), 64512, IPv6Address("fe80::2"), IPv6Address("fe80::2"), interface="up0")
    overall = Peer(A, 64512, LOCAL, LOCAL, interface="up0")
    assert "source-interface up0;" in exabgp_config(settings(link_local), "/bin/true")
    assert "source-interface" not in exabgp_config(settings(overall), "/bin/true")


def test_exabgp_tells_only_of_peers_that_are_heard() -> None:
    one, other = exabgp_config(settings(Peer(A, 64512, LOCAL, LOCAL), Peer(B, 64512, LOCAL, LOCAL, hear=True)), "/bin/true").split(
        f"neighbor {B}"
    )
    assert [text in one for text in ("receive {", "adj-rib-in true;")] == [False, False]
    assert [text in other for text in ("receive {", "adj-rib-in true;")] == [True, True]


def taken(pending: Pending) -> list[tuple[str, str, tuple[str, ...]]]:
    return [(command.verb.value, command.peer, command.prefixes) for command in iter(pending.take, None)]


def test_live_goes_before_resync_and_withdraw_before_announce() -> None:
    pending = Pending()
    pending.put(("a", "::1"), Verb.ANNOUNCE, "x", live=False)
    pending.put(("a", "::2"), Verb.WITHDRAW, "x", live=False)
    pending.put(("a", "::3"), Verb.ANNOUNCE, "x", live=True)
    pending.put(("a", "::4"), Verb.WITHDRAW, "x", live=True)
    assert taken(pending) == [
        ("withdraw", "a", ("::4",)),
        ("announce", "a", ("::3",)),
        ("withdraw", "a", ("::2",)),
        ("announce", "a", ("::1",)),
    ]


def test_only_the_newest_change_of_a_route_is_kept_and_what_was_live_stays_live() -> None:
    pending = Pending()
    pending.put(("a", "::1"), Verb.ANNOUNCE, "x", live=True)
    pending.put(("a", "::2"), Verb.WITHDRAW, "x", live=True)
    pending.put(("a", "::1"), Verb.WITHDRAW, "x", live=False)
    pending.put(("a", "::3"), Verb.WITHDRAW, "x", live=True)
    pending.drop(("a", "::3"))
    assert len(pending) == 2
    assert taken(pending) == [("withdraw", "a", ("::2", "::1"))]
    assert len(pending) == 0


def test_a_command_never_mixes_families_peers_or_attributes_and_is_never_longer_than_a_batch() -> None:
    pending = Pending()
    for number in range(BATCH + 1):
        pending.put(("a", f"2001:db8:{number:x}::/64"), Verb.ANNOUNCE, "x", live=False)
    pending.put(("a", "192.0.2.1/32"), Verb.ANNOUNCE, "x", live=False)
    pending.put(("b", "192.0.2.1/32"), Verb.ANNOUNCE, "x", live=False)
    pending.put(("b", "192.0.2.2/32"), Verb.ANNOUNCE, "y", live=False)
    commands = list(iter(pending.take, None))
    assert [len(command.prefixes) for command in commands] == [1, BATCH, 1, 1, 1]
    assert all(len({ip_address(prefix.split("/")[0]).version for prefix in command.prefixes}) == 1 for command in commands)


def test_what_was_refused_in_company_goes_alone() -> None:
    pending = Pending()
    for prefix in ("::1", "::2"):
        pending.put(("a", prefix), Verb.ANNOUNCE, "x", live=False, alone=True)
    assert taken(pending) == [("announce", "a", ("::1",)), ("announce", "a", ("::2",))]
