"""Every value's place is exact in every format, whatever lies before it; and none is worked out before it is needed."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from l3ctl.reading import toml_text
from l3ctl.reading.document import Document, Loc, Value, read_yaml
from l3ctl.reading.text import Text
from tests.unit.formats import at, read

ENDS = ["\n", "\r\n", "\r"]


def locs(value: Value, way: Loc = ()) -> list[Loc]:
    """The way to every value."""
    below: list[tuple[str | int, Value]] = []
    if isinstance(value, dict):
        below = list(value.items())
    elif isinstance(value, list):
        below = list(enumerate(value))
    return [way, *(loc for part, inside in below for loc in locs(inside, (*way, part)))]


def found(text: str, document: Document, loc: Loc, *, of_key: bool = False) -> str:
    """What stands at the place told, to the end of the line."""
    line, column = map(int, at(document, *loc, of_key=of_key).split(":"))
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")[line - 1][column - 1 :]


@pytest.mark.parametrize("end", ENDS)
def test_in_json(end: str) -> None:
    text = end.join(
        [
            '{"ports": [{"name": "é😀", "ipv6": ["a", "b"]},',
            '  {"mac": "x\\"y", "hosts": [{"ipv4": []}, {"mac" :',
            '    true}], "\\u0061": 11}, "x", []]}',
        ]
    )
    whole = read("json", text)
    assert at(whole) == "1:1"
    assert at(whole, "ports") == "1:11"
    assert at(whole, "ports", of_key=True) == "1:2"
    assert at(whole, "ports", 0, "ipv6", 1) == "1:41"
    assert at(whole, "ports", 0, "ipv6", 7) == "1:35"
    second = whole.at(("ports", 1))
    assert (at(second), at(second, "mac"), at(second, "mac", of_key=True)) == ("2:3", "2:11", "2:4")
    assert at(second, "hosts", 1, "mac") == "3:5"
    assert at(second, "hosts", 1, "mac", of_key=True) == "2:44"
    assert (at(second, "a"), at(second, "a", of_key=True)) == ("3:23", "3:13")
    assert at(second, "nothing", "here") == "2:3"
    assert (at(whole, "ports", 2), at(whole, "ports", 3)) == ("3:28", "3:33")
    assert second.at(("hosts", 1)).title == "host 2 of port 2"


@pytest.mark.parametrize("end", ENDS[:2])
def test_in_toml(end: str) -> None:
    text = end.join(
        [
            "# [[ports]]",
            "[[ports]] # name = 'no'",
            'name = """é',
            '[[ports]]"""',
            "  ipv6 = [ # one",
            "    'a',",
            '    "b\\"]", ]',
            "bgp.med = 5",
            "[[ports]]",
            "\"mac\" = 'x#y'",
            "on = 2024-01-02 03:04:05",
            "[[ports.hosts]]",
            "mac = 'm'",
            "[[ports.hosts]]",
            'bgp = {a = [1, 2], "b.c".d = true}',
            "[other]",
            "[ports.x]",
        ]
    )
    whole = read("toml", text)
    assert at(whole) == "1:1"
    assert (at(whole, "ports", 0), at(whole, "ports", 1)) == ("2:3", "9:3")
    assert (at(whole, "ports", 0, "name"), at(whole, "ports", 0, "name", of_key=True)) == ("3:8", "3:1")
    assert at(whole, "ports", 0, "ipv6") == "5:10"
    assert (at(whole, "ports", 0, "ipv6", 0), at(whole, "ports", 0, "ipv6", 1)) == ("6:5", "7:5")
    assert (at(whole, "ports", 0, "bgp"), at(whole, "ports", 0, "bgp", "med")) == ("8:1", "8:11")
    second = whole.at(("ports", 1))
    assert (at(second, "mac"), at(second, "on"), at(second, "nothing")) == ("10:9", "11:6", "9:3")
    assert (at(second, "hosts", 0), at(second, "hosts", 0, "mac"), at(second, "hosts", 1)) == ("12:3", "13:7", "14:3")
    assert at(second.at(("hosts", 1)), "bgp", "a", 1) == "15:16"
    assert at(second, "hosts", 1, "bgp", "b.c", "d", of_key=True) == "15:26"
    assert at(second, "x") == "17:2"
    assert (at(whole, "other"), at(whole, "other", of_key=True)) == ("16:2", "16:2")
    assert second.at(("hosts", 1)).title == "host 2 of port 2"


