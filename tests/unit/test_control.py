"""The agent's command socket, its server run by a selector as in the agent, and by hand on the other end."""

import json
import selectors
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from typing import Any

import pytest

from l3ctl.asking import ask, ask_for_rows
from l3ctl.cli.options import print_rows
from l3ctl.control import ControlServer, as_json
from l3ctl.errors import AgentRefused, AgentUnreachable, BadInput, MissingRequirement, NetlinkFailed, Problem
from l3ctl.model import Announcement, Change, Host, Mode, Neighbour, Verb

WHOLE = 30.0
"""seconds after which something has gone wrong"""


class Agent:
    """A selector loop with nothing but the control socket in it."""

    def __init__(self, path: Path, handler: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        self.path = path
        self.heard: list[dict[str, Any]] = []
        self._selector = selectors.DefaultSelector()
        self._stop, wake = socket.socketpair()
        self._selector.register(wake, selectors.EVENT_READ, None)
        self._wake = wake
        self.server = ControlServer(path, self._selector, lambda asked: self.heard.append(asked) or handler(asked))
        self.server.open()
        self._thread = threading.Thread(target=self._loop)
        self._thread.start()

    def _loop(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.fileobj is self._wake:
                    return
                key.data()

    def lives(self) -> bool:
        return self._thread.is_alive()

    def stop(self) -> None:
        self._stop.close()
        self._thread.join(WHOLE)
        self.server.close()
        self._wake.close()
        self._selector.close()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Agent]]:
    agents = []

    def make(handler: Callable[[dict[str, Any]], dict[str, Any]] = lambda asked: {"echo": asked}) -> Agent:
        agents.append(Agent(tmp_path / "agent.sock", handler))
        return agents[-1]

    yield make
    for agent in agents:
        agent.stop()


def connect(agent: Agent) -> socket.socket:
    client = socket.socket(socket.AF_UNIX)
    client.connect(str(agent.path))
    client.settimeout(WHOLE)
    return client


def exchange(agent: Agent, raw: bytes) -> bytes:
    """Send these bytes and close our half; all that is answered."""
    with connect(agent) as client:
        client.sendall(raw)
        client.shutdown(socket.SHUT_WR)
        return client.makefile("rb").read()


def test_a_question_is_answered(serve: Callable[..., Agent]) -> None:
    assert ask(serve().path, {"command": "status", "more": [1, None]}) == {"echo": {"command": "status", "more": [1, None]}}


def test_a_question_may_come_in_pieces(serve: Callable[..., Agent]) -> None:
    agent = serve()
    with connect(agent) as client:
        for piece in (b'{"comm', b'and": "pl', b'an"}', b"\n"):
            client.sendall(piece)
        assert json.loads(client.makefile("rb").readline()) == {"echo": {"command": "plan"}}


def test_a_large_answer_arrives_whole(serve: Callable[..., Agent]) -> None:
    large = {"text": "x" * (8 << 20)}
    assert ask(serve(lambda _: large).path, {}) == large


GARBAGE = {
    "nothing": b"\n",
    "words": b"hello there\n",
    "not an object": b"[1, 2]\n",
    "half JSON": b'{"command": \n',
    "not text": b"\xff\xfe\x00\x81\n",
    "nested deeper than a parser goes": b"[" * 4000 + b"\n",
    "a number longer than Python converts": b"1" * 4090 + b"\n",
    "endless": b"x" * 100_000,
    "an endless line that ends": b'{"command": "' + b"x" * 5000 + b'"}\n',
}


