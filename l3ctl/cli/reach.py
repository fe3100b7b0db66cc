"""How a command reaches the router: through its agent where one runs, else by looking and changing itself."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from l3ctl.asking import Answer, ask, ask_for_rows
from l3ctl.errors import AgentUnreachable
from l3ctl.names import ORPHAN
from l3ctl.wording import counted

if TYPE_CHECKING:
    from l3ctl.configuration import Configuration
    from l3ctl.glance import Glance
    from l3ctl.router import Router
    from l3ctl.site import Site

READING = 90.0
"""seconds that a command waits for the agent beyond the time the source has: 100,000 records are read and compared in a tenth of them"""


def agent_answer(config: "Configuration | Glance", command: str, **more: object) -> Answer | None:
    """What the agent says, or None when none runs. Raises `AgentRefused` where it says no."""
    try:
        return ask(config.agent_socket, {"command": command, **more})
    except AgentUnreachable:
        return None


def agent_rows(config: "Configuration | Glance", command: str, key: str) -> tuple[Answer, bytes] | None:
    """The same of an answer that ends with many objects under ``key``: these as JSON, not read."""
    try:
        return ask_for_rows(config.agent_socket, {"command": command}, key)
    except AgentUnreachable:
        return None


def agent_reads(path: Path, config: "Configuration", command: str, **more: object) -> Answer | None:
    """The same of a command for which it reads the inventory again, which may take long, and has to be the one meant by ``path``."""
    file = path.stat()
    question = {"command": command, "config": [file.st_dev, file.st_ino], **more}
    try:
        return ask(config.agent_socket, question, config.inventory.timeout + READING)
    except AgentUnreachable as error:
        was_killed = isinstance(error.__cause__, ConnectionRefusedError)  # its socket is still there, and nobody listens
        if config.agent_socket.is_socket() and not was_killed:
            raise
        return None


def lone_router(site: "Site", *, load: bool) -> "Router":
    """The router without its agent. With `load`, the filter is loaded where it is not there yet; else it is only looked at."""
    # Who asks an agent needs none of these, and to import them takes longer than its answer.
    from l3ctl.kernel.tables import Kernel
    from l3ctl.router import Router
    from l3ctl.words import Words
    from l3ctl.xdp.filter import Filter

    config = site.config
    filter_ = Filter(config.bpffs, config.xdp_mode)
    there = filter_.open(site.source_guard()) or True if load else filter_.look()
    router = Router(site.ports, config.settings, Kernel(config.sysctl_memory), filter_ if there else None, None)
    router.away = Words(router, config.words).away
    return router


def print_changes(changes: Sequence[dict[str, Any]], empty: str, *, why: Mapping[str, str] | None = None, made: bool = False) -> None:
    """A plan for people: per port, with the reason, in the order in which things happen. `made`: they were."""
    if not changes:
        click.echo(empty)
        return
    signs = {"add": "+", "announce": "+", "replace": "~", "remove": "-", "withdraw": "-"}
    colours = {"+": "green", "~": "yellow", "-": "red"}
    by_port: dict[str, list[dict[str, Any]]] = {}
    for change in changes:
        by_port.setdefault(change["port"], []).append(change)
    for port, steps in by_port.items():
        name = f"{port.removeprefix(ORPHAN) or 'no netdev'} (no port)" if port.startswith(ORPHAN) else port
        click.echo(click.style(name, bold=True) + (f": {why[port]}" if why and port in why else ""))
        for step in steps:
            sign = "~" if "was" in step else signs[step["verb"]]
            click.secho(f"  {sign} {step['verb']:<8} {step['text']}", fg=colours[sign])
    numbers = [sum(sign == ("~" if "was" in change else signs[change["verb"]]) for change in changes) for sign in "+~-"]
    words = ("added", "replaced", "removed") if made else ("to add", "to replace", "to remove")
    ports = sum(not port.startswith(ORPHAN) for port in by_port)
    click.echo(f"{counted(ports, 'port')}: {', '.join(f'{number} {word}' for number, word in zip(numbers, words, strict=True))}")