@pytest.mark.parametrize("end", ENDS)
def test_in_csv(end: str) -> None:
    text = end.join(
        [
            'name,"mac",ipv6,vlan',
            "",
            "é,x,a; b c,11",
            '"two',
            'lines, ""so""","m",,',
            '"last","","',
            "a;",
            'b  ""c""",12',
        ]
    )
    whole = read("csv", text)
    assert (at(whole), at(whole, "ports")) == ("1:1", "1:1")
    assert [at(whole, "ports", 0, key) for key in ("name", "mac", "ipv6", "vlan")] == ["3:1", "3:3", "3:5", "3:12"]
    assert [at(whole, "ports", 0, "ipv6", index) for index in range(3)] == ["3:5", "3:8", "3:10"]
    assert at(whole, "ports", 0, "vlan", of_key=True) == "3:12"
    second = whole.at(("ports", 1))
    assert (at(second), at(second, "name"), at(second, "mac"), at(second, "ipv6")) == ("4:1", "4:1", "5:16", "4:1")
    assert [at(whole, "ports", 2, "ipv6", index) for index in range(3)] == ["7:1", "8:1", "8:4"]
    assert (at(whole, "ports", 2, "vlan"), at(whole, "ports", 2, "mac")) == ("8:11", "6:1")


def test_in_yaml_of_the_plain_form() -> None:
    text = "# é\r\n---\r\nports: # all\r\n- name: é2\r\n  mac: 'a'\r\n\r\n- name: \"b\" # x: y\r\n"
    text += " # mac: no\r\n  ipv6: [ a::1 , 'b' ]\r\n- hosts:\r\n  - {mac: m}\r\n"
    whole = read("yaml", text)
    assert (at(whole), at(whole, "ports"), at(whole, "ports", of_key=True)) == ("3:1", "4:1", "3:1")
    assert (at(whole, "ports", 0), at(whole, "ports", 0, "name"), at(whole, "ports", 0, "mac")) == ("4:3", "4:9", "5:8")
    second = whole.at(("ports", 1))
    assert (at(second), at(second, "name"), at(second, "ipv6", 1), at(second, "ipv6", of_key=True)) == ("7:3", "7:9", "9:18", "9:3")
    assert at(whole, "ports", 2, "hosts", 0, "mac") == "11:11"


def test_items_are_what_at_gives() -> None:
    texts = {
        "yaml": "ports:\n- {name: a}\n- name: b\n  vlan: 1\n- x\n",
        "json": '{"ports": [{"name": "a"}, {"name": "b", "vlan": 1}, "x"]}',
        "toml": "[[ports]]\nname = 'a'\n[[ports]]\nname = 'b'\nvlan = 1\n",
        "csv": "name,vlan\na,\nb,1\n",
    }
    for kind, text in texts.items():
        whole = read(kind, text)
        items = list(whole.items("ports"))
        single = [whole.at(("ports", index)) for index in range(len(items))]
        assert [(item.value, item.title, item.place(), item.place(("vlan",))) for item in items] == [
            (one.value, one.title, one.place(), one.place(("vlan",))) for one in single
        ]
        assert [item.title for item in items][:2] == ["port 'a'", "port 'b'"]
        assert list(whole.items("elsewhere")) == []


TEXTS = st.text(st.characters(blacklist_categories=["Cs", "Cc"], blacklist_characters="\ufeff\ufffe\uffff"), max_size=8)
TREES = st.recursive(
    TEXTS | st.booleans(), lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4), max_leaves=12
)


@given(TREES | st.builds(lambda ports: {"ports": ports}, st.lists(TREES)), st.sampled_from([None, 1]), st.booleans())
def test_what_stands_at_a_place_in_json_is_the_value(tree: Value, indent: int | None, ascii_only: bool) -> None:
    text = json.dumps(tree, indent=indent, ensure_ascii=ascii_only)
    whole = read("json", text)
    assert whole.value == tree
    for loc in locs(tree):
        value, _ = json.JSONDecoder().raw_decode(text, offset_of(text, at(whole, *loc)))
        assert value == whole.at(loc).value
        if loc and isinstance(loc[-1], str):
            assert json.JSONDecoder().raw_decode(text, offset_of(text, at(whole, *loc, of_key=True)))[0] == loc[-1]


