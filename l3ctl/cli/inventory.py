"""`l3ctl inventory`: what the source says against what stands, a word for what is refused, and how it came to be what it is."""

import json
import time
from pathlib import Path
from typing import Any

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.reach import agent_reads
from l3ctl.cli.report import print_lines
from l3ctl.control import as_json
from l3ctl.errors import BadInput, Problem
from l3ctl.site import load_configuration
from l3ctl.wording import counted


@click.group("inventory")
def command() -> None:
    """Look at the inventory as it is written down, and at what its source says now."""


@command.command("diff")
@with_config
@with_json
def diff(config_path: Path, as_json_text: bool) -> int:
    """Say what the source says otherwise than what stands, record by record. Exit code 3 when something differs, 2 when something is bad.

    What stands is the last good copy: what was carried out last, for all routers. What is refused, for all that it would take away, is
    shown too. Nothing is changed.
    """
    from l3ctl.followed import compare

    compared = compare(config_path)
    told = [
        {"name": one.name, "verb": one.verb, "place": one.place, "was": one.was, "is": one.value, "here": one.here}
        for one in compared.changes
    ]
    if as_json_text:
        print_json({"changes": told, "inventory": as_json(compared.report)})
    else:
        _show(told, counted(compared.report.records, "record"))
    bad = print_lines(as_json(compared.report))  # type: ignore[arg-type]
    return 2 if bad else 3 if told else 0


@command.command("confirm")
@with_config
@with_json
def confirm(config_path: Path, as_json_text: bool) -> int:
    """Let what is on trial stay; else let go what the source takes away and max_shrink refuses, as it is now, once."""
    config = load_configuration(config_path)
    answer = agent_reads(config_path, config, "confirm")
    if answer is None:
        from l3ctl.followed import confirm_loss

        told: dict[str, Any] = {"kept": False, "changes": []}
        said = f"confirmed: {confirm_loss(config_path)}; the next `l3ctl apply` does it"
    elif answer["kept"]:
        told = {"kept": True, "changes": []}
        said = "what was on trial stays"
    else:
        told = {"kept": False, "changes": answer["changes"]}
        said = f"confirmed: {counted(len(answer['changes']), 'change')} made"
    if as_json_text:
        print_json(told)
    else:
        click.echo(said)
    return 0


@command.command("history")
@click.argument("serial", required=False, type=click.IntRange(min=1))
@click.option("--last", default=20, show_default=True, type=click.IntRange(1, 1000), help="How many changes.")
@with_config
@with_json
def history(serial: int | None, last: int, config_path: Path, as_json_text: bool) -> int:
    """List the changes of the inventory that were carried out, newest first; or, by its number, what one of them did."""
    from l3ctl.inventory.copy import Copy

    path = load_configuration(config_path).inventory_copy
    copy = Copy(path)
    versions = copy.versions(1000)
    if serial is None:
        listed = [as_json(one) for one in versions[:last]]
        if as_json_text:
            print_json({"versions": listed})
        elif not versions:
            click.echo(f"{path}: nothing was written down yet")
        else:
            for one in versions[:last]:
                when = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(one.time))
                click.echo(f"{one.serial:>6}  {when}  +{one.added} ~{one.changed} -{one.removed}  {one.why}, from {one.source}")
        return 0
    if serial not in {one.serial for one in versions}:
        raise BadInput([Problem(str(path), f"no change {serial}", "`l3ctl inventory history` lists them")])
    told = [
        {"name": one.name, "verb": _verb(one.was, one.value), "place": one.place, "was": one.was, "is": one.value}
        for one in copy.changes(serial)
    ]
    if as_json_text:
        print_json({"changes": told})
    else:
        _show(told, "a large change, of which the amount is known")
    return 0


def _verb(was: object, value: object) -> str:
    return "add" if was is None else "remove" if value is None else "replace"


def _show(changes: list[dict[str, Any]], nothing: str) -> None:
    """Record by record; of one that is otherwise, key by key."""
    if not changes:
        click.echo(f"{nothing}: no difference")
    for change in changes:
        sign, colour = {"add": ("+", "green"), "remove": ("-", "red"), "replace": ("~", "yellow")}[change["verb"]]
        where = f"  ({change['place']})" if change["place"] else ""
        click.secho(f"{sign} {change['name']}{where}", fg=colour)
        was, now = change["was"] or {}, change["is"] or {}
        if change["verb"] == "replace" and isinstance(was, dict) and isinstance(now, dict):
            for key in dict.fromkeys((*was, *now)):
                if was.get(key) != now.get(key):
                    click.echo(f"    {key}: {_text(was.get(key))} -> {_text(now.get(key))}")


def _text(value: object) -> str:
    return "nothing" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
