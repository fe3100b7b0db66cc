"""What is told of a change: just that of a folder, nothing where nothing changed, and everything after something was missed."""

import os
import threading
import time
from pathlib import Path

import pytest

from l3ctl.errors import BadInput
from l3ctl.inventory.sources.file import Reader
from tests.unit.watched import (
    csv,
    news,
    news_after_refusals,
    nothing,
    put,
    readable,
    told,
    watched,
)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_same_bytes_are_no_news() -> None:
    put("in.csv", "a")
    with watched("in.csv") as reader:
        reader.read()
        put("in.csv", "a")
        nothing(reader)
        renamed = Path("x")
        renamed.write_text(csv("a"))
        renamed.rename("in.csv")
        nothing(reader)
        Path("in.csv").touch()
        Path("in.csv").chmod(0o600)
        nothing(reader)
        put("in.csv", "b")
        assert news(reader)[0] == ["b"]


def test_other_files_are_no_news() -> None:
    Path("in.d").mkdir()
    put("in.d/a.csv", "a")
    with watched("in.d") as reader:
        reader.read()
        for name in ("in.d/.a.csv", "in.d/#a.csv#", "in.d/a.csv~", "in.d/a.txt", "a.csv", "in.d.csv"):
            put(name, "x")
        Path("in.d/b.csv.d").mkdir()
        nothing(reader)


def test_of_a_folder_only_what_changed_is_told() -> None:
    Path("in.d").mkdir()
    put("in.d/a.csv", "a1", "a2")
    put("in.d/b.csv", "b1")
    put("in.d/c.csv", "c1")
    with watched("in.d") as reader:
        reader.read()
        put("in.d/b.csv", "b1", "b2")
        assert news(reader) == (["b1", "b2"], set(), False)
        put("in.d/a.csv", "a2")
        assert news(reader) == (["a2"], {"a1"}, False)
        Path("in.d/c.csv").unlink()
        assert news(reader) == ([], {"c1"}, False)
        put("in.d/d.csv", "d1")
        assert news(reader) == (["d1"], set(), False)
        Path("in.d/d.csv").rename("in.d/e.csv")
        assert news(reader) == (["d1"], set(), False)
        Path("in.d/e.csv").rename("in.d/e.txt")
        assert news(reader) == ([], {"d1"}, False)
        put("in.d/b.csv", "b2")
        put("in.d/a.csv", "a2", "b1")
        assert news_of_both(reader) == ({"a2", "b1", "b2"}, set())
        assert told(reader.read()) == (["a2", "b1", "b2"], set(), True)


def news_of_both(reader: Reader) -> tuple[set[str], set[str]]:
    names, gone, _ = news(reader)
    return set(names), gone


def test_a_name_there_twice_or_missing_makes_it_whole() -> None:
    """Else the one that is left would not be told when the other goes."""
    Path("in.d").mkdir()
    put("in.d/a.csv", "a", "b")
    put("in.d/b.csv", "c")
    with watched("in.d") as reader:
        reader.read()
        put("in.d/b.csv", "b")
        assert news(reader) == (["a", "b", "b"], set(), True)
        put("in.d/b.csv", "c")
        assert news(reader) == (["a", "b", "c"], set(), True)
        Path("in.d/b.csv").write_text("name,mac\n,m\n")
        assert news(reader) == (["a", "b", "{'mac': 'm'}"], set(), True)
        put("in.d/b.csv", "c")
        assert news(reader) == (["a", "b", "c"], set(), True)
        put("in.d/b.csv", "d")
        assert news(reader) == (["d"], {"c"}, False)


def test_after_a_bad_file_everything_is_told() -> None:
    Path("in.d").mkdir()
    put("in.d/a.csv", "a")
    put("in.d/b.csv", "b")
    put("in.d/c.csv", "c")
    with watched("in.d") as reader:
        reader.read()
        Path("in.d/a.csv").write_text("nam\na\n")
        with pytest.raises(BadInput) as caught:
            news(reader)
        assert [line.split(";")[0] for line in caught.value.lines()] == ["in.d/a.csv:1:1: unknown column 'nam'"]
        put("in.d/b.csv", "b2")
        with pytest.raises(BadInput) as caught:
            news(reader)
        assert len(caught.value.problems) == 1
        with Path("in.d/a.csv").open("w") as mending:
            mending.write(csv("a"))
            mending.flush()
            Path("in.d/c.csv").unlink()
            nothing(reader)
        assert news(reader) == (["a", "b2"], set(), True)
        put("in.d/a.csv", "a2")
        assert news(reader) == (["a2"], {"a"}, False)


