"""`l3ctl apply`."""

from pathlib import Path

import click

from l3ctl.agent import Lock
from l3ctl.cli.options import print_json, read_everything, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router, print_changes
from l3ctl.control import Answer, as_json
from l3ctl.router import Router


@click.command("apply")
@with_config
@with_json
def command(config_path: Path, as_json_text: bool) -> int:
    """Make this router what the inventory says, once. Where an agent runs, it does the work.

    Without an agent, neighbours, routes and the filter are put in place; announcements are the agent's alone.
    """
    config, ports = read_everything(config_path)
    answer = agent_answer(config, "apply")
    if answer is None:
        lock = Lock(config.lock_file)
        lock.acquire()
        try:
            answer = _apply(lone_router(config, ports, load=True))
        finally:
            lock.release()
    if as_json_text:
        print_json(answer)
    else:
        print_changes(answer["changes"], f"{len(ports)} ports: in sync, nothing to do")
        for failure in answer["failed"]:
            click.echo(f"l3ctl: port {failure['port']}: cannot {failure['change']}: {failure['reason']}", err=True)
    return 1 if answer["failed"] else 0


def _apply(router: Router) -> Answer:
    changes, failed = router.full_pass()
    told = [{"port": one.change.port, "change": str(one.change), "reason": one.reason} for one in failed]
    return {"changes": as_json(changes), "failed": told}
