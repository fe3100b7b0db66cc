"""The agent's end of its socket for commands: one JSON object a line asks, one answers. What is asked it does not know."""

import json
import os
import selectors
import socket
from collections.abc import Callable
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

from l3ctl.asking import Answer
from l3ctl.door import Door
from l3ctl.errors import BadInput, L3ctlError
from l3ctl.model import Change

_LONGEST_QUESTION = 4096
_CLIENTS = 16
"""at a time; one more takes the place of the oldest, so that those who never finish lock nobody out"""


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

    A text that it returns is an answer's JSON, in a line.

    Nobody is waited for: a question is collected and an answer sent as far as they go, whenever the selector says so.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector, handler: Callable[[dict[str, Any]], Answer | str | Later]) -> None:
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

    def _send(self, client: socket.socket, answer: Answer | str) -> None:
        if client in self._clients:
            self._clients[client] = bytearray((answer if isinstance(answer, str) else json.dumps(answer)).encode() + b"\n")
            if client in self._selector.get_map():
                self._selector.unregister(client)
            self._selector.register(client, selectors.EVENT_WRITE, lambda: self._write(client))
            self._write(client)

    def _answer(self, line: bytes) -> Answer | str | Later:
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
