"""A password or token: one word in a file of its own, which is not for everybody's eyes."""

import os
import stat
from pathlib import Path

from l3ctl.errors import BadInput, Problem

_LONGEST = 65536
"""bytes; a signed token may be long"""


def read_secret(path: Path) -> str:
    """The file's one line. `BadInput` where there is none, or where anybody on the machine may read or change it."""
    try:
        with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise _refused(path, "is not a plain file", "name one")
            if facts.st_mode & (stat.S_IROTH | stat.S_IWOTH):
                raise _refused(path, "may be read or changed by everybody", f"chmod o= {path}")
            raw = file.read(_LONGEST + 1)
    except FileNotFoundError:
        raise _refused(path, "no such file", "check the path") from None
    except OSError as error:
        raise _refused(path, f"cannot be read: {error.strerror}", "check the path and its mode") from None
    try:
        text = raw.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        text = ""
    if not text or not text.isprintable() or len(raw) > _LONGEST:
        raise _refused(path, "must hold one line of text", "write the secret there, and nothing else")
    return text


def _refused(path: Path, what: str, mend: str) -> BadInput:
    return BadInput([Problem(str(path), what, mend)])
