"""An inventory as text, for people and for programs: the same for the same records, with a line for each value to be compared by."""

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from l3ctl.reading.document import Loc, Value

_PLAIN = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*(?<!:)")
"""what YAML takes for itself, and never for the beginning of something else"""
_WORDS = {"true", "false", "null"}


def as_yaml(records: Sequence[Mapping[str, Value]], remarks: Sequence[Mapping[Loc, str]], head: str) -> str:
    """``ports:`` and the records, with remarks as comments at what they are on: a record, a host, an address. `head` is a comment above."""
    lines = [f"# {head}", "ports:" if records else "ports: []"]
    for record, of_record in zip(records, remarks, strict=True):
        lines += _mapping(record, of_record, (), "  ")
    return "\n".join(lines) + "\n"


def as_json(records: Sequence[Mapping[str, Value]]) -> str:
    """The same as JSON, without remarks."""
    numbered = [{key: int(str(value)) if key == "vlan" else value for key, value in record.items()} for record in records]
    return json.dumps({"ports": numbered}, indent=2, ensure_ascii=False) + "\n"


def _mapping(mapping: Mapping[str, Value], remarks: Mapping[Loc, str], base: Loc, indent: str) -> Iterator[str]:
    lead = f"{indent}- "
    comment = remarks.get(base, "")
    for key, value in mapping.items():
        begun = f"{lead}{key}:"
        lead = f"{indent}  "
        if not isinstance(value, list):
            yield _with(f"{begun} {_scalar(value)}", comment)
            comment = ""
            continue
        yield begun
        for index, item in enumerate(value):
            where = (*base, key, index)
            if isinstance(item, dict):
                yield from _mapping(item, remarks, where, f"{indent}    ")
            else:
                yield _with(f"{indent}    - {_scalar(item)}", remarks.get(where, ""))


def _with(line: str, comment: str) -> str:
    return f"{line} # {comment}" if comment else line


def _scalar(value: Value) -> str:
    text = str(value)
    return text if _PLAIN.fullmatch(text) and text not in _WORDS else json.dumps(text, ensure_ascii=False)
