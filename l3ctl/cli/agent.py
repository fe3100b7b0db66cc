"""`l3ctl agent`."""

from pathlib import Path

import click

from l3ctl import log
from l3ctl.agent import Agent
from l3ctl.cli.options import with_config
from l3ctl.site import load_site


@click.command("agent")
@with_config
def command(config_path: Path) -> None:
    """Keep this router what the inventory says, until SIGTERM. SIGHUP reads both files again.

    When it stops, however it stops, everything stays as it is: filter, neighbours, routes and announcements.
    """
    site = load_site(config_path)
    log.configure()
    Agent(site).run()
