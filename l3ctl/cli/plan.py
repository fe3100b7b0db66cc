"""`l3ctl plan`."""

from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.patience import patience
from l3ctl.cli.reach import agent_reads, lone_router, print_changes
from l3ctl.cli.report import print_lines
from l3ctl.planned import planned
from l3ctl.site import load_configuration
from l3ctl.wording import counted


@click.command("plan")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Say what differs between the inventory and this router, and change nothing. Exit code 3 when something does.

    A port whose netdev does not exist (yet) is no difference: nothing can be done for it. It is named in a note. A bad record is named on
    stderr, with exit code 2; the plan is what would be done all the same.
    """
    config = load_configuration(config_path)
    with patience("comparing the inventory with this router"):
        answer = agent_reads(config_path, config, "plan")
        if answer is None:
            from l3ctl.followed import read_once

            followed, site = read_once(config_path)
            router = lone_router(site, load=False)
            answer = planned(site, router.plan(), router, site.config.settings, followed.outlook())
            if config.bgp is not None:
                answer["notes"].append("no agent runs: announcements were not looked at")
            followed.left()
    notes, waits = answer["notes"], sum("waits for netdev" in note for note in answer["notes"])
    if as_json_text:
        print_json(answer)
    else:
        in_sync = f"{counted(answer['ports'], 'port')}: in sync" + (f", {waits} waiting" if waits else "")
        print_changes(answer["changes"], in_sync, why=answer["why"])
        for note in notes:
            click.echo(f"note: {note}", err=True)
    bad = print_lines(answer["inventory"])
    return 2 if bad else 3 if answer["changes"] else 0
