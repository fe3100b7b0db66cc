"""Bytes somebody sends to hurt, by name; run as a program, reads all of one kind under limits: ``hostile.py KIND``."""

import json
import resource
import sys
import time
from collections.abc import Callable

MEMORY = 3 << 30
"""bytes of address space. 64 MiB of text in five bytes a character, and the densest tree of it, fit"""
SECONDS = 60

MEGA = 1 << 20
DEEP = 100_000


def record(kind: str, value: str) -> str:
    """A record with one value as it stands."""
    return {
        "yaml": f"ports:\n  - name: {value}\n",
        "json": f'{{"ports": [{{"name": {value}}}]}}',
        "toml": f"[[ports]]\nname = {value}\n",
        "csv": f"name\n{value}\n",
    }[kind]


def laughs() -> str:
    """A billion of them."""
    lines = ["a0: &a0 [lol, lol]"]
    lines += [f"a{number}: &a{number} [{', '.join([f'*a{number - 1}'] * 10)}]" for number in range(1, 10)]
    return "\n".join(lines)


Case = Callable[[], str | bytes]


def every(kind: str) -> dict[str, Case]:
    """What is bad in every format."""
    return {
        "nothing": lambda: "",
        "nul": lambda: record(kind, '"a\0b"'),
        "nuls": lambda: "\0" * (10 * MEGA),
        "control": lambda: record(kind, '"a\x1b[31m"'),
        "not-utf8": lambda: record(kind, '"a"').encode() + b"\xff\xfe",
        "half-utf8": lambda: record(kind, '"é"').encode().replace(b"\xc3\xa9", b"\xc3"),
        "utf16": lambda: record(kind, '"a"').encode("utf-16"),
        "surrogate": lambda: record(kind, '"\ud800"').encode("utf-8", "surrogatepass"),
        "long-line": lambda: record(kind, '"' + "a" * (10 * MEGA)),
        "long-blank": lambda: record(kind, '"a"' + " " * (10 * MEGA) + '"b"'),
        "many-quotes": lambda: record(kind, '"' * (10 * MEGA + 1)),
        "many-backslashes": lambda: record(kind, '"' + '\\"' * (MEGA)),
        "many-commas": lambda: record(kind, "[" + "," * (MEGA)),
        "many-lines": lambda: "\n" * (20 * MEGA),
        "deep-lists": lambda: record(kind, "[" * DEEP + "]" * DEEP),
        "deep-lists-open": lambda: record(kind, "[" * (MEGA)),
        "deep-mappings": lambda: record(kind, '{"a":' * DEEP),
    }


