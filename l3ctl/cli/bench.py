"""`l3ctl bench`."""

import json
import signal
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import chain
from pathlib import Path

import click

from l3ctl.cli.options import with_json
from l3ctl.lab.bench_asking import bench_asking
from l3ctl.lab.bench_inventory import bench_inventory
from l3ctl.lab.bench_line import missing
from l3ctl.lab.bench_liveness import bench_liveness
from l3ctl.lab.bench_row import Row
from l3ctl.lab.gobgp_speaker import missing_packages
from l3ctl.lab.machine import require_bpf, require_namespaces
from l3ctl.lab.results import earlier, tables, write
from l3ctl.wording import counted


@click.group("bench")
def command() -> None:
    """Measure l3ctl beside a peer or the limit, in turn in one run. Most need root."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so that what was made is removed, as after Ctrl-C


@command.command("filter")
@click.option("--quick", is_flag=True, help="Fewer and shorter rounds, and none among 100,000 ports.")
@with_json
def filter_(quick: bool, as_json_text: bool) -> None:
    """What the filter costs a frame, alone and as from a NIC, beside what else would drop it; and what it leaves of the throughput."""
    require_namespaces()
    require_bpf()
    _note_missing()
    every = tables(quick=quick)
    _print(chain(every["filter"], every["line"], every["forward"]), as_json_text)


@command.command("attack")
@click.option("--quick", is_flag=True, help="One attack at one rate, once.")
@with_json
def attack(quick: bool, as_json_text: bool) -> None:
    """What floods do to a router and to those who share it, beside routers that are guarded otherwise."""
    require_namespaces()
    require_bpf()
    _print(tables(quick=quick)["attack"], as_json_text)


@command.command("agent")
@click.option("--quick", is_flag=True, help="200 ports, once.")
@with_json
def agent(quick: bool, as_json_text: bool) -> None:
    """What an agent costs: from its start until everything is in place, in memory, at rest, and for a record that changes."""
    require_namespaces()
    require_bpf()
    _print(tables(quick=quick)["agent"], as_json_text)


@command.command("kernel")
@click.option("--quick", is_flag=True, help="A fiftieth of the entries, once.")
@with_json
def kernel(quick: bool, as_json_text: bool) -> None:
    """What neighbours and routes cost in bulk, and a comparison that finds nothing to do, beside iproute2, pyroute2 and the limit."""
    require_namespaces()
    require_bpf()
    _print(tables(quick=quick)["kernel"], as_json_text)


@command.command("bgp")
@click.option("--quick", is_flag=True, help="A fiftieth of the prefixes and few events, once.")
@with_json
def bgp(quick: bool, as_json_text: bool) -> None:
    """How long an announcement takes, from a link's event to the peer, beside a script that only writes to ExaBGP, BIRD and GoBGP."""
    require_namespaces()
    require_bpf()
    _note_gobgp()
    _print(tables(quick=quick)["bgp"], as_json_text)


@command.command("inventory")
@click.option("--quick", is_flag=True, help="A hundredth of the records, and three rounds.")
@with_json
def inventory(quick: bool, as_json_text: bool) -> None:
    """What reading and validating an inventory costs, beside a library that only reads. Needs no root."""
    _print(bench_inventory(3, (100, 1_000)) if quick else bench_inventory(5), as_json_text)


@command.command("liveness")
@click.option("--quick", is_flag=True, help="A tenth of the hosts, and fewer tries.")
@with_json
def liveness(quick: bool, as_json_text: bool) -> None:
    """How soon a silent host is away, and what it costs to ask ten thousand each second."""
    require_namespaces()
    require_bpf()
    _print(bench_liveness(2, 2, 1_000, 5.0) if quick else bench_liveness(5), as_json_text)


@command.command("asking")
@click.option("--quick", is_flag=True, help="A tenth of the ports, and fewer tries.")
@with_json
def asking(quick: bool, as_json_text: bool) -> None:
    """How long somebody waits for `--help`, `explain`, `ports` and `status`, with ten thousand ports."""
    require_namespaces()
    require_bpf()
    _print(bench_asking(1_000, 3) if quick else bench_asking(10_000, 9), as_json_text)


@command.command("all")
@click.option("--quick", is_flag=True, help="Everything once and small: whether it works, in three minutes.")
@click.option("--table", "only", multiple=True, help="This one alone, or these; others that the file has stay in it.")
@click.option("--output", type=click.Path(path_type=Path, dir_okay=False), help="A file for the results, with what they were measured on.")
@with_json
def all_(quick: bool, only: tuple[str, ...], output: Path | None, as_json_text: bool) -> None:
    """Every table that README shows. Takes about an hour, in which the machine should have nothing else to do."""
    require_namespaces()
    require_bpf()
    _note_missing()
    _note_gobgp()
    every = tables(quick=quick)
    if unknown := [name for name in only if name not in every]:
        raise click.BadParameter(f"{unknown[0]}: no such table; there are {', '.join(every)}", param_hint="--table")
    if output is not None:
        earlier(output)  # not after an hour's measuring
    rows: dict[str, list[Row]] = {}
    for name, table in every.items():
        if only and name not in only:
            continue
        if not as_json_text:
            click.secho(name, bold=True)
        rows[name] = []
        _print(_kept(table, rows[name]), as_json_text)
    if output is not None:
        write(output, rows)


def _kept(rows: Iterable[Row], into: list[Row]) -> Iterator[Row]:
    for row in rows:
        into.append(row)
        yield row


def _note_missing() -> None:
    for one in missing():
        click.echo(f"l3ctl: {one.title} is left out, as {one.program} is missing; apt-get install {one.package}", err=True)


def _note_gobgp() -> None:
    if packages := missing_packages():
        click.echo(f"l3ctl: GoBGP is left out, for want of {' and '.join(packages)}; apt-get install {' '.join(packages)}", err=True)


def _print(rows: Iterable[Row], as_json_text: bool) -> None:
    if not as_json_text:
        click.echo(f"{'':<28} {'ours':>9} {'reference':>9}          ratio  (lowest to highest)")
    for row in rows:
        if as_json_text:
            click.echo(json.dumps(asdict(row)))
            continue
        ratio = "     -" if row.ratio is None else f"{row.ratio:>6.2f}  ({row.low:.2f} to {row.high:.2f})"
        line = f"{row.name:<28} {row.ours:>9.3f} {row.reference:>9.3f} {row.unit:<8} {ratio}"
        click.echo(f"{line}  {row.reference_name}, {counted(row.repeats, 'round')}")
