"""What a lab could leave behind on the machine."""

import contextlib
import subprocess
from pathlib import Path

from l3ctl.lab.network import Network


def own_network() -> str:
    """Of the machine itself, without what flows: counters and lifetimes are left out by `ip` unless asked for."""
    commands = (["link"], ["-4", "addr"], ["-4", "route", "show", "table", "all"], ["-6", "route", "show", "table", "all"], ["rule"])
    return "".join(subprocess.run(["ip", *words], capture_output=True, text=True, check=True).stdout for words in commands)


def leftovers(lab: Network) -> list[str]:
    """Everything of a lab that could be found on the machine."""
    found = [one.name for one in lab.namespaces() if one.exists()]
    found += [str(path) for path in (lab.run_dir, *(router.etc for router in lab.routers())) if path.exists()]
    found += [line for line in Path("/proc/mounts").read_text().splitlines() if f"/{lab.prefix}/" in line]
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            words = (process / "cmdline").read_bytes()
            if f"/{lab.prefix}/".encode() in words or f"--prefix\0{lab.prefix}\0".encode() in words:
                found.append(f"process {process.name}: {words!r}")
    return found
