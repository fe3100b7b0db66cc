"""Which announcements are also somebody else's, and for how long."""

from ipaddress import IPv4Address, IPv6Address

from l3ctl.bgp.others import LASTS, Duplicate, Others
from l3ctl.peering import BgpSettings, Peer

UP1, UP2, LOCAL = (IPv6Address(f"2001:db8:ffff::{number}") for number in ("1", "b1", "2"))
R2, R3 = "2001:db8:ffff::3", "2001:db8:ffff::4"
WEB1, DB1 = "2001:db8:11::/64", "2001:db8:12::/64"
PEERS = tuple(Peer(address, 65000, LOCAL, LOCAL, hear=True) for address in (UP1, UP2))


def others() -> Others:
    return Others(BgpSettings(IPv4Address("192.0.2.1"), 65010, PEERS))


def test_a_duplicate_is_one_when_it_has_lasted() -> None:
    book = others()
    book.announce(str(UP1), WEB1, R2)
    book.announce(str(UP1), DB1, R2)
    assert book.lasting({WEB1}, 100.0) == []
    assert book.lasting({WEB1}, 100.0 + LASTS / 2) == []
    assert book.lasting({WEB1}, 100.0 + LASTS) == [Duplicate(WEB1, R2, str(UP1))]
    assert book.lasting({WEB1, DB1}, 101.0 + LASTS) == [Duplicate(WEB1, R2, str(UP1))], "db1 is announced here only now"
    book.withdraw(str(UP1), WEB1)
    assert book.lasting({WEB1}, 200.0) == []


def test_a_host_that_moves_is_none_however_often() -> None:
    book = others()
    for move in range(10):
        now = 100.0 + move * LASTS
        book.announce(str(UP1), WEB1, R2)
        assert book.lasting({WEB1}, now) == []
        book.withdraw(str(UP1), WEB1)
        assert book.lasting({WEB1}, now + LASTS / 2) == []


def test_our_own_announcement_that_comes_back_is_none_and_replaces_one() -> None:
    book = others()
    book.announce(str(UP1), WEB1, R2)
    assert book.lasting({WEB1}, 0.0) == []
    book.announce(str(UP1), WEB1, str(LOCAL))
    assert book.lasting({WEB1}, LASTS) == []


def test_what_two_peers_say_is_told_once_and_goes_when_both_have_withdrawn() -> None:
    book = others()
    for peer in (UP2, UP1):
        book.announce(str(peer), WEB1, R2)
    book.announce(str(UP2), DB1, R3)
    assert book.lasting({WEB1, DB1}, 0.0) == []
    assert book.lasting({WEB1, DB1}, LASTS) == [Duplicate(WEB1, R2, str(UP1)), Duplicate(DB1, R3, str(UP2))]
    book.forget(str(UP1))
    assert book.lasting({WEB1, DB1}, LASTS) == [Duplicate(WEB1, R2, str(UP2)), Duplicate(DB1, R3, str(UP2))]
    book.forget(str(UP2))
    assert book.lasting({WEB1, DB1}, LASTS) == []
