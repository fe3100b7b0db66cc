"""`l3ctl undrain`."""

from pathlib import Path

import click

from l3ctl.asking import ask
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.errors import BadInput, Problem
from l3ctl.site import load_configuration


@click.command("undrain")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Announce again what is there, after `drain`."""
    config = load_configuration(config_path)
    if config.bgp is None:
        raise BadInput([Problem(str(config_path), "no 'bgp' section, so nothing is ever announced", "add one")])
    told = ask(config.agent_socket, {"command": "undrain"})
    if as_json_text:
        print_json(told)
    else:
        click.echo("announcing again")
    return 0