def offset_of(text: str, place: str) -> int:
    line, column = map(int, place.split(":"))
    return sum(len(each) + 1 for each in text.split("\n")[: line - 1]) + column - 1


PLAIN = st.dictionaries(st.sampled_from(["name", "mac", "a-b", "é"]), TEXTS | st.lists(TEXTS, max_size=3), max_size=4)


@given(st.lists(PLAIN, min_size=1, max_size=4), st.sampled_from(["\n", "\r\n"]), st.booleans())
def test_what_stands_at_a_place_in_toml_is_the_value(ports: list[dict[str, Value]], end: str, comments: bool) -> None:
    lines = []
    for port in ports:
        lines += [
            "# x = [" if comments else "",
            "[[ports]]",
            *(f"{json.dumps(key)} = {json.dumps(value, ensure_ascii=False)}" for key, value in port.items()),
        ]
    text = end.join(lines).replace("\x7f", "x")
    whole = read("toml", text)
    for loc in locs(whole.value)[2:]:
        told = found(text, whole, loc)
        value = whole.at(loc).value
        if isinstance(value, dict):
            assert told == "ports]]"
        elif isinstance(loc[-1], int) or isinstance(value, str):
            assert json.JSONDecoder().raw_decode(told)[0] == value


def test_where_a_toml_place_is_not_known_it_is_said_in_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """Never a wrong one: what was found is held against tomllib's values."""
    monkeypatch.setattr(toml_text, "marks", lambda *_: None)
    whole = read("toml", "[[ports]]\nipv6 = ['a']\n")
    assert whole.place() == "a.toml"
    assert whole.at(("ports", 0)).place(("ipv6", 0)) == "a.toml: ports[0].ipv6[0]"


LINES = st.sampled_from(
    [
        *("ports:", "- name: a", "  - name: b", "  mac: 52:54:00:10:00:11", "    mac: 'x' # y", '    ipv6: [a::1, "b"]', "    ipv6: [a,]"),
        *(
            "    vlan: 011",
            "    a: true",
            "    b: no",
            "    c:",
            "    hosts:",
            "      - mac: x",
            "  - x",
            "  -",
            "    name: fe80::",
            "# c",
            "",
        ),
        *("  # name: z", "---", "...", "    d: [", "    d: ]", "      more", "    e: |", '    f: "x', '    g: y"', "  - - h: i"),
        *(
            "    j: k: l",
            "    m: &n o",
            "    p: *n",
            "    true: q",
            "    r: s#t",
            "    u: v #w",
            "    name: twice",
            "     x: y",
            "other: z",
            "%YAML 1.1",
        ),
        *("    a: [b, [c]]", "    b: é", "    e: ''", "    f: {a: b}", "\tq: r", "    é: a", "    a: b\x85c", "    a: b\u2028  - name: c"),
    ]
)


@settings(max_examples=200)
@given(st.lists(LINES, max_size=12), st.sampled_from(["ports:\n", "ports:\n  - name: p\n", ""]), st.sampled_from(["\n", "\r\n", "\r"]))
def test_plain_yaml_is_read_as_all_yaml_is(lines: list[str], before: str, end: str) -> None:
    """The same values at the same places, or the same words of refusal."""
    text = (before + "".join(f"{line}\n" for line in lines)).replace("\n", end)

    def outcome(document: Document) -> list[tuple[Loc, str, str, str, str]]:
        value = document.value
        return [
            (loc, repr(document.at(loc).value), document.place(loc), document.place(loc, of_key=True), document.describe(loc))
            for loc in locs(value)
        ]

    def of(reader: str) -> object:
        try:
            return outcome(read("yaml", text) if reader == "plain" else read_yaml(Text("a.yaml", text)))
        except Exception as error:
            return type(error), str(error)

    assert of("plain") == of("all")