@pytest.mark.parametrize("path", ["in.csv", "."])
def test_a_file_that_is_as_it_was_is_news_after_a_bad_one(path: str) -> None:
    put("in.csv", "a")
    with watched(path) as reader:
        reader.read()
        Path("in.csv").write_text("")
        with pytest.raises(BadInput, match="the file is empty"):
            news(reader)
        put("in.csv", "a")
        assert news(reader) == (["a"], set(), True)


def test_a_first_reading_that_failed_is_made_up_for() -> None:
    with watched("in.d/x.csv") as reader:
        with pytest.raises(BadInput, match="no such file"):
            reader.read()
        Path("in.d").mkdir()
        put("in.d/x.csv", "a")
        assert news_after_refusals(reader) == (["a"], set(), True)


def test_an_emptied_folder_is_refused_and_not_an_empty_inventory() -> None:
    Path("in.d").mkdir()
    put("in.d/a.csv", "a")
    with watched("in.d") as reader:
        reader.read()
        Path("in.d/a.csv").unlink()
        with pytest.raises(BadInput, match="has no inventory in it"):
            news(reader)
        put("in.d/b.csv", "b")
        assert news(reader) == (["b"], set(), True)


def test_a_burst_is_told_as_it_is_at_its_end() -> None:
    Path("in.d").mkdir()
    put("in.d/a.csv", "0")
    with watched("in.d") as reader:
        reader.read()
        for number in range(1, 300):
            put(f"in.d/{'abc'[number % 3]}.csv", str(number))
        standing = {"0"}
        while standing != {"297", "298", "299"}:
            names, gone, whole = news(reader)
            standing = set(names) if whole else (standing | set(names)) - gone
        nothing(reader)


def test_what_an_overflowing_queue_lost_is_found() -> None:
    """As many events as the kernel keeps, of a name that does not count, and then the change."""
    Path("in.d").mkdir()
    for name in ("a", "b"):
        put(f"in.d/{name}.csv", name)
    with watched("in.d") as reader:
        reader.read()
        most = int(Path("/proc/sys/fs/inotify/max_queued_events").read_text())
        with Path("in.d/a.txt").open("w") as one, Path("in.d/b.txt").open("w") as other:
            for _ in range(most // 2 + 10):
                os.write(one.fileno(), b"x")
                os.write(other.fileno(), b"x")
        put("in.d/b.csv", "c")
        assert news(reader) == (["c"], {"b"}, False)
        put("in.d/a.csv", "d")
        assert news(reader) == (["d"], {"a"}, False)


def test_nothing_falls_between_the_first_reading_and_the_watch() -> None:
    def write(number: int) -> None:
        time.sleep(number / 2000)
        put(".in.tmp", str(number))
        Path(".in.tmp").rename("in.csv")

    put("in.csv", "0")
    for number in range(1, 30):
        writer = threading.Thread(target=write, args=[number])
        with watched("in.csv") as reader:
            writer.start()
            latest = told(reader.read())[0]
            writer.join()
            while readable(reader, 0.05):
                delivery = reader.news()
                latest = told(delivery)[0] if delivery else latest
        assert latest == [str(number)]


def test_while_an_editor_saves_step_by_step_the_end_is_what_is_told() -> None:
    def edit(number: int) -> None:
        for step in (lambda: Path("in.csv").rename("in.csv~"), lambda: put("in.csv", str(number)), lambda: Path("in.csv~").unlink()):
            step()
            time.sleep(0.01)

    put("in.csv", "a")
    with watched("in.csv") as reader:
        reader.read()
        for number in range(10):
            editor = threading.Thread(target=edit, args=[number])
            editor.start()
            assert news_after_refusals(reader) == ([str(number)], set(), True)
            editor.join()
            nothing(reader)


def test_descriptors_are_let_go() -> None:
    put("in.csv", "a")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(50):
        with watched(".") as reader:
            reader.read()
    assert len(list(Path("/proc/self/fd").iterdir())) == before
