"""A router with an agent and nothing beside it: a bpffs of its own, a configuration, and whatever links and inventory a test gives it."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

from l3ctl.lab.namespaces import Namespace
from l3ctl.lab.programs import PROGRAM

WHOLE = 60.0
"""seconds after which something has gone wrong"""


class SoleAgent:
    """`config` is what l3ctl.yaml says besides the router's name, the inventory's file and where the agent keeps its things."""

    def __init__(self, router: Namespace, folder: Path, inventory: str, config: str = "") -> None:
        self.router, self.folder = router, folder
        self.run_dir = Path(f"/run/l3ctl/{router.name}")
        self.config, self.inventory = folder / "l3ctl.yaml", folder / "inventory.json"
        self.config.write_text(f"router: r1\ninventory: {inventory}\nrun_dir: {self.run_dir}\n{config}")
        bpffs = self.run_dir / "bpf"
        bpffs.mkdir(parents=True)
        subprocess.run(["mount", "-t", "bpf", "bpf", bpffs], check=True)
        self.agent: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        self.agent = self.router.start([str(PROGRAM), "agent", "--config", str(self.config)], self.folder / "agent.log")

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    def l3ctl(self, *arguments: str, ok: tuple[int, ...] = (0,)) -> str:
        return self.router.run(str(PROGRAM), *arguments, "--config", str(self.config), ok=ok)

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(self.l3ctl("status", "--json", ok=(0, 1)))
        return told

    def port(self, name: str) -> dict[str, Any]:
        return next(dict(port) for port in self.status()["ports"] if port["name"] == name)

    def end(self) -> None:
        if self.agent is not None:
            self.agent.kill()
            self.agent.wait()
        subprocess.run(["umount", "-l", self.run_dir / "bpf"], capture_output=True)
        shutil.rmtree(self.run_dir, ignore_errors=True)
