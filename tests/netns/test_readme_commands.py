"""The README's own commands, typed as they stand there. Those of `make` are what CI runs, or take minutes that are named beside them."""

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.flood]

ROOT = Path(__file__).parents[2]
BLOCKS = [block.splitlines() for block in re.findall(r"^```sh\n(.*?)^```", (ROOT / "README.md").read_text(), re.MULTILINE | re.DOTALL)]
PREFIX = f"l3t{os.getpid()}x"


def in_our_lab(line: str) -> str:
    """With namespaces of this run's own in place of the lab's usual ones."""
    line = re.sub(r"(l3ctl lab \w+)", rf"\1 --prefix {PREFIX}", line)
    return re.sub(r"\bl3-(router|upstream)", rf"{PREFIX}-\1", line).replace("/lab/l3/", f"/lab/{PREFIX}/")


@pytest.fixture
def afterwards() -> Iterator[None]:
    yield
    subprocess.run([ROOT / ".venv/bin/l3ctl", "lab", "down", "--prefix", PREFIX], check=True)


def test_a_lab_that_stays_can_be_looked_around_in(afterwards: None) -> None:
    (block,) = (block for block in BLOCKS if ".venv/bin/l3ctl lab up" in block)
    said = {}
    for line in block:
        done = subprocess.run(in_our_lab(line), shell=True, cwd=ROOT, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 0, f"{line}: {done.stderr}"
        said[line] = done.stdout
    assert len(said) == len(block) == 9
    told = "\n".join(said.values())
    assert "3 ports: in sync" in told
    assert "port web1" in told
    assert "PERMANENT" in told
    assert "2001:db8:11::/64" in told
    assert "port rogue claimed 203.0.113.11, billed to web1" in told


def test_every_other_block_is_make_or_the_manuals() -> None:
    others = [line for block in BLOCKS if ".venv/bin/l3ctl lab up" not in block for line in block]
    manual = (ROOT / "docs/OPERATING.md").read_text()
    assert [line for line in others if not line.startswith("make ") and line not in manual] == []
