"""JSON, TOML and CSV: values as a person wrote them, and what is refused, where."""

from typing import Any

import pytest

from l3ctl.reading.text import DEPTH_LIMIT, PROBLEM_LIMIT
from tests.unit.formats import read, refusal

DEEP = "; nothing l3ctl reads is that deep"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ('{"a": 11, "b": -1.50, "c": 1e400, "d": 0}', {"a": "11", "b": "-1.50", "c": "1e400", "d": "0"}),
        ('{"a": true, "b": false, "c": null, "d": "true", "e": ""}', {"a": True, "b": False, "c": None, "d": "true", "e": ""}),
        ('\ufeff{"a": "\\u00e9\\ud83d\\ude00\\n\\\\b"}', {"a": "é😀\n\\b"}),
        ('\t[\r\n"a", ["b"], {}]\r\n', ["a", ["b"], {}]),
        ('{"ports": []}', {"ports": []}),
        ('{"ports": [1, {"a": [2]}, null]}', {"ports": ["1", {"a": ["2"]}, None]}),
        ('{"ports": [1], "more": 2}', {"ports": ["1"], "more": "2"}),
        ('{"ports": {"a": 1}}', {"ports": {"a": "1"}}),
        ('"NaN"', "NaN"),
        ("7" * 1_000_000, "7" * 1_000_000),
        ("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT, eval("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)),
        ('{"ports": [' + "[]," * 50 + "[[]]]}", {"ports": [[]] * 50 + [[[]]]}),
        ('{"ports": [{"hosts": [' + '{"ipv6": ["a"]},' * 50 + "{}]}]}", {"ports": [{"hosts": [{"ipv6": ["a"]}] * 50 + [{}]}]}),
    ],
)
def test_json_values_stay_as_written(text: str, value: Any) -> None:
    found = read("json", text).value
    assert found == value
    assert repr(found) == repr(value)  # 1 == True


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file is empty"]),
        (" \n", ["1:1: the file is empty"]),
        ('{"a": 1,\n "b": 2,\n "a": 3}', ["3:2: key 'a' is written twice, first at a.json:1:2; keep one"]),
        (
            '{"ports": [\n {"a": 1, "\\u0061": {"b": 1, "b": 2}},\n {"a": 1}, {"c": 1, "c": 1, "c": 1}]}',
            [
                "2:11: key 'a' is written twice, first at a.json:2:3; keep one",
                "2:30: key 'b' is written twice, first at a.json:2:22; keep one",
                "3:21: key 'c' is written twice, first at a.json:3:13; keep one",
                "3:29: key 'c' is written twice, first at a.json:3:13; keep one",
            ],
        ),
        ('{"ports": [{"a": 1}], "ports": []}', ["1:23: key 'ports' is written twice, first at a.json:1:2; keep one"]),
        (
            '{"ports": [{"a": NaN,\n"b": -Infinity}]}',
            ["1:18: NaN is not a value; write a number or text", "2:6: -Infinity is not a value; write a number or text"],
        ),
        ('{"a": "x\\u0000"}', ["1:7: character U+0000 is not allowed; remove it"]),
        (
            '{"ports": [{"a": "\\ud800"},\n {"\\b": "\\\\u0000"}]}',
            ["1:18: character U+D800 is not allowed; remove it", "2:3: character U+0008 is not allowed; remove it"],
        ),
        ('{"a": "\x00"}', ["1:8: character U+0000 is not allowed; remove it"]),
        (b'{"a": "\xed\xa0\x80"}', ["1:8: byte 0xed is not UTF-8; save the file as UTF-8"]),
        ("[" * (DEPTH_LIMIT + 1) + "]" * (DEPTH_LIMIT + 1), [f"1:{DEPTH_LIMIT + 1}: nested deeper than 20 levels{DEEP}"]),
        ('{"ports": [' + '{"a":' * 18 + "[]" + "}" * 18 + "]}", ["1:102: nested deeper than 20 levels" + DEEP]),
        ("[" * 100_000, [f"1:{DEPTH_LIMIT + 1}: nested deeper than 20 levels{DEEP}"]),
        ('{"ports": [' + '{"a":' * 100_000, ["1:102: nested deeper than 20 levels" + DEEP]),
        ('{"a": 1,}', ["1:9: not JSON: a key is missing; put it in double quotes; no comma stands behind a last value"]),
        (
            '{"ports": [{"a": 1},\n]}',
            ["2:1: not JSON: a value is missing; write text in double quotes, a number, true, false, a list or a mapping"],
        ),
        ('{"ports": [{"a": 1}\n{"a": 1}]}', ["2:1: not JSON: a comma is missing; write one between two values, and close every bracket"]),
        ('{"a" 1}', ["1:6: not JSON: a colon is missing; write one between key and value"]),
        ("{'a': 1}", ["1:2: not JSON: a key is missing; put it in double quotes; no comma stands behind a last value"]),
        ('{"a": "x', ["1:7: not JSON: a text without its closing quote; close it"]),
        ('{"a": "x\ny"}', ["1:9: not JSON: a line end or a tab within a text; write \\n or \\t"]),
        ('{"a": 1} x', ["1:10: not JSON: something stands behind the end; remove it"]),
        ('{"a": 052}', ["1:8: not JSON: a comma is missing; write one between two values, and close every bracket"]),
        ('{"a": no}', ["1:7: not JSON: a value is missing; write text in double quotes, a number, true, false, a list or a mapping"]),
        ('{"a": 52:54:00:10:00:11}', ["1:9: not JSON: a comma is missing; write one between two values, and close every bracket"]),
    ],
)
def test_what_json_refuses_and_where(text: str | bytes, lines: list[str]) -> None:
    assert refusal("json", text) == lines


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (
            "a = 11\nb = -1.50\nc = 1_000\nd = 0x1f\ne = +7\nf = inf",
            {"a": "11", "b": "-1.50", "c": "1000", "d": "31", "e": "7", "f": "inf"},
        ),
        ("a = true\nb = false\nc = 'true'\nd = ''", {"a": True, "b": False, "c": "true", "d": ""}),
        ("a = 2024-01-02\nb = 2024-01-02 03:04:05Z\nc = 03:04:05", {"a": "2024-01-02", "b": "2024-01-02T03:04:05+00:00", "c": "03:04:05"}),
        ('\ufeffa = "52:54:00:10:00:11"\r\n\tb = ["x",\r\n # c\r\n"y",]', {"a": "52:54:00:10:00:11", "b": ["x", "y"]}),
        (
            "[[ports]]\nname = 'a'\n[[ports.hosts]]\nmac = 'm'\n[[ports]]\nbgp.med = 5",
            {"ports": [{"name": "a", "hosts": [{"mac": "m"}]}, {"bgp": {"med": "5"}}]},
        ),
        ("", {}),
        ("a = " + "[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1), {"a": eval("[" * (DEPTH_LIMIT - 1) + "]" * (DEPTH_LIMIT - 1))}),
        ("a = '" + "1.2.3.4." * 10 + "'", {"a": "1.2.3.4." * 10}),
    ],
)
def test_toml_values_stay_as_written(text: str, value: Any) -> None:
    found = read("toml", text).value
    assert found == value
    assert repr(found) == repr(value)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("a = 1\nb = 2\na = 3", ["3:1: key 'a' is written twice, first at a.toml:1:1; keep one"]),
        ('[[ports]]\nname = "a"\n[[ports]]\nmac = 1\n"mac" = 2\n', ["5:1: key 'mac' is written twice, first at a.toml:4:1; keep one"]),
        ("p = {a = 1, a = 2}", ["1:13: key 'a' is written twice, first at a.toml:1:6; keep one"]),
        ("[a]\nb = 1\n[a]\n", ["3:2: table 'a' is written twice, first at a.toml:1:2; keep one"]),
        ("a = 1\n[a.b]\n", ["2:5: not TOML: cannot overwrite a value; check quotes, brackets and '=' here"]),
        (
            "a = 52:54:00:10:00:11",
            ["1:7: not TOML: expected newline or end of document after a statement; put text, addresses and MACs too, in quotes"],
        ),
        ("x = 1\r\na = no", ["2:5: not TOML: invalid value; put text, addresses and MACs too, in quotes"]),
        ("a = 011", ["1:6: not TOML: expected newline or end of document after a statement; put text, addresses and MACs too, in quotes"]),
        ("a = [1,", ["1:8: not TOML: invalid value; put text, addresses and MACs too, in quotes"]),
        ("ports:\n", ["1:6: not TOML: expected '=' after a key in a key/value pair; check quotes, brackets and '=' here"]),
        ('a = "\\ud800"', ["1:12: not TOML: escaped character is not a Unicode scalar value; check quotes, brackets and '=' here"]),
        (
            'a = ["x", "\\u0000"]\n[b]\n"\\b" = 1',
            ["1:11: character U+0000 is not allowed; remove it", "3:1: character U+0008 is not allowed; remove it"],
        ),
        ("a = " + "[" * 100_000, [f"1:{4 + DEPTH_LIMIT}: nested deeper than 20 levels{DEEP}"]),
        ("a = " + "[" * 30 + "]" * 30, [f"1:{4 + DEPTH_LIMIT}: nested deeper than 20 levels{DEEP}"]),
        ("a = " + "{b = " * 100_000, ["1:100: nested deeper than 20 levels" + DEEP]),
        (".".join("a" * 100_000) + " = 1", ["1:41: nested deeper than 20 levels" + DEEP]),
        ("[" + ".".join("a" * 100_000) + "]", ["1:42: nested deeper than 20 levels" + DEEP]),
        ("[[ports]]\nx = { " + " . ".join("a" * 21) + " = 1 }", ["2:87: nested deeper than 20 levels" + DEEP]),
        ("[" + ".".join("a" * 15) + "]\n" + ".".join("b" * 15) + " = 1", ["1:1: nested deeper than 20 levels" + DEEP]),
        ("a = 1\nb = " + "7" * 1_000_000, ["2:5: a number of thousands of digits; check it"]),
        ("a = 0x" + "7" * 1_000_000, ["1:7: a number of thousands of digits; check it"]),
        ("a = 'x\0'", ["1:7: character U+0000 is not allowed; remove it"]),
        (b"a = '\xff'", ["1:6: byte 0xff is not UTF-8; save the file as UTF-8"]),
    ],
)
def test_what_toml_refuses_and_where(text: str | bytes, lines: list[str]) -> None:
    assert refusal("toml", text) == lines


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (
            "name,vlan,ipv6,ipv4\na,011,2001:db8::/64 2001:db8:1::/64,198.51.100.1;198.51.100.2\n",
            [{"name": "a", "vlan": "011", "ipv6": ["2001:db8::/64", "2001:db8:1::/64"], "ipv4": ["198.51.100.1", "198.51.100.2"]}],
        ),
        (
            "name,announce,qinq,source_guard\na,true,false,\nb,no,True,true",
            [{"name": "a", "announce": True, "qinq": False}, {"name": "b", "announce": "no", "qinq": "True", "source_guard": True}],
        ),
        ("name,mac\r\ntrue,\r\n\r\nnull,52:54:00:10:00:11", [{"name": "true"}, {"name": "null", "mac": "52:54:00:10:00:11"}]),
        ('\ufeff"name","mac"\n"a, ""b""","x\ny"\n', [{"name": 'a, "b"', "mac": "x\ny"}]),
        ('name,ipv6\na,"x ;\ny"\nb,""\nc, ;\n', [{"name": "a", "ipv6": ["x", "y"]}, {"name": "b"}, {"name": "c", "ipv6": []}]),
        ("name\n", []),
        ("name,mac\n,\n", [{}]),
    ],
)
def test_csv_cells_are_text(text: str, rows: Any) -> None:
    found = read("csv", text).value
    assert found == {"ports": rows}
    assert repr(found) == repr({"ports": rows})


