"""The commands' end of the agent's socket: one JSON object a line asks, one answers. Imported in no time, as somebody waits."""

import json
import socket
import struct
from pathlib import Path
from typing import Any

from l3ctl.errors import AgentRefused, AgentUnreachable, BadInput, Problem

Answer = dict[str, Any]
_TIMEOUT = 30.0
"""seconds a command waits for its answer; a full pass over 10,000 ports takes a fraction of one"""


def ask(path: Path, question: dict[str, object], timeout: float = _TIMEOUT) -> Answer:
    """Ask the agent, which has ``timeout`` seconds.

    Raises:
        AgentUnreachable: none is there, or none answers.
        AgentRefused: it answers with an error.
        BadInput: it answers that what it has read is no good.
    """
    return _understood(path, _answer(path, question, timeout))


def ask_for_rows(path: Path, question: dict[str, object], key: str) -> tuple[Answer, bytes]:
    """The same where an answer ends with a list of many objects under `key`: that as JSON, not read, since that takes longer than all else.

    Raises:
        AgentUnreachable, AgentRefused, BadInput: as `ask`.
    """
    answer = _answer(path, question, _TIMEOUT)
    if not answer.endswith(b"\n"):
        raise AgentUnreachable(f"the agent at {path} broke off", "its log says why")
    answer = answer.rstrip()
    # Once only, and not within a text: there the quotes would have backslashes before them.
    around, begins, rows = answer.partition(f', "{key}": ['.encode())
    told = _understood(path, around + b"}" if begins else answer)
    if not rows.endswith(b"]}"):
        raise AgentRefused(f"what answers at {path} is not this version's agent", "restart it")
    return told, rows[:-2]


def _answer(path: Path, question: dict[str, object], timeout: float) -> bytes:
    try:
        with socket.socket(socket.AF_UNIX) as agent:
            # Not settimeout() yet: with it, connect() fails at once where others wait already, as if no agent were there.
            agent.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("@ll", int(_TIMEOUT), 0))
            agent.connect(str(path))
            agent.settimeout(timeout)
            agent.sendall(json.dumps(question).encode() + b"\n")
            return agent.makefile("rb").readline()
    except OSError as error:
        raise AgentUnreachable(f"no agent answers at {path}: {error.strerror or error}", "start `l3ctl agent`") from error


def _understood(path: Path, line: bytes) -> Answer:
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
