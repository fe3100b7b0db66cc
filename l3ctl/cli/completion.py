"""`l3ctl completion`."""

import click
from click.shell_completion import get_completion_class

_VARIABLE = "_L3CTL_COMPLETE"


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def command(shell: str) -> None:
    """Print what makes a shell complete l3ctl's commands and options: `l3ctl completion bash > /etc/bash_completion.d/l3ctl`."""
    from l3ctl.cli import l3ctl

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(l3ctl, {}, "l3ctl", _VARIABLE).source())
