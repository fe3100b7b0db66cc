"""Any text becomes plain values, or problems with their places: nothing is guessed and nothing escapes."""

from pathlib import Path

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from l3ctl.errors import BadInput, Problem
from l3ctl.reading import document
from l3ctl.reading.document import Value, in_order, read_document
from l3ctl.reading.text import DEPTH_LIMIT, SIZE_LIMIT

LOADERS = [yaml.SafeLoader, yaml.CSafeLoader]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(params=LOADERS, ids=lambda loader: loader.__name__, autouse=True)
def loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both parsers of PyYAML: the one in C is not on every machine."""
    monkeypatch.setattr(document, "_LOADER", request.param)


def lines_of(raw: str | bytes) -> list[str]:
    path = Path("a.yaml")
    path.write_bytes(raw.encode() if isinstance(raw, str) else raw)
    with pytest.raises(BadInput) as caught:
        read_document(path)
    return caught.value.lines()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"),
        ("country: NO", {"country": "NO"}),
        ("mac: 52:54:00:10:00:11", {"mac": "52:54:00:10:00:11"}),
        ("mac: 11:22:33:44:55:06", {"mac": "11:22:33:44:55:06"}),
        ("vlan: 011", {"vlan": "011"}),
        ("vlan: 0x1f", {"vlan": "0x1f"}),
        ("as: 4_200", {"as": "4_200"}),
        ("version: 1.10", {"version": "1.10"}),
        ("on: 2024-01-01", {"on": "2024-01-01"}),
        ("a: =", {"a": "="}),
        ("11: x", {"11": "x"}),
        ("a: true\nb: false\nc: True\nd: yes\ne: 'true'", {"a": True, "b": False, "c": "True", "d": "yes", "e": "true"}),
        ("a: null\nb: ~\nc:\nd: Null\ne: ''", {"a": None, "b": None, "c": None, "d": "Null", "e": ""}),
        ("a: |\n  true\n", {"a": "true\n"}),
        ("[fe80::1, 2001:db8:11::/64]", ["fe80::1", "2001:db8:11::/64"]),
        ('{"a": ["b", 1, false]}', {"a": ["b", "1", False]}),
        ("'<<': a", {"<<": "a"}),
        ("a: b # a tab\tin a comment harms nobody", {"a": "b"}),
        ("\ufeffa: b", {"a": "b"}),
        ("%YAML 1.2\n---\na: b\n...\n", {"a": "b"}),
        ("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT, eval("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)),
    ],
)
def test_scalars_stay_as_written(text: str, value: Value) -> None:
    Path("a.yaml").write_text(text, encoding="utf-8")
    read = read_document(Path("a.yaml")).value
    assert read == value
    assert repr(read) == repr(value)  # 1 == True


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["a.yaml:1:1: the file is empty"]),
        ("# nothing\n", ["a.yaml:1:1: the file is empty"]),
        ("a: b\nc: d\na: e\n", ["a.yaml:3:1: key 'a' is written twice, first at a.yaml:1:1; keep one"]),
        ("p: [{a: b, a: c}]", ["a.yaml:1:12: key 'a' is written twice, first at a.yaml:1:6; keep one"]),
        (
            "a: &x b\nc: *x\n",
            [
                "a.yaml:1:4: anchor '&x' is not allowed; remove it and write each value out",
                "a.yaml:2:4: alias '*x' is not allowed; write the value out",
            ],
        ),
        ("a: *nowhere\n", ["a.yaml:1:4: alias '*nowhere' is not allowed; write the value out"]),
        ("<<: {a: b}\n", ["a.yaml:1:1: merge key << is not allowed; write the keys out"]),
        ("a: !!str 1\n", ["a.yaml:1:4: tag '!!str' is not allowed; remove it; a quoted value is always text"]),
        (
            "a: !!python/object/apply:os.system [id]\n",
            ["a.yaml:1:4: tag '!!python/object/apply:os.system' is not allowed; remove it; a quoted value is always text"],
        ),
        ("[a]: b\n", ["a.yaml:1:1: a key must be text; write one word"]),
        ("true: b\n", ["a.yaml:1:1: a key must be text; quote it"]),
        ("~: b\n", ["a.yaml:1:1: a key must be text; quote it"]),
        ("a:\n\t- b\n", ["a.yaml:2:1: a tab; write spaces"]),
        ("a:\n  - b\n \t- c\n", ["a.yaml:3:2: a tab; write spaces"]),
        ("a: b\t\nc:\td\te\n", ["a.yaml:1:5: a tab; write spaces", "a.yaml:2:3: a tab; write spaces"]),
        ("a: b\0c\n", ["a.yaml:1:5: character U+0000 is not allowed; remove it"]),
        ("a: b\r\nc: \x07\r\n", ["a.yaml:2:4: character U+0007 is not allowed; remove it"]),
        (b"a: b\nc: \xc3\xa4\xff\n", ["a.yaml:2:5: byte 0xff is not UTF-8; save the file as UTF-8"]),
        ("a: b".encode("utf-16"), ["a.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"]),
        ("a: b\n---\nc: d\n", ["a.yaml:2:1: a second document begins here; keep one document in a file"]),
        ("[" * (DEPTH_LIMIT + 1), [f"a.yaml:1:{DEPTH_LIMIT + 1}: nested deeper than 20 levels; nothing l3ctl reads is that deep"]),
    ],
)
def test_what_is_refused_and_where(text: str | bytes, lines: list[str]) -> None:
    assert lines_of(text) == lines


@pytest.mark.parametrize("deep", ["[" * 200_000, "a: " + "{" * 200_000, "- " * 200_000 + "x", "{a: " * 100_000])
def test_deep_nesting_is_refused_before_it_is_read(deep: str) -> None:
    """yaml.compose with the C loader ends the process on these."""
    (line,) = lines_of(deep)
    assert "nested deeper than 20 levels" in line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (
            "a: b: c\n",
            (
                "a.yaml:1:5: not YAML: mapping values are not allowed in this context; "
                "quote a value that contains ': ' and check the indentation"
            ),
        ),
        ("a: [2001:db8::]\n", "a.yaml:1:14: not YAML: found unexpected ':'; quote an address that ends in a colon"),
        ("a: @b\n", "a.yaml:1:4: not YAML: found character that cannot start any token; quote a value that begins with %, @ or `"),
        ("a: [b\nc: d\n", "a.yaml:2:2: not YAML: did not find expected ',' or ']'; close the list with ]"),
        ("a: {b: c\n", "a.yaml:2:1: not YAML: did not find expected ',' or '}'; close the mapping with }"),
        (
            "a: 'b\n",
            "a.yaml:2:1: not YAML: found unexpected end of stream; check brackets, quotes and indentation here and on the line before",
        ),
    ],
)
def test_syntax_errors_come_with_a_mend(text: str, line: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The words are those of the parser in C."""
    monkeypatch.setattr(document, "_LOADER", yaml.CSafeLoader)
    assert lines_of(text) == [line]


