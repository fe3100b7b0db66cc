"""`l3ctl check`."""

from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.patience import patience
from l3ctl.site import load_site
from l3ctl.wording import counted


@click.command("check")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> None:
    """Read configuration and inventory, and say what is wrong with them. Touches nothing; needs no root."""
    with patience("reading the inventory"):
        site = load_site(config_path)
    config, ports = site.config, site.ports
    hosts = [host for port in ports for host in port.hosts]
    prefixes = sum(len(host.prefixes()) for host in hosts)
    if as_json_text:
        told = {"config": str(config_path), "inventory": str(config.inventory.source), "router": config.router}
        print_json({**told, "ports": len(ports), "hosts": len(hosts), "prefixes": prefixes})
    else:
        amounts = (
            f"{counted(len(ports), 'port')} of router {config.router}, {counted(len(hosts), 'host')}, {counted(prefixes, 'prefix', 'es')}"
        )
        click.echo(f"{config.inventory.source}: {amounts}: good")
    if not ports:
        click.echo(f"note: no record is for router {config.router}: nothing would be installed here, and what is would go", err=True)
