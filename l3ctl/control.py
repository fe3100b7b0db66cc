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

from l3ctl.errors import AgentUnreachable, MissingRequirement
from l3ctl.model import Change

Answer = dict[str, Any]
_LONGEST_QUESTION = 4096
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


class ControlServer:
    """Listens at `path` and answers with what `handler` returns. Only root and our own user are heard."""

    def __init__(self, path: Path, selector: selectors.BaseSelector, handler: Callable[[dict[str, Any]], Answer]) -> None:
        self._path, self._selector, self._handler = path, selector, handler
        self._asking: dict[socket.socket, bytearray] = {}
        self._listener: socket.socket | None = None

    def open(self) -> None:
        """Start to listen; what a dead agent left at the path is removed."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            self._path.unlink(missing_ok=True)
            listener.bind(str(self._path))
            self._path.chmod(0o600)
            listener.listen(16)
        except OSError as error:
            listener.close()
            raise MissingRequirement(f"cannot listen at {self._path}: {error.strerror}", "its folder must be there and writable") from error
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Stop, and remove the socket."""
        for client in list(self._asking):
            self._drop(client)
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._path.unlink(missing_ok=True)

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            client, _ = self._listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        credentials = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
        if struct.unpack("3i", credentials)[1] not in (0, os.geteuid()) or len(self._asking) >= 16:
            client.close()
            return
        client.setblocking(False)
        self._asking[client] = bytearray()
        self._selector.register(client, selectors.EVENT_READ, lambda: self._read(client))

    def _drop(self, client: socket.socket) -> None:
        self._selector.unregister(client)
        del self._asking[client]
        client.close()

    def _read(self, client: socket.socket) -> None:
        question = self._asking[client]
        try:
            chunk = client.recv(_LONGEST_QUESTION)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        question += chunk
        if chunk and b"\n" not in question and len(question) <= _LONGEST_QUESTION:
            return
        if b"\n" in question:
            self._reply(client, bytes(question.partition(b"\n")[0]))
        self._drop(client)

    def _reply(self, client: socket.socket, line: bytes) -> None:
        try:
            asked = json.loads(line)
            answer = self._handler(asked) if isinstance(asked, dict) else {"error": "a question is a JSON object"}
        except ValueError as error:
            answer = {"error": f"not understood: {error}"}
        client.settimeout(1.0)  # who asks, reads; one who does not costs the loop no more than this
        try:
            client.sendall(json.dumps(answer).encode() + b"\n")
        except OSError:
            return


def ask(path: Path, question: dict[str, object]) -> Answer:
    """Ask the agent. Raises `AgentUnreachable` when none is there or none answers."""
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            agent.settimeout(_TIMEOUT)
            agent.connect(str(path))
            agent.sendall(json.dumps(question).encode() + b"\n")
            line = agent.makefile("rb").readline()
    except OSError as error:
        raise AgentUnreachable(f"no agent answers at {path}: {error.strerror or error}", "start `l3ctl agent`") from error
    try:
        answer = json.loads(line)
    except ValueError as error:
        raise AgentUnreachable(f"the agent at {path} broke off", "its log says why") from error
    if "error" in answer:
        raise AgentUnreachable(f"the agent refuses: {answer['error']}")
    return dict(answer)
