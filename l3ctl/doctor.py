"""What is wrong with a machine that is to be one of l3ctl's routers, or may go wrong, and how to mend it. Changes nothing."""

import ctypes
import importlib.util
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from l3ctl import __version__
from l3ctl.asking import Answer
from l3ctl.configuration import Configuration
from l3ctl.errors import L3ctlError
from l3ctl.kernel.tables import Kernel
from l3ctl.model import LinkFacts, Port
from l3ctl.site import waiting
from l3ctl.xdp.filter import Filter
from l3ctl.xdp.offload import shows_vlan_tags

GOOD, DOUBTFUL, BAD = "good", "doubtful", "bad"
_OLDEST_KERNEL = (5, 18)
_CAPABILITIES = {"CAP_NET_ADMIN": 12, "CAP_NET_RAW": 13, "CAP_SYS_ADMIN": 21}
_FORWARDING = ("net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding")
_ROOM = 16 << 20
"""bytes that a folder should have left: a last good copy of 100,000 records, and the next one beside it"""
_STA_UNSYNC = 0x40
"""of adjtimex(2)"""
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """How it stands with one thing; `mend` is empty where nothing is to be done."""

    what: str
    state: str
    text: str
    mend: str = ""


class Doctor:
    """Examines the machine, and the network namespace, that it is in. `told` is what the agent says to `status`; None without one."""

    def __init__(self, config: Configuration, ports: Sequence[Port], told: Answer | None) -> None:
        self._config, self._ports, self._told = config, ports, told
        self._pid = str(told["agent"]["pid"]) if told is not None and told["agent"] else "self"
        self._filter = Filter(config.bpffs, config.xdp_mode)

    def findings(self) -> Iterator[Finding]:
        """Everything, in the order in which it matters; what cannot be looked at is a finding too."""
        with Kernel() as kernel:
            looks: Sequence[tuple[str, Callable[[], Iterator[Finding]]]] = (
                ("kernel", self._kernel),
                ("compiler", self._compiler),
                ("privileges", self._privileges),
                ("bpffs", self._bpffs),
                ("folders", self._folders),
                ("clock", self._clock),
                ("forwarding", self._forwarding),
                ("agent", self._agent),
                ("inventory", self._inventory),
                ("netdevs", lambda: self._netdevs(kernel.links(), kernel.trusting())),
                ("filter", lambda: self._attached(kernel)),
                ("tags", lambda: self._tags(kernel.links())),
                ("bgp", self._bgp),
            )
            for what, look in looks:
                try:
                    yield from look()
                except (L3ctlError, OSError) as error:
                    reason = "; ".join(error.lines()) if isinstance(error, L3ctlError) else str(error)
                    yield Finding(what, BAD, f"cannot be looked at: {reason}", "run as root" if os.geteuid() else "")

    def _kernel(self) -> Iterator[Finding]:
        release = os.uname().release
        numbers = tuple(int(part) for part in release.split("-")[0].split(".")[:2] if part.isdigit())
        mend = "" if numbers >= _OLDEST_KERNEL else "Debian 12 has 6.1; the filter needs 5.18 or newer"
        yield Finding("kernel", BAD if mend else GOOD, release, mend)

    def _compiler(self) -> Iterator[Finding]:
        there = importlib.util.find_spec("bcc") is not None
        yield Finding(
            "compiler",
            GOOD if there else BAD,
            "bcc is there" if there else "bcc is not installed",
            "" if there else "apt-get install python3-bpfcc",
        )

    def _privileges(self) -> Iterator[Finding]:
        (line,) = (line for line in Path(f"/proc/{self._pid}/status").read_text().splitlines() if line.startswith("CapEff:"))
        held = int(line.split()[1], 16)
        lacks = [name for name, bit in _CAPABILITIES.items() if not held >> bit & 1]
        who = "this process" if self._pid == "self" else "the agent"
        if lacks:
            yield Finding("privileges", BAD, f"{who} lacks {', '.join(lacks)}", "run as root, outside of a container")
        else:
            yield Finding("privileges", GOOD, f"{who} has what it needs")

    def _bpffs(self) -> Iterator[Finding]:
        where = self._config.bpffs
        mounts = [line.split() for line in Path(f"/proc/{self._pid}/mounts").read_text().splitlines()]
        kinds = {Path(words[1]): words[2] for words in mounts}
        mount = next((one for one in (where, *where.parents) if one in kinds), Path("/"))
        if kinds.get(mount) == "bpf":
            yield Finding("bpffs", GOOD, f"{mount}, pins in {where}")
        elif self._told is None:
            yield Finding(
                "bpffs", DOUBTFUL, f"none at {where} yet", f"the agent mounts one; better it is mounted before: mount -t bpf bpf {where}"
            )
        else:
            yield Finding("bpffs", BAD, f"none at {where} under a running agent", "the agent mounts one within a second; see its log")

    def _folders(self) -> Iterator[Finding]:
        for folder in dict.fromkeys((self._config.run_dir, self._config.inventory_copy.parent)):
            there = next(one for one in (folder, *folder.parents) if one.exists())
            told = os.statvfs(there)
            left = told.f_bavail * told.f_frsize
            if told.f_flag & os.ST_RDONLY or not os.access(there, os.W_OK):
                yield Finding("folders", BAD, f"{folder} is not writable", f"mount {there} writable")
            elif left < _ROOM:
                yield Finding(
                    "folders", BAD, f"{folder} has {left >> 20} MB left", "make room: the last good copy of the inventory is there"
                )
            else:
                yield Finding("folders", GOOD, f"{folder} has room")

    def _clock(self) -> Iterator[Finding]:
        told = (ctypes.c_int * 64)()  # struct timex: modes, ..., status is its fifth long
        ctypes.CDLL(None).adjtimex(ctypes.byref(told))
        if told[10] & _STA_UNSYNC:
            mend = "run a time server's client (systemd-timesyncd, chrony)"
            yield Finding("clock", DOUBTFUL, "not synchronised: the log's dates may be wrong; sessions go by a clock of their own", mend)
        else:
            yield Finding("clock", GOOD, "synchronised")

    def _forwarding(self) -> Iterator[Finding]:
        off = [sysctl for sysctl in _FORWARDING if (Path("/proc/sys") / sysctl).read_text().strip() == "0"]
        if off:
            settings = " ".join(f"{one.replace('/', '.')}=1" for one in off)
            yield Finding("forwarding", BAD, f"off: {' '.join(off)}", f"sysctl -w {settings}, and the same in /etc/sysctl.d")
        else:
            yield Finding("forwarding", GOOD, "on for both families")

    def _agent(self) -> Iterator[Finding]:
        if self._told is None:
            yield Finding("agent", BAD, "none answers", "start `l3ctl agent`; its log says why it ends")
            return
        agent = self._told["agent"]
        if agent["version"] != __version__:
            yield Finding("agent", DOUBTFUL, f"version {agent['version']} runs, {__version__} is installed", "restart it: traffic goes on")
        else:
            yield Finding("agent", GOOD, f"pid {agent['pid']}, version {agent['version']}")
        for failure in self._told["failed"][:_SHOWN]:
            yield Finding(
                "agent", BAD, f"port {failure['port']}: cannot {failure['change']}: {failure['reason']}", "`l3ctl status` lists all"
            )
        for foreign in self._told["foreign"][:_SHOWN]:
            yield Finding("foreign", DOUBTFUL, foreign, "remove it, or let ours take its place: `l3ctl apply --take-over`")

    def _inventory(self) -> Iterator[Finding]:
        report = self._told["inventory"] if self._told is not None else None
        if report is None:
            return
        wrong = [*report["trouble"], *report["quarantined"], *([report["copy"]] if report["copy"] else [])]
        for line in wrong[:_SHOWN]:
            yield Finding("inventory", BAD, line, "`l3ctl check` says the same of the files")
        if not wrong:
            yield Finding("inventory", GOOD, f"{report['source']}, {report['records']} records")

    def _netdevs(self, links: Mapping[str, LinkFacts], trusting: set[str]) -> Iterator[Finding]:
        lacking = waiting(self._ports, links.keys())
        for line in lacking[:_SHOWN]:
            yield Finding("netdevs", DOUBTFUL, line, "make it, or mend the record; the agent takes it as soon as it is there")
        believing = sorted({port.interface for port in self._ports} & trusting)
        if believing and self._told is not None:
            mend = "the agent sets them again within seconds; find out who sets them back (`sysctl --system`, NetworkManager)"
            yield Finding("netdevs", BAD, f"sysctls that believe customers on {', '.join(believing[:_SHOWN])}", mend)
        if not lacking and not (believing and self._told):
            yield Finding("netdevs", GOOD, f"those of {len(self._ports)} ports are there")

    def _attached(self, kernel: Kernel) -> Iterator[Finding]:
        links, states = kernel.links(), kernel.xdp_states()
        ours = self._filter.everywhere() if self._filter.look() else set()
        guards = [name for name in dict.fromkeys(port.guard for port in self._ports) if name in links]
        foreign = [name for name in guards if name in states and links[name].ifindex not in ours]
        without = [name for name in guards if name not in states]
        for name in foreign[:_SHOWN]:
            text = f"another XDP program (id {states[name].program}) is on {name}"
            yield Finding(
                "filter", BAD, text, f"take it off: ip link set dev {name} xdp off; `bpftool prog show id {states[name].program}`"
            )
        if without:
            mend = "the agent attaches it" if self._told is None else "see the agent's log"
            yield Finding("filter", BAD, f"not on {', '.join(without[:_SHOWN])}{' and more' if without[_SHOWN:] else ''}", mend)
        modes = sorted({states[name].mode for name in guards if name in states and name not in foreign})
        if guards and not foreign and not without:
            yield Finding("filter", GOOD, f"on {len(guards)} netdevs, {' and '.join(modes)}")

    def _tags(self, links: Mapping[str, LinkFacts]) -> Iterator[Finding]:
        trunks = sorted({port.guard for port in self._ports if port.vlan_id is not None and port.guard in links})
        hidden = [name for name in trunks if not shows_vlan_tags(name)]
        for name in hidden[:_SHOWN]:
            mend = f"ethtool -K {name} rxvlan off; the agent does so when it attaches the filter"
            yield Finding("tags", BAD, f"{name} takes VLAN tags off before the filter sees them", mend)
        if trunks and not hidden:
            yield Finding("tags", GOOD, f"seen on {len(trunks)} trunks")

    def _bgp(self) -> Iterator[Finding]:
        if self._config.bgp is None:
            yield Finding("bgp", GOOD, "not configured: nothing is announced")
            return
        told: dict[str, Any] | None = self._told["bgp"] if self._told is not None else None
        if told is None:
            yield Finding("bgp", DOUBTFUL, "unknown without an agent", "start it")
        elif not told["relay"]:
            yield Finding("bgp", BAD, "no relay is connected", "start ExaBGP; its log says why it ends")
        else:
            if told["configuration"] == "stale":
                mend = "write a new one with `l3ctl exabgp-config --output FILE`, and restart it"
                yield Finding("bgp", BAD, "ExaBGP runs with another configuration", mend)
            for address, state in told["peers"].items():
                mend = "" if state == "up" else f"ping {address}; compare addresses, AS numbers and password with the peer's"
                yield Finding("bgp", GOOD if state == "up" else BAD, f"session with {address} is {state}", mend)
