"""`l3ctl relay`."""

import click

from l3ctl.bgp import relay


@click.command("relay")
@click.option("--socket", "socket_path", default="/run/l3ctl/bgp.sock", show_default=True, help="Where the agent listens.")
@click.option("--made-for", default="", help="What ExaBGP's configuration was made for; `l3ctl exabgp-config` writes it there.")
def command(socket_path: str, made_for: str) -> int:
    """Stand between ExaBGP and the agent. ExaBGP runs this as its process; it ends when ExaBGP ends."""
    return relay.run(socket_path, made_for)