KNOWN = (
    "known columns: announce, guard, interface, ipv4, ipv6, link_local, liveness, mac, mode, name, qinq, router, source_guard, trunk, vlan"
)


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", ["1:1: the file is empty"]),
        ("\n\r\n", ["1:1: the file is empty"]),
        ("name,inter_face\n", ["1:6: unknown column 'inter_face'; did you mean 'interface'?"]),
        ("name,,Q\n", [f"1:6: a column without a name; {KNOWN}", f"1:7: unknown column 'Q'; {KNOWN}"]),
        ("mac,name,mac\n", ["1:10: column 'mac' is there twice, first at a.csv:1:1; keep one"]),
        (
            'name,"hosts",bgp\n',
            [
                "1:6: column 'hosts' does not fit into a row; write these ports as YAML, JSON or TOML",
                "1:14: column 'bgp' does not fit into a row; write these ports as YAML, JSON or TOML",
            ],
        ),
        ("name;mac\na;b\n", ["1:1: the cells are separated by semicolons; separate them by commas"]),
        ("name\tmac\n", ["1:1: the cells are separated by tabs; separate them by commas"]),
        (
            "name,mac\na\n\n \nb,c,d\n",
            [
                "2:1: 1 cell, where the header has 2; write one for each column, an empty one where there is nothing to say",
                "4:1: 1 cell, where the header has 2; write one for each column, an empty one where there is nothing to say",
                "5:5: 3 cells, where the header has 2; quote a cell that has a comma in it; within a cell, separate by blanks or ';'",
            ],
        ),
        ('name,mac\na,"b\nc,d\n', ["2:3: not CSV: a quote that is not closed; close it"]),
        ('name,mac\n"x\ny",z\na,"b"c\n', ['4:6: not CSV: something stands behind a closing quote; write a quote within quotes as ""']),
        ('name,mac\na,"b""\n', ["2:3: not CSV: a quote that is not closed; close it"]),
        ("name,mac\na," + "x" * 200_000, ["2:3: not CSV: a cell of more than 131072 characters; check its quotes"]),
        ("name,mac\na,\0\n", ["2:3: character U+0000 is not allowed; remove it"]),
        (b"name,mac\r\na,\xe9\r\n", ["2:3: byte 0xe9 is not UTF-8; save the file as UTF-8"]),
    ],
)
def test_what_csv_refuses_and_where(text: str | bytes, lines: list[str]) -> None:
    assert refusal("csv", text) == lines


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("yaml", "a:\n" + "\t- b\n" * 5000),
        ("yaml", "".join(f"a{number}: &x b\n" for number in range(5000))),
        ("json", "{" + ",".join('"a": 1' for _ in range(5000)) + "}"),
        ("json", "[" + ",".join('"\\u0000"' for _ in range(5000)) + "]"),
        ("toml", "a = [" + ",".join('"\\u0000"' for _ in range(5000)) + "]"),
        ("csv", "name\n" + "a,b\n" * 5000),
        ("csv", "x," * 5000),
    ],
)
def test_nobody_has_to_read_more_than_a_thousand_problems(kind: str, text: str) -> None:
    lines = refusal(kind, text)
    assert len(lines) == PROBLEM_LIMIT + 1
    assert f"from here on nothing was looked at, after {PROBLEM_LIMIT} problems; mend those first" in lines[-1]
