"""`l3ctl port`: what somebody knows of a host, and no link tells."""

import time
from pathlib import Path

import click

from l3ctl.asking import ask
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.errors import AgentUnreachable
from l3ctl.site import load_configuration

_POLL = 0.1


@click.command("port")
@click.argument("word", metavar="up|down", type=click.Choice(["up", "down"]))
@click.argument("name")
@with_config
@click.option("--timeout", type=click.FloatRange(min=0), default=10.0, show_default=True, help="Seconds to wait for a restarting agent.")
@with_json
def command(word: str, name: str, config_path: Path, timeout: float, as_json_text: bool) -> None:
    """Say that the host of port NAME, which has `liveness: external`, has come or gone; for hooks of hypervisors and switches.

    The word is taken as a change of its link would be: what depends on it is withdrawn or announced at once. It holds until the next one or
    a boot, also over restarts of the agent.
    """
    config = load_configuration(config_path)
    up, until = word == "up", time.monotonic() + timeout
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
