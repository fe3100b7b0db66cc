"""What several commands share: where the configuration is, and how an answer is printed."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from l3ctl.names import CONFIG_PATH

F = TypeVar("F", bound=Callable[..., Any])
_NETNS = Path("/run/netns")
_NETNS_ETC = Path("/etc/netns")
_BORDER = b'}, {"name": '
"""between two rows; nowhere inside of a text, where quotes have backslashes before them"""


def default_config() -> Path:
    """`$L3CTL_CONFIG`, else the namespace's own, else the machine's.

    A named network namespace has its own /etc in /etc/netns/NAME (ip-netns(8)). `ip netns exec` lays it over /etc; who came in another way,
    as through nsenter, is helped to the same file.
    """
    if named := os.environ.get("L3CTL_CONFIG"):
        return Path(named)
    here = Path("/proc/self/ns/net").stat()
    for name in sorted(_NETNS.iterdir()) if _NETNS.is_dir() else []:
        own = _NETNS_ETC / name.name / CONFIG_PATH.relative_to("/etc")
        try:
            if (name.stat().st_dev, name.stat().st_ino) == (here.st_dev, here.st_ino) and own.is_file():
                return own
        except OSError:  # removed meanwhile, or not ours to see
            continue
    return CONFIG_PATH


def with_config(function: F) -> F:
    """`--config`, as a path."""
    return click.option(
        "--config",
        "config_path",
        type=click.Path(path_type=Path),
        default=default_config,
        show_default=f"$L3CTL_CONFIG, else {CONFIG_PATH}",
        help="The configuration file.",
    )(function)


def with_json(function: F) -> F:
    """`--json`."""
    return click.option("--json", "as_json_text", is_flag=True, help="Print JSON instead of a table.")(function)


def with_take_over(function: F) -> F:
    """`--take-over`."""
    text = "Let routes, permanent neighbours and addresses of others that stand in the way give way to ours."
    return click.option("--take-over", is_flag=True, help=text)(function)


def print_rows(around: Mapping[str, object], key: str, rows: bytes | None = None) -> None:
    """One JSON object that ends with what may be ten thousand objects, each in a line: quick to write, and to look through with grep.

    `rows` is what an agent told of them, where one did; else they are in `around` as the rest.
    """
    members = [f"{json.dumps(name)}: {json.dumps(value)}" for name, value in around.items() if name != key]
    if rows is None:
        listed = around[key]
        assert isinstance(listed, list)
        lines = ",\n  ".join(map(json.dumps, listed)).encode()
    else:
        lines = rows.replace(_BORDER, _BORDER.replace(b" ", b"\n  ", 1))
    members.append(f"{json.dumps(key)}: [")
    click.echo(b"".join((("{\n " + ",\n ".join(members)).encode(), b"\n  " * bool(lines), lines, b"\n " * bool(lines), b"]\n}")))


def print_json(value: object) -> None:
    """One JSON document, indented for people and readable for programs."""
    click.echo(json.dumps(value, indent=2))
