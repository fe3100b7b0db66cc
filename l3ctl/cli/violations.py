"""`l3ctl violations`."""

import json
import time
from pathlib import Path
from typing import Any

import click

from l3ctl.cli.options import with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router
from l3ctl.configuration import Configuration
from l3ctl.errors import AgentUnreachable
from l3ctl.names import ANSWERS
from l3ctl.site import load_configuration, load_site

_LOOK = 0.5
"""seconds between two questions of --follow"""


@click.command("violations")
@with_config
@click.option("--follow", is_flag=True, help="Go on telling until Ctrl-C.")
@click.option("--all", "quiet", is_flag=True, help="Also what healthy hosts do at boot or by a wrong netmask.")
@click.option("--would-drop", "audited", is_flag=True, help="Only of ports in audit: what `enforce` is going to drop there.")
@with_json
@click.argument("port", required=False)
def command(config_path: Path, follow: bool, quiet: bool, audited: bool, as_json_text: bool, port: str | None) -> int:
    """Say what customers were refused: claimed against billed, with how many frames a line stands for. All ports, or PORT alone.

    With --json one object a line, with the beginning of the frame in hex. Without an agent there is no evidence; the counters are told.
    """
    config = load_configuration(config_path)
    which: dict[str, object] = {"quiet": quiet, "audited": audited}
    answer = agent_answer(config, "violations", since=0, **which)
    if answer is None:
        return _counters(config_path, port, as_json_text)
    while True:
        for line in answer["violations"]:
            if port in (None, line["evidence"]["port"]):
                _tell(line, as_json_text)
        if not follow:
            return 0
        time.sleep(_LOOK)
        answer = _again(config, answer["last"], which)


def _again(config: Configuration, since: int, which: dict[str, object]) -> dict[str, Any]:
    answer = agent_answer(config, "violations", since=since, **which)
    if answer is None:
        raise AgentUnreachable("the agent has gone", "follow again when it is back: what it remembered went with it")
    if answer["last"] < since:  # another agent, which counts anew
        return _again(config, 0, which)
    return answer


def _tell(line: dict[str, Any], as_json_text: bool) -> None:
    if as_json_text:
        click.echo(json.dumps(line))
        return
    at = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line["at"]))
    evidence = line["evidence"]
    click.echo(f"{at}  {evidence['reason']:<18} {line['count']:>8}x  {evidence['text']}")


def _counters(config_path: Path, port: str | None, as_json_text: bool) -> int:
    router = lone_router(load_site(config_path), load=False)
    counters = router.filter.counters() if router.filter is not None else {}
    for name, counts in sorted(counters.items()):
        refused = {reason: count for reason, count in counts.items() if reason not in ANSWERS}
        if port not in (None, name) or not refused:
            continue
        if as_json_text:
            click.echo(json.dumps({"port": name, "counters": refused}))
        else:
            click.echo(f"{name}: " + ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items())))
    click.echo("note: no agent runs, so there are counters and no evidence", err=True)
    return 1
