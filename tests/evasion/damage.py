"""What an attack must not have done: to the router's tables, to its neighbours on other ports, to the agent and its announcements."""

import json
import subprocess
from typing import Any

from l3ctl.lab.customers import UPSTREAM4, UPSTREAM6
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.lab.topology import Lab
from tests.evasion.case import CUSTOMERS, DB1, ROGUE, WEB1

INNOCENT = (WEB1, DB1)
PREFIXES = 6
_PING = ("ping", "-n", "-q", "-c", "2", "-i", "0.02", "-W", "2")
Entry = tuple[str, str, str, str]


def _entry(entry: dict[str, Any]) -> Entry:
    return entry["dev"], entry["dst"], entry.get("lladdr", ""), " ".join(entry["state"])


def billed() -> set[Entry]:
    """What the router's neighbour table says of customers when it says what billing says, and nothing else."""
    return {(one.port, address, one.lladdr, "PERMANENT") for one in CUSTOMERS for address in (one.link_local, str(one.ipv4))}


def configured(host: Namespace) -> str:
    """A host's addresses and routes, as an attack by RA, redirect or NA would change them."""
    commands = (["-6", "route", "show"], ["-4", "route", "show"], ["-6", "addr", "show", "dev", "eth0"], ["-6", "route", "show", "cache"])
    return "".join(run("ip", "-n", host.name, *words) for words in commands)


class Watch:
    """Made before the first attack; `damage` tells what is not as it was then."""

    def __init__(self, lab: Lab) -> None:
        self._lab = lab
        lladdr = next(link["address"] for link in json.loads(run("ip", "-n", lab.upstream.name, "-j", "link", "show", "dev", "uplink0")))
        self._upstream_lladdrs = {lladdr, ""}
        self._upstream = {UPSTREAM6} | {
            address["local"]
            for link in json.loads(run("ip", "-n", lab.upstream.name, "-j", "-6", "addr", "show", "dev", "uplink0"))
            for address in link["addr_info"]
        }
        self._configured = {one.name: configured(lab.hosts[one.name]) for one in INNOCENT}

    def _router_entries(self) -> set[Entry]:
        return {_entry(entry) for entry in self._lab.neighbours(self._lab.router)}

    def _foreign(self, entries: set[Entry]) -> set[Entry]:
        """Neither billed nor the router's own neighbour on its uplink."""
        return {
            (dev, address, lladdr, state)
            for dev, address, lladdr, state in entries - billed()
            if dev != "uplink0" or address not in self._upstream or lladdr not in self._upstream_lladdrs
        }

    def damage(self) -> list[str]:
        """Empty when nothing was achieved."""
        return [*self._neighbour_table(), *self._reachability(), *self._hosts(), *self._control_plane()]

    def _neighbour_table(self) -> list[str]:
        entries = self._router_entries()
        told = [f"router lost its neighbour {' '.join(one)}" for one in sorted(billed() - entries)]
        foreign = sorted(self._foreign(entries))
        if foreign:
            told.append(f"router has {len(foreign)} neighbours of nobody, such as {' '.join(foreign[0])}")
        return told

    def _reachability(self) -> list[str]:
        lab = self._lab
        ways = [
            (lab.upstream, source, address)
            for one in INNOCENT
            for source, address in ((UPSTREAM6, one.address6), (UPSTREAM4, str(one.ipv4)))
        ]
        ways += [
            (lab.hosts[one.name], source, address)
            for one in INNOCENT
            for source, address in ((one.address6, UPSTREAM6), (str(one.ipv4), UPSTREAM4))
        ]
        pings = [
            subprocess.Popen(
                ["ip", "netns", "exec", namespace.name, *_PING, "-I", source, address],
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
            for namespace, source, address in ways
        ]
        outputs = [ping.communicate()[0] for ping in pings]
        return [
            f"{source} does not reach {address}"
            for (_, source, address), out in zip(ways, outputs, strict=True)
            if " 0% packet loss" not in out
        ]

    def _hosts(self) -> list[str]:
        told = []
        for one in INNOCENT:
            host = self._lab.hosts[one.name]
            told += [f"{one.name} believes {entry}" for entry in map(_entry, self._lab.neighbours(host)) if entry[2] == ROGUE.lladdr]
            if configured(host) != self._configured[one.name]:
                told.append(f"{one.name}'s addresses or routes are others now: {configured(host)!r}")
        return told

    def _control_plane(self) -> list[str]:
        lab = self._lab
        told = json.loads(lab.l3ctl("plan", "--config", str(lab.config), "--json", ok=(0, 3)))
        prefixes = lab.bird_prefixes()
        return [
            *(f"agent would {change['verb']} {change['text']}" for change in told["changes"]),
            *([f"BIRD has only {sorted(prefixes)}"] if len(prefixes) != PREFIXES else []),
        ]

    def repair(self) -> None:
        """Take out of the router what a successful attack left there, so that the next is judged by itself."""
        for dev, address, *_ in self._foreign(self._router_entries()):
            run("ip", "-n", self._lab.router.name, "neigh", "del", address, "dev", dev, ok=(0, 2))
