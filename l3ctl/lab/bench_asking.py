"""How long somebody waits who asks: whole commands, from the shell's fork to their end, beside an interpreter that does nothing."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from l3ctl.errors import LabFailed
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.crowd import PROGRAM, Crowd

_NOTHING = (sys.executable, "-c", "pass")


def bench_asking(ports: int, repeats: int) -> Iterator[Row]:
    """Of a router with so many ports, all of them up, and an agent with nothing to do."""
    yield _row("help", [str(PROGRAM), "status", "--help"], [*_NOTHING], repeats)
    with Crowd(f"l3bench{os.getpid()}", ports) as crowd:
        crowd.start_agent()
        inside = ["ip", "netns", "exec", crowd.router.name]
        nothing = [*inside, *_NOTHING]
        config = ["--config", str(crowd.config)]
        middle = crowd.ports[ports // 2].hosts[0]
        asked = {
            "explain-10k": ["explain", str(middle.ipv4[0])],
            "ports-json-10k": ["ports", "--json"],
            "status-json-10k": ["status", "--json"],
        }
        for name, words in asked.items():
            yield _row(name, [*inside, str(PROGRAM), *words, *config], nothing, repeats)


def _row(name: str, words: Sequence[str], nothing: Sequence[str], repeats: int) -> Row:
    _took(words)
    pairs = [(_took(words), _took(nothing)) for _ in range(repeats)]
    return row_of(name, "ms", "python -c pass", pairs)


def _took(words: Sequence[str]) -> float:
    """Milliseconds."""
    began = time.perf_counter()
    # To nowhere: a pipe would measure how soon we read as well.
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, check=False)
    took = 1000 * (time.perf_counter() - began)
    if done.returncode not in (0, 1):
        raise LabFailed(f"{' '.join(words)} exited {done.returncode}: {done.stderr.strip()}")
    return took
