"""`l3ctl doctor`."""

from dataclasses import asdict
from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.reach import agent_answer
from l3ctl.doctor import BAD, DOUBTFUL, GOOD, Doctor
from l3ctl.site import load_configuration, load_site
from l3ctl.wording import counted

_COLOURS = {GOOD: "green", DOUBTFUL: "yellow", BAD: "red"}


@click.command("doctor")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Examine the machine, the filter, the agent and its peers, and say how to mend what is wrong. Changes nothing; run it as root.

    The exit code is 1 where something is bad; what is doubtful is told and no more.
    """
    config = load_configuration(config_path)
    told = agent_answer(config, "status")
    findings = list(Doctor(config, load_site(config_path).ports, told).findings())
    if as_json_text:
        print_json({"router": config.router, "findings": [asdict(one) for one in findings]})
    else:
        for one in findings:
            click.echo(f"{click.style(f'{one.state:<9}', fg=_COLOURS[one.state])}{one.what:<12}{one.text}")
            if one.mend:
                click.echo(f"{'':<21}mend: {one.mend}")
        numbers = {state: sum(one.state == state for one in findings) for state in (BAD, DOUBTFUL)}
        click.echo(f"{counted(len(findings), 'finding')}: " + ", ".join(f"{number} {state}" for state, number in numbers.items()))
    return 1 if any(one.state == BAD for one in findings) else 0
