"""`l3ctl plan`."""

from collections.abc import Sequence
from pathlib import Path

import click

from l3ctl.cli.options import counted, print_json, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router, print_changes
from l3ctl.control import as_json
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Port
from l3ctl.site import load_site


@click.command("plan")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Say what differs between the inventory and this router, and change nothing. Exit code 3 when something does.

    A port whose netdev does not exist (yet) is no difference: nothing can be done for it. It is named in a note.
    """
    site = load_site(config_path)
    notes = _missing_netdevs(site.ports)
    waiting = len(notes)
    answer = agent_answer(site.config, "plan", site=site.fingerprint())
    if answer is None:
        answer = {"changes": as_json(lone_router(site, load=False).plan())}
        if site.config.bgp is not None:
            notes.append("no agent runs: announcements were not looked at")
    if as_json_text:
        print_json({**answer, "notes": notes})
    else:
        print_changes(answer["changes"], f"{counted(len(site.ports), 'port')}: in sync" + (f", {waiting} waiting" if waiting else ""))
        for note in notes:
            click.echo(f"note: {note}", err=True)
    return 3 if answer["changes"] else 0


def _missing_netdevs(ports: Sequence[Port]) -> list[str]:
    with Kernel() as kernel:
        there = kernel.links().keys()
    missing = {port.name: sorted({port.interface, port.guard} - there) for port in ports}
    return [f"port {name} waits for netdev {' and '.join(netdevs)}" for name, netdevs in missing.items() if netdevs]
