"""A change of the inventory's files is told however it was made, whole files only, and nothing that was missed stays missed."""

import os
import select
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from l3ctl.configuration import FileSource
from l3ctl.errors import BadInput, SourceFailed
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.sources.file import Reader

PATIENCE = 10
"""seconds: a limit, not a measure"""
A_WHILE = 0.25
"""seconds in which what is not to be told is not told"""
Told = tuple[list[str], set[str], bool]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@contextmanager
def watched(path: str, timeout: int = 5) -> Iterator[Reader]:
    reader = Reader(FileSource(Path(path)), timeout)
    try:
        yield reader
    finally:
        reader.close()


def csv(*names: str) -> str:
    return "name\n" + "".join(f"{name}\n" for name in names)


def put(path: str, *names: str) -> None:
    """As most programs do: in place."""
    Path(path).write_text(csv(*names))


def told(delivery: Delivery | None) -> Told:
    assert delivery is not None
    return [str(record.at(("name",)).value) for record in delivery.records], set(delivery.gone), delivery.whole


def readable(reader: Reader, seconds: float) -> bool:
    descriptor = reader.fileno()
    assert descriptor is not None
    return bool(select.select([descriptor], [], [], seconds)[0])


def news(reader: Reader) -> Told:
    """The next that is any."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if readable(reader, end - time.monotonic()) and (delivery := reader.news()) is not None:
            return told(delivery)
    raise AssertionError("nothing was told")


def nothing(reader: Reader) -> None:
    """No news for a while, whatever is heard."""
    end = time.monotonic() + A_WHILE
    while (left := end - time.monotonic()) > 0:
        if readable(reader, left):
            assert reader.news() is None


def in_place() -> None:
    put("in.csv", "b")


def in_several_writes() -> None:
    with Path("in.csv").open("w") as file:
        for part in ("na", "me\n", "b", "\n"):
            file.write(part)
            file.flush()
            time.sleep(0.03)


def renamed_over() -> None:
    put(".in.csv.tmp", "b")
    Path(".in.csv.tmp").rename("in.csv")


def as_vim_does() -> None:
    Path("4913").touch()
    Path("4913").unlink()
    Path("in.csv").rename("in.csv~")
    put("in.csv", "b")
    Path("in.csv~").unlink()


def as_sed_does() -> None:
    subprocess.run(["sed", "-i", "s/^a$/b/", "in.csv"], check=True, timeout=PATIENCE)


def deleted_and_made_again() -> None:
    Path("in.csv").unlink()
    put("in.csv", "b")


def copied_from_elsewhere() -> None:
    Path("other").mkdir()
    put("other/in.csv", "b")
    subprocess.run(["cp", "-a", "other/in.csv", "in.csv"], check=True, timeout=PATIENCE)


def moved_from_elsewhere() -> None:
    Path("other").mkdir()
    put("other/x", "b")
    subprocess.run(["mv", "other/x", "in.csv"], check=True, timeout=PATIENCE)


def hard_linked() -> None:
    put("x", "b")
    Path("in.csv").unlink()
    Path("in.csv").hardlink_to("x")


def turned_into_a_link() -> None:
    Path("other").mkdir()
    put("other/x", "b")
    subprocess.run(["ln", "-sfn", "other/x", "in.csv"], check=True, timeout=PATIENCE)


WAYS = [
    in_place,
    in_several_writes,
    renamed_over,
    as_vim_does,
    as_sed_does,
    deleted_and_made_again,
    copied_from_elsewhere,
    moved_from_elsewhere,
    hard_linked,
    turned_into_a_link,
]


@pytest.mark.parametrize("change", WAYS, ids=lambda change: change.__name__)
@pytest.mark.parametrize("path", ["in.csv", "."])
def test_a_change_is_told_however_it_was_made(path: str, change: Callable[[], None]) -> None:
    put("in.csv", "a")
    with watched(path) as reader:
        assert told(reader.read()) == (["a"], set(), True)
        change()
        assert news(reader) == (["b"], set() if path == "in.csv" else {"a"}, path == "in.csv")
        nothing(reader)
        put("in.csv", "c")
        assert news(reader)[0] == ["c"]


@pytest.mark.parametrize("change", WAYS, ids=lambda change: change.__name__)
def test_a_file_behind_a_link_is_followed(change: Callable[[], None], monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    (folder / "far").mkdir()
    put("far/in.csv", "a")
    Path("link.csv").symlink_to("near/../far/./in.csv")
    Path("near").mkdir()
    with watched("link.csv") as reader:
        assert told(reader.read())[0] == ["a"]
        monkeypatch.chdir("far")
        change()
        monkeypatch.chdir(folder)
        delivery = news(reader)
        assert delivery == (["b"], set(), True)


@pytest.mark.parametrize("path", ["mount/in.csv", "mount"])
def test_kubernetes_turns_a_link_between_folders(path: str) -> None:
    for number, name in ((1, "a"), (2, "b"), (3, "c")):
        Path(f"mount/..{number}").mkdir(parents=True)
        put(f"mount/..{number}/in.csv", name)
    Path("mount/..data").symlink_to("..1")
    Path("mount/in.csv").symlink_to("..data/in.csv")
    with watched(path) as reader:
        assert told(reader.read())[0] == ["a"]
        for number, name in ((2, "b"), (3, "c")):
            Path("mount/..data_tmp").symlink_to(f"..{number}")
            Path("mount/..data_tmp").rename("mount/..data")
            shutil.rmtree(f"mount/..{number - 1}")
            assert news(reader)[0] == [name]
            nothing(reader)


def test_a_release_is_turned_above_the_folder() -> None:
    for number, name in ((1, "a"), (2, "b")):
        Path(f"releases/{number}/in.d").mkdir(parents=True)
        put(f"releases/{number}/in.d/x.csv", name)
    Path("current").symlink_to("releases/1")
    with watched("current/in.d") as reader:
        assert told(reader.read())[0] == ["a"]
        subprocess.run(["ln", "-sfn", "releases/2", "current"], check=True, timeout=PATIENCE)
        assert news(reader) == (["b"], {"a"}, False)
        put("releases/1/in.d/x.csv", "old")
        nothing(reader)
        put("releases/2/in.d/x.csv", "c")
        assert news(reader)[0] == ["c"]


@pytest.mark.parametrize("path", ["up/dir/in.csv", "up/dir"])
@pytest.mark.parametrize("how", ["removed", "renamed"])
@pytest.mark.parametrize("which", ["up", "up/dir"])
def test_a_folder_goes_and_comes_back(path: str, how: str, which: str) -> None:
    Path("up/dir").mkdir(parents=True)
    put("up/dir/in.csv", "a")
    with watched(path) as reader:
        reader.read()
        if how == "removed":
            shutil.rmtree(which)
        else:
            Path(which).rename("away")
        with pytest.raises(BadInput) as caught:
            news(reader)
        assert caught.value.lines() == [f"{path}: no such file; check the path"]
        Path("up").mkdir(exist_ok=True)
        nothing_but_refusals(reader)
        Path("up/dir").mkdir()
        nothing_but_refusals(reader)
        put("up/dir/in.csv", "b")
        assert news_after_refusals(reader) == (["b"], set(), True)
        put("up/dir/in.csv", "c")
        assert news(reader)[0] == ["c"]


def nothing_but_refusals(reader: Reader) -> None:
    end = time.monotonic() + A_WHILE
    while (left := end - time.monotonic()) > 0:
        if readable(reader, left):
            try:
                assert reader.news() is None
            except BadInput:
                continue


def news_after_refusals(reader: Reader) -> Told:
    while True:
        try:
            return news(reader)
        except BadInput:
            continue


@pytest.mark.parametrize("path", ["in.csv", "."])
def test_half_a_file_is_never_told(path: str) -> None:
    put("in.csv", "a", "b", "c")
    with watched(path) as reader:
        reader.read()
        with Path("in.csv").open("w") as file:
            file.write(csv("a", "b"))
            file.flush()
            nothing(reader)
            assert told(reader.read())[0] == ["a", "b", "c"], "nor when everything is read meanwhile"
            file.write("c\nd\n")
            file.flush()
            nothing(reader)
        assert news(reader)[0] == ["a", "b", "c", "d"]


def test_a_file_renamed_into_place_and_still_written_is_half_a_file() -> None:
    put("in.csv", "a", "b")
    with watched("in.csv") as reader:
        reader.read()
        with Path("in.tmp").open("w") as file:
            file.write(csv("a"))
            file.flush()
            Path("in.tmp").rename("in.csv")
            nothing(reader)
            file.write("b\nc\n")
        assert news(reader)[0] == ["a", "b", "c"]


def test_a_new_file_in_a_folder_counts_from_when_it_is_closed() -> None:
    put("a.csv", "a")
    with watched(".") as reader:
        reader.read()
        with Path("b.csv").open("w") as file:
            nothing(reader)
            file.write(csv("b"))
            file.flush()
            nothing(reader)
            put("a.csv", "c")
            assert news(reader) == (["c"], {"a"}, False)
        assert news(reader) == (["b"], set(), False)


def test_a_first_reading_waits_for_the_writer() -> None:
    writing, closing = threading.Event(), threading.Event()

    def write() -> None:
        with Path("in.csv").open("w") as file:
            file.write("name\n")
            file.flush()
            writing.set()
            while not closing.wait(0.02):
                file.write("a\n")
                file.flush()

    writer = threading.Thread(target=write)
    writer.start()
    writing.wait(PATIENCE)
    with watched("in.csv", timeout=0) as reader:
        with pytest.raises(SourceFailed) as caught:
            reader.read()
        assert caught.value.lines() == ["in.csv is being written for longer than 0 s; close it in whatever writes it"]
        closing.set()
        writer.join()
        assert set(told(reader.read())[0]) <= {"a"}
        assert len(told(reader.read())[0]) == Path("in.csv").read_text().count("a\n")


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
