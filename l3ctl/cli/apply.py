"""`l3ctl apply`."""

from pathlib import Path

import click

from l3ctl.asking import Answer
from l3ctl.cli.options import print_json, with_config, with_json, with_take_over
from l3ctl.cli.patience import patience
from l3ctl.cli.reach import agent_reads, lone_router, print_changes
from l3ctl.cli.report import print_lines
from l3ctl.control import as_json
from l3ctl.errors import AgentUnreachable
from l3ctl.lock import Lock
from l3ctl.site import load_configuration
from l3ctl.wording import counted


@click.command("apply")
@with_config
@with_take_over
@click.option("--confirm", metavar="SECONDS", type=click.IntRange(1, 86400), help="Roll back by itself, unless confirmed by then.")
@with_json
def command(config_path: Path, take_over: bool, confirm: int | None, as_json_text: bool) -> int:
    """Make this router what the inventory says, once. Where an agent runs, it does the work.

    Without an agent, neighbours, routes and the filter are put in place; announcements are the agent's alone. With --confirm, what was
    changed is rolled back after SECONDS, unless `l3ctl inventory confirm` comes before: also when the agent is killed meanwhile, once it
    is there again; its l3ctl.yaml is then the one on disk. Needs an agent.
    """
    config = load_configuration(config_path)
    more = {} if confirm is None else {"confirm": confirm}
    with patience("making this router what the inventory says"):
        answer = agent_reads(config_path, config, "apply", take_over=take_over, **more)
        if answer is None and confirm is not None:
            raise AgentUnreachable("--confirm: no agent runs, which would have to roll back", "start `l3ctl agent`")
        if answer is None:
            answer = _apply(config_path, take_over)
    if as_json_text:
        print_json(answer)
    else:
        done = "nothing could be done" if answer["failed"] else "in sync, nothing to do"
        print_changes(answer["changes"], f"{counted(answer['ports'], 'port')}: {done}", made=True)
        for failure in answer["failed"]:
            reason = failure["reason"].removeprefix(f"port {failure['port']}: ")
            click.echo(f"l3ctl: port {failure['port']}: cannot {failure['change']}: {reason}", err=True)
    if confirm is not None:
        click.echo(f"note: rolled back in {confirm} s, unless you say `l3ctl inventory confirm`", err=True)
    bad = print_lines(answer["inventory"])
    return 1 if answer["failed"] else 2 if bad else 0


def _apply(config_path: Path, take_over: bool) -> Answer:
    from l3ctl.followed import read_once

    followed, site = read_once(config_path)
    lock = Lock(site.config.lock_file)
    lock.acquire()
    try:
        router = lone_router(site, load=True)
        router.take_over = take_over
        changes, failed = router.full_pass()
        followed.taken()
    finally:
        lock.release()
    told = [{"port": one.change.port, "change": str(one.change), "reason": one.reason} for one in failed]
    return {"changes": as_json(changes), "failed": told, "ports": len(site.ports), "inventory": as_json(followed.report())}
