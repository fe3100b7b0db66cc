"""The agent's end, over a real Unix socket: this test speaks the relay's side of the protocol."""

import os
import selectors
import socket
import stat
import time
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path

import pytest

from l3ctl.bgp.others import Duplicate
from l3ctl.bgp.pending import BATCH
from l3ctl.bgp.speaker import ANSWER_TIMEOUT, Speaker
from l3ctl.errors import MissingRequirement
from l3ctl.model import Announcement
from l3ctl.peering import BgpSettings, Peer

PEER = "2001:db8:ffff::1"
LOCAL = IPv6Address("2001:db8:ffff::2")
ATTRIBUTES = f"next-hop {LOCAL} med 0"
SETTINGS = BgpSettings(IPv4Address("192.0.2.1"), 64512, (Peer(IPv6Address(PEER), 64512, LOCAL, LOCAL),))


def announcements(*prefixes: str) -> frozenset[Announcement]:
    return frozenset(Announcement(ip_network(prefix), IPv6Address("fe80::1")) for prefix in prefixes)


def command(verb: str, *prefixes: str) -> str:
    return f"neighbor {PEER} {verb} attributes {ATTRIBUTES} nlri {' '.join(prefixes)}"


class Table:
    """A Speaker, its loop, and whatever relays call on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.selector = selectors.DefaultSelector()
        self.speaker = Speaker(path, SETTINGS, self.selector)
        self.speaker.open()
        self.relays: list[socket.socket] = []

    def relay(self) -> socket.socket:
        one = socket.socket(socket.AF_UNIX)
        self.relays.append(one)
        one.connect(str(self.path))
        one.setblocking(False)
        self.turn()
        return one

    def turn(self) -> None:
        """Let the loop run until nothing is ready."""
        while ready := self.selector.select(0):
            for key, _ in ready:
                key.data()

    def say(self, relay: socket.socket, *lines: str) -> None:
        relay.sendall("".join(f"{line}\n" for line in lines).encode())
        self.turn()

    def heard(self, relay: socket.socket) -> list[str] | None:
        """All that was sent to this relay and not heard yet; None when it was hung up on."""
        try:
            data = relay.recv(1 << 20)
        except BlockingIOError:
            return []
        return data.decode().splitlines() if data else None


@pytest.fixture
def table(tmp_path: Path) -> Iterator[Table]:
    one = Table(tmp_path / "bgp.sock")
    yield one
    one.speaker.close()
    one.selector.close()
    for relay in one.relays:
        relay.close()


@pytest.mark.parametrize("ready_first", [True, False])
def test_nothing_is_said_before_the_relay_is_ready_and_the_wishes_are_complete(table: Table, ready_first: bool) -> None:
    relay = table.relay()
    table.say(relay, f"held {PEER} 2001:db8:66::/64 {ATTRIBUTES}")
    table.speaker.want("web1", announcements("2001:db8:11::/64"))
    steps = [lambda: table.say(relay, "ready"), table.speaker.complete]
    first, second = steps if ready_first else reversed(steps)
    first()
    table.speaker.want("web2", announcements("2001:db8:12::/64"))
    assert table.heard(relay) == []
    second()
    assert table.heard(relay) == [command("withdraw", "2001:db8:66::/64")]


def test_only_the_difference_is_said_and_then_that_all_is(table: Table) -> None:
    table.speaker.want("web1", announcements("2001:db8:11::/64", "192.0.2.11/32"))
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}", f"held {PEER} 2001:db8:66::/64 {ATTRIBUTES}", "ready")
    assert table.heard(relay) == [command("withdraw", "2001:db8:66::/64")]
    assert {str(one.prefix) for one in table.speaker.held() or ()} == {"2001:db8:11::/64", "2001:db8:66::/64"}
    assert not table.speaker.in_sync()
    table.say(relay, "done")
    assert table.heard(relay) == [command("announce", "192.0.2.11/32")]
    table.say(relay, "done")
    assert table.heard(relay) == ["synced"]
    assert table.speaker.held() == table.speaker.wanted()
    assert table.speaker.in_sync()


def test_a_resync_waits_for_each_answer_and_a_live_change_for_none(table: Table) -> None:
    for number in range(200):
        table.speaker.want(f"p{number}", announcements(f"2001:db8:{number:x}::/64"))
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, "ready")
    first = table.heard(relay)
    assert first is not None
    assert len(first) == 1
    table.speaker.want("live", announcements("192.0.2.1/32"))
    assert table.heard(relay) == [command("announce", "192.0.2.1/32")]
    table.say(relay, "done")
    assert table.heard(relay) == []
    table.say(relay, "done")
    second = table.heard(relay)
    assert second is not None
    assert len(second) == 1


def test_both_families_of_a_port_are_asked_at_once(table: Table) -> None:
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, "ready")
    assert table.heard(relay) == ["synced"]
    table.speaker.want("web1", announcements("2001:db8:11::/64", "192.0.2.11/32"))
    assert table.heard(relay) == [command("announce", "192.0.2.11/32"), command("announce", "2001:db8:11::/64")]
    table.say(relay, "error", "done")
    assert [str(one) for one in table.speaker.refused()] == [command("announce", "192.0.2.11/32")]
    assert {str(one.prefix) for one in table.speaker.held() or ()} == {"2001:db8:11::/64"}


def test_withdraws_wait_for_no_answer_and_those_that_are_wished_together_go_together(table: Table) -> None:
    numbers = range(1, 3 * BATCH + 1)
    table.speaker.want_together({f"p{number}": announcements(f"2001:db8:{number:x}::/64") for number in numbers})
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, *(f"held {PEER} 2001:db8:{number:x}::/64 {ATTRIBUTES}" for number in numbers), "ready")
    assert table.heard(relay) == ["synced"]
    table.speaker.want_together({f"p{number}": frozenset() for number in numbers})
    assert [line.split()[2] for line in table.heard(relay) or ()] == ["withdraw"] * 3
    table.speaker.want("p1", announcements("2001:db8:1::/64"))
    assert table.heard(relay) == [], "its withdraw is under way"
    table.say(relay, *["done"] * 3)
    assert table.heard(relay) == [command("announce", "2001:db8:1::/64")]
    table.say(relay, "done")
    assert table.speaker.in_sync()
    assert {str(one.prefix) for one in table.speaker.held() or ()} == {"2001:db8:1::/64"}


def test_a_wish_taken_back_while_its_command_is_under_way_is_withdrawn_at_once_in_the_same_words(table: Table) -> None:
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, "ready")
    assert table.heard(relay) == ["synced"]
    table.speaker.want("web1", announcements("2001:db8:11::/64"))
    table.speaker.want("web1", frozenset())
    assert table.heard(relay) == [command("announce", "2001:db8:11::/64"), command("withdraw", "2001:db8:11::/64")]
    table.speaker.want("web1", announcements("2001:db8:11::/64"))
    assert table.heard(relay) == [], "another announce waits until it is known what came of these"
    table.say(relay, "done")
    assert table.heard(relay) == []
    table.say(relay, "done")
    assert table.heard(relay) == [command("announce", "2001:db8:11::/64")]
    table.say(relay, "done")
    assert table.speaker.in_sync()
    assert {str(one.prefix) for one in table.speaker.held() or ()} == {"2001:db8:11::/64"}


def test_one_bad_prefix_in_company_is_found_and_the_others_are_announced(table: Table) -> None:
    prefixes = [f"2001:db8:{number:x}::/64" for number in range(5)]
    table.speaker.want("web1", announcements(*prefixes))
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, "ready")
    bad = str(ip_network(prefixes[2]))
    asked: list[str] = []
    while (lines := table.heard(relay)) != ["synced"]:
        assert lines is not None
        assert len(lines) == 1
        asked += lines
        table.say(relay, "error" if bad in lines[0].split(" ") else "done")
    assert len(asked) == 6, "all together, then each alone"
    assert table.speaker.status()["refused"] == [{"line": command("announce", bad), "prefix": bad}]
    assert table.speaker.wanted() - (table.speaker.held() or set()) == announcements(bad)

    table.speaker.want("web2", announcements("192.0.2.1/32"))
    assert table.heard(relay) == [command("announce", "192.0.2.1/32")], "the bad one is left alone"
    table.say(relay, "done", f"peer {PEER} up")
    assert table.heard(relay) == [command("announce", bad)], "its peer has come up: another try"


def test_a_relay_that_does_not_answer_is_let_go_and_the_next_one_starts_afresh(table: Table) -> None:
    table.speaker.want("web1", announcements("2001:db8:11::/64"))
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, "ready")
    assert table.heard(relay) == [command("announce", "2001:db8:11::/64")]
    table.speaker.tick(time.monotonic() + ANSWER_TIMEOUT - 5)
    assert table.heard(relay) == []
    table.speaker.tick(time.monotonic() + ANSWER_TIMEOUT + 1)
    assert table.heard(relay) is None
    assert table.speaker.held() is None
    relay = table.relay()
    table.say(relay, f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}", "ready")
    assert table.heard(relay) == ["synced"]
    table.speaker.tick(time.monotonic() + ANSWER_TIMEOUT + 1)
    assert table.heard(relay) == [], "silence is no fault while no answer is owed"


def test_a_newer_relay_replaces_the_older(table: Table) -> None:
    table.speaker.complete()
    older = table.relay()
    table.say(older, f"peer {PEER} up", "ready")
    assert table.heard(older) == ["synced"]
    newer = table.relay()
    assert table.heard(older) is None
    assert table.speaker.status()["relay"] is False
    assert table.speaker.status()["peers"] == {PEER: "unknown"}
    table.say(newer, f"peer {PEER} down", "ready")
    assert table.heard(newer) == ["synced"]
    assert table.speaker.status()["peers"] == {PEER: "down"}


@pytest.mark.parametrize(
    "nonsense",
    [
        "",
        "done",
        "hello",
        "held",
        f"held {PEER} ::/0",
        "peer",
        f"peer {PEER} sideways",
        "ready now",
        "heard",
        f"heard {PEER} announce 2001:db8:11::/64",
        f"heard {PEER} announce 2001:db8:11::/64 {LOCAL} {LOCAL}",
        f"heard {PEER} sings",
        "ready\nheld a b c",
        "é",
        "x" * 70_000,
    ],
)
def test_whoever_does_not_speak_the_protocol_is_hung_up_on(table: Table, nonsense: str) -> None:
    table.speaker.complete()
    relay = table.relay()
    table.say(relay, nonsense)
    while heard := table.heard(relay):
        assert heard == ["synced"]
    assert heard is None
    assert table.speaker.held() is None


def test_a_greeting_may_come_in_any_pieces(table: Table) -> None:
    table.speaker.want("web1", announcements(*(f"2001:db8:{number:x}::/64" for number in range(50))))
    table.speaker.complete()
    relay = table.relay()
    lines = [f"held {PEER} {one.prefix} {ATTRIBUTES}\n" for one in table.speaker.wanted()]
    text = "".join([*lines, "ready\n"]).encode()
    for start in range(0, len(text), 7):
        relay.sendall(text[start : start + 7])
        table.turn()
    assert table.heard(relay) == ["synced"]
    assert table.speaker.held() == table.speaker.wanted()


def test_what_is_heard_of_others_is_a_duplicate_while_it_lasts_and_somebody_tells_of_it(table: Table) -> None:
    table.speaker.want("web1", announcements("2001:db8:11::/64", "192.0.2.11/32"))
    others = [f"heard {PEER} announce {prefix} 2001:db8:ffff::3" for prefix in ("2001:db8:11::/64", "2001:db8:99::/64")]
    relay = table.relay()
    table.say(relay, *others, f"heard {PEER} more", "ready")
    table.speaker.tick(100.0)
    assert table.speaker.duplicates() == []
    table.speaker.tick(101.0)
    duplicate = Duplicate("2001:db8:11::/64", "2001:db8:ffff::3", PEER)
    assert table.speaker.duplicates() == [duplicate]
    assert table.speaker.unheard() == [PEER]
    for gone in (f"heard {PEER} withdraw 2001:db8:11::/64", f"peer {PEER} down"):
        table.say(relay, gone)
        table.speaker.tick(102.0)
        assert table.speaker.duplicates() == []
        table.say(relay, *others)
        table.speaker.tick(103.0)
        table.speaker.tick(104.0)
        assert table.speaker.duplicates() == [duplicate]
    assert table.speaker.unheard() == []
    table.relay()
    table.speaker.tick(105.0)
    assert table.speaker.duplicates() == [], "another relay says everything anew"


def test_the_socket_is_for_its_owner_only_and_a_stale_one_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "bgp.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    speaker = Speaker(path, SETTINGS, selectors.DefaultSelector())
    speaker.open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o660
    with socket.socket(socket.AF_UNIX) as relay:
        relay.connect(str(path))
    speaker.close()
    assert not path.exists()


def test_what_is_no_socket_is_not_removed(tmp_path: Path) -> None:
    path = tmp_path / "bgp.sock"
    path.write_text("precious")
    with pytest.raises(MissingRequirement, match=r"bgp\.sock"):
        Speaker(path, SETTINGS, selectors.DefaultSelector()).open()
    assert path.read_text() == "precious"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to become another user")
def test_another_user_is_not_let_in(table: Table) -> None:
    table.path.chmod(0o777)
    os.chmod(table.path.parent, 0o755)  # noqa: PTH101
    read, write = os.pipe()
    if (child := os.fork()) == 0:
        code = 1
        try:
            os.chdir(table.path.parent)
            os.setgid(65534)
            os.setuid(65534)
            stranger = socket.socket(socket.AF_UNIX)
            stranger.connect(table.path.name)
            os.write(write, b"x")
            stranger.settimeout(10)
            code = 0 if stranger.recv(1) == b"" else 2
        finally:
            os._exit(code)
    assert os.read(read, 1) == b"x"
    table.turn()
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    os.close(read)
    os.close(write)
