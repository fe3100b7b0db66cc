"""The relay as a process of its own: this test speaks ExaBGP's side on its pipes and the agent's side on its socket."""

import fcntl
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from l3ctl.bgp import relay as relay_module
from l3ctl.bgp.relay import BACKLOG_LIMIT, LINE_LIMIT, WINDOW
from tests.unit.relay_bench import ATTRIBUTES, EORS, MADE_FOR, PEER, Bench, ExabgpSide, Line, command, event


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    one = Bench(tmp_path)
    yield one
    one.stop()


def test_it_remembers_what_exabgp_took_and_nothing_else(bench: Bench) -> None:
    agent = bench.connect()
    assert agent.hear() == ["ready"]
    for verb, prefixes, answer in (
        ("announce", ("2001:db8:11::/64", "2001:db8:12::/64", "2001:db8:13::/64"), "done"),
        ("announce", ("2001:db8:14::/64",), "error"),
        ("withdraw", ("2001:db8:12::/64",), "done"),
        ("withdraw", ("2001:db8:13::/64",), "error"),
    ):
        agent.say(command(verb, *prefixes))
        assert bench.exabgp.hear() == [command(verb, *prefixes)]
        bench.exabgp.say(answer)
        assert agent.hear() == [answer]
    bench.hang_up()
    assert bench.connect().hear(3) == [
        f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}",
        f"held {PEER} 2001:db8:13::/64 {ATTRIBUTES}",
        "ready",
    ]


