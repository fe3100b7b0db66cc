"""ExaBGP in a lab, with a peer that only listens at its other end: ours, whose helper is the relay, and the floor that ours is measured by.

The floor is an ExaBGP of the same configuration whose helper does nothing but write the commands it is given and read the answers.
"""

import json
import select
import socket
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Self

from l3ctl.bgp.exabgp_config import environment, exabgp_config
from l3ctl.bgp.lines import Command, attributes_text
from l3ctl.errors import LabFailed
from l3ctl.lab.bgp_peer import BgpPeer, Said, said
from l3ctl.lab.crowd import Crowd
from l3ctl.model import Prefix, Verb
from l3ctl.peering import BgpSettings, Peer

ROUTER, PEER, FLOOR_PEER, BIRD_PEER, GOBGP_PEER = (IPv6Address(f"2001:db8:ffff::{number}") for number in (2, 1, 3, 4, 5))
_ROUTER_ID, _PEER_ID = IPv4Address("198.51.100.2"), IPv4Address("198.51.100.1")
_ROUTER_AS, _PEER_AS = 65010, 65000
BGP: dict[str, object] = {
    "router_id": str(_ROUTER_ID),
    "local_as": _ROUTER_AS,
    "damping": "off",
    "peers": [{"address": str(PEER), "remote_as": _PEER_AS, "local_address": str(ROUTER)}],
}
"""the section of ours in the agent's configuration"""
_EXABGP = Path(sys.executable).with_name("exabgp")
_FLOOR = """\
import json, os, socket, sys, time
bench = socket.socket(socket.AF_UNIX)
bench.connect(sys.argv[1])
for job in bench.makefile():
    texts, began = json.loads(job), time.monotonic()
    for text in texts:
        os.write(1, text.encode())
        for _ in range(text.count("\\n")):
            while sys.stdin.readline() != "done\\n":
                pass
    bench.sendall(b"%f\\n" % began)
"""
_PATIENCE = 60.0


def lay_uplink(crowd: Crowd) -> None:
    """The link to all peers."""
    crowd.router.ip(f"link add uplink0 type veth peer name uplink0 netns {crowd.far.name}")
    for one, addresses in ((crowd.router, (ROUTER,)), (crowd.far, (PEER, FLOOR_PEER, BIRD_PEER, GOBGP_PEER))):
        one.ip("link set uplink0 addrgenmode none up", *(f"addr add {address}/64 dev uplink0 nodad" for address in addresses))


def wait_for(file: BgpPeer | socket.socket, what: str, until: float | None = None) -> None:
    """Until there is something to read."""
    seconds = _PATIENCE if until is None else until - time.monotonic()
    if not select.select([file], [], [], max(0.0, seconds))[0]:
        raise LabFailed(f"{what}: not within {_PATIENCE:g} s")


class Listening:
    """Whoever speaks BGP to a peer that only listens: a program that is not started yet, and its peer, which is there."""

    def __init__(self, peer: BgpPeer) -> None:
        self.peer = peer
        self._process: subprocess.Popen[bytes] | None = None

    def establish(self) -> None:
        """Wait for the session."""
        until = time.monotonic() + _PATIENCE
        while not self.peer.established:
            wait_for(self.peer, "a BGP session", until)
            self.peer.read()

    def last_of(self, verb: Verb, prefixes: Collection[Prefix]) -> float:
        """When the last of these was announced, or withdrawn, at the peer."""
        missing: set[Said] = said(verb, prefixes)
        at, until = 0.0, time.monotonic() + _PATIENCE
        while missing:
            wait_for(self.peer, f"{len(missing)} prefixes at the peer", until)
            for seen in self.peer.read():
                if seen.said in missing:
                    missing.remove(seen.said)
                    at = seen.at
        return at

    def stop(self) -> None:
        """End it, and with it all that it announces."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(_PATIENCE)
            self._process = None
        self.peer.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
        self.peer.close()


class Exabgp(Listening):
    """One ExaBGP, which is not started yet, and its peer, which is there. `helper_socket` is where its helper calls."""

    def __init__(self, crowd: Crowd, name: str, peer: IPv6Address = PEER) -> None:
        self.helper_socket = crowd.run_dir / f"{name}.sock"
        self._router, self._config, self._log = crowd.router, crowd.run_dir / f"{name}.conf", crowd.run_dir / f"{name}.log"
        with crowd.far.entered():
            super().__init__(BgpPeer(peer, _PEER_AS, _PEER_ID))

    def start(self, config: str) -> None:
        """Start it with this configuration."""
        self._config.write_text(config)
        self._process = self._router.start([str(_EXABGP), "server", str(self._config)], self._log, environment(None))


class Floor(Exabgp):
    """The floor."""

    def __init__(self, crowd: Crowd) -> None:
        super().__init__(crowd, "floor", FLOOR_PEER)
        self._settings = BgpSettings(_ROUTER_ID, _ROUTER_AS, (Peer(FLOOR_PEER, _PEER_AS, ROUTER, ROUTER),))
        self._script = crowd.run_dir / "floor.py"
        self._script.write_text(_FLOOR)
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self.helper_socket))
        self._listener.listen()
        self._helper: socket.socket | None = None

    def start_script(self) -> None:
        """Start it, and wait for its session and its script."""
        self.start(exabgp_config(self._settings, f"{sys.executable} -I {self._script} {self.helper_socket}"))
        self.establish()
        wait_for(self._listener, "the floor's script")
        self._helper, _ = self._listener.accept()

    def commands(self, verb: Verb, prefixes: Sequence[Prefix], at_once: int) -> list[str]:
        """What the agent would say, a line for each so many prefixes of one family, IPv4 first."""
        attributes = attributes_text(ROUTER, self._settings.attributes, internal=False)
        families = ([str(prefix) for prefix in prefixes if prefix.version == version] for version in (4, 6))
        return [
            f"{Command(verb, str(FLOOR_PEER), attributes, tuple(names[start : start + at_once]))}\n"
            for names in families
            for start in range(0, len(names), at_once)
        ]

    def takes(self, verb: Verb, prefixes: Sequence[Prefix], texts: Iterable[str]) -> float:
        """Seconds from the first write to the last of these prefixes at the peer; each text is written when the one before is answered."""
        assert self._helper is not None
        self._helper.sendall(json.dumps(list(texts)).encode() + b"\n")
        last = self.last_of(verb, prefixes)
        wait_for(self._helper, "the floor's answers")
        return last - float(self._helper.recv(64))

    def stop(self) -> None:
        """As `Exabgp.stop`."""
        super().stop()
        if self._helper is not None:
            self._helper.close()
            self._helper = None

    def __exit__(self, *_: object) -> None:
        super().__exit__()
        self._listener.close()
