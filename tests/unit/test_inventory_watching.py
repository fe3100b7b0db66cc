"""A change of the inventory's files is told however it was made, and whole files only."""

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from l3ctl.errors import BadInput, SourceFailed
from tests.unit.watched import PATIENCE, csv, news, news_after_refusals, nothing, nothing_but_refusals, put, told, watched


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


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
