"""ExaBGP's configuration, and the environment it is to be started with."""

import hashlib
import re
import shlex
import sys
from pathlib import Path

from l3ctl.bgp.lines import Wording
from l3ctl.errors import BadInput, Problem
from l3ctl.peering import BgpSettings, Peer


def environment(user: str | None) -> dict[str, str]:
    """What `exabgp server FILE` is to find in its environment, to stay in the foreground; it is started as `user`, and None is root."""
    return {
        "exabgp_api_cli": "false",  # its command-line pipe wants fifos made beforehand
        "exabgp_daemon_drop": "false",  # it was started as whom it is to be,
        "exabgp_daemon_user": user or "root",  # and so is a relay that it starts later
        "exabgp_log_processes": "false",  # a line for each route, which costs more than the route
    }


def start_command(configuration: str) -> list[str]:
    """What starts ExaBGP with a configuration, and without a clock that may be set under it (`steady_exabgp`)."""
    return [sys.executable, "-P", "-m", "l3ctl.bgp.steady_exabgp", "server", configuration]


def exabgp_config(settings: BgpSettings, relay_command: str) -> str:
    """A whole `exabgp.conf`, with the passwords in it. `relay_command` is split as a shell would; its program must be an absolute path."""
    Wording(settings)  # a next hop that cannot be announced is refused here already
    words = shlex.split(relay_command)
    if not words or not words[0].startswith("/") or any(set(word) & set('"\\\n') for word in words) or not relay_command.isascii():
        raise BadInput(
            [Problem("bgp", f"relay command {relay_command!r} cannot be given to ExaBGP", "an absolute path and plain arguments")]
        )
    run = " ".join(f'"{word}"' for word in (*words, "--made-for", fingerprint(settings)))
    process = f"process l3ctl {{\n    run {run};\n    encoder json;\n}}\n"
    return "\n".join((process, *(_neighbor(settings, peer) for peer in settings.peers)))


def fingerprint(settings: BgpSettings) -> str:
    """Of all that ExaBGP's configuration says of its sessions. The relay brings it back, which shows whether ExaBGP runs with another."""
    sessions = [
        (peer.address, peer.remote_as, peer.local_address, peer.interface, peer.password_file, peer.ttl_security, peer.hear)
        for peer in settings.peers
    ]
    said = (settings.router_id, settings.local_as, settings.hold_time, settings.restart_time, sessions)
    return hashlib.sha256(repr(said).encode()).hexdigest()[:12]


def _neighbor(settings: BgpSettings, peer: Peer) -> str:
    """Manual End-of-RIB: ExaBGP's own goes out before the relay has announced anything, and a restarted ExaBGP would lose all routes."""
    password = f"    md5-password '{_password(peer.password_file)}';\n" if peer.password_file else ""
    # Sent with a hop limit of 255 then too, as the other end asks (RFC 5082).
    ttl_security = "    incoming-ttl 255;\n" if peer.ttl_security else ""
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
{password}\
{ttl_security}\
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


def _password(path: Path) -> str:
    """The one line of a password file. ExaBGP loses a backslash in silence, and every quote; a key has 80 bytes at most (tcp(7))."""
    try:
        told = path.read_bytes().rstrip(b"\n").decode("ascii", "replace")
    except OSError as error:
        raise BadInput([Problem(str(path), f"cannot be read: {error.strerror}", "put the session's password there")]) from error
    if not re.fullmatch(r"[!-~]{1,80}", told) or set(told) & set("'\"\\"):
        raise BadInput(
            [Problem(str(path), "not one word of 1 to 80 ASCII characters without quotes or backslash", "choose such a password")]
        )
    return told
