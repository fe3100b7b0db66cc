"""`l3ctl exabgp-config`."""

import shlex
import sys
from pathlib import Path

import click

from l3ctl.bgp.exabgp_config import ENVIRONMENT, exabgp_config
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.errors import BadInput, Problem
from l3ctl.site import load_configuration


@click.command("exabgp-config")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> None:
    """Print a configuration for ExaBGP, made from l3ctl's own.

    Start ExaBGP with it in the environment that its first lines name; it then stays in the foreground.
    """
    config = load_configuration(config_path)
    settings = config.bgp
    if settings is None:
        raise BadInput([Problem(str(config_path), "no 'bgp' section, so there is nothing to configure ExaBGP for", "add one")])
    relay = shlex.join([str(Path(sys.executable).with_name("l3ctl")), "relay", "--socket", str(config.bgp_socket)])
    text = exabgp_config(settings, relay)
    if as_json_text:
        print_json({"environment": ENVIRONMENT, "config": text})
        return
    environment = " ".join(f"{name}={value}" for name, value in ENVIRONMENT.items())
    click.echo(f"# env {environment} {Path(sys.executable).with_name('exabgp')} server FILE\n{text}", nl=False)
