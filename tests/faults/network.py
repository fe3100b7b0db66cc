"""A whole network under observation: agent, ExaBGP and BIRD, each started again when it ends, and what it is like when all is well.

pings ─► upstream: BIRD ──uplink0── router: agent, ExaBGP and its relay ──p0─► the innocent host, which answers
                                                                        ──p1, p2, ...─► others
"""

import fcntl
import os
import signal
import subprocess
import sysconfig
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

from l3ctl.asking import ask
from l3ctl.errors import L3ctlError, LabFailed
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.crowd import PROGRAM, link_local_of, lladdr_of
from l3ctl.lab.peered import RECOVERING, Peered
from l3ctl.lab.programs import start_exabgp
from l3ctl.model import Host, Port
from l3ctl.xdp.libbpf import program_on
from l3ctl.xdp.program import mount_bpffs

PORTS = 20
HOLD_TIME = 9
"""seconds without a word after which a BGP session is over"""
PATIENCE = 90.0
"""seconds in which everything is as it should be again, or the fault has not healed"""
HOSTS_FROM = 1 << 17
"""the number of the bulk's first host"""
FAKETIME = f"/usr/lib/{sysconfig.get_config_var('MULTIARCH')}/faketime/libfaketime.so.1"
_POLL = 0.02
_STATE_SIZE = "2m"
"""of the folder that stands for /var/lib/l3ctl"""
_LITTLE = 4096
"""bytes"""


