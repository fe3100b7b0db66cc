"""A relay between the two that it stands between: this end speaks as ExaBGP, and as the agent."""

import json
import os
import select
import socket
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from l3ctl.bgp import relay as relay_module

MADE_FOR = "a1b2c3"
PEER = "2001:db8:ffff::1"
ATTRIBUTES = "next-hop 2001:db8:ffff::2 med 0"
EORS = ["announce eor ipv6 unicast", "announce eor ipv4 unicast"]


def command(verb: str, *prefixes: str) -> str:
    return f"neighbor {PEER} {verb} attributes {ATTRIBUTES} nlri {' '.join(prefixes)}"


def event(state: str, peer: str = PEER) -> str:
    return json.dumps({"exabgp": "5.0.0", "type": "state", "neighbor": {"address": {"local": "::2", "peer": peer}, "state": state}})


class Line:
    """One end of a conversation in lines. Reading gives up after a while, so that a silent relay fails the test."""

    def __init__(self, read: int, write: int, beside: "ExabgpSide | None" = None) -> None:
        self.descriptor, self.write, self.beside = read, write, beside
        self.buffer = b""

    def say(self, *lines: str) -> None:
        os.write(self.write, "".join(f"{line}\n" for line in lines).encode())

    def hear(self, count: int = 1) -> list[str]:
        """The next lines; fewer when the other end hung up."""
        deadline = time.monotonic() + 20
        while self.buffer.count(b"\n") < count and (chunk := self.chunk(deadline - time.monotonic())):
            self.take(chunk)
        *lines, rest = self.buffer.split(b"\n")
        self.buffer = b"\n".join([*lines[count:], rest])
        return [line.decode() for line in lines[:count]]

    def take(self, chunk: bytes) -> None:
        self.buffer += chunk

    def chunk(self, timeout: float) -> bytes:
        deadline = time.monotonic() + timeout
        ready: list[int] = []
        while self.descriptor not in ready:
            beside = [self.beside.descriptor] if self.beside and self.beside.reads else []
            ready, _, _ = select.select([self.descriptor, *beside], [], [], max(0.0, deadline - time.monotonic()))
            assert ready, f"nothing came; so far {self.buffer[-200:]!r}"
            if set(beside) & set(ready):
                assert self.beside is not None
                self.beside.take(self.beside.chunk(0))
        try:
            return os.read(self.descriptor, 65536)
        except ConnectionResetError:
            return b""

    def ready(self) -> bool:
        """Whether there is something to hear."""
        return bool(self.buffer or select.select([self.descriptor], [], [], 0)[0])

    def hung_up(self) -> bool:
        return self.hear(1) == []


class AgentSide(Line):
    """Does not mention what the relay says first, always."""

    def take(self, chunk: bytes) -> None:
        super().take(chunk)
        self.buffer = self.buffer.replace(f"made-for {MADE_FOR}\n".encode(), b"")


class ExabgpSide(Line):
    """Answers what the relay asks for itself at once, from `shown`, also while the test listens to the agent's side."""

    def __init__(self, read: int, write: int) -> None:
        super().__init__(read, write)
        self.reads = self.answers = True
        self.shown: dict[str, list[str]] = {}
        self.left: list[str] = []
        """answers to a relay before this one"""

    def take(self, chunk: bytes) -> None:
        super().take(chunk)
        *lines, rest = self.buffer.split(b"\n")
        for line in [one for one in lines if one in (b"reset", b"version")]:
            lines.remove(line)
            self.say(*self.left, "exabgp 5.0.15", "done") if line == b"version" else None
        for line in [one for one in lines if one.startswith(b"show ") and self.answers]:
            lines.remove(line)
            self.say(*self.shown.get(line.decode(), []), "done")
        self.buffer = b"\n".join([*lines, rest])


class Bench:
    """A relay, its ExaBGP and its agent."""

    def __init__(self, directory: Path) -> None:
        self.socket_path = directory / "bgp.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(self.socket_path))
        self.listener.listen(1)
        self.listener.settimeout(20)
        self.connections: list[socket.socket] = []
        self.processes: list[subprocess.Popen[bytes]] = []
        self.start()

    def start(self) -> None:
        argv = [sys.executable, "-I", relay_module.__file__, str(self.socket_path), "--made-for", MADE_FOR]
        self.process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.processes.append(self.process)
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.exabgp = ExabgpSide(self.process.stdout.fileno(), self.process.stdin.fileno())

    def connect(self) -> Line:
        connection, _ = self.listener.accept()
        self.connections.append(connection)
        return AgentSide(connection.fileno(), connection.fileno(), self.exabgp)

    def hang_up(self) -> None:
        self.connections.pop().close()

    def resident(self) -> int:
        """Bytes of memory the relay occupies."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) * 1024

    def stop(self) -> None:
        for process in self.processes:
            process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout):
                assert pipe is not None
                with suppress(BrokenPipeError):
                    pipe.close()
        for connection in (*self.connections, self.listener):
            connection.close()
