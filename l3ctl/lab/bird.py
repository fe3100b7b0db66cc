"""BIRD's control socket, spoken to without starting a program."""

import re
import socket
from pathlib import Path
from typing import Self

_END = re.compile(rb"^\d{4} .*\n\Z", re.MULTILINE)
"""the last line of an answer has a space after its number"""
_PATIENCE = 30.0


class BirdSocket:
    """A connection to it. Every method raises `OSError` when BIRD is not there (any more)."""

    def __init__(self, control: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(_PATIENCE)
        try:
            self._socket.connect(str(control))
            self._answer()  # its greeting
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, *command: str) -> str:
        """The answer, each line after its number or after a space."""
        self._socket.sendall(" ".join(command).encode() + b"\n")
        return self._answer()

    def _answer(self) -> str:
        said = b""
        while not _END.search(said):
            chunk = self._socket.recv(65536)
            if not chunk:
                raise ConnectionResetError("BIRD has gone")
            said += chunk
        return said.decode()


def asked_once(control: Path, *command: str) -> str:
    """What BIRD answers, as birdc prints it."""
    with BirdSocket(control) as bird:
        lines = bird.ask(*command).splitlines(keepends=True)
    return "".join(line[1:] if line.startswith(" ") else line[5:] for line in lines)