HOSTILE: dict[str, dict[str, Case]] = {
    "yaml": {
        **{name: case for name, case in every("yaml").items() if name != "long-blank"},
        "laughs": laughs,
        "anchors": lambda: "ports: [" + ",".join(f"&a{number} x" for number in range(100_000)) + "]",
        "aliases": lambda: "a: &a x\nports: [" + "*a," * 100_000 + "]",
        "merges": lambda: "ports:\n" + "- <<: {a: b}\n" * 100_000,
        "tags": lambda: record("yaml", "!!python/object/apply:os.system [id]"),
        "tabs": lambda: "ports:\n" + "\t- name: a\n" * 200_000,
        "a-tab-a-cell": lambda: record("yaml", "a\t" * (MEGA)),
        "twice": lambda: "ports:\n- " + "  a: b\n" * 300_000,
        "all-twice": lambda: "".join(f"a{number % 200_000}: b\n" for number in range(400_000)),
        "deep-blocks": lambda: "- " * DEEP,
        "deep-keys": lambda: "? " * DEEP,
        "deep-odd": lambda: "ports:\n- name: a\n" + "- " * DEEP,
        "a-list-not-closed": lambda: "ports:\n- name: [" + "b," * (MEGA),
        "lists-in-quotes": lambda: "ports:\n" + """- name: ["'",'  - name: ["', """ * 200_000,
        "many-documents": lambda: "---\na: b\n" * 100_000,
        "big-escape": lambda: record("yaml", '"\\UFFFFFFFF"'),
        "surrogate-escape": lambda: record("yaml", '"\\ud800"'),
        "ends": lambda: "ports:\n- name: a" + "\x85\u2028" * MEGA + ": b",
    },
    "json": {
        **every("json"),
        "twice": lambda: "{" + ",".join(['"a":1'] * MEGA) + "}",
        "twice-in-records": lambda: '{"ports":[' + ",".join(['{"a":1,"a":2}'] * 300_000) + "]}",
        "top-twice": lambda: "{" + ",".join(f'"a{number % 200_000}":1' for number in range(400_000)) + "}",
        "surrogate-escape": lambda: record("json", '"\\ud800"'),
        "surrogate-escapes": lambda: record("json", "[" + ",".join(['"\\udc00"'] * MEGA) + "]"),
        "nul-escape": lambda: record("json", '"\\u0000"'),
        "nan": lambda: record("json", "NaN"),
        "infinities": lambda: record("json", "[" + ",".join(["-Infinity"] * MEGA) + "]"),
        "norway": lambda: record("json", "NO"),
        "octal": lambda: record("json", "011"),
        "mac": lambda: record("json", "52:54:00:10:00:11"),
        "deep-then-quotes": lambda: "[" * 2000 + '"' + '\\"' * (MEGA),
        "trailing": lambda: record("json", '"a"') + '"\\' * MEGA,
        "dense": lambda: '{"ports":[' + "[],{}," * (4 * MEGA) + "0]}",
    },
    "toml": {
        **{name: case for name, case in every("toml").items() if name != "nothing"},
        "twice": lambda: "a = 1\n" * 300_000,
        "tables-twice": lambda: "[a]\n" * 300_000,
        "dotted": lambda: ".".join("a" * DEEP) + " = 1",
        "dotted-table": lambda: "[" + ".".join("a" * DEEP) + "]",
        "dotted-quoted": lambda: ".".join(['"a\\""'] * DEEP) + " = 1",
        "dotted-inline": lambda: record("toml", "{" + ".".join("a" * DEEP) + " = 1}"),
        "dotted-blank": lambda: (" " * 1000 + ".").join("a" * 10_000) + " = 1",
        "dots": lambda: "a" + "." * (10 * MEGA),
        "deep-inline": lambda: record("toml", "{a=" * DEEP),
        "long-number": lambda: record("toml", "7" * 1_000_000),
        "long-hex": lambda: record("toml", "0x" + "7" * 1_000_000),
        "long-underscores": lambda: record("toml", "1" + "_1" * 500_000),
        "surrogate-escape": lambda: record("toml", '"\\ud800"'),
        "nul-escapes": lambda: record("toml", "[" + ",".join(['"\\u0000"'] * 200_000) + "]"),
        "norway": lambda: record("toml", "NO"),
        "octal": lambda: record("toml", "011"),
        "mac": lambda: record("toml", "52:54:00:10:00:11"),
        "three-quotes": lambda: record("toml", '"' * 3 + '""\\' * MEGA),
    },
    "csv": {
        **{name: case for name, case in every("csv").items() if not name.startswith("deep") and name not in {"many-commas"}},
        "many-cells": lambda: "name\n" + "," * (MEGA),
        "many-columns": lambda: "x," * (MEGA),
        "long-columns": lambda: ",".join(["x" * 100_000] * 300),
        "columns-twice": lambda: "name," * MEGA,
        "short-rows": lambda: "name,mac\n" + "a\n" * (MEGA),
        "open-quotes": lambda: "name\n" + '"a\n' * MEGA,
        "late-quote": lambda: "name,mac\n" + "a,b\n" * MEGA + '"',
    },
}
"""each refused, whatever it takes"""


BEARABLE: dict[str, dict[str, Case]] = {
    "yaml": {
        "long-number": lambda: record("yaml", "7" * 1_000_000),
        "long-word": lambda: record("yaml", "a" * (10 * MEGA)),
        "long-list": lambda: record("yaml", "[" + "b," * 300_000 + "c]"),
        "many-comments": lambda: "ports:\n" + "# a\n" * MEGA + "- name: a\n" + " # name: b\n" * MEGA,
    },
    "json": {
        "long-number": lambda: record("json", "7" * 1_000_000),
        "many-numbers": lambda: record("json", "[" + ",".join(["1e999"] * MEGA) + "]"),
        "many-escapes": lambda: record("json", json.dumps('\\"\n' * MEGA)),
        "much-blank": lambda: record("json", " " * (10 * MEGA) + '"a"'),
    },
    "toml": {
        "long-text": lambda: record("toml", '"' + "a" * (10 * MEGA) + '"'),
        "many-dots": lambda: record("toml", '"' + "1." * MEGA + '"'),
    },
    "csv": {
        "long-list": lambda: "ipv6\n" + "b " * 50_000 + "\n",
        "blank-lines": lambda: "name\n" + "\n" * MEGA + "a\n",
    },
}
"""each large and odd, and read"""


def main(kind: str) -> None:
    """Says of each case what came of it, a line each: refused and why, or read."""
    from l3ctl.errors import BadInput
    from tests.unit.formats import read

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    for name, case in (HOSTILE[kind] | BEARABLE[kind]).items():
        written = case()
        raw = written if isinstance(written, bytes) else written.encode("utf-8", "surrogatepass")
        begun = time.process_time()
        resource.setrlimit(resource.RLIMIT_CPU, (int(begun) + SECONDS, resource.RLIM_INFINITY))
        try:
            whole = read(kind, raw)
            told = f"read {whole.place(('ports', 0, 'name'))}, {len(list(whole.items('ports')))} records"
        except BadInput as error:
            told = f"refused {error.lines()[0][:300]}"
        print(name, told, flush=True)
        print(f"{name}: {time.process_time() - begun:.1f} s", file=sys.stderr)


if __name__ == "__main__":
    main(sys.argv[1])
