"""`l3ctl agent`."""

import signal
from pathlib import Path

import click

from l3ctl import log
from l3ctl.agent import Agent
from l3ctl.cli.options import with_config, with_take_over
from l3ctl.reader.parent import Reader
from l3ctl.release import release
from l3ctl.signals import hold
from l3ctl.site import load_configuration


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
    log.configure()
    hold(signal.SIGHUP)  # whoever has it reload may not know that it has just been started
    reader = Reader(config_path)
    reader.open()
    try:
        told = reader.first()
        assert told.site is not None
        Agent(told.site, reader, take_over=take_over).run()
    finally:
        reader.close()
    return 0
