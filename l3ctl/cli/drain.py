"""`l3ctl drain`."""

import time
from pathlib import Path

import click

from l3ctl.asking import Answer, ask
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.patience import patience
from l3ctl.errors import AgentRefused, BadInput, Problem
from l3ctl.site import load_configuration

_POLL = 0.2


@click.command("drain")
@with_config
@click.option("--timeout", type=click.FloatRange(min=0), default=60.0, show_default=True, help="Seconds to wait until all is withdrawn.")
@click.option("--stop", is_flag=True, help="Stop the agent, too, once that is done.")
@with_json
def command(config_path: Path, timeout: float, stop: bool, as_json_text: bool) -> int:
    """Withdraw everything and announce nothing, for a maintenance, until `undrain`. Ports stay guarded and routed.

    Ends when every peer has a session and was sent the last withdraw: ExaBGP may be stopped then, and no peer that reads what it is sent
    keeps a route. An agent that is started anew meanwhile announces nothing either; on a router that was booted it does.
    """
    config = load_configuration(config_path)
    if config.bgp is None:
        raise BadInput([Problem(str(config_path), "no 'bgp' section, so there is nothing to drain", "add one")])
    told = ask(config.agent_socket, {"command": "drain"})
    ends = time.monotonic() + timeout
    with patience("withdrawing", lambda: f", {told['left']} changes left" if told["left"] else ""):
        while told["drained"] and not _is_done(told) and time.monotonic() < ends:
            time.sleep(_POLL)
            told = ask(config.agent_socket, {"command": "drained"})
    if _is_done(told) and stop:
        ask(config.agent_socket, {"command": "stop"})
    if as_json_text:
        print_json(told)
    if not _is_done(told):
        raise AgentRefused(*_unfinished(told, timeout))
    if not as_json_text:
        click.echo("drained: all is withdrawn, and ExaBGP may be stopped; `l3ctl undrain` announces again")
    return 0


def _is_done(told: Answer) -> bool:
    return bool(told["drained"] and told["sent"] and not told["without_session"])


def _unfinished(told: Answer, timeout: float) -> tuple[str, str]:
    if not told["drained"]:
        return "somebody has undrained this router meanwhile", "`l3ctl status` says how it stands"
    if not told["relay"]:
        return "no relay is connected, so what ExaBGP announces is not withdrawn", "is ExaBGP running? It will be told as soon as it is"
    if told["sent"]:
        mend = "it may keep what it heard before for `restart_time`; wait, or end the session there"
        return f"all is withdrawn, but {', '.join(told['without_session'])} could not be told: no session", mend
    return f"not all is withdrawn after {timeout:g} s, {told['left']} changes are left", "it goes on; `l3ctl status` says how it stands"
