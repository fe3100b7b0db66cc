"""`l3ctl lab`."""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from l3ctl.cli.options import print_json, with_json
from l3ctl.errors import LabFailed
from l3ctl.lab.customers import CUSTOMERS
from l3ctl.lab.pair import HOST, Pair
from l3ctl.lab.programs import PROGRAM
from l3ctl.lab.topology import Lab

if TYPE_CHECKING:
    from l3ctl.lab.migrate import Move

F = TypeVar("F", bound=Callable[..., Any])


def _with_prefix(default: str) -> Callable[[F], F]:
    def check(_context: click.Context, _parameter: click.Parameter, prefix: str) -> str:
        if not re.fullmatch(r"[a-z][a-z0-9]{0,31}", prefix):  # it becomes part of paths that `down` removes
            raise click.BadParameter("small letters and digits, a letter first")
        return prefix

    return click.option("--prefix", default=default, show_default=True, callback=check, help="Begins the names of the lab's namespaces.")


@click.group("lab")
def command() -> None:
    """A router, an upstream with BIRD and three customers, one of them an attacker, in network namespaces. Needs root."""
    os.environ.pop("L3CTL_CONFIG", None)  # the lab's programs have one of their own each, and it is not the one somebody works with


@command.command("up")
@_with_prefix("l3")
@with_json
def up(prefix: str, as_json_text: bool) -> None:
    """Build the lab and leave it running, with an agent and real peers."""
    lab = Lab(prefix)
    lab.up()
    names = [one.name for one in lab.namespaces()]
    if as_json_text:
        ports = [{"name": one.name, "interface": one.port, "namespace": lab.hosts[one.name].name} for one in CUSTOMERS]
        print_json({"namespaces": names, "config": str(lab.config), "run_dir": str(lab.run_dir), "ports": ports})
        return
    click.echo(f"up: {' '.join(names)}")
    click.echo(f"try: ip netns exec {lab.router.name} {PROGRAM} status")
    click.echo(f"     ip netns exec {lab.upstream.name} birdc -s {lab.run_dir}/bird.ctl show route")


@command.command("down")
@_with_prefix("l3")
def down(prefix: str) -> None:
    """Remove the lab, whatever state it is in; also what an `l3ctl lab migrate` left that was killed."""
    labs = (Pair(prefix), Lab(prefix))
    there = any(lab.exists() for lab in labs)
    for lab in labs:
        lab.down()
    click.echo(f"removed the lab '{prefix}'" if there else f"there is no lab '{prefix}'")


@command.command("attack")
@_with_prefix("l3")
@click.option("--frames", default=20_000, show_default=True, type=click.IntRange(100, 40_000), help="Frames in each flood.")
@with_json
def attack(prefix: str, frames: int, as_json_text: bool) -> None:
    """Attack the router from the customer `rogue`, in every way it knows, and say what the filter counted."""
    from l3ctl.control import as_json
    from l3ctl.lab.attacks import attack as run_attacks

    lab = Lab(prefix)
    if not lab.exists():
        raise LabFailed(f"there is no lab '{prefix}'", f"`l3ctl lab up --prefix {prefix}` builds one")
    outcomes = []
    for outcome in run_attacks(lab, frames):
        outcomes.append(outcome)
        if not as_json_text:
            reasons = ", ".join(f"{count} {reason}" for reason, count in sorted(outcome.counted.items()))
            growth = outcome.neighbours_after - outcome.neighbours_before
            click.echo(f"{outcome.name:<22} to {outcome.aim:<46} {outcome.sent:>6} sent; counted {reasons}; neighbour table {growth:+d}")
    if as_json_text:
        print_json(as_json(outcomes))


@command.command("migrate")
@_with_prefix("l3pair")
@click.option("--moves", default=4, show_default=True, type=click.IntRange(1, 100), help="How often the host changes routers.")
@with_json
def migrate(prefix: str, moves: int, as_json_text: bool) -> None:
    """Move a host between two routers under pings, and say what it costs, in a lab of its own that is removed afterwards."""
    from l3ctl.control import as_json
    from l3ctl.lab.migrate import migrate as run_moves

    made = run_moves(Pair(prefix), moves, lambda line: click.echo(line, err=True))
    if as_json_text:
        print_json({"host": HOST.name, "moves": as_json(made)})
    else:
        _show_moves(made)


@command.command("demo")
@_with_prefix("l3demo")
def demo(prefix: str) -> None:
    """Tell the story of l3ctl in about half a minute, in a lab of its own that is removed afterwards."""
    from l3ctl.lab.demo import demo as run_demo

    run_demo(Lab(prefix), lambda line: click.echo(f"   {line}"), lambda line: click.secho(f"\n{line}", bold=True))


def _show_moves(moves: "list[Move]") -> None:
    from rich.box import SIMPLE
    from rich.console import Console
    from rich.table import Table

    table = Table(box=SIMPLE, padding=0)
    for column in ("move", "prefix", "lost", "dark", "withdrawn", "announced", "installed", "both"):
        table.add_column(column, no_wrap=True, justify="left" if column in ("move", "prefix") else "right")
    for move in moves:
        for one in move.passages:
            numbers = (one.dark_ms, one.withdrawn_ms, one.announced_ms, one.installed_ms, one.overlap_ms)
            table.add_row(f"{move.old} to {move.new}", one.prefix, str(one.lost), *(f"{ms:.0f} ms" for ms in numbers))
    Console().print(table)
    click.echo(
        "lost: of pings each 2 ms; dark: until all are answered again; withdrawn, announced: at the upstream's BIRD; installed: in its"
    )
    click.echo("kernel; all counted from the moment the cable changed. both: how long BIRD had a route by either router.")
    click.echo("Each move ended with the new router alone announcing the host, and reached in both families.")
