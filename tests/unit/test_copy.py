"""The last good copy is whole or not there, whatever happens to who writes it, and to the disk."""

import os
import random
import signal
import sqlite3
import time
from pathlib import Path

import pytest

from l3ctl.errors import CopyFailed
from l3ctl.inventory.copy import KEPT, Changed, Copy, Stored


def stored(name: str, value: object = "v") -> Stored:
    return Stored(name, {"name": name, "value": value}, f"db: row {name}")  # type: ignore[dict-item]


def commit(copy: Copy, *names: str, gone: tuple[str, ...] = (), value: object = "v") -> int:
    return copy.commit({name: stored(name, value) for name in names}, gone, "db", "read", 1000.0)


def test_what_was_written_is_read_and_its_history_with_it(tmp_path: Path) -> None:
    path = tmp_path / "state" / "r1.inventory"
    copy = Copy(path)
    assert (copy.records(), copy.versions(10), copy.changes(1), copy.said("x")) == ([], [], [], None)
    assert not path.exists(), "reading makes nothing"
    assert commit(copy, "a", "b") == 1
    assert commit(copy, "b", "c", gone=("a", "unknown"), value="w") == 2
    copy.close()
    copy = Copy(path)
    assert copy.records() == [stored("b", "w"), stored("c", "w")]
    assert [(one.serial, one.added, one.changed, one.removed) for one in copy.versions(10)] == [(2, 1, 1, 1), (1, 2, 0, 0)]
    was = {name: stored(name).value for name in "ab"}
    now = {name: stored(name, "w").value for name in "bc"}
    assert copy.changes(2) == [
        Changed("a", was["a"], None, ""),
        Changed("b", was["b"], now["b"], "db: row b"),
        Changed("c", None, now["c"], "db: row c"),
    ]
    copy.say("trial", 7)
    assert copy.said("trial") == 7
    copy.say("trial", None)
    assert copy.said("trial") is None
    assert path.stat().st_mode & 0o777 == 0o600, "billing is nobody else's to read"


def test_the_history_has_an_end(tmp_path: Path) -> None:
    copy = Copy(tmp_path / "copy")
    for number in range(KEPT + 5):
        commit(copy, "a", value=number)
    assert len(copy.versions(10 * KEPT)) == KEPT
    assert copy.changes(1) == []
    assert len(copy.changes(KEPT + 5)) == 1


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE record SET value = replace(value, 'v', 'w') WHERE name = 'a'",
        "DELETE FROM record WHERE name = 'a'",
        "INSERT INTO record SELECT 'z', value, place, checksum FROM record WHERE name = 'a'",
        "UPDATE record SET name = 'z' WHERE name = 'a'",
        "DELETE FROM about",
        "DROP TABLE record",
        "PRAGMA user_version = 99",
        None,
    ],
    ids=["a value", "a record less", "a record more", "a name", "no checksum", "no table", "another layout", "no database"],
)
def test_a_copy_that_does_not_agree_with_itself_is_set_aside_and_not_used(tmp_path: Path, damage: str | None) -> None:
    path = tmp_path / "copy"
    copy = Copy(path)
    commit(copy, "a", "b")
    copy.close()
    if damage is None:
        path.write_bytes(b"x" * 5000)
    else:
        with sqlite3.connect(path) as connection:
            connection.execute(damage)
        connection.close()
    copy = Copy(path)
    with pytest.raises(CopyFailed) as caught:
        copy.records()
    assert len(caught.value.lines()) == 1
    assert (path.exists(), (tmp_path / "copy.damaged").exists()) == (False, True)
    assert copy.records() == []
    assert commit(copy, "c") == 1
    assert copy.records() == [stored("c")]


def test_a_folder_that_cannot_be_written_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CopyFailed, match="cannot be written"):
        commit(Copy(tmp_path / "file" / "copy"), "a")


def write_for_ever(path: Path, generation: int, said: int) -> None:
    """A child's whole life: all records anew, again and again, each time telling of it."""
    copy, names = Copy(path), [f"p{number}" for number in range(60)]
    while True:
        generation += 1
        value = {"generation": str(generation), "pad": "x" * 500}
        copy.commit({name: Stored(name, {"name": name, **value}, "x") for name in names}, (), "db", "x")
        os.write(said, f"{generation}\n".encode())


def test_a_writer_that_is_killed_leaves_a_whole_copy_two_hundred_times(tmp_path: Path) -> None:
    path, seen, chance = tmp_path / "copy", 0, random.Random(7)
    for _ in range(200):
        reading, writing = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                write_for_ever(path, seen, writing)
            finally:
                os._exit(1)
        os.close(writing)
        with os.fdopen(reading, "rb") as pipe:
            said = pipe.readline()  # it is at work
            time.sleep(chance.random() * 0.02)
            os.kill(child, signal.SIGKILL)
            said += pipe.read()
        os.waitpid(child, 0)
        told = int(said.split()[-1])
        copy = Copy(path)
        records = copy.records()
        copy.close()
        generations = {one.value["generation"] for one in records if isinstance(one.value, dict)}
        assert len(records) == 60
        assert len(generations) == 1, "half of one and half of another"
        seen = int(str(generations.pop()))
        assert seen in (told, told + 1), "what was told of is there"