@pytest.mark.parametrize("raw", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_question_is_answered_with_an_error_and_reaches_nobody(serve: Callable[..., Agent], raw: bytes) -> None:
    agent = serve()
    with connect(agent) as client:
        try:
            client.sendall(raw)
        except (BrokenPipeError, ConnectionResetError):
            assert len(raw) > 4096  # it was not read to its end
        assert list(json.loads(client.makefile("rb").readline())) == ["error"]
    assert agent.heard == []
    assert ask(agent.path, {"still": "there"}) == {"echo": {"still": "there"}}


@pytest.mark.parametrize("raw", [b"", b'{"command": "sta'])
def test_half_a_question_is_not_answered(serve: Callable[..., Agent], raw: bytes) -> None:
    agent = serve()
    assert exchange(agent, raw) == b""
    assert agent.heard == []


def test_only_the_first_line_is_a_question(serve: Callable[..., Agent]) -> None:
    agent = serve()
    assert exchange(agent, b'{"a": 1}\n{"b": 2}\n') == b'{"echo": {"a": 1}}\n'
    assert agent.heard == [{"a": 1}]


def test_a_client_that_never_reads_holds_up_nobody(serve: Callable[..., Agent]) -> None:
    agent = serve(lambda asked: {"text": "x" * (8 << 20)} if asked.get("large") else {"small": True})
    with connect(agent) as deaf:
        deaf.sendall(b'{"large": true}\n')
        deaf.recv(1, socket.MSG_PEEK)  # its answer is on the way, and stuck
        assert ask(agent.path, {}) == {"small": True}
        assert len(json.loads(deaf.makefile("rb").readline())["text"]) == 8 << 20


def test_a_client_that_goes_away_in_the_middle_of_its_answer_harms_nobody(serve: Callable[..., Agent]) -> None:
    agent = serve(lambda asked: {"text": "x" * (8 << 20)} if asked.get("large") else {"small": True})
    with connect(agent) as client:
        client.sendall(b'{"large": true}\n')
        client.recv(1, socket.MSG_PEEK)
    assert ask(agent.path, {}) == {"small": True}


def test_clients_that_ask_nothing_do_not_lock_others_out(serve: Callable[..., Agent]) -> None:
    agent = serve()
    silent = [connect(agent) for _ in range(40)]
    try:
        assert ask(agent.path, {"n": 1}) == {"echo": {"n": 1}}
        silent[-1].sendall(b'{"n": 2}\n')
        assert json.loads(silent[-1].makefile("rb").readline()) == {"echo": {"n": 2}}
    finally:
        for client in silent:
            client.close()


def test_two_clients_get_an_answer_each(serve: Callable[..., Agent]) -> None:
    agent = serve()
    with connect(agent) as one, connect(agent) as other:
        one.sendall(b'{"n": ')
        other.sendall(b'{"n": 2}\n')
        assert json.loads(other.makefile("rb").readline()) == {"echo": {"n": 2}}
        one.sendall(b"1}\n")
        assert json.loads(one.makefile("rb").readline()) == {"echo": {"n": 1}}


@pytest.mark.parametrize(
    "error", [NetlinkFailed("no answer", "wait"), BadInput([Problem("a.yaml:1:1", "is bad"), Problem("a.yaml:2:1", "is bad too")])]
)
def test_a_handler_that_fails_becomes_an_error_for_who_asked_only(serve: Callable[..., Agent], error: Exception) -> None:
    def handler(asked: dict[str, Any]) -> dict[str, Any]:
        if asked:
            raise error
        return {}

    agent = serve(handler)
    with pytest.raises(BadInput if isinstance(error, BadInput) else AgentRefused) as caught:
        ask(agent.path, {"command": "status"})
    assert caught.value.lines()[-1] in {"the agent refuses: no answer; wait", "a.yaml:2:1: is bad too"}
    assert ask(agent.path, {}) == {}


def test_the_socket_is_ours_alone(serve: Callable[..., Agent]) -> None:
    assert serve().path.stat().st_mode & 0o777 == 0o600


def test_what_a_dead_agent_left_is_taken_over(serve: Callable[..., Agent], tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "agent.sock"))
    with pytest.raises(AgentUnreachable, match=r"no agent answers at .*agent\.sock"):
        ask(tmp_path / "agent.sock", {})
    assert ask(serve().path, {"n": 1}) == {"echo": {"n": 1}}


def test_a_file_that_is_no_socket_is_not_taken_over(serve: Callable[..., Agent], tmp_path: Path) -> None:
    (tmp_path / "agent.sock").write_text("precious")
    with pytest.raises(MissingRequirement, match=r"cannot listen at .*agent\.sock"):
        serve()
    assert (tmp_path / "agent.sock").read_text() == "precious"


def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    server = ControlServer(tmp_path / "gone" / "agent.sock", selectors.DefaultSelector(), lambda asked: asked)
    with pytest.raises(MissingRequirement, match="gone"):
        server.open()
    server.close()


def test_when_it_stops_the_socket_is_gone_and_who_waits_is_told(tmp_path: Path) -> None:
    agent = Agent(tmp_path / "agent.sock", lambda asked: asked)
    with connect(agent) as waiting:
        ask(agent.path, {})  # so that the one before was accepted
        agent.stop()
        assert waiting.recv(1) == b""
    assert not agent.path.exists()
    agent.server.close()
    with pytest.raises(AgentUnreachable, match="no agent answers"):
        ask(agent.path, {})


@pytest.mark.parametrize("raw", [b"", b"{", b"5\n", b"[]\n", b'{"error": "no"}\n'], ids=["silence", "half", "number", "list", "refusal"])
def test_a_strange_answer_is_an_unreachable_agent(tmp_path: Path, raw: bytes) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "agent.sock"))
        listener.listen()

        def answer() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(4096)
                client.sendall(raw)

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises((AgentUnreachable, AgentRefused)):
            ask(tmp_path / "agent.sock", {})
        thread.join(WHOLE)


