"""JSON from elsewhere is read strictly: one value, as written, or every fault with its place; nothing but `BadInput` comes out."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.inventory import fetched_ports
from l3ctl.reading.document import DEPTH_LIMIT
from l3ctl.reading.json_value import read_json


def lines_of(raw: bytes) -> list[str]:
    with pytest.raises(BadInput) as caught:
        read_json(raw, "URL")
    lines = caught.value.lines()
    assert all(line.isprintable() for line in lines)
    return lines


@pytest.mark.parametrize(
    ("raw", "value"),
    [
        (b'{"vlan": 11}', {"vlan": "11"}),
        (b"[1.50, -0, 1e400, 123456789012345678901234567890]", ["1.50", "-0", "1e400", "123456789012345678901234567890"]),
        (b'{"a": null, "b": [null, true, false]}', {"b": [None, True, False]}),
        (b'\xef\xbb\xbf{"a": "\xc3\xa9"}', {"a": "é"}),
        (rb'["a\"b\\c\/", "\u00e9\ud83d\ude00"]', ['a"b\\c/', "é\U0001f600"]),
        (b'"x"', "x"),
        (b"[" * DEPTH_LIMIT + b"]" * DEPTH_LIMIT, json.loads("[" * DEPTH_LIMIT + "]" * DEPTH_LIMIT)),
    ],
)
def test_a_value_is_what_was_written(raw: bytes, value: object) -> None:
    assert read_json(raw, "URL") == value


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"", ["URL: is empty; check what writes it"]),
        (b" \n", ["URL: is empty; check what writes it"]),
        (b"{'a': 1}", ["URL: not JSON: expecting property name enclosed in double quotes at line 1, column 2; check what writes it"]),
        (b'{\n "a": 011}', ["URL: not JSON: expecting ',' delimiter at line 2, column 8; check what writes it"]),
        (b"[1] [2]", ["URL: not JSON: extra data at line 1, column 5; check what writes it"]),
        (b'["a\tb"]', ["URL: not JSON: invalid control character at at line 1, column 4; check what writes it"]),
        (b'["\xe9"]', ["URL: byte 0xe9 at offset 2 is not UTF-8; JSON is always UTF-8"]),
        (b'[{"mac": 1, "mac": null}]', ["URL: [0]: key 'mac' is written twice; keep one"]),
        (b'{"a": [{"x": {"b": 1, "c": 2, "b": 1}}]}', ["URL: a[0].x: key 'b' is written twice; keep one"]),
        (b'{"a": NaN, "b": [-Infinity]}', ["URL: a: NaN is not JSON; write a number", "URL: b[0]: -Infinity is not JSON; write a number"]),
        (rb'{"a": "\u0000"}', ["URL: a: character U+0000 is not allowed; remove it"]),
        (
            rb'["x\ny", "\ud800"]',
            ["URL: [0]: character U+000A is not allowed; remove it", "URL: [1]: character U+D800 is not allowed; remove it"],
        ),
        ("[{'\x9b': 1}]".replace("'", '"').encode(), ["URL: [0]: a key has a character that is not allowed: '\\x9b'; remove it"]),
        (b'{"x": ' * 21 + b"1" + b"}" * 21, ["URL: x: nested deeper than 20 levels; nothing l3ctl reads is that deep"]),
        (b"[" * 1_000_000, ["URL: nested deeper than 20 levels; nothing l3ctl reads is that deep"]),
        (b'{"a":' * 1_000_000, ["URL: nested deeper than 20 levels; nothing l3ctl reads is that deep"]),
    ],
)
def test_what_is_refused(raw: bytes, lines: list[str]) -> None:
    assert lines_of(raw) == lines


def test_every_fault_is_told_at_once() -> None:
    assert len(lines_of(b"[%s]" % b",".join([b'{"a": NaN, "b": 1, "b": 2}', rb'"\u0001"'] * 50))) == 100


TOKENS = st.sampled_from([b"[", b"]", b'{"a":', b"}", b",", b"1", b'"\\u0000"', b"NaN"])


@given(st.binary() | st.text().map(str.encode) | st.lists(TOKENS).map(b"".join))
def test_whatever_comes_is_read_or_refused(raw: bytes) -> None:
    lines = []
    try:
        read_json(raw, "URL")
    except BadInput as error:
        lines = error.lines()
    assert all(line.startswith("URL: ") and line.isprintable() for line in lines)


@pytest.mark.parametrize(("form", "place"), [(b'{"ports": %s}', "URL: ports[1].ipv6[0]"), (b"%s", "URL: [1].ipv6[0]")])
def test_a_list_of_ports_may_stand_alone(form: bytes, place: str) -> None:
    record = fetched_ports.delivery(form % b'[{}, {"name": "web1", "ipv6": ["x"]}]', "URL").records[1]
    assert (record.value, record.describe(()), record.place(("ipv6", 0))) == ({"name": "web1", "ipv6": ["x"]}, "port 'web1'", place)


@pytest.mark.parametrize(
    ("raw", "lines"),
    [
        (b"{}", ["URL: missing key 'ports' in the answer; add it"]),
        (b'{"ports": {}}', ["URL: ports: 'ports' must be a list, found a mapping"]),
        (b'{"ports": [], "next": "x"}', ["URL: next: unknown key 'next' in the answer; known keys: ports"]),
        (b'"ports"', ["URL: the answer must be a mapping, found 'ports'"]),
        (b"null", ["URL: the answer must be a mapping, found nothing"]),
    ],
)
def test_an_answer_without_ports_is_refused(raw: bytes, lines: list[str]) -> None:
    with pytest.raises(BadInput) as caught:
        fetched_ports.delivery(raw, "URL")
    assert caught.value.lines() == lines
