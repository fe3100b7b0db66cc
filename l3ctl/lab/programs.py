"""What runs in a lab: a router's agent, ExaBGP and relay, and an upstream's BIRD, each in its namespace and with its files in a folder."""

import ctypes
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from l3ctl.bgp.exabgp_config import environment, start_command
from l3ctl.bgp.user import group_of
from l3ctl.errors import LabFailed
from l3ctl.lab.customers import EXABGP_USER, UPSTREAM6, inventory
from l3ctl.lab.machine import found
from l3ctl.lab.namespaces import Namespace, run

PROGRAM = Path(sys.executable).with_name("l3ctl")
_PATIENCE = float(os.environ.get("L3CTL_PATIENCE", "1"))
"""what the lab's time limits are multiplied by: an emulated processor is ten times slower"""


class Inhabited(Namespace):
    """A namespace whose programs write their logs into `run_dir`."""

    def __init__(self, name: str, run_dir: Path) -> None:
        super().__init__(name)
        self.run_dir = run_dir

    def log(self, program: str) -> Path:
        """Where a program of ours writes."""
        return self.run_dir / f"{program}.log"

    def last_line(self, program: str) -> str:
        """What it said last."""
        lines = self.log(program).read_text(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"

    def forward(self) -> None:
        """Be a router for both families."""
        self.sysctl("net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1", "net.ipv4.conf.all.rp_filter=0")

    def wait(self, what: str, reached: Callable[[], bool], seconds: float) -> float:
        """As `waited`."""
        return waited(what, reached, seconds, (self,))


class Router(Inhabited):
    """Runs an agent, ExaBGP and its relay. Everything of l3ctl's own is in `run_dir`, and the files that it reads in `etc`."""

    def __init__(self, name: str, run_dir: Path) -> None:
        super().__init__(name, run_dir)
        self.etc = Path("/etc/netns") / name / "l3ctl"
        """laid over /etc/l3ctl by `ip netns exec` (ip-netns(8)), so that commands inside need no --config"""
        self.config = self.etc / "l3ctl.yaml"
        self.agent: subprocess.Popen[bytes] | None = None

    def prepare(self, config: str) -> None:
        """Write the configuration, and mount where the filter's pins will be."""
        self.etc.mkdir(parents=True)
        self.config.write_text(config)
        bpffs = self.run_dir / "bpf"
        bpffs.mkdir(parents=True)
        # Mounted here and not by the agent: a mount made inside `ip netns exec` dies with the last process there, and the pins with it.
        run("mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(bpffs))

    def write_inventory(self, ports: Iterable[dict[str, object]]) -> None:
        """Replace the inventory; the agent reads it again on SIGHUP."""
        (self.etc / "inventory.yaml").write_text(inventory(ports))

    def start_agent(self, seconds: float = 30) -> None:
        """Start the agent and wait until it answers; that takes longer on an emulated processor, which is to compile the filter."""
        self.agent = self.start([str(PROGRAM), "agent"], self.log("agent"))

        def answers() -> bool:
            assert self.agent is not None
            if self.agent.poll() is not None:
                raise LabFailed(f"the agent exited: {self.last_line('agent')}")
            return (self.run_dir / "agent.sock").exists() and self.status()["agent"] is not None

        self.wait("the agent", answers, seconds)

    def start_exabgp(self) -> "subprocess.Popen[bytes]":
        """Start ExaBGP with the configuration that l3ctl makes for it."""
        conf = self.run_dir / "exabgp.conf"
        self.l3ctl("exabgp-config", "--output", str(conf))
        return start_exabgp(self, conf, self.log("exabgp"))

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        """Run an l3ctl command inside; its output."""
        return self.run(str(PROGRAM), *arguments, ok=ok)

    def status(self) -> dict[str, Any]:
        """`l3ctl status --json`, as a person inside sees it."""
        told: dict[str, Any] = json.loads(self.l3ctl("status", "--json", ok=(0, 1)))
        return told

    def has_session(self) -> bool:
        """Whether its session with the upstream stands."""
        return bool(self.status()["bgp"]["peers"][UPSTREAM6] == "up")

    def remove(self) -> None:
        """End every program and remove everything, whatever state it is in."""
        super().remove()
        if self.agent is not None:
            self.agent.wait()
            self.agent = None
        libc = ctypes.CDLL(None)
        while libc.umount2(os.fsencode(self.run_dir / "bpf"), 2) == 0:  # MNT_DETACH
            pass
        shutil.rmtree(self.run_dir, ignore_errors=True)
        shutil.rmtree(self.etc.parent, ignore_errors=True)


class Upstream(Inhabited):
    """Runs BIRD, which installs in this namespace's kernel what it learns."""

    @property
    def control(self) -> Path:
        """BIRD's control socket."""
        return self.run_dir / "bird.ctl"

    def write_config(self, text: str) -> None:
        """Replace BIRD's configuration."""
        (self.run_dir / "bird.conf").write_text(text)

    def start_bird(self) -> "subprocess.Popen[bytes]":
        """Start BIRD."""
        return self.start([found("bird"), "-f", "-c", f"{self.run_dir}/bird.conf", "-s", str(self.control)], self.log("bird"))

    def birdc(self, *command: str) -> str:
        """Ask BIRD."""
        return self.run(found("birdc"), "-r", "-s", str(self.control), *command)

    def bird_prefixes(self) -> set[str]:
        """The prefixes in BIRD's table."""
        return prefixes_shown(self.birdc("show", "route"))

    def kernel_routes(self) -> dict[str, str]:
        """The kernel's routes that BIRD installed: prefix -> next hop."""
        routes = {}
        for family in ("-4", "-6"):
            for route in json.loads(run("ip", "-n", self.name, family, "-j", "route", "show", "proto", "bird")):
                prefix = route["dst"] if "/" in route["dst"] else route["dst"] + ("/32" if family == "-4" else "/128")
                routes[prefix] = (route.get("via") or {}).get("host") or route.get("gateway", "none")
        return routes


def start_exabgp(namespace: Namespace, conf: Path, log: Path, beside: Mapping[str, str] | None = None) -> "subprocess.Popen[bytes]":
    """Start ExaBGP as a user that may do nothing but read: this program may be in a folder closed to others."""
    more = ["env", *(f"{name}={value}" for name, value in beside.items())] if beside else []  # for itself, not for who makes it a user's
    may_read = ["--inh-caps", "-all,+dac_read_search", "--ambient-caps", "+dac_read_search"]
    user = ["setpriv", f"--reuid={EXABGP_USER}", f"--regid={group_of(EXABGP_USER)}", "--clear-groups", *may_read]
    return namespace.start([*user, *more, *start_command(str(conf))], log, environment(EXABGP_USER))


def prefixes_shown(routes: str) -> set[str]:
    """The prefixes in what BIRD answers to `show route`."""
    first_words = (line.split() for line in routes.splitlines())
    return {words[0] for words in first_words if words and "/" in words[0] and words[0][0].isdigit()}


def waited(what: str, reached: Callable[[], bool], seconds: float, inhabited: Iterable[Inhabited]) -> float:
    """Look until it is so; how long it took. Raises `LabFailed`, with what each program said last, when it takes longer than `seconds`."""
    began = time.monotonic()
    while not reached():
        if time.monotonic() - began > seconds * _PATIENCE:
            logs = [(one, path.stem) for one in inhabited for path in sorted(one.run_dir.glob("*.log"))]
            said = "; ".join(f"{one.name} {program}: {one.last_line(program)}" for one, program in logs)
            raise LabFailed(f"{what}: not within {seconds:g} s", said)
        time.sleep(0.01 * _PATIENCE**2)  # where looking is dear, it is what all the others wait for
    return time.monotonic() - began