def test_a_new_agent_is_greeted_only_when_the_answer_owed_to_the_former_has_come(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    agent.say(command("announce", "2001:db8:11::/64"))
    bench.exabgp.hear()
    bench.hang_up()
    agent = bench.connect()
    bench.exabgp.say(event("up"))
    time.sleep(0.2)
    bench.exabgp.say("done")
    assert agent.hear(3) == [f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}", f"peer {PEER} up", "ready"]
    agent.say(command("withdraw", "2001:db8:11::/64"))
    bench.exabgp.hear()
    bench.exabgp.say("error")
    assert agent.hear() == ["error"], "the former agent's answer is not taken for this one's"


def test_exabgp_owes_few_answers_at_a_time_and_they_are_taken_in_turn(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    commands = [command("announce", f"192.0.2.{number}/32") for number in range(WINDOW + 2)]
    agent.say(*commands)
    assert bench.exabgp.hear(WINDOW) == commands[:WINDOW]
    for expected in commands[WINDOW:]:
        time.sleep(0.05)
        assert not bench.exabgp.ready()
        bench.exabgp.say("error" if expected == commands[WINDOW] else "done")
        assert bench.exabgp.hear() == [expected]
    bench.exabgp.say(*["done"] * WINDOW)
    assert agent.hear(len(commands)) == ["error"] + ["done"] * (WINDOW + 1)
    bench.hang_up()
    assert bench.connect().hear(WINDOW + 2) == [
        *(f"held {PEER} 192.0.2.{number}/32 {ATTRIBUTES}" for number in range(1, WINDOW + 2)),
        "ready",
    ]


def test_the_relays_own_commands_are_outstanding_alone(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    commands = [command("announce", f"192.0.2.{number}/32") for number in range(2)]
    agent.say(commands[0], "synced", commands[1])
    for expected in (commands[0], *EORS, commands[1]):
        assert bench.exabgp.hear() == [expected]
        time.sleep(0.05)
        assert not bench.exabgp.ready()
        bench.exabgp.say("done")
    assert agent.hear(2) == ["done"] * 2


def test_half_a_line_of_a_dead_agent_never_reaches_exabgp(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    os.write(agent.write, command("withdraw", "2001:db8:11::/64").encode()[:-3])
    time.sleep(0.1)
    bench.hang_up()
    agent = bench.connect()
    agent.hear()
    whole = command("announce", "2001:db8:12::/64")
    agent.say(whole)
    assert bench.exabgp.hear() == [whole]


@pytest.mark.parametrize(
    "nonsense",
    [
        "shutdown",
        "neighbor",
        f"neighbor {PEER} teardown 6",
        f"neighbor {PEER} announce route 2001:db8:11::/64 next-hop self",
        f"neighbor {PEER} announce attributes {ATTRIBUTES} nlri",
        f"neighbor {PEER} announce attributes {ATTRIBUTES}",
        f"debug neighbor {PEER} announce attributes {ATTRIBUTES} nlri ::/0",
        command("announce", "2001:db8:11::/64\r"),
        command("announce", "2001:db8:11::/64é"),
        "",
    ],
)
def test_what_is_not_of_the_protocol_is_never_passed_on_and_ends_the_connection(bench: Bench, nonsense: str) -> None:
    agent = bench.connect()
    agent.hear()
    agent.say(nonsense, command("announce", "2001:db8:66::/64"))
    assert agent.hung_up()
    agent = bench.connect()
    agent.hear()
    whole = command("announce", "2001:db8:12::/64")
    agent.say(whole)
    assert bench.exabgp.hear() == [whole]


def test_a_line_without_end_ends_the_connection(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    with suppress(BrokenPipeError, ConnectionResetError):
        for _ in range(LINE_LIMIT // 1024 + 1):
            os.write(agent.write, b"n" * 1024)
    assert agent.hung_up()
    assert bench.connect().hear() == ["ready"]


def test_many_whole_lines_at_once_are_no_line_without_end(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    commands = [command("announce", f"2001:db8:{number:x}::/64") for number in range(4000)]
    said = threading.Thread(target=lambda: agent.say(*commands))
    said.start()
    for expected in commands:
        assert bench.exabgp.hear() == [expected]
        bench.exabgp.say("done")
    assert agent.hear(4000) == ["done"] * 4000
    said.join()


def test_end_of_rib_waits_for_the_word_of_an_agent_and_then_follows_every_session(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    bench.exabgp.say(event("up"))
    assert agent.hear() == [f"peer {PEER} up"]
    agent.say("synced")
    for expected in EORS:
        assert bench.exabgp.hear() == [expected]
        bench.exabgp.say("error")
    bench.hang_up()
    bench.exabgp.say(event("down"), event("up", "2001:db8:fffe::1"))
    for expected in EORS:
        assert bench.exabgp.hear() == [f"neighbor 2001:db8:fffe::1 {expected}"]
        bench.exabgp.say("done")
    agent = bench.connect()
    assert agent.hear(3) == [f"peer {PEER} down", "peer 2001:db8:fffe::1 up", "ready"]
    agent.say("synced", command("announce", "2001:db8:12::/64"))
    assert bench.exabgp.hear() == [command("announce", "2001:db8:12::/64")], "it is not said twice"


def test_only_changes_of_a_session_are_told(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    bench.exabgp.say(event("connected"), event("down"), event("connected"), event("down"), "{ not json", '{"neighbor": 1}', event("up"))
    assert agent.hear(2) == [f"peer {PEER} down", f"peer {PEER} up"]


@pytest.mark.parametrize(
    "peer", ["\ud800", "pe\u00e9r", "::1\nready", "::1 up", "::1\0", "\x1b", "", "1" * 65, "a.example", 7 * [0]], ids=repr
)
def test_a_peer_that_is_no_address_is_none(bench: Bench, peer: object) -> None:
    """To ExaBGP neither: a session that comes up there would get its End-of-RIB."""
    route = {"update": {"announce": {"ipv6 unicast": {"2001:db8::3": [{"nlri": "2001:db8:11::/64"}]}}}}
    strange = [json.dumps({"neighbor": {"address": {"peer": peer}, **more}}) for more in ({"state": "up"}, {"message": route})]
    agent = bench.connect()
    agent.say("synced")
    agent.hear()
    for expected in EORS:
        assert bench.exabgp.hear() == [expected]
        bench.exabgp.say("done")
    bench.exabgp.say(*strange, event("down", "fe80::1"))
    assert agent.hear() == ["peer fe80::1 down"]
    assert not bench.exabgp.ready()
    bench.hang_up()
    assert bench.connect().hear(2) == ["peer fe80::1 down", "ready"]


def test_of_what_exabgp_shows_only_addresses_are_peers_and_all_is_told_in_ascii(bench: Bench) -> None:
    row = "neighbor {} local-ip ::2 local-as 1 peer-as 1 router-id 1.1.1.1 family-allowed in-open ipv6 unicast ::/0 next-hop ::2 med 0{}"
    bench.exabgp.shown = {
        "show neighbor summary": [f"{peer} 65000 0:00:01 established 1 2" for peer in ("caf\u00e9", "peer", "::2")],
        "show adj-rib out extensive": [row.format("peer", ""), row.format("::2", " community \u00e9")],
    }
    agent = bench.connect()
    assert agent.hear(3) == ["held ::2 ::/0 next-hop ::2 med 0 community ??", "peer ::2 up", "ready"]
    agent.say("flush")
    assert agent.hear() == ["flushed"]


def test_exabgp_can_always_write_whoever_does_not_read(bench: Bench) -> None:
    """ExaBGP writes blocking, and stops serving its peers while the pipe is full."""
    agent = bench.connect()
    agent.hear()
    bench.exabgp.reads = False
    fcntl.fcntl(bench.exabgp.descriptor, fcntl.F_SETPIPE_SZ, 4096)
    long = command("announce", *(f"2001:db8:{number:x}::/64" for number in range(2000)))
    agent.say(long)  # and ExaBGP does not read it yet
    events = [event("up")] * 1000
    lines = BACKLOG_LIMIT * 3 // 2 // len(f"peer {PEER} up\n")
    for _ in range(0, lines, len(events)):
        bench.exabgp.say(*events)
    unread = 0
    while chunk := agent.chunk(20):
        unread += len(chunk)
    assert unread < BACKLOG_LIMIT, "an agent that does not read is dropped, and what it left unread is forgotten"
    assert bench.resident() < 3 * BACKLOG_LIMIT
    bench.exabgp.reads = True
    assert bench.exabgp.hear() == [long]
    bench.exabgp.say("done")
    agent = bench.connect()
    assert agent.hear(2002)[-1] == "ready"


def test_it_ends_with_exabgp(bench: Bench) -> None:
    bench.connect()
    assert bench.process.stdin is not None
    bench.process.stdin.close()
    assert bench.process.wait(10) == 0


def test_it_waits_for_an_agent_that_comes_late(tmp_path: Path) -> None:
    path = tmp_path / "bgp.sock"
    argv = [sys.executable, "-I", relay_module.__file__, str(path), "--made-for", MADE_FOR]
    process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process, socket.socket(socket.AF_UNIX) as listener:
        assert process.stdin is not None
        assert process.stdout is not None
        exabgp = ExabgpSide(process.stdout.fileno(), process.stdin.fileno())
        time.sleep(0.3)
        assert process.poll() is None
        listener.bind(str(path))
        listener.listen(1)
        listener.settimeout(20)
        connection, _ = listener.accept()
        with connection:
            assert Line(connection.fileno(), connection.fileno(), exabgp).hear(2) == [f"made-for {MADE_FOR}", "ready"]
        process.terminate()


def test_a_new_relay_asks_exabgp_what_it_holds(bench: Bench) -> None:
    """What does not look like l3ctl's is not claimed."""
    row = f"neighbor {PEER} local-ip ::2 local-as 64512 peer-as 64512 router-id 192.0.2.1 family-allowed in-open ipv6 unicast"
    more = "local-preference 200 community [ 64512:1 no-export ] large-community 64512:1:2"
    said = "2001:db8:12::/64 next-hop 2001:db8:ffff::3 origin igp as-path [ 65000 65010 ]"
    bench.exabgp.shown = {
        "show adj-rib out extensive": [
            f"{row} 2001:db8:11::/64 {ATTRIBUTES}", event("connected"),
            f"{row} 2001:db8:12::/64 {ATTRIBUTES} {more}",
            f"{row} 2001:db8::/32 next-hop 2001:db8:ffff::2",
            f"{row} 2001:db8:f::/48 {ATTRIBUTES} extended-community target:64512:1",
        ],
        "show neighbor summary": [
            "Peer            AS        up/down state       |     #sent     #recvd",
            f"{PEER} 64512     0:00:03 established           0          2",
            "2001:db8:ffff::3 64512        down idle                  0          0",
        ],
        "show adj-rib in extensive": [f"{row} {said}", f"{row} truncated", f"{row} {said}".replace(PEER, "2001:db8:ffff::3")],
    }  # fmt: skip
    assert bench.connect().hear(6) == [
        f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}",
        f"held {PEER} 2001:db8:12::/64 {ATTRIBUTES} {more}",
        f"peer {PEER} up",
        "peer 2001:db8:ffff::3 down",
        f"heard {PEER} announce 2001:db8:12::/64 2001:db8:ffff::3",
        "ready",
    ]


def test_answers_to_a_relay_before_it_are_not_taken_for_its_own(bench: Bench) -> None:
    """ExaBGP answers whoever has the name: what it does for one that is dead, it tells the next."""
    row = f"neighbor {PEER} local-ip ::2 local-as 64512 peer-as 64512 router-id 192.0.2.1 family-allowed in-open ipv6 unicast"
    bench.exabgp.left = ["done", "error", f"{row} 2001:db8:99::/64 {ATTRIBUTES}", "done", "done"]
    bench.exabgp.shown = {"show adj-rib out extensive": [f"{row} 2001:db8:11::/64 {ATTRIBUTES}"]}
    agent = bench.connect()
    assert agent.hear(2) == [f"held {PEER} 2001:db8:11::/64 {ATTRIBUTES}", "ready"]
    agent.say(command("announce", "2001:db8:12::/64"))
    assert bench.exabgp.hear() == [command("announce", "2001:db8:12::/64")]
    assert not agent.ready()
    bench.exabgp.say("done")
    assert agent.hear() == ["done"]


def test_a_flush_lasts_until_exabgp_sends_no_more(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    bench.exabgp.answers = False
    agent.say("flush", command("announce", "2001:db8:12::/64"))
    for asked, told in (
        (command("announce", "2001:db8:12::/64"), []),  # not held up by it
        ("show neighbor summary", [10]),
        ("show neighbor summary", [20]),
        ("show neighbor summary", [20]),
    ):
        assert bench.exabgp.hear() == [asked]
        bench.exabgp.say(*(f"{PEER} 64512     0:00:03 established    {sent}          2" for sent in told), "done")
    assert agent.hear(2) == ["done", "flushed"]


def update(announce: dict[str, object], peer: str = PEER) -> str:
    said = {"update": {"attribute": {"origin": "igp"}, "announce": announce}}
    return json.dumps({"type": "update", "neighbor": {"address": {"peer": peer}, "direction": "receive", "message": said}})


def test_what_peers_say_is_told_and_remembered_until_their_session_ends(bench: Bench) -> None:
    agent = bench.connect()
    agent.hear()
    told = f"heard {PEER} announce 2001:db8:11::/64 2001:db8:ffff::3"
    bench.exabgp.say(event("up"), update({"ipv6 unicast": {"2001:db8:ffff::3": [{"nlri": "2001:db8:11::/64"}]}}))
    assert agent.hear(2) == [f"peer {PEER} up", told]
    bench.hang_up()
    agent = bench.connect()
    assert agent.hear(3) == [f"peer {PEER} up", told, "ready"]
    for state in ("up", "down"):
        bench.exabgp.say(event(state))
        assert agent.hear() == [f"peer {PEER} {state}"]
        bench.hang_up()
        agent = bench.connect()
        assert agent.hear(2) == [f"peer {PEER} {state}", "ready"], "a session that ends or begins makes void what was said"


@pytest.mark.parametrize(
    "nonsense",
    [
        update({"ipv6 unicast": "?"}),
        update({"ipv6 unicast": {"null": [{}]}}),
        update({"ipv6 unicast": {"::1": [{"nlri": "x\nready"}]}}),
        update({}).replace("{}", "[" * 100_000),
        update({}).replace('"neighbor"', '"neighbour"'),
        '{"neighbor": {"address": {"peer": "::1"}, "message": {"eor": {}}}}',
        '{"neighbor": {"address": {"peer": "::1"}, "message": 7}}',
    ],
    ids=range(7),
)
def test_nonsense_from_a_peer_changes_nothing(bench: Bench, nonsense: str) -> None:
    agent = bench.connect()
    agent.hear()
    said = threading.Thread(target=lambda: bench.exabgp.say(nonsense, event("up")))
    said.start()
    assert agent.hear() == [f"peer {PEER} up"]
    said.join()
