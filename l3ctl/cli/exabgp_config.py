"""`l3ctl exabgp-config`."""

import os
import shlex
import sys
from pathlib import Path

import click

from l3ctl.bgp.exabgp_config import environment, exabgp_config, start_command
from l3ctl.bgp.user import group_of, ids_of
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.errors import BadInput, Problem
from l3ctl.site import load_configuration


@click.command("exabgp-config")
@with_config
@click.option("--output", type=click.Path(path_type=Path), help="Write it here, readable by ExaBGP's user alone, instead of printing it.")
@with_json
def command(config_path: Path, output: Path | None, as_json_text: bool) -> None:
    """Print a configuration for ExaBGP, made from l3ctl's own.

    Start ExaBGP with it as its first line says; it then stays in the foreground. Passwords of sessions are in it.
    """
    config = load_configuration(config_path)
    settings = config.bgp
    if settings is None:
        raise BadInput([Problem(str(config_path), "no 'bgp' section, so there is nothing to configure ExaBGP for", "add one")])
    relay = shlex.join([str(Path(sys.executable).with_name("l3ctl")), "relay", "--socket", str(config.bgp_socket)])
    text = exabgp_config(settings, relay)
    variables = environment(settings.user)
    start = f"env {' '.join(f'{name}={value}' for name, value in variables.items())} {shlex.join(start_command(str(output or 'FILE')))}"
    if settings.user:
        start = f"setpriv --reuid={settings.user} --regid={group_of(settings.user)} --clear-groups {start}"
    text = f"# {start}\n{text}"
    if output is not None:
        write_whole(output, text, settings.user)
        click.echo(f"written; start ExaBGP with: {start}")
    elif as_json_text:
        print_json({"environment": variables, "user": settings.user, "config": text})
    else:
        click.echo(text, nl=False)


def write_whole(path: Path, text: str, user: str | None) -> None:
    """All of it or nothing, and never to be read by others."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            if user is not None:
                os.fchown(file.fileno(), *ids_of(user))
        beside.replace(path)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadInput([Problem(str(path), f"cannot be written: {error.strerror}", "name a file in a folder that is there")]) from error
