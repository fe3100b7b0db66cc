"""The kernel's out-of-memory killer, in a memory cgroup of our own."""

import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest

_LIMIT = 48 << 20
_EATS = "open('/proc/self/oom_score_adj', 'w').write('-900'); eaten = bytearray(64 << 20); print(len(eaten))"
_PATIENCE = 20.0


def _hierarchy() -> tuple[Path, str]:
    """Where memory cgroups are made, and the name of their limit: of version 1 or 2, whichever has the controller."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    if (first / "memory.limit_in_bytes").exists():
        return first, "memory.limit_in_bytes"
    if "memory" in (second / "cgroup.subtree_control").read_text().split():
        return second, "memory.max"
    pytest.skip("no cgroup here has the memory controller")


def out_of_memory(pid: int, name: str) -> None:
    """Have the kernel end a process for want of memory, which another one in its cgroup has taken. Returns when it is gone."""
    hierarchy, limit = _hierarchy()
    group = hierarchy / name
    group.mkdir()
    try:
        (group / limit).write_text(str(_LIMIT))
        Path(f"/proc/{pid}/oom_score_adj").write_text("1000")
        (group / "cgroup.procs").write_text(str(pid))
        enters = f"open('{group}/cgroup.procs', 'w').write('0'); {_EATS}"
        with subprocess.Popen([sys.executable, "-c", enters], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as eater:
            until = time.monotonic() + _PATIENCE
            while _lives(pid):
                if time.monotonic() > until:
                    eater.kill()
                    raise AssertionError(f"the kernel did not end process {pid}, short of memory as it is")
                time.sleep(0.005)
            eater.wait(_PATIENCE)
    finally:
        until = time.monotonic() + _PATIENCE
        while group.exists() and time.monotonic() < until:
            with suppress(OSError):  # as long as one that was ended is not yet gone
                group.rmdir()
            time.sleep(0.01)


def _lives(pid: int) -> bool:
    with suppress(ProcessLookupError, FileNotFoundError):
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    return False
