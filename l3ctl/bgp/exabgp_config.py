"""ExaBGP's configuration, and the environment it is to be started with."""

import shlex

from l3ctl.bgp.lines import attributes_by_peer
from l3ctl.errors import BadInput, Problem
from l3ctl.model import BgpSettings, Peer

ENVIRONMENT = {
    "exabgp_api_cli": "false",  # its command-line pipe wants fifos made beforehand
    "exabgp_daemon_drop": "false",  # the relay is to start as root: only root may speak to the agent
    "exabgp_daemon_user": "root",  # and so is one that is started later; run ExaBGP as a user of its own only together with the agent
    "exabgp_log_processes": "false",  # a line for each route, which costs more than the route
}
"""for `exabgp server FILE`, which then stays in the foreground"""


def exabgp_config(settings: BgpSettings, relay_command: str) -> str:
    """A whole `exabgp.conf`. `relay_command` is split as a shell would; its program must be an absolute path."""
    attributes_by_peer(settings)  # a next hop that cannot be announced is refused here already
    words = shlex.split(relay_command)
    if not words or not words[0].startswith("/") or any(set(word) & set('"\\\n') for word in words) or not relay_command.isascii():
        raise BadInput(
            [Problem("bgp", f"relay command {relay_command!r} cannot be given to ExaBGP", "an absolute path and plain arguments")]
        )
    run = " ".join(f'"{word}"' for word in words)
    process = f"process l3ctl {{\n    run {run};\n    encoder json;\n}}\n"
    return "\n".join((process, *(_neighbor(settings, peer) for peer in settings.peers)))


def _neighbor(settings: BgpSettings, peer: Peer) -> str:
    """Manual End-of-RIB: ExaBGP's own goes out before the relay has announced anything, and a restarted ExaBGP would lose all routes."""
    remember, receive = (
        ("    adj-rib-in true;\n", "        receive {\n            parsed;\n            update;\n        }\n") if peer.hear else ("", "")
    )
    source_interface = f"    source-interface {peer.interface};\n" if peer.interface and peer.address.is_link_local else ""
    return f"""\
neighbor {peer.address} {{
    router-id {settings.router_id};
    local-address {peer.local_address};
{source_interface}\
    local-as {settings.local_as};
    peer-as {peer.remote_as};
    hold-time {settings.hold_time};
    adj-rib-out true;
{remember}\
    manual-eor true;
    capability {{
        graceful-restart {settings.restart_time};
        route-refresh enable;
    }}
    family {{
        ipv6 unicast;
        ipv4 unicast;
    }}
    nexthop {{
        ipv4 unicast ipv6;
    }}
    api {{
        processes [ l3ctl ];
        neighbor-changes;
{receive}\
    }}
}}
"""