def test_a_syntax_error_does_not_hide_what_was_found_before_it() -> None:
    anchor, syntax = lines_of("a: &x b\nc: [\n")
    assert anchor == "a.yaml:1:4: anchor '&x' is not allowed; remove it and write each value out"
    assert syntax.startswith("a.yaml:3:1: not YAML: ")


def test_files_that_cannot_be_read(folder: Path) -> None:
    (folder / "d").mkdir()
    with (folder / "big.yaml").open("wb") as big:
        big.truncate(SIZE_LIMIT + 1)
    expected = {
        "none.yaml": "none.yaml: no such file; check the path",
        "d": "d: is a directory; name a file in it",
        "d/../none/a.yaml": "d/../none/a.yaml: no such file; check the path",
        "big.yaml": "big.yaml: is larger than 64 MiB; check that it is the file you mean",
        "a\0b": "'a\\x00b': is not a path; check it for stray characters",
        "x" * 300: "x" * 300 + ": cannot be read: File name too long; check the path",
    }
    for name, line in expected.items():
        with pytest.raises(BadInput) as caught:
            read_document(Path(name))
        assert caught.value.lines() == [line]


def test_places_point_at_values_keys_and_nearest_parents() -> None:
    Path("a.yaml").write_text("ports:\n  - name: web1\n    hosts:\n      - {mac: x, ipv6: [a, b]}\n  - mac: y\n")
    whole = read_document(Path("a.yaml"))
    assert whole.place() == "a.yaml:1:1"
    assert whole.place(("ports", 0)) == "a.yaml:2:5"
    assert whole.place(("ports", 0, "name")) == "a.yaml:2:11"
    assert whole.place(("ports", 0, "name"), of_key=True) == "a.yaml:2:5"
    assert whole.place(("ports", 0, "hosts", 0, "ipv6", 1)) == "a.yaml:4:28"
    assert whole.place(("ports", 0, "hosts", 0, "ipv6", 7)) == "a.yaml:4:24"
    assert whole.place(("ports", 1, "name")) == "a.yaml:5:5"
    assert whole.place(("elsewhere", 3)) == "a.yaml:1:1"
    host = whole.at(("ports", 0)).at(("hosts", 0))
    assert host.value == {"mac": "x", "ipv6": ["a", "b"]}
    assert host.place(("ipv6", 1)) == "a.yaml:4:28"
    assert host.title == whole.describe(("ports", 0, "hosts", 0)) == "host 1 of port 'web1'"
    assert whole.describe(("ports", 1, "hosts")) == "port 2"
    assert whole.describe(()) == ""


def test_problems_are_sorted_by_line_and_column_as_numbers() -> None:
    places = ["b.yaml:1:1", "a.yaml:10:2", "a.yaml:9:10", "a.yaml:9:2", "a.yaml"]
    assert [problem.place for problem in in_order(Problem(place, "x") for place in places)] == [
        "a.yaml",
        "a.yaml:9:2",
        "a.yaml:9:10",
        "a.yaml:10:2",
        "b.yaml:1:1",
    ]


YAMLISH = st.text(alphabet="abn:-[]{},&*!|>'\"%@`#?~<= \n\t\r\\x0u\0\ufeff\x85é", max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=400)
@given(st.one_of(YAMLISH.map(str.encode), st.text().map(lambda text: text.encode("utf-8", "surrogatepass")), st.binary()))
def test_any_bytes_are_read_or_refused_with_a_place(raw: bytes) -> None:
    path = Path("any.yaml")
    path.write_bytes(raw)
    try:
        value = read_document(path).value
    except BadInput as refused:
        lines = refused.lines()
        assert lines
        for line in lines:
            name, row, column, _ = line.split(":", 3)
            assert (name, row.isdecimal(), column.isdecimal()) == ("any.yaml", True, True)
            assert "\n" not in line
    else:
        assert isinstance(value, str | bool | list | dict | None)


TREES = st.recursive(
    st.one_of(st.booleans(), st.text(alphabet=st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff\ufffe\uffff"))),
    lambda inner: st.one_of(st.lists(inner), st.dictionaries(st.text("abcN01:", min_size=1), inner)),
    max_leaves=10,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(TREES)
def test_what_a_dumper_writes_is_read_back(tree: Value) -> None:
    path = Path("tree.yaml")
    path.write_text(yaml.safe_dump(tree, default_style='"').replace('!!bool "true"', "true").replace('!!bool "false"', "false"))
    assert read_document(path).value == tree
