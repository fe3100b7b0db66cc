"""An agent of a copy of the program, whose sources can be broken while it runs: as by an upgrade that went wrong."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from l3ctl.lab.namespaces import Namespace
from l3ctl.xdp.abi import source_dir

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WHOLE = 30.0
"""seconds after which something has gone wrong"""
CONFIG = "router: r1\ninventory: {{file: inventory.yaml}}\nguard: {{source_guard: {guard}}}\nrun_dir: {run_dir}\n"
INVENTORY = 'ports: [{name: web1, router: r1, interface: p0, mac: "52:54:00:0a:00:0b", ipv6: ["2001:db8:11::/64"]}]\n'
MAIN = "from l3ctl.cli import main; main()"


def test_a_reload_whose_filter_does_not_compile_is_refused(namespace: Callable[[], Namespace], tmp_path: Path) -> None:
    shutil.copytree(Path(__file__).parents[2] / "l3ctl", tmp_path / "l3ctl", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copytree(source_dir(), tmp_path / "bpf")
    run_dir = Path(f"/run/l3ctl/test-{os.getpid()}")
    config, broken = tmp_path / "l3ctl.yaml", tmp_path / "bpf" / "guard.h"
    config.write_text(CONFIG.format(guard="false", run_dir=run_dir))
    (tmp_path / "inventory.yaml").write_text(INVENTORY)
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONSAFEPATH": "1", "L3CTL_CACHE": str(tmp_path / "cache")}
    router = namespace()
    router.ip("link add p0 type veth peer name q0", "link set p0 up", "link set q0 up")

    def l3ctl(*arguments: str) -> str:
        command = ["ip", "netns", "exec", router.name, sys.executable, "-c", MAIN, *arguments, "--config", str(config)]
        return subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True).stdout

    def told() -> dict[str, object]:
        answer: dict[str, object] = json.loads(l3ctl("status", "--json") or "{}")
        return answer

    def wait(what: Callable[[dict[str, object]], bool]) -> dict[str, object]:
        until = time.monotonic() + WHOLE
        while not what(answer := told()):
            assert time.monotonic() < until, answer
            time.sleep(0.1)
        return answer

    agent = router.start([sys.executable, "-c", MAIN, "agent", "--config", str(config)], tmp_path / "log", environment)
    try:
        wait(lambda answer: bool(answer.get("agent")) and not answer["failed"])
        attached = router.run("ip", "-d", "-j", "link", "show", "p0")
        whole = broken.read_text()
        broken.write_text(f"{whole}\n#error broken on purpose\n")
        config.write_text(CONFIG.format(guard="true", run_dir=run_dir))
        agent.send_signal(signal.SIGHUP)
        (failure,) = wait(lambda answer: bool(answer.get("failed")))["failed"]  # type: ignore[misc]
        assert "does not compile" in failure["reason"]
        assert "broken on purpose" in failure["reason"]
        assert json.loads(router.run("ip", "-d", "-j", "link", "show", "p0"))[0]["xdp"] == json.loads(attached)[0]["xdp"]
        assert agent.poll() is None

        broken.write_text(whole)
        agent.send_signal(signal.SIGHUP)
        wait(lambda answer: bool(answer.get("agent")) and not answer["failed"])
        now = json.loads(router.run("ip", "-d", "-j", "link", "show", "p0"))[0]["xdp"]["prog"]["id"]
        assert now != json.loads(attached)[0]["xdp"]["prog"]["id"]
    finally:
        agent.terminate()
        agent.wait(WHOLE)
        l3ctl("xdp", "detach")
        subprocess.run(["umount", str(run_dir / "bpf")], capture_output=True)
        shutil.rmtree(run_dir, ignore_errors=True)
