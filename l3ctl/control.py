"""The agent's socket for commands: one JSON object a line asks, one answers. Both ends stand here, and neither knows what is asked."""

import json
import os
import selectors
import socket
import struct
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from l3ctl.door import Door
from l3ctl.errors import AgentRefused, AgentUnreachable, BadInput, L3ctlError, Problem
from l3ctl.model import Change

Answer = dict[str, Any]
_LONGEST_QUESTION = 4096
_CLIENTS = 16
"""at a time; one more takes the place of the oldest, so that those who never finish lock nobody out"""
_TIMEOUT = 30.0
"""seconds a command waits for its answer; a full pass over 10,000 ports takes a fraction of one"""


def as_json(value: object) -> object:
    """A model value as plain JSON: dataclasses as objects with their kind, addresses and prefixes as text."""
    if isinstance(value, Change):
        shown = {
            "port": value.port,
            "verb": value.verb,
            "kind": type(value.item).__name__.lower(),
            "text": str(value.item),
            "item": as_json(value.item),
        }
        return shown if value.was is None else {**shown, "was": as_json(value.was)}
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: as_json(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(key): as_json(one) for key, one in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [as_json(one) for one in value]
    if value is None or isinstance(value, bool | int | float | str):
        return value
    return str(value)


class Later:
    """An answer that is still to come."""

    def __init__(self) -> None:
        self._answer: Answer | None = None
        self._waits: Callable[[Answer], None] | None = None

    def give(self, answer: Answer) -> None:
        """Here it is."""
        if self._waits is not None:
            self._waits(answer)
        self._answer = answer

    def fail(self, error: L3ctlError) -> None:
        """It is an error."""
        self.give(_as_error(error))

    def when_given(self, waits: Callable[[Answer], None]) -> None:
        """Call this with the answer."""
        self._waits = waits
        if self._answer is not None:
            waits(self._answer)


class ControlServer:
    """Listens at `path` and answers with what `handler` returns. Only root and our own user are heard.

    Nobody is waited for: a question is collected and an answer sent as far as they go, whenever the selector says so.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector, handler: Callable[[dict[str, Any]], Answer | Later]) -> None:
        self._selector, self._handler = selector, handler
        self._door = Door(path, selector, self._come_in)
        self._clients: dict[socket.socket, bytearray] = {}
        """the oldest first, each with its question so far or with what is left of its answer"""

    def open(self) -> None:
        """Start to listen; what a dead agent left at the path is removed."""
        self._door.open({0, os.geteuid()})

    def keep(self) -> None:
        """As `Door.keep`."""
        self._door.keep()

    def close(self) -> None:
        """Stop, and remove the socket."""
        for client in list(self._clients):
            self._drop(client)
        self._door.close()

    def _come_in(self, client: socket.socket) -> None:
        if len(self._clients) >= _CLIENTS:
            self._drop(next(iter(self._clients)))
        self._clients[client] = bytearray()
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _drop(self, client: socket.socket) -> None:
        if client in self._selector.get_map():  # else it waits for an answer
            self._selector.unregister(client)
        del self._clients[client]
        client.close()

    def _read(self, client: socket.socket) -> None:
        question = self._clients[client]
        try:
            chunk = client.recv(_LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        question += chunk
        line, newline, _ = question.partition(b"\n")
        if newline or len(question) > _LONGEST_QUESTION:
            answer = self._answer(bytes(line))
            if isinstance(answer, Later):
                # Nothing more is to be heard, also from who has closed his end of it, as `nc -N` does, and reads on.
                self._selector.unregister(client)
                answer.when_given(lambda given: self._send(client, given))
            else:
                self._send(client, answer)
        elif not chunk:
            self._drop(client)

    def _send(self, client: socket.socket, answer: Answer) -> None:
        if client in self._clients:
            self._clients[client] = bytearray(json.dumps(answer).encode() + b"\n")
            if client in self._selector.get_map():
                self._selector.unregister(client)
            self._selector.register(client, selectors.EVENT_WRITE, lambda: self._write(client))
            self._write(client)

    def _answer(self, line: bytes) -> Answer | Later:
        if len(line) > _LONGEST_QUESTION:
            return {"error": f"a question has at most {_LONGEST_QUESTION} bytes"}
        try:
            asked = json.loads(line)
        except (ValueError, RecursionError) as error:
            return {"error": f"not understood: {error}"}
        if not isinstance(asked, dict):
            return {"error": "a question is a JSON object"}
        try:
            return self._handler(asked)
        except L3ctlError as error:
            return _as_error(error)

    def _write(self, client: socket.socket) -> None:
        answer = self._clients[client]
        try:
            del answer[: client.send(answer)]
        except BlockingIOError:
            return
        except OSError:  # it has gone
            answer.clear()
        if not answer:
            self._drop(client)


def _as_error(error: L3ctlError) -> Answer:
    problems = [[one.place, one.what, one.mend] for one in error.problems] if isinstance(error, BadInput) else []
    return {"error": "; ".join(error.lines()), "problems": problems}


def ask(path: Path, question: dict[str, object], timeout: float = _TIMEOUT) -> Answer:
    """Ask the agent, which has ``timeout`` seconds.

    Raises:
        AgentUnreachable: none is there, or none answers.
        AgentRefused: it answers with an error.
        BadInput: it answers that what it has read is no good.
    """
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            # Not settimeout() yet: with it, connect() fails at once where others wait already, as if no agent were there.
            agent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(_TIMEOUT), 0))
            agent.connect(str(path))
            agent.settimeout(timeout)
            agent.sendall(json.dumps(question).encode() + b"\n")
            line = agent.makefile("rb").readline()
    except OSError as error:
        raise AgentUnreachable(f"no agent answers at {path}: {error.strerror or error}", "start `l3ctl agent`") from error
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise AgentUnreachable(f"the agent at {path} broke off", "its log says why") from error
    if not isinstance(answer, dict):
        raise AgentUnreachable(f"what answers at {path} is not an agent", "start `l3ctl agent`")
    if answer.get("problems"):
        raise BadInput(Problem(*map(str, one)) for one in answer["problems"])
    if "error" in answer:
        raise AgentRefused(f"the agent refuses: {answer['error']}")
    return answer
