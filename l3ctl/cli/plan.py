"""`l3ctl plan`."""

from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router, print_changes, read
from l3ctl.control import as_json


@click.command("plan")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Say what differs between the inventory and this router, and change nothing. Exit code 3 when something does."""
    config, ports = read(config_path)
    answer = agent_answer(config, "plan")
    note = None
    if answer is None:
        router = lone_router(config, ports, load=False)
        answer = {"changes": as_json(router.plan())}
        if config.bgp is not None:
            note = "no agent runs: announcements were not looked at"
    if as_json_text:
        print_json({**answer, "note": note} if note else answer)
    else:
        print_changes(answer["changes"], f"{len(ports)} ports: in sync")
        if note:
            click.echo(f"note: {note}", err=True)
    return 3 if answer["changes"] else 0
