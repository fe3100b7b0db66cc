"""`l3ctl metrics`."""

import signal
from pathlib import Path

import click

from l3ctl.asking import ask
from l3ctl.cli.options import with_config
from l3ctl.errors import MissingRequirement
from l3ctl.site import load_configuration


@click.command("metrics")
@with_config
@click.option("--listen", default="127.0.0.1:9797", show_default=True, metavar="ADDRESS:PORT", help="Where to be asked over HTTP.")
@click.option("--once", is_flag=True, help="Print them once, as for a textfile collector.")
def command(config_path: Path, listen: str, once: bool) -> None:
    """Tell the agent's numbers to Prometheus, until SIGTERM or Ctrl-C. Nobody but this machine may ask, unless --listen says so."""
    try:
        from prometheus_client import CollectorRegistry, generate_latest, start_http_server
    except ImportError as missing:
        raise MissingRequirement(
            "the library prometheus_client is not installed", "install what pyproject.toml has under 'metrics'"
        ) from missing
    from l3ctl.exporter import Agent

    config = load_configuration(config_path)
    registry = CollectorRegistry()
    registry.register(Agent(lambda: ask(config.agent_socket, {"command": "metrics"})))
    if once:
        click.echo(generate_latest(registry).decode(), nl=False)
        return
    address, colon, number = listen.rpartition(":")
    if not colon or not number.isdigit() or int(number) > 65535:
        raise click.UsageError(f"--listen {listen} is not ADDRESS:PORT")
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM, signal.SIGINT})
    try:
        server, thread = start_http_server(int(number), address.strip("[]"), registry)
    except OSError as error:
        raise MissingRequirement(f"cannot listen at {listen}: {error.strerror or error}", "choose another with --listen") from error
    click.echo(f"metrics at http://{listen}/metrics", err=True)
    signal.sigwait({signal.SIGTERM, signal.SIGINT})
    server.shutdown()
    thread.join()
