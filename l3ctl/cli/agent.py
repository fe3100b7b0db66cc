"""`l3ctl agent`."""

from pathlib import Path

import click

from l3ctl import log
from l3ctl.agent import Agent
from l3ctl.cli.options import with_config, with_take_over
from l3ctl.release import release
from l3ctl.site import load_configuration, load_site_apart


@click.command("agent")
@with_config
@with_take_over
@click.option("--release", "releases", is_flag=True, help="Withdraw and remove everything of ours, set the sysctls as they were, and exit.")
def command(config_path: Path, take_over: bool, releases: bool) -> int:
    """Keep this router what the inventory says, until SIGTERM. SIGHUP reads both files again.

    When it stops, however it stops, everything stays as it is: filter, neighbours, routes and announcements. Only --release, once the agent
    is stopped, gives the router back as it was before l3ctl.
    """
    if releases:
        removed, left = release(load_configuration(config_path))
        click.echo(f"released: {removed} things removed")
        for line in left:
            click.echo(f"l3ctl: {line}", err=True)
        return 1 if left else 0
    site = load_site_apart(config_path)
    log.configure()
    Agent(site, take_over=take_over).run()
    return 0
