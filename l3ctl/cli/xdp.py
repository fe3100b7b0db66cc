"""`l3ctl xdp`."""

import os
from pathlib import Path

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.reach import agent_answer
from l3ctl.errors import AlreadyRunning, MissingRequirement
from l3ctl.kernel.tables import Kernel
from l3ctl.site import load_configuration
from l3ctl.xdp.filter import Filter


@click.group("xdp")
def command() -> None:
    """Look after the filter itself. The agent attaches it; what is attached outlives the agent."""


@command.command("status")
@with_config
@with_json
def status(config_path: Path, as_json_text: bool) -> None:
    """Say where the filter is attached and which ports it knows."""
    config = load_configuration(config_path)
    filter_ = Filter(config.bpffs, config.xdp_mode)
    with Kernel() as kernel:
        links = kernel.links()
    there = filter_.look()
    policies = filter_.read(links) if there else {}
    netdevs = sorted(facts.name for facts in links.values() if there and facts.ifindex in filter_.attached())
    if as_json_text:
        ports = {name: {"guard": policy.guard, "mode": policy.mode} for name, policy in sorted(policies.items())}
        print_json({"pinned": there, "pins": str(config.bpffs), "netdevs": netdevs, "ports": ports})
    elif not there:
        click.echo(f"no filter is pinned in {config.bpffs}; the agent or `l3ctl apply` loads it")
    else:
        click.echo(f"attached to {', '.join(netdevs) or 'nothing'}; {len(policies)} ports; pinned in {config.bpffs}")


@command.command("detach")
@with_config
def detach(config_path: Path) -> None:
    """Take the filter off every netdev and remove its pins. From then on customers' ARP and ND reach the kernel."""
    config = load_configuration(config_path)
    if os.geteuid() != 0:
        raise MissingRequirement("the filter's pins are root's alone", "run as root")
    if agent_answer(config, "status"):
        raise AlreadyRunning("the agent would attach the filter again at once", "stop it first")
    click.echo(f"detached from {Filter(config.bpffs).detach()} netdevs")