class Network(Peered):
    """Made when entered, and removed when left."""

    def __init__(self, prefix: str, count: int = PORTS, bulk: int = 0) -> None:
        """`bulk` hosts are on ports of their own."""
        super().__init__(prefix, count, bulk)
        self.code: Path | None = None
        """where an agent that is started from now on has its code; None: here"""
        self.state_dir = self.run_dir / "var"
        self.clock: Path | None = None
        """what programs that are started from now on add to the time, as faketime(1) has it"""
        self._log_pipe = self.run_dir / "log.pipe"
        self._mark = 0

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self._share_mounts()
            self.state_dir.mkdir()
            subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={_STATE_SIZE}", "tmpfs", str(self.state_dir)], check=True)
            os.mkfifo(self._log_pipe)
            self._log_end = os.open(self._log_pipe, os.O_RDWR | os.O_CLOEXEC)
            with self._log_pipe.open("rb") as pipe, (self.run_dir / "agent.log").open("ab") as log:
                self._journal = subprocess.Popen(["cat"], stdin=pipe, stdout=log)
        except BaseException:
            self.__exit__()
            raise
        return self

    def _share_mounts(self) -> None:
        """What is mounted in our folder, or no longer, is so for every program, as where a service manager has made all mounts shared."""
        folder, bpffs = str(self.run_dir), self.run_dir / "bpf"
        subprocess.run(["umount", str(bpffs)], check=True)
        subprocess.run(["mount", "--bind", folder, folder], check=True)
        subprocess.run(["mount", "--make-shared", folder], check=True)
        mount_bpffs(bpffs)

    def __exit__(self, *unused: object) -> None:
        if hasattr(self, "kernel"):
            self.kernel.close()
        for service in self.services.values():
            service.stop()
        self.services.clear()
        if hasattr(self, "_journal"):
            self._journal.kill()
            self._journal.wait()
            os.close(self._log_end)
        subprocess.run(["umount", "--lazy", "--recursive", str(self.run_dir)], capture_output=True, check=False)
        super().__exit__(*unused)

    def _bulk_port(self, number: int, bulk: int) -> Port:
        """One host for each prefix."""
        port = super()._bulk_port(number, bulk)
        (all_,) = port.hosts
        first = HOSTS_FROM + number * len(all_.ipv6)
        hosts = (Host(lladdr_of(first + at), link_local_of(first + at), (prefix,)) for at, prefix in enumerate(all_.ipv6))
        return replace(port, hosts=tuple(hosts))

    def told(self) -> dict[str, object]:
        """With a short hold time, so that its end is not far."""
        told = super().told()
        bgp = told["bgp"]
        assert isinstance(bgp, dict)
        return told | {"state_dir": str(self.state_dir), "bgp": bgp | {"hold_time": HOLD_TIME}}

    def _start_agent(self) -> "subprocess.Popen[bytes]":
        """In this mount namespace, as a service; its log goes through a pipe to somebody who writes it down."""
        words = ["nsenter", f"--net={self.router.path}", str(PROGRAM), "agent", "--config", str(self.config)]
        env = os.environ | self._faked() | ({"PYTHONPATH": str(self.code)} if self.code else {})
        with self._log_pipe.open("ab") as log:
            self.agent = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=env, start_new_session=True)
        return self.agent

    def _start_exabgp(self) -> "subprocess.Popen[bytes]":
        return start_exabgp(self.router, self.run_dir / "exabgp.conf", self.run_dir / "exabgp.log", self._faked())

    def _faked(self) -> dict[str, str]:
        """The clock that can be set: of the processes, not of the machine. What the kernel and BIRD go by, nobody can set."""
        if self.clock is None:
            return {}
        told = {
            "FAKETIME_TIMESTAMP_FILE": str(self.clock),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "FAKETIME_DISABLE_SHM": "1",
        }
        return {"LD_PRELOAD": FAKETIME, **told}

    @contextmanager
    def log_wedged(self) -> Iterator[None]:
        """Who writes the log down stands still, and there is little room for what comes."""
        self._journal.send_signal(signal.SIGSTOP)
        before = fcntl.fcntl(self._log_end, fcntl.F_GETPIPE_SZ)
        fcntl.fcntl(self._log_end, fcntl.F_SETPIPE_SZ, _LITTLE)
        try:
            yield
        finally:
            fcntl.fcntl(self._log_end, fcntl.F_SETPIPE_SZ, before)
            self._journal.send_signal(signal.SIGCONT)

    def begin(self) -> None:
        """Start everything, and remember what it is like when all is well."""
        self.start()
        outcome = self.settles(self.ports, PATIENCE)
        if outcome.stale or outcome.missing:
            raise LabFailed(f"it did not begin: {len(outcome.missing)} prefixes are missing")
        with self.router.entered():
            self.kernel = Kernel()
        self.wait("nothing left to do", lambda: not self.left())
        self.remember()

    def remember(self) -> None:
        """As it is now is how it should be."""
        self._well = self._state()

    def _state(self) -> dict[str, object]:
        """What is installed for the ports, and where the filter is."""
        found = self.kernel.read([port.interface for port in self.ports])
        links = self.kernel.links()
        with self.router.entered():
            guarded = {port.name: port.guard in links and program_on(links[port.guard].ifindex) != 0 for port in self.ports}
            trusting = self.kernel.trusting() & {port.interface for port in self.ports}
        return {
            "addresses": found.addresses,
            "neighbours": found.neighbours,
            "routes": found.routes,
            "filter": guarded,
            "sysctls": trusting,
        }

    def left(self) -> list[object]:
        """What the agent has left to do."""
        return list(ask(self.run_dir / "agent.sock", {"command": "plan"})["changes"])

    def wrong(self) -> str:
        """What is not as it should be; nothing when all is. What is dear to look at comes last."""
        state = self._state()
        if differing := [what for what, was in self._well.items() if state[what] != was]:
            return " and ".join(differing)
        want = {str(prefix) for port in self.ports for host in port.hosts for prefix in host.prefixes()}
        if (have := self.learnt()) != want:
            return f"BIRD has {len(have - want)} prefixes too many and lacks {len(want - have)}"
        try:
            told = ask(self.run_dir / "agent.sock", {"command": "status"})
            left = self.left()
        except (L3ctlError, OSError) as error:
            return f"the agent does not answer: {error}"
        if told["failed"]:
            return f"it says what fails: {told['failed'][0]}"
        return f"{len(left)} changes are left to do, such as {left[0]}" if left else ""

    def heals(self) -> float:
        """Seconds until all is as it should be; `LabFailed` with what is not where that takes too long."""
        began = time.monotonic()
        while True:
            looked = time.monotonic()
            if not (wrong := self.wrong()):
                return looked - began
            if looked > began + PATIENCE:
                raise LabFailed(f"not healed within {PATIENCE:g} s: {wrong}")
            time.sleep(_POLL)

    def works(self) -> bool:
        """Whether the agent answers, has its relay, and the session stands, with no End-of-RIB waited for."""
        told = ask(self.run_dir / "agent.sock", {"command": "status"})
        said = self.birdc("show protocols all l3ctl")
        return bool(told["bgp"]["relay"]) and "Established" in said and RECOVERING not in said

    def mark(self) -> None:
        """What is told counts from here."""
        self._mark = (self.run_dir / "agent.log").stat().st_size

    def log(self) -> list[str]:
        """What the agent has told since."""
        with (self.run_dir / "agent.log").open("rb") as file:
            file.seek(self._mark)
            return file.read().decode(errors="replace").splitlines()

    def hears(self, words: str, seconds: float = PATIENCE) -> None:
        """Wait until the agent has told something with these words."""
        until = time.monotonic() + seconds
        while not any(words in line for line in self.log()):
            if time.monotonic() > until:
                raise LabFailed(f"the agent did not tell of '{words}' within {seconds:g} s", " | ".join(self.log()[-3:]))
            time.sleep(_POLL)

    # what faults are made of

    def pid(self, name: str) -> int:
        """Of a program: agent, reader, exabgp, relay or bird."""
        if name == "relay":
            return self._one_child(self.services["exabgp"].process.pid)
        if name == "reader":
            return self._one_child(self.services["agent"].process.pid)
        return self.services[name].process.pid

    @staticmethod
    def _one_child(pid: int) -> int:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        if len(children) != 1:
            raise LabFailed(f"process {pid} has {len(children)} children, where one is expected")
        return int(children[0])

    def signal(self, name: str, number: int) -> None:
        """To that program."""
        os.kill(self.pid(name), number)

    def waits(self, what: str, reached: Callable[[], bool], seconds: float = PATIENCE) -> None:
        """Until that is so, whoever lives or dies meanwhile."""
        until = time.monotonic() + seconds
        while True:
            with suppress(L3ctlError, OSError):
                if reached():
                    return
            if time.monotonic() > until:
                raise LabFailed(f"{what}: not within {seconds:g} s")
            time.sleep(_POLL)

    def gone(self, name: str) -> Callable[[], bool]:
        """Whether what is that program now has ended, and another one is there."""
        before = self.pid(name)
        return lambda: self.pid(name) != before

    @property
    def other(self) -> Port:
        """A port that is not the innocent host's, of a host with addresses of both families."""
        return self.ports[6]

    @contextmanager
    def link_down(self) -> Iterator[None]:
        """The other port's, by its own end; up again afterwards."""
        self.far.ip(f"link set {self.other.interface} down")
        try:
            yield
        finally:
            self.far.ip(f"link set {self.other.interface} up")

    @contextmanager
    def inventory(self, text: str | bytes) -> Iterator[None]:
        """Another inventory, written as editors do: beside it, and put in its place; back again afterwards."""
        file = self.run_dir / "inventory.yaml"
        before = file.read_bytes()
        self.put(file, text if isinstance(text, bytes) else text.encode())
        try:
            yield
        finally:
            self.put(file, before)

    @staticmethod
    def put(file: Path, content: bytes) -> None:
        """Write it beside, and put it in the place."""
        fresh = file.with_name(f".{file.name}.new")
        fresh.write_bytes(content)
        fresh.replace(file)
