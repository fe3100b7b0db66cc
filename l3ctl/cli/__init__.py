"""Arguments, tables and exit codes. One small file per noun, imported only when it is asked for: `--help` and `relay` start at once.

Exit codes: 0 done or in sync, 1 failed, 2 bad input, 3 `plan` found changes.
"""

import importlib
import keyword
import os
import sys
from typing import Any

import click

from l3ctl import __version__
from l3ctl.errors import L3ctlError

COMMANDS = {
    "check": "Read configuration and inventory, and say what is wrong with them.",
    "import": "Make an inventory of a host database and a table of ports.",
    "plan": "Say what differs between the inventory and this router, and change nothing.",
    "apply": "Make this router what the inventory says, once.",
    "inventory": "Say what the source says otherwise, let it, and how it came to be: diff, confirm, history.",
    "agent": "Keep this router what the inventory says.",
    "relay": "Stand between ExaBGP and the agent (ExaBGP runs this).",
    "exabgp-config": "Print a configuration for ExaBGP.",
    "drain": "Withdraw everything, for a maintenance.",
    "undrain": "Announce again.",
    "port": "Say that a host has come or gone, where its link does not: up, down.",
    "status": "Show every port: link, entries, filter, announcement.",
    "ports": "List the ports, a line each: where, whose, and how it stands.",
    "explain": "Say why an address, MAC, port or prefix is reachable or not, with all that is known of it.",
    "violations": "Say what customers were refused, claimed against billed.",
    "top": "Show frames refused a second, by port and reason, as it happens.",
    "metrics": "Tell the agent's numbers to Prometheus.",
    "doctor": "Examine the machine, the filter and the peers, and say how to mend what is wrong.",
    "verdict": "Run a capture through the filter and say what would happen to each frame.",
    "xdp": "Look after the filter itself.",
    "completion": "Print what makes a shell complete commands and options.",
    "man": "Print the manual page.",
    "bench": "Measure l3ctl beside the limit.",
    "lab": "A router, an upstream and three customers in network namespaces.",
}


class LazyGroup(click.Group):
    """Knows its commands by name and one line; imports a command when it is run."""

    def list_commands(self, _: click.Context) -> list[str]:
        """Every command, in the order a newcomer meets them."""
        return list(COMMANDS)

    def get_command(self, _: click.Context, name: str) -> click.Command | None:
        """The command itself."""
        if name not in COMMANDS:
            return None
        room = f"{name}_" if keyword.iskeyword(name) else name.replace("-", "_")
        module = importlib.import_module(f"l3ctl.cli.{room}")
        command: click.Command = module.command
        return command

    def format_commands(self, _: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing any of them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="l3ctl")
def l3ctl() -> None:
    """A routed layer-3 network from what billing already knows."""


def main(arguments: list[str] | None = None) -> Any:
    """Run a command; turn an error into its line on stderr and its exit code."""
    try:
        sys.exit(l3ctl.main(arguments, prog_name="l3ctl", standalone_mode=False) or 0)
    except L3ctlError as error:
        for line in error.lines():
            click.echo(f"l3ctl: {line}", err=True)
        sys.exit(error.exit_code)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        sys.exit(2)
    except click.ClickException as error:
        where = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "l3ctl"
        click.echo(f"l3ctl: {error.format_message().rstrip('.')}; see `{where} --help`", err=True)
        sys.exit(2)
    except click.Abort:
        sys.exit(130)
    except BrokenPipeError:
        # Who read our output has gone, as `head` does; that is not our failure, and nothing more can be said on that pipe.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
