"""`l3ctl verdict`."""

import json
import os
from collections import Counter
from dataclasses import replace
from pathlib import Path

import click

from l3ctl.cli.options import with_config, with_json
from l3ctl.cli.patience import patience
from l3ctl.desired import port_policy
from l3ctl.errors import BadInput, MissingRequirement, Problem
from l3ctl.kernel.tables import Kernel
from l3ctl.model import Mode, PortPolicy
from l3ctl.site import load_site
from l3ctl.wording import counted
from l3ctl.xdp.capture import Captured, read_capture
from l3ctl.xdp.verdict import Judge

ROUTER_LLADDR = "02:00:00:00:00:01"
"""stands for the router where the port's netdev is not on this machine"""


@click.command("verdict")
@with_config
@click.option("--port", "port_name", required=True, help="The port the frames came in on.")
@click.option("--source-guard", is_flag=True, help="Judge as with guard: {source_guard: true}.")
@click.option("--audit", "mode", flag_value=Mode.AUDIT, type=Mode, help="Judge as with guard: {mode: audit}.")
@click.option("--enforce", "mode", flag_value=Mode.ENFORCE, type=Mode, help="Judge as with guard: {mode: enforce}.")
@with_json
@click.argument("capture", type=click.Path(path_type=Path))
def command(config_path: Path, port_name: str, source_guard: bool, mode: Mode | None, as_json_text: bool, capture: Path) -> None:
    """Run each frame of CAPTURE (pcap or pcapng) through the real filter and say what would happen to it.

    The port is judged as if it were alone on its netdev: with an enforced port beside it on a trunk, frames that are no one port's are
    dropped also where this says that audit passes them. The filter is loaded on maps of its own; a running one is not touched. Needs root.
    """
    policy = _policy(config_path, port_name)
    if os.geteuid() != 0:
        raise MissingRequirement("running frames through the filter needs the bpf system call", "run as root")
    policy = replace(policy, source_guard=policy.source_guard or source_guard, mode=mode or policy.mode)
    frames = list(read_capture(capture))
    totals: Counter[tuple[str, str]] = Counter()
    with patience("loading the filter"):
        judge = Judge(policy)
    for judged in judge.judge(frames):
        totals[judged.verdict, judged.reason] += 1
        told = {"packet": judged.packet, "verdict": judged.verdict, "reason": judged.reason}
        if judged.answer is not None:
            told["answer"] = judged.answer.hex()
        if as_json_text:
            click.echo(json.dumps(told))
        else:
            would = "  (audit: enforce would not)" if judged.verdict == "pass" and judged.reason else ""
            click.echo(f"{judged.packet:>7}  {judged.verdict:<6}  {judged.reason}{would}".rstrip())
    _summarise(capture, frames, totals, as_json_text)


def _policy(config_path: Path, port_name: str) -> PortPolicy:
    site = load_site(config_path)
    config = site.config
    port = next((port for port in site.ports if port.name == port_name), None)
    if port is None:
        known = ", ".join(port.name for port in site.ports[:10]) or "none"
        raise BadInput([Problem(str(config.inventory.source), f"no port '{port_name}' of router {config.router}", f"it has: {known}")])
    with Kernel() as kernel:
        facts, guard = kernel.link(port.interface), kernel.link(port.guard)
    return port_policy(port, facts.lladdr if facts else ROUTER_LLADDR, config.settings, guard)


def _summarise(capture: Path, frames: list[Captured], totals: Counter[tuple[str, str]], as_json_text: bool) -> None:
    if not as_json_text:
        sums = ", ".join(f"{count} {' '.join(what).strip()}" for what, count in totals.most_common())
        click.echo(f"{counted(len(frames), 'frame')}{': ' if sums else ''}{sums}")
    cut = sum(not frame.whole for frame in frames)
    if cut:
        click.echo(
            f"l3ctl: {capture}: {cut} frames were cut short when captured and are judged as they are; capture with `tcpdump -s 0`", err=True
        )
