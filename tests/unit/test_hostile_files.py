"""Whatever bytes a file has, reading it ends: with values or with `BadInput`, within bounded memory and time."""

import functools
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.reading.document import Document
from tests.unit.formats import READERS, read
from tests.unit.hostile import BEARABLE, HOSTILE, SECONDS

ROOT = Path(__file__).parents[2]


@functools.cache
def child(kind: str) -> tuple[dict[str, str], str]:
    """What the child says of each case, and how it ended. It dies of a traceback, of too much memory and of too much time."""
    program = [sys.executable, "-m", "tests.unit.hostile", kind]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=30 * SECONDS, check=False)
    return {name: told for name, _, told in (line.partition(" ") for line in done.stdout.splitlines())}, f"{done.returncode}: {done.stderr}"


def outcome(kind: str, name: str) -> str:
    outcomes, end = child(kind)
    assert name in outcomes, end
    return outcomes[name]


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, cases in HOSTILE.items() for name in cases])
def test_hostile_bytes_are_refused_within_limits(kind: str, name: str) -> None:
    assert outcome(kind, name).startswith(f"refused a.{kind}:")


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, cases in BEARABLE.items() for name in cases])
def test_what_is_only_large_is_read_within_limits(kind: str, name: str) -> None:
    assert outcome(kind, name).startswith(f"read a.{kind}:")


def mutated(text: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Some stretches replaced."""
    for begin, length, instead in changes:
        begin %= len(text) + 1
        text = text[:begin] + instead + text[begin + length :]
    return text


SEEDS = {
    "yaml": b"# x\nports:\n  - name: web1\n    mac: 52:54:00:10:00:11\n    ipv6: [a::/64, 'a']\n  - hosts:\n      - {mac: 'x'}\n",
    "json": b'{"ports": [{"name": "web1", "vlan": 11, "ipv6": ["a", "b"]}, {"hosts": [{"mac": "\\u00e9"}], "qinq": true}]}\n',
    "toml": b'# x\n[[ports]]\nname = "web1"\nipv6 = ["a", \'b\']\n[[ports.hosts]]\nmac = """x\ny"""\nbgp = {med = 5, a.b = 2024-01-01}\n',
    "csv": b'name,mac,ipv6,qinq\nweb1,52:54:00:10:00:11,"a; b",true\n"two\nlines","""x""",,\n',
}
BITS = st.sampled_from(
    [
        b"\n",
        b"\r",
        b"\t",
        b"\0",
        b'"',
        b"'",
        b"[",
        b"]",
        b"{",
        b"}",
        b",",
        b":",
        b"=",
        b"#",
        b"-",
        b"\\",
        b"&a ",
        b"*a",
        b"\xff",
        b"\xc3",
        b".",
    ]
)
CHANGES = st.lists(st.tuples(st.integers(0, 300), st.integers(0, 6), BITS | st.binary(max_size=3)), min_size=1, max_size=5)


@settings(max_examples=300)
@pytest.mark.parametrize("kind", READERS)
@given(CHANGES)
def test_damaged_files_are_read_or_refused_with_a_place(kind: str, changes: list[tuple[int, int, bytes]]) -> None:
    raw = mutated(SEEDS[kind], changes)
    try:
        whole = read(kind, raw)
    except BadInput as refused:
        for problem in refused.problems:
            name, line, column = problem.place.split(":")
            assert name == f"a.{kind}"
            assert 1 <= int(line) <= raw.count(b"\n") + raw.count(b"\r") + 1
            assert 1 <= int(column) <= len(raw) + 1
            assert "\n" not in str(problem)
    else:
        places(whole.value, whole, ())


def places(value: object, whole: Document, way: tuple[str | int, ...]) -> None:
    """Every place can be told."""
    told = whole.place(way, of_key=True).split(":")
    assert len(told) == 3
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for part, inside in below:
        places(inside, whole, (*way, part))
