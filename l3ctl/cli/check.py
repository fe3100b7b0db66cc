"""`l3ctl check`."""

from pathlib import Path

import click

from l3ctl.cli.options import print_json, read_everything, with_config, with_json


@click.command("check")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> None:
    """Read configuration and inventory, and say what is wrong with them. Touches nothing; needs no root."""
    config, ports = read_everything(config_path)
    hosts = [host for port in ports for host in port.hosts]
    prefixes = sum(len(host.prefixes()) for host in hosts)
    if as_json_text:
        told = {"config": str(config_path), "inventory": str(config.inventory_file), "router": config.router}
        print_json({**told, "ports": len(ports), "hosts": len(hosts), "prefixes": prefixes})
    else:
        click.echo(f"{config.inventory_file}: {len(ports)} ports of router {config.router}, {len(hosts)} hosts, {prefixes} prefixes: good")
