"""Runs an attack tool in the attacker's namespace, and ends it."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from l3ctl.lab.customers import UPSTREAM6
from l3ctl.lab.topology import Lab
from tests.evasion.case import ROGUE, Case

_LOOK = 0.01
_ACCOMPLICE = "na6 -i eth0 -L -c -o -E {router_mac}"
_READY = 0.5
"""seconds that a tool needs before it hears anything"""


def _solicitation(lab: Lab) -> None:
    """Forget the gateway and need it."""
    host = lab.hosts[ROGUE.name]
    host.ip("neigh flush dev eth0")
    host.run("ping", "-n", "-q", "-c", "1", "-W", "1", UPSTREAM6, ok=(0, 1))


def _new_address(lab: Lab) -> None:
    """Take an address of its own prefix, with duplicate address detection."""
    host = lab.hosts[ROGUE.name]
    host.ip("addr add 2001:db8:13::dad/64 dev eth0")
    time.sleep(1.5)
    host.ip("addr del 2001:db8:13::dad/64 dev eth0")


CAUSES: dict[str, Callable[[Lab], None]] = {"solicitation": _solicitation, "new address": _new_address}
"""What the attacker's own kernel is made to send, for tools that wait. They would hear a neighbour's question too, if the router ever let
one through to their port; it never does, so there is none but their own."""


def sent(lab: Lab) -> int:
    """Frames that have left the attacker's eth0 so far."""
    with lab.hosts[ROGUE.name].entered():
        lines = Path("/proc/thread-self/net/dev").read_text().splitlines()
    return next(int(line.split(":")[1].split()[9]) for line in lines if line.strip().startswith("eth0:"))


def router_mac(lab: Lab) -> str:
    """Of the router's port."""
    (link,) = json.loads(lab.router.run("ip", "-j", "link", "show", "dev", ROGUE.port))
    return str(link["address"])


def run(lab: Lab, case: Case, log: Path) -> int:
    """Run a case to its end, at the latest to its limit of seconds, frames or silence; how many frames it sent."""
    before = last = sent(lab)
    log.write_bytes(b"")
    helper = lab.hosts[ROGUE.name].start(_ACCOMPLICE.format(router_mac=router_mac(lab)).split(), log) if case.answered else None
    if helper:
        time.sleep(_READY)
    tool = lab.hosts[ROGUE.name].start(case.argv(), log)
    try:
        if case.cause:
            time.sleep(_READY)
            CAUSES[case.cause](lab)
        began = heard = time.monotonic()
        while tool.poll() is None:
            now, count = time.monotonic(), sent(lab)
            if count != last:
                last, heard = count, now
            silent = count > before and now - heard > case.silence
            if silent or count - before >= case.frames or now - began > case.seconds:
                break
            time.sleep(_LOOK)
    finally:
        _end(tool)
        if helper:
            _end(helper)
    return sent(lab) - before


def _end(tool: "subprocess.Popen[bytes]") -> None:
    """With everything it started: it is the first of a session of its own. None of them has anything to save."""
    with suppress(ProcessLookupError):
        os.killpg(tool.pid, signal.SIGKILL)
    tool.wait()