def test_the_loop_survives_a_storm_of_strangers(serve: Callable[..., Agent]) -> None:
    agent = serve()
    for number in range(200):
        with connect(agent) as client, suppress(BrokenPipeError):  # the oldest of too many is dropped
            client.sendall(bytes([number, 10]) * (number % 3))
    deadline = time.monotonic() + WHOLE
    while ask(agent.path, {"n": 1}) != {"echo": {"n": 1}}:
        assert time.monotonic() < deadline
    assert agent.lives()


def test_a_change_is_told_with_its_kind_its_text_and_what_was_before() -> None:
    was, now = (Neighbour("p0", IPv6Address("fe80::5"), f"52:54:00:0a:00:0{number}") for number in (1, 2))
    told = as_json(
        [Change("web1", Verb.REPLACE, now, was), Change("web1", Verb.ANNOUNCE, Announcement(ip_network("2001:db8::/64"), now.address))]
    )
    assert told == [
        {
            "port": "web1",
            "verb": "replace",
            "kind": "neighbour",
            "text": "neighbour fe80::5 lladdr 52:54:00:0a:00:02 dev p0",
            "item": {"interface": "p0", "address": "fe80::5", "lladdr": "52:54:00:0a:00:02"},
            "was": {"interface": "p0", "address": "fe80::5", "lladdr": "52:54:00:0a:00:01"},
        },
        {
            "port": "web1",
            "verb": "announce",
            "kind": "announcement",
            "text": "prefix 2001:db8::/64",
            "item": {
                "prefix": "2001:db8::/64",
                "host": "fe80::5",
                "attributes": {"med": None, "local_preference": None, "communities": None, "large_communities": None},
            },
        },
    ]


def test_everything_of_the_model_becomes_plain_json() -> None:
    host = Host("52:54:00:0a:00:0b", IPv6Address("fe80::5"), (ip_network("2001:db8::/64"),), (IPv4Address("192.0.2.1"),))
    value = {IPv4Address("192.0.2.1"): (host, Mode.AUDIT, None, True, 1.5), "set": {3}, "path": Path("/run")}
    told = as_json(value)
    assert (
        json.loads(json.dumps(told))
        == told
        == {
            "192.0.2.1": [
                {"lladdr": "52:54:00:0a:00:0b", "link_local": "fe80::5", "ipv6": ["2001:db8::/64"], "ipv4": ["192.0.2.1"]},
                "audit",
                None,
                True,
                1.5,
            ],
            "set": [3],
            "path": "/run",
        }
    )


ROWS = [{"name": name, "link": "up"} for name in ("a", 'b"}, {"name": "c', "d\\", "\u2028e")]


@pytest.mark.parametrize("rows", [[], ROWS[:1], ROWS])
def test_many_objects_are_handed_on_as_they_came_and_printed_one_a_line(
    serve: Callable[..., Agent], capsys: pytest.CaptureFixture[str], rows: list[dict[str, str]]
) -> None:
    around = {"failed": [{"name": "x"}, {"name": 'y", "rows": [{"name": "z'}], "bgp": None}
    path = serve(lambda _: {**around, "rows": rows}).path
    told, text = ask_for_rows(path, {"command": "status"}, "rows")
    assert told == around
    assert json.loads(b"[" + text + b"]") == rows
    for handed in (text, None):
        print_rows({**told, "rows": rows}, "rows", handed)
        printed = capsys.readouterr().out
        assert json.loads(printed) == {**around, "rows": rows}
        assert len(printed.splitlines()) >= len(rows) + 4
        assert sum(line.startswith("  {") for line in printed.split("\n")) == len(rows)


def test_an_answer_that_breaks_off_is_as_if_no_agent_were_there(tmp_path: Path) -> None:
    path = tmp_path / "agent.sock"
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(path))
        listener.listen()

        def half() -> None:
            client, _ = listener.accept()
            with client:
                client.recv(100)
                client.sendall(b'{"bgp": null, "rows": [{"name": "a"}')

        speaks = threading.Thread(target=half)
        speaks.start()
        with pytest.raises(AgentUnreachable, match="broke off"):
            ask_for_rows(path, {"command": "status"}, "rows")
        speaks.join()


def test_an_answer_without_the_objects_is_an_error_or_of_another_version(serve: Callable[..., Agent]) -> None:
    answers: list[dict[str, Any]] = [{"error": "not today"}, {"rows": [{"name": "a"}], "bgp": None}, {"bgp": None, "rows": [{}], "more": 1}]
    path = serve(lambda _: answers.pop(0)).path
    with pytest.raises(AgentRefused, match="not today"):
        ask_for_rows(path, {}, "rows")
    for _ in range(2):
        with pytest.raises(AgentRefused, match="not this version's agent"):
            ask_for_rows(path, {}, "rows")
