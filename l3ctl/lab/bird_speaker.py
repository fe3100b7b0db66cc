"""BIRD in ExaBGP's place, as who has no controller would have it: static routes in a file, and a peer that only listens at its other end.

It knows by itself whether the link of a route is up (`check link`); what else changes is written into the file, and `configure` said.
"""

import time
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address
from pathlib import Path

from l3ctl.errors import LabFailed
from l3ctl.lab.bgp_peer import BgpPeer
from l3ctl.lab.bird import BirdSocket
from l3ctl.lab.crowd import Crowd
from l3ctl.lab.exabgp import BIRD_PEER, ROUTER, Listening
from l3ctl.lab.machine import found
from l3ctl.model import Prefix, Verb

_PEER_AS, _PEER_ID = 65000, IPv4Address("198.51.100.1")
_STARTS = 10.0
_CONFIG = """\
router id 198.51.100.2;
log "{log}" all;
protocol device {{}}
protocol static four {{
    ipv4;
    check link yes;
    include "{folder}/four.conf";
}}
protocol static six {{
    ipv6;
    check link yes;
    include "{folder}/six.conf";
}}
protocol bgp peer {{
    local {router} as 65010;
    neighbor {peer} as {peer_as};
    connect delay time 1;
    ipv4 {{ import none; export all; next hop self; extended next hop; }};
    ipv6 {{ import none; export all; next hop self; }};
}}
"""


class BirdSpeaker(Listening):
    """One BIRD, which is not started yet, and its peer, which is there."""

    def __init__(self, crowd: Crowd) -> None:
        with crowd.far.entered():
            super().__init__(BgpPeer(BIRD_PEER, _PEER_AS, _PEER_ID))
        self._router, self._folder = crowd.router, crowd.run_dir / "bird"
        self._folder.mkdir()
        self._control = self._folder / "bird.ctl"

    def start(self, prefixes: Iterable[Prefix] = (), leads: str = "blackhole") -> None:
        """Start it with static routes of these, and wait for its session."""
        self._write(self.texts(prefixes, leads))
        config = self._folder / "bird.conf"
        config.write_text(
            _CONFIG.format(folder=self._folder, log=self._folder / "bird.log", router=ROUTER, peer=BIRD_PEER, peer_as=_PEER_AS)
        )
        words = [found("bird"), "-f", "-c", str(config), "-s", str(self._control)]
        self._process = self._router.start(words, self._folder / "started.log")
        until = time.monotonic() + _STARTS
        while not self._answers():
            if self._process.poll() is not None or time.monotonic() > until:
                raise LabFailed(f"BIRD does not start: {(self._folder / 'started.log').read_text()[-200:]}")
            time.sleep(0.01)
        self.establish()

    def _answers(self) -> bool:
        try:
            BirdSocket(self._control).__exit__()
        except OSError:
            return False
        return True

    @staticmethod
    def texts(prefixes: Iterable[Prefix], leads: str) -> dict[str, str]:
        """The files of static routes."""
        lines: dict[str, list[str]] = {"four": [], "six": []}
        for prefix in prefixes:
            lines["four" if prefix.version == 4 else "six"].append(f"route {prefix} {leads};\n")
        return {name: "".join(found_) for name, found_ in lines.items()}

    def _write(self, texts: dict[str, str]) -> None:
        for name, text in texts.items():
            Path(self._folder / f"{name}.conf").write_text(text)

    def takes(self, prefixes: Sequence[Prefix], texts: dict[str, str]) -> float:
        """Seconds from writing these files to the last of their prefixes at the peer."""
        with BirdSocket(self._control) as bird:
            began = time.monotonic()
            self._write(texts)
            if "Reconfig" not in (said := bird.ask("configure")):
                raise LabFailed(f"BIRD says: {said}")
        return self.last_of(Verb.ANNOUNCE, prefixes) - began
