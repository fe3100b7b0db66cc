"""Compiled filters kept on disk, so that a restart needs no compiler. Losing any of it costs a compile and nothing else.

What stands here is loaded into the kernel as root. So only a file that root alone can have written counts, and only one that is whole: it
begins with the checksum of the rest. Its name is that of the sources it was made from.
"""

import base64
import functools
import hashlib
import json
import os
import stat
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from l3ctl.xdp.abi import source_id
from l3ctl.xdp.loader import Bytecode, compile_filter, parse_bytecode

_DEFAULT = "/var/cache/l3ctl"
_KEPT = 16
"""files; each is 50 kB"""


def _folder() -> Path:
    return Path(os.environ.get("L3CTL_CACHE") or _DEFAULT)


def _path(source_guard: bool) -> Path:
    return _folder() / f"filter-{source_id(source_guard).hex()}"


@functools.cache
def bytecode(source_guard: bool) -> Bytecode:
    """The compiled filter: from the cache, else from the compiler, once a process. Raises as `compile_filter` does."""
    found = _read(_path(source_guard))
    if found is None:
        found = compile_filter(source_guard)
        with suppress(OSError):
            _write(_path(source_guard), found)
    return found


def distrust(source_guard: bool) -> Bytecode:
    """Compile anew, because the kernel does not take what the cache has."""
    with suppress(OSError):
        _path(source_guard).unlink()
    bytecode.cache_clear()
    return bytecode(source_guard)


def _is_ours_alone(facts: os.stat_result) -> bool:
    return facts.st_uid in (0, os.geteuid()) and not facts.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _read(path: Path) -> Bytecode | None:
    """None where there is nothing, or nothing to be trusted."""
    try:
        if not _is_ours_alone(path.parent.lstat()):
            return None
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
            if not _is_ours_alone(os.fstat(file.fileno())):
                return None
            checksum, _, rest = file.read().partition(b"\n")
        if hashlib.sha256(rest).hexdigest().encode() != checksum:
            return None
        return parse_bytecode(rest.decode())
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, made: Bytecode) -> None:
    told = {"instructions": base64.b64encode(made.instructions).decode(), "maps": [asdict(spec) for spec in made.maps]}
    rest = json.dumps(told).encode()
    path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644), "wb") as file:
        file.write(hashlib.sha256(rest).hexdigest().encode() + b"\n" + rest)
    fresh.replace(path)
    oldest_last = sorted(path.parent.glob("filter-*"), key=lambda one: one.stat().st_mtime, reverse=True)
    for old in oldest_last[_KEPT:]:
        old.unlink(missing_ok=True)
