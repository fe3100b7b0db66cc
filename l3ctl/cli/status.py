"""`l3ctl status`."""

from pathlib import Path
from typing import Any

import click

from l3ctl.cli.options import print_json, read_everything, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router
from l3ctl.config import load_config
from l3ctl.status import status


@click.command("status")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Show every port: link, entries, filter, announcement, and what its customer was refused.

    Without an agent the router is looked at all the same, and the exit code is 1.
    """
    config = load_config(config_path)
    told = agent_answer(config, "status")  # before the inventory is read: what works is to be seen also while that is broken
    if told is None:
        router = lone_router(config, read_everything(config_path)[1], load=False)
        told = status(router, [], None)
    if as_json_text:
        print_json({"router": config.router, **told})
    else:
        _show(config.router, told)
    return 0 if told["agent"] else 1


def _show(router: str, told: dict[str, Any]) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("port", "link", "neighbours", "routes", "filter", "announced", "dropped", title=f"router {router}", title_justify="left")
    for port in told["ports"]:
        answers = {"arp-answer", "ns-answer"}
        dropped = sum(count for reason, count in port["counters"].items() if reason not in answers)
        announced = port["announced"]
        table.add_row(
            port["name"],
            {"up": "[green]up", "down": "[red]down", "missing": "[red]missing"}[port["link"]],
            str(port["neighbours"]),
            str(port["routes"]),
            port["filter"] or "[red]none",
            "?" if announced is None else " ".join(announced) or "-",
            str(dropped) if dropped else "",
        )
    console.print(table)
    agent, bgp = told["agent"], told["bgp"]
    console.print(f"agent: pid {agent['pid']}" if agent else "[red]agent: not running[/]; what is installed stays, and nobody watches it")
    if bgp:
        peers = ", ".join(f"{address} {state}" for address, state in bgp["peers"].items())
        relay = "connected" if bgp["relay"] else "not connected: is ExaBGP running?"
        console.print(f"bgp: relay {relay}; peers {peers}; {bgp['held']} of {bgp['wanted']} announced")
    for failure in told["failed"]:
        console.print(f"[red]port {failure['port']}[/]: {failure['change']}: {failure['reason']}", soft_wrap=True)
    for foreign in told["foreign"]:
        console.print(f"foreign, left alone: {foreign}", soft_wrap=True)
    behind = [port["name"] for port in told["ports"] if not port["in_sync"]]
    click.echo(f"not in sync: {', '.join(behind)}; `l3ctl plan` says how" if behind else "in sync")
