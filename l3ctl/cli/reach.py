"""How a command reaches the router: through its agent where one runs, else by looking and changing itself."""

from collections.abc import Sequence
from typing import Any

import click

from l3ctl.config import Config
from l3ctl.control import Answer, ask
from l3ctl.errors import AgentUnreachable
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Port
from l3ctl.router import Router
from l3ctl.xdp.filter import Filter


def agent_answer(config: Config, command: str) -> Answer | None:
    """What the agent says, or None when none runs."""
    try:
        return ask(config.agent_socket, {"command": command})
    except AgentUnreachable:
        return None


def lone_router(config: Config, ports: Sequence[Port], *, load: bool) -> Router:
    """The router without its agent. With `load`, the filter is loaded where it is not there yet; else it is only looked at."""
    filter_ = Filter(config.bpffs, config.xdp_mode)
    there = filter_.open(config.guard.source_guard) or True if load else filter_.look()
    return Router(ports, config.settings(), Kernel(), filter_ if there else None, None)


def print_changes(changes: Sequence[dict[str, Any]], empty: str) -> None:
    """A plan for people: per port, in the order in which things happen."""
    if not changes:
        click.echo(empty)
        return
    signs = {"add": "+", "announce": "+", "replace": "~", "remove": "-", "withdraw": "-"}
    colours = {"+": "green", "~": "yellow", "-": "red"}
    by_port: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        by_port.setdefault(change["port"], []).append(change)
    for port, steps in by_port.items():
        click.secho(port, bold=True)
        for step in steps:
            sign = signs[step["verb"]]
            click.secho(f"  {sign} {step['verb']:<8} {step['text']}", fg=colours[sign])
    counts = [
        f"{sum(signs[change['verb']] == sign for change in changes)} to {word}"
        for sign, word in (("+", "add"), ("~", "replace"), ("-", "remove"))
    ]
    click.echo(f"{len(by_port)} ports: {', '.join(counts)}")
