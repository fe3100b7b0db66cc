"""`l3ctl port`: what somebody knows of a host, and no link tells."""

import time
from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.control import ask
from l3ctl.errors import AgentUnreachable
from l3ctl.site import load_configuration

_POLL = 0.1
_with_patience = click.option(
    "--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds to wait for an agent that is being restarted."
)


@click.group("port")
def command() -> None:
    """Say that the host of a port with `liveness: external` has come or gone; for hooks of hypervisors and switches.

    The word is taken as a change of its link would be: what depends on it is withdrawn or announced at once. It holds until the next one or
    a boot, also over restarts of the agent.
    """


@command.command("up")
@click.argument("name")
@with_config
@_with_patience
@with_json
def up(name: str, config_path: Path, timeout: float, as_json_text: bool) -> None:
    """The host of port NAME is there: announce it, as far as its link is up."""
    _tell(config_path, name, timeout, as_json_text, up=True)


@command.command("down")
@click.argument("name")
@with_config
@_with_patience
@with_json
def down(name: str, config_path: Path, timeout: float, as_json_text: bool) -> None:
    """The host of port NAME is away: withdraw what was announced of it."""
    _tell(config_path, name, timeout, as_json_text, up=False)


def _tell(config_path: Path, name: str, timeout: float, as_json_text: bool, *, up: bool) -> None:
    config = load_configuration(config_path)
    until = time.monotonic() + timeout
    while True:
        try:
            told = ask(config.agent_socket, {"command": "port", "name": name, "up": up})
            break
        except AgentUnreachable:
            if time.monotonic() >= until:
                raise
            time.sleep(_POLL)
    if as_json_text:
        print_json(told)
    elif up and not told["reachable"]:
        click.echo(f"port {name}: its host is there, and its link is down")
    else:
        click.echo(f"port {name}: {'reachable' if up else 'away'}" + ("" if told["new"] else ", as it was"))
