"""`l3ctl bench`."""

import json
from dataclasses import asdict

import click

from l3ctl.cli.options import with_json
from l3ctl.lab.bench_filter import bench_filter
from l3ctl.lab.machine import require_bpf, require_namespaces


@click.group("bench")
def command() -> None:
    """Measure l3ctl beside the limit, in turn in one run. Needs root."""


@command.command("filter")
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds, and none among 100,000 ports.")
@with_json
def filter_(quick: bool, as_json_text: bool) -> None:
    """What the filter costs each class of frame, as a ratio to a program that does nothing."""
    require_namespaces()
    require_bpf()
    rounds, runs = (5, 100_000) if quick else (11, 500_000)
    if not as_json_text:
        click.echo(f"{'frame':<22} {'ours':>8} {'empty':>8}   ratio  (lowest to highest of {rounds} rounds)")
    for row in bench_filter(rounds, runs, crowded=not quick):
        if as_json_text:
            click.echo(json.dumps(asdict(row)))
        else:
            click.echo(f"{row.name:<22} {row.ours:>5.1f} ns {row.reference:>5.1f} ns  {row.ratio:>6.2f}  ({row.low:.2f} to {row.high:.2f})")
