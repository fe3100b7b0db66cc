"""`l3ctl agent`."""

from pathlib import Path

import click

from l3ctl import log
from l3ctl.agent import Agent
from l3ctl.cli.options import read_everything, with_config


@click.command("agent")
@with_config
def command(config_path: Path) -> None:
    """Keep this router what the inventory says, until SIGTERM. SIGHUP reads the inventory again.

    When it stops, however it stops, everything stays as it is: filter, neighbours, routes and announcements.
    """
    config, ports = read_everything(config_path)
    log.configure()
    Agent(config, ports).run()
