"""GoBGP in ExaBGP's place, with a peer that only listens at its other end: told its routes by a client of its API, as a controller would.

It calls its peer only 5 to 10 seconds after its start, whatever is configured, so it is started once, and made empty again after each
measurement. That favours it: its memory is warm when the next one begins. What it takes at once it does not hand on at once: a prefix
with an IPv6 next hop has an UPDATE of its own in GoBGP 3, whatever else has the same attributes.
"""

import time
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.lab.bgp_peer import BgpPeer
from l3ctl.lab.crowd import Crowd
from l3ctl.lab.exabgp import GOBGP_PEER, ROUTER, Listening
from l3ctl.lab.gobgp_api import GobgpApi, has_grpc, messages
from l3ctl.lab.machine import found
from l3ctl.model import Prefix, Verb

_PEER_AS, _PEER_ID = 65000, IPv4Address("198.51.100.1")
_STARTS = 10.0
_CONFIG = """\
[global.config]
  as = 65010
  router-id = "198.51.100.2"
  port = -1
[[neighbors]]
  [neighbors.config]
    neighbor-address = "{peer}"
    peer-as = {peer_as}
  [neighbors.transport.config]
    local-address = "{router}"
  [neighbors.timers.config]
    connect-retry = 5
    hold-time = 180
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv6-unicast"
  [[neighbors.afi-safis]]
    [neighbors.afi-safis.config]
      afi-safi-name = "ipv4-unicast"
"""


def missing_packages() -> list[str]:
    """The Debian packages of it that this machine has not got."""
    here = {"gobgpd": Path(found("gobgpd")).is_absolute(), "python3-grpcio": has_grpc()}
    return [package for package, is_here in here.items() if not is_here]


def has_gobgp() -> bool:
    """Whether there is all that it needs."""
    return not missing_packages()


class GobgpSpeaker(Listening):
    """One GoBGP, which is not started yet, and its peer, which is there."""

    def __init__(self, crowd: Crowd) -> None:
        with crowd.far.entered():
            super().__init__(BgpPeer(GOBGP_PEER, _PEER_AS, _PEER_ID))
        self._router, self._folder = crowd.router, crowd.run_dir / "gobgp"
        self._folder.mkdir()
        self._api: GobgpApi | None = None

    def start(self) -> None:
        """Start it, and call its API; its session comes later."""
        config, control, log = (self._folder / name for name in ("gobgpd.toml", "api.sock", "gobgpd.log"))
        config.write_text(_CONFIG.format(peer=GOBGP_PEER, peer_as=_PEER_AS, router=ROUTER))
        words = [found("gobgpd"), "-f", str(config), "--api-hosts", f"unix://{control}", "--pprof-disable"]
        self._process = self._router.start(words, log)
        try:
            self._api = GobgpApi(control, _STARTS)
        except LabFailed as error:
            raise LabFailed(f"GoBGP does not start: {log.read_text()[-200:]}") from error

    def takes(self, verb: Verb, prefixes: Sequence[Prefix], texts: Sequence[bytes]) -> float:
        """Seconds from sending these messages to the last of their prefixes at the peer."""
        assert self._api is not None
        began = time.monotonic()
        self._api.send(texts)
        try:
            return self.last_of(verb, prefixes) - began
        except LabFailed as error:
            raise LabFailed(f"{error}; GoBGP says: {self._api.complaint() or 'nothing'}") from error

    @staticmethod
    def texts(verb: Verb, prefixes: Sequence[Prefix]) -> list[bytes]:
        """The messages that announce these, or withdraw them."""
        return messages(verb, prefixes, str(ROUTER))

    def stop(self) -> None:
        """End it, and with it all that it announces."""
        if self._api is not None:
            self._api.close()
            self._api = None
        super().stop()
