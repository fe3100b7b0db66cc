"""An agent that follows a file: what is saved is installed, what is bad costs nobody else anything, and the reader may die."""

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.programs import PROGRAM

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WHOLE = 60.0
"""seconds after which something has gone wrong"""
A, B, C = "2001:db8:a::/64", "2001:db8:b::/64", "2001:db8:c::/64"


def record(number: int, *prefixes: str, **keys: object) -> dict[str, object]:
    return {"name": f"p{number}", "interface": f"p{number}", "mac": f"52:54:00:00:00:0{number}", "ipv6": list(prefixes), **keys}


class Site:
    """A router with three ports, an agent, and a file that it follows."""

    def __init__(self, router: Namespace, folder: Path) -> None:
        self.router, self.folder = router, folder
        self.run_dir = Path(f"/run/l3ctl/{router.name}")
        self.config, self.inventory = folder / "l3ctl.yaml", folder / "inventory.json"
        self.config.write_text(f"router: r1\ninventory: {{file: inventory.json, max_shrink: 50}}\nrun_dir: {self.run_dir}\n")
        bpffs = self.run_dir / "bpf"
        bpffs.mkdir(parents=True)
        subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
        for number in (1, 2, 3):
            router.ip(f"link add p{number} type veth peer name q{number}", f"link set p{number} up", f"link set q{number} up")
        self.agent: subprocess.Popen[bytes] | None = None

    def save(self, *records: object) -> None:
        """As an editor does it."""
        beside = self.folder / ".inventory.new"
        beside.write_text(json.dumps({"ports": records}))
        beside.replace(self.inventory)

    def start(self) -> None:
        self.agent = self.router.start([str(PROGRAM), "agent", "--config", str(self.config)], self.folder / "agent.log")
        self.wait(lambda: self.l3ctl("status", "--json", ok=(0, 1)) != "" and self.status()["agent"] is not None)

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.router.run(str(PROGRAM), *arguments, "--config", str(self.config), ok=ok)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.l3ctl("status", "--json", ok=(0, 1)))
        return told

    def routes(self) -> dict[str, str]:
        shown = json.loads(self.router.run("ip", "-6", "-j", "route", "show", "proto", "201"))
        return {route["dst"]: route["dev"] for route in shown if not route["dst"].startswith("fe80")}

    def wait(self, reached: Callable[[], bool]) -> None:
        until = time.monotonic() + WHOLE
        while not reached():
            assert time.monotonic() < until, (self.routes(), self.status(), (self.folder / "agent.log").read_text())
            time.sleep(0.05)

    def wait_for(self, **routes: str) -> None:
        """`p1=A`: A and nothing else goes to p1."""
        wanted = {prefix: netdev for netdev, prefix in routes.items()}
        self.wait(lambda: self.routes() == wanted)

    def wait_for_word(self, key: str, said: str) -> None:
        self.wait(lambda: said in " ".join(self.status()["inventory"][key]))

    def reader(self) -> int:
        assert self.agent is not None
        (pid,) = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children").read_text().split()
        return int(pid)

    def end(self) -> None:
        if self.agent is not None:
            self.agent.kill()
            self.agent.wait()
        subprocess.run(["umount", "-l", self.run_dir / "bpf"], capture_output=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)


@pytest.fixture
def site(namespace: Callable[[], Namespace], tmp_path: Path) -> Iterator[Site]:
    one = Site(namespace(), tmp_path)
    one.save(record(1, A), record(2, B), record(3, C))
    one.start()
    one.wait_for(p1=A, p2=B, p3=C)
    yield one
    one.end()


def test_what_is_saved_is_installed_and_one_bad_record_costs_nobody_else_anything(site: Site) -> None:
    site.save(record(1, B), record(2, A), record(3, C))
    site.wait_for(p1=B, p2=A, p3=C)

    site.save(record(1, A), record(2, "2001:db8:b::1/64"), record(3, C))
    site.wait_for_word("quarantined", "host bits set; write 2001:db8:b::/64")
    site.wait_for_word("quarantined", "which overlaps 2001:db8:a::/64 of port 'p2'")
    assert site.status()["inventory"]["kept"] == ["p1", "p2"], "as p2 keeps what it had, p1 cannot have it"
    site.wait_for(p1=B, p2=A, p3=C)
    assert "p1, p2" in site.l3ctl("status", ok=(1,))

    site.inventory.write_text('{"ports": [')
    site.wait_for_word("trouble", "inventory.json:1:12: ")
    site.save(record(1, A), record(2, B), record(3, C))
    site.wait_for(p1=A, p2=B, p3=C)
    site.wait(lambda: site.status()["troubles"] == [])


def test_ports_that_vanish_and_files_that_are_none_take_nothing_away(site: Site) -> None:
    for content in ('{"ports": []}', json.dumps({"ports": [record(1, A)]}), "", "\0", "null"):
        site.inventory.write_text(content)
        site.wait(lambda: bool(site.status()["inventory"]["trouble"]))
        site.wait_for(p1=A, p2=B, p3=C)
        site.save(record(1, A), record(2, B), record(3, C))
        site.wait(lambda: not site.status()["inventory"]["trouble"])
    site.inventory.unlink()
    os.mkfifo(site.inventory)
    site.wait(lambda: bool(site.status()["inventory"]["trouble"]))
    site.router.ip("link set q1 down")
    site.wait_for(p2=B, p3=C)
    site.router.ip("link set q1 up")
    site.wait_for(p1=A, p2=B, p3=C)
    site.inventory.unlink()
    site.save(record(1, A), record(2, B))
    site.wait_for(p1=A, p2=B)


def test_a_reader_that_is_killed_is_replaced_and_ends_with_its_agent(site: Site) -> None:
    first = site.reader()
    os.kill(first, signal.SIGKILL)
    site.save(record(1, A), record(2, C), record(3, B))
    site.wait_for(p1=A, p2=C, p3=B)
    second = site.reader()
    assert second != first
    assert site.agent is not None
    site.agent.kill()
    site.agent.wait()
    site.wait(lambda: not Path(f"/proc/{second}").exists())


def test_an_agent_that_starts_without_its_source_serves_what_was_carried_out_last(site: Site) -> None:
    assert site.agent is not None
    site.agent.kill()
    site.agent.wait()
    site.inventory.unlink()
    site.router.run("ip", "-6", "route", "flush", "proto", "201")
    assert site.routes() == {}
    site.start()
    site.wait_for(p1=A, p2=B, p3=C)
    site.wait_for_word("trouble", "no such file")
    site.save(record(1, A), record(2, B))
    site.wait_for(p1=A, p2=B)
