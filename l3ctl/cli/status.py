"""`l3ctl status`."""

import json
from pathlib import Path
from typing import Any

import click

from l3ctl.asking import Answer
from l3ctl.cli.options import print_rows, with_config, with_json
from l3ctl.cli.reach import agent_rows, lone_router
from l3ctl.cli.report import lines, summary
from l3ctl.glance import glance
from l3ctl.names import ANSWERS, ORPHAN
from l3ctl.wording import counted

_LINKS = {"up": "[green]up", "down": "[red]down", "missing": "[red]missing"}


@click.command("status")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Show every port: link, entries, filter, announcement, and what its customer was refused.

    Without an agent the router is looked at all the same. The last line says what is not as it should be; then the exit code is 1.
    """
    config = glance(config_path)
    # before the inventory is read: what works is to be seen also while that is broken
    told, rows = agent_rows(config, "status", "ports") or (_looked(config_path), None)
    if as_json_text:
        print_rows({"router": config.router, **told}, "ports", rows)
    else:
        ports = told["ports"] if rows is None else json.loads(b"[" + rows + b"]")
        _show(config.router, told, ports)
        waiting = sum(port["link"] == "missing" for port in ports)
        waits = f"; {counted(waiting, 'port')} waiting for a netdev" if waiting else ""
        click.echo(("; ".join(told["troubles"]) or "in sync") + waits)
    return 1 if told["troubles"] else 0


def _looked(config_path: Path) -> Answer:
    from l3ctl.control import as_json
    from l3ctl.followed import read_once
    from l3ctl.status import status

    followed, site = read_once(config_path)
    inventory = as_json(followed.outlook())
    assert isinstance(inventory, dict)
    told = status(lone_router(site, load=False), inventory)
    followed.left()
    return told


def _refused(port: dict[str, Any]) -> str:
    """How many of a customer's frames were refused, or would have been, and for what most of all."""
    counts = {reason: count for reason, count in port["counters"].items() if reason not in ANSWERS}
    if not counts:
        return ""
    most = max(counts, key=lambda reason: counts[reason])
    total = sum(counts.values())
    return f"{total} {most}" if total == counts[most] else f"{total}, {counts[most]} {most}"


def _show(router: str, told: Answer, ports: list[dict[str, Any]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    audited = all(port["filter"] == "audit" for port in ports if port["filter"])
    refused = "would drop" if audited and ports else "dropped"
    table = Table(title=f"router {router}", title_justify="left", box=SIMPLE_HEAD, pad_edge=False)
    for column in ("port", "link", "neighbours", "routes", "filter", "announced"):
        table.add_column(column, no_wrap=column in ("port", "announced"))
    table.add_column(refused)
    for port in ports:
        announced = port["announced"]
        table.add_row(
            port["name"],
            "[red]away" if port["away"] and port["link"] == "up" else _LINKS[port["link"]],
            str(port["neighbours"]),
            str(port["routes"]),
            port["filter"] or "[red]none",
            f"[red]held down for {port['held_down']:.0f} s"
            if port["held_down"] is not None
            else "?"
            if announced is None
            else "\n".join(announced) or port["unannounced"] or "-",
            _refused(port),
        )
    console.print(table)
    agent, bgp = told["agent"], told["bgp"]
    if agent:
        console.print(f"agent: pid {agent['pid']}")
    if bgp:
        peers = ", ".join(f"{address} {state}" for address, state in bgp["peers"].items())
        relay = "connected" if bgp["relay"] else "not connected"
        console.print(f"bgp: relay {relay}; peers {peers}; {bgp['held']} of {bgp['wanted']} announced")
    console.print(f"inventory: {summary(told['inventory'])}", soft_wrap=True, highlight=False)
    for line in lines(told["inventory"]):
        console.print(f"[red]inventory[/]: {escape(line)}", soft_wrap=True, highlight=False)
    for failure in told["failed"]:
        where = "" if failure["port"] == ORPHAN else f"[red]port {failure['port']}[/]: "
        console.print(f"{where}[red]cannot[/] {failure['change']}: {failure['reason']}", soft_wrap=True)
    for duplicate in told["duplicates"]:
        console.print(f"[red]duplicate[/]: {duplicate}", soft_wrap=True)
    for foreign in told["foreign"]:
        console.print(f"foreign, left alone: {foreign}", soft_wrap=True)
