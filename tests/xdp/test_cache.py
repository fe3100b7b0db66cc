"""Compiled filters on disk: a restart needs no compiler, and whatever happened to the files costs a compile and nothing else."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from l3ctl.xdp import cache
from l3ctl.xdp.loader import Bytecode, compile_filter
from l3ctl.xdp.program import create_maps, load_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("L3CTL_CACHE", str(tmp_path / "cache"))
    cache.bytecode.cache_clear()
    yield tmp_path / "cache"
    cache.bytecode.cache_clear()


@pytest.fixture(scope="module")
def compiled() -> Bytecode:
    return compile_filter(False)


def again() -> Bytecode:
    """As another process would ask."""
    cache.bytecode.cache_clear()
    return cache.bytecode(False)


def the_file(folder: Path) -> Path:
    (file,) = folder.iterdir()
    return file


def without_compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: bool) -> Bytecode:
        raise AssertionError("the compiler was asked")

    monkeypatch.setattr(cache, "compile_filter", fail)


def test_what_was_compiled_once_is_taken_from_the_file(folder: Path, compiled: Bytecode, monkeypatch: pytest.MonkeyPatch) -> None:
    assert again() == compiled
    without_compiler(monkeypatch)
    found = again()
    assert found == compiled
    assert load_program(found, create_maps(found)).id() > 0


def spoil_end(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-20])


def spoil_middle(file: Path) -> None:
    raw = bytearray(file.read_bytes())
    raw[len(raw) // 2] ^= 1
    file.write_bytes(raw)


def empty(file: Path) -> None:
    file.write_bytes(b"")


def writable_by_all(file: Path) -> None:
    file.chmod(0o666)


def owned_by_nobody(file: Path) -> None:
    os.chown(file, 65534, 65534)


def in_a_folder_of_all(file: Path) -> None:
    file.parent.chmod(0o777)


def a_link(file: Path) -> None:
    file.rename(file.parent.parent / "elsewhere")
    file.symlink_to(file.parent.parent / "elsewhere")


def a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize("spoil", [spoil_end, spoil_middle, empty, writable_by_all, owned_by_nobody, in_a_folder_of_all, a_link, a_folder])
def test_a_file_that_is_not_whole_or_not_roots_alone_is_not_trusted(folder: Path, compiled: Bytecode, spoil: object) -> None:
    again()
    spoil(the_file(folder))  # type: ignore[operator]
    assert cache._read(cache._path(False)) is None
    assert again() == compiled


def test_a_folder_that_cannot_be_written_costs_only_the_compile(folder: Path, compiled: Bytecode, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.write_text("in the way")
    assert again() == compiled
    assert folder.read_text() == "in the way"


def test_what_the_kernel_does_not_take_is_compiled_anew(folder: Path, compiled: Bytecode) -> None:
    again()
    cache._write(the_file(folder), Bytecode(compiled.instructions[:-8], compiled.maps))
    assert again() != compiled
    assert cache.distrust(False) == compiled == again()


def test_old_files_do_not_pile_up(folder: Path, compiled: Bytecode) -> None:
    for number in range(20):
        cache._write(folder / f"filter-{number:032x}", compiled)
    assert len(list(folder.iterdir())) == 16


def test_the_compiler_is_not_taken_from_the_folder_one_is_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planted = tmp_path / "l3ctl" / "xdp"
    planted.mkdir(parents=True)
    for file in (planted.parent / "__init__.py", planted / "__init__.py"):
        file.touch()
    (planted / "loader.py").write_text("raise SystemExit('planted')")
    monkeypatch.chdir(tmp_path)
    assert compile_filter(source_guard=False).instructions
