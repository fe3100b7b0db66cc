"""A file or a folder as the source of the inventory: which files count, in what order, and every problem of all of them at once."""

import os
from pathlib import Path

import pytest

from l3ctl.configuration import FileSource
from l3ctl.errors import BadInput
from l3ctl.inventory.sources.file import Reader
from tests.unit.inventories import load_file

MEND = "put in a file whose name ends in .yaml, .yml, .json, .toml or .csv"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def places(path: str) -> list[str]:
    reader = Reader(FileSource(Path(path)), 5)
    try:
        delivery = reader.read()
    finally:
        reader.close()
    assert delivery.whole
    return [f"{record.title} {record.place(('name',))}" for record in delivery.records]


def refusal(path: str) -> list[str]:
    with pytest.raises(BadInput) as caught:
        places(path)
    return caught.value.lines()


def test_every_format_by_the_end_of_its_name() -> None:
    texts = {
        "a.yaml": "ports:\n- name: a\n",
        "b.YML": "ports:\n- name: b\n",
        "c.json": '{"ports": [{"name": "c"}]}',
        "d.toml": '[[ports]]\nname = "d"\n',
        "e.csv": "name\ne\n",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    assert [places(name) for name in texts] == [
        ["port 'a' a.yaml:2:9"],
        ["port 'b' b.YML:2:9"],
        ["port 'c' c.json:1:21"],
        ["port 'd' d.toml:2:8"],
        ["port 'e' e.csv:2:1"],
    ]
    assert places(".") == [line for name in texts for line in places(name)]


def test_a_folder_is_read_by_name_without_what_editors_leave_in_it() -> None:
    inventory = Path("in.d")
    inventory.mkdir()
    for name in ("b.csv", "a.csv", "é.csv"):
        (inventory / name).write_text(f"name\n{name[0]}\n")
    for name in (
        ".a.csv",
        ".#a.csv",
        "#a.csv#",
        "#b.csv",
        "a.csv~",
        "a.csv.swp",
        ".a.csv.swp",
        "a.csv.dpkg-old",
        "README",
        "4913",
        "a.txt",
    ):
        (inventory / name).write_text("not CSV at all\0")
    (inventory / "c.csv").mkdir()
    (inventory / "c.csv/x.csv").write_text("name\nx\n")
    assert places("in.d") == ["port 'a' in.d/a.csv:2:1", "port 'b' in.d/b.csv:2:1", "port 'é' in.d/é.csv:2:1"]
    Path("link.yaml").symlink_to("in.d")
    assert places("link.yaml")[0] == "port 'a' link.yaml/a.csv:2:1"


@pytest.mark.parametrize(
    ("path", "lines"),
    [
        ("none.yaml", ["none.yaml: no such file; check the path"]),
        ("none", ["none: no such file; check the path"]),
        ("a.txt", ["a.txt: is of no known format; its name must end in .yaml, .yml, .json, .toml or .csv"]),
        ("a.yaml~", ["a.yaml~: is of no known format; its name must end in .yaml, .yml, .json, .toml or .csv"]),
        ("empty.d", [f"empty.d: has no inventory in it; {MEND}"]),
        ("pipe.json", ["pipe.json: is not a regular file; name a file or a folder"]),
        ("dangling.csv", ["dangling.csv: no such file; check the path"]),
        ("round.csv", ["round.csv: cannot be read: Too many levels of symbolic links; check the path"]),
        ("nul\0.csv", ["'nul\\x00.csv': is not a path; check it for stray characters"]),
        ("list.yaml", ["list.yaml:1:1: the file must be a mapping, found a list"]),
        ("keys.json", ["keys.json:1:2: unknown key 'port'; did you mean 'ports'?", "keys.json:1:1: missing key 'ports'; add it"]),
        ("word.toml", ["word.toml:1:9: 'ports' must be a list, found 'a'; write [a]"]),
        ("null.json", ["null.json:1:2: key 'ports' has no value; give it one"]),
    ],
)
def test_what_is_no_inventory_is_refused_with_the_mend(path: str, lines: list[str]) -> None:
    texts = {
        "list.yaml": "- name: a\n",
        "keys.json": '{"port": []}',
        "word.toml": "ports = 'a'",
        "null.json": '{"ports": null}',
        "a.txt": "",
        "a.yaml~": "",
    }
    for name, text in texts.items():
        Path(name).write_text(text)
    Path("empty.d").mkdir()
    Path("empty.d/a.txt").touch()
    os.mkfifo("pipe.json")
    Path("dangling.csv").symlink_to("nowhere.csv")
    Path("round.csv").symlink_to("round.csv")
    assert sorted(refusal(path)) == sorted(lines)


def test_the_problems_of_all_files_are_told_at_once() -> None:
    inventory = Path("in.d")
    inventory.mkdir()
    (inventory / "a.yaml").write_text("ports: [\n")
    (inventory / "b.json").write_text('{"ports": [{"name": "b"}]}')
    (inventory / "c.csv").write_text("name,mac,mac\n")
    (inventory / "d.toml").write_text("ports = 1\n")
    (inventory / "e.yaml").symlink_to("gone.yaml")
    assert [line.split(";")[0] for line in refusal("in.d")] == [
        "in.d/a.yaml:2:1: not YAML: did not find expected node content",
        "in.d/c.csv:1:10: column 'mac' is there twice, first at in.d/c.csv:1:6",
        "in.d/d.toml:1:9: 'ports' must be a list, found '1'",
        "in.d/e.yaml: no such file",
    ]


def test_records_of_a_folder_are_held_against_each_other_with_the_places_of_both() -> None:
    Path("a.csv").write_text("name,interface,mac,ipv4\na,t1,52:54:00:00:00:01,198.51.100.1 198.51.100.2\n")
    Path("b.toml").write_text('[[ports]]\nname = "b"\ninterface = "t2"\nmac = "52:54:00:00:00:02"\nipv4 = [\n "198.51.100.2"]\n')
    Path("c.json").write_text('{"ports": [{"name": "c", "interface": "t3"}, {"name": "d", "vlan": 1, "mac": "no"}]}')
    with pytest.raises(BadInput) as caught:
        load_file(Path(), "r1")
    assert caught.value.lines() == [
        "b.toml:6:2: port 'b' claims 198.51.100.2, which port 'a' claims too (a.csv:2:37); bill each address to one port",
        "c.json:1:12: port 'c' has no host; add 'mac' or 'hosts'",
        "c.json:1:78: 'mac' must be a MAC like 52:54:00:0a:00:0b, found 'no'",
    ]
