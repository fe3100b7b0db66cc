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
