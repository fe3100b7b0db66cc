"""`l3ctl ports`."""

from pathlib import Path
from typing import Any

import click

from l3ctl.cli.options import print_rows, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router
from l3ctl.glance import glance
from l3ctl.wording import counted

_COLOURS = {"up": "green", "silent": "yellow"}


@click.command("ports")
@click.argument("names", metavar="[PORT...]", nargs=-1)
@click.option("--not-up", is_flag=True, help="Only those that packets do not reach.")
@with_config
@with_json
def command(names: tuple[str, ...], not_up: bool, config_path: Path, as_json_text: bool) -> int:
    """List the ports of this router, a line each: where, whose, and how it stands. All of them, or those named.

    The state is `up` where packets reach the host, `silent` where they would and nothing of it is announced on purpose, and else what is in
    the way: `missing` (its netdev), `down` (its link), `away` (its host), `held down` (it flaps), `behind` (something is still to be done).
    """
    config = glance(config_path)
    if (told := agent_answer(config, "status")) is not None:
        found = told["ports"]
    else:
        from l3ctl.site import load_site
        from l3ctl.status import ports

        found = ports(lone_router(load_site(config_path), load=False))
        click.echo("note: no agent runs, so nobody knows what is announced", err=True)
    rows = [row(port) for port in found if not names or port["name"] in names]
    if unknown := sorted({*names} - {port["name"] for port in found}):
        click.echo(f"l3ctl: no port of this router is called {', '.join(unknown)}; `l3ctl ports` lists them", err=True)
    shown = [one for one in rows if not (not_up and one["state"] in _COLOURS)]
    if as_json_text:
        print_rows({"router": config.router, "ports": shown}, "ports")
    else:
        _show(shown)
        states: dict[str, int] = {}
        for one in rows:
            states[one["state"]] = states.get(one["state"], 0) + 1
        click.echo(f"{counted(len(rows), 'port')}: " + (", ".join(f"{count} {state}" for state, count in sorted(states.items())) or "none"))
    return 1 if unknown else 0


def row(port: dict[str, Any]) -> dict[str, Any]:
    """A port of `l3ctl status --json` as one of `l3ctl ports --json`."""
    kept = ("name", "interface", "guard", "vlan", "macs", "prefixes", "filter")
    return {key: port[key] for key in kept} | {"state": _state(port)}


def _state(port: dict[str, Any]) -> str:
    if port["link"] == "missing":
        return "missing"
    if port["away"] and port["link"] == "up":
        return "away"
    if port["link"] == "down":
        return "down"
    if port["held_down"] is not None:
        return "held down"
    if not port["in_sync"]:
        return "behind"
    return "silent" if port["unannounced"] not in (None, "covered") else "up"


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("port", no_wrap=True)
    table.add_column("on", no_wrap=True)
    table.add_column("mac", no_wrap=True)
    table.add_column("prefixes", overflow="fold")
    table.add_column("filter", no_wrap=True)
    table.add_column("state", no_wrap=True)
    for one in rows:
        where = one["guard"] if one["vlan"] is None else f"{one['guard']} vlan {one['vlan']}"
        colour = _COLOURS.get(one["state"], "red")
        table.add_row(
            one["name"],
            where,
            "\n".join(one["macs"]),
            "\n".join(one["prefixes"]) or "-",
            one["filter"] or "[red]none",
            f"[{colour}]{one['state']}",
        )
    Console().print(table)
