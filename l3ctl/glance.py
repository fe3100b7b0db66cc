"""The configuration, looked at only as far as it takes to ask the agent."""

from pathlib import Path
from typing import NamedTuple

from l3ctl.names import AGENT_SOCKET, RUN_DIR


class Glance(NamedTuple):
    """As much of the configuration as it takes to ask the agent."""

    router: str
    agent_socket: Path


def glance(path: Path) -> Glance:
    """The same as the file says it; `BadInput` where it does not say so much.

    The rest is not examined: that takes longer than the agent's answer, which stands also while a word elsewhere in the file is wrong.
    """
    from l3ctl.reading.outermost import outermost_texts  # here: who only wants to be told what a command does has no file read

    said = outermost_texts(path)
    router, run_dir = said.get("router", ""), said.get("run_dir", str(RUN_DIR))
    if router and run_dir.startswith("/"):
        return Glance(router, Path(run_dir) / AGENT_SOCKET)
    from l3ctl.site import load_configuration

    config = load_configuration(path)
    return Glance(config.router, config.agent_socket)
