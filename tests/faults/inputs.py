"""What the agent reads and writes: inventory, configuration, disk."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress

from tests.faults.fault import Fault
from tests.faults.network import Network

_STAYS = 2.0
"""seconds for which a bad input stays"""


def inventory(text: str | bytes, words: str) -> Callable[[Network], None]:
    """This stands in the inventory, until the agent has told of it and a little longer."""

    def happen(network: Network) -> None:
        with network.inventory(text):
            network.hears(words)
            time.sleep(_STAYS)

    return happen


def inventory_gone(network: Network) -> None:
    file = network.run_dir / "inventory.yaml"
    aside = file.with_name("aside")
    file.rename(aside)
    network.hears("inventory.yaml")
    time.sleep(_STAYS)
    aside.rename(file)


def inventory_slow(network: Network) -> None:
    """A pipe that nobody writes into, in the file's place: reading it never ends."""
    file = network.run_dir / "inventory.yaml"
    before = file.read_bytes()
    pipe = file.with_name(".pipe")
    os.mkfifo(pipe)
    pipe.replace(file)
    time.sleep(_STAYS)
    network.put(file, before)


def configuration_with_an_error(network: Network) -> None:
    before = network.config.read_bytes()
    network.put(network.config, before.replace(b'"router"', b'"ruoter"'))
    network.signal("agent", signal.SIGHUP)
    network.hears("ruoter")
    time.sleep(_STAYS)
    network.put(network.config, before)
    network.signal("agent", signal.SIGHUP)


def _changed(network: Network) -> str:
    """The inventory with one prefix more, of the other port."""
    told = (network.run_dir / "inventory.yaml").read_text()
    prefix = str(network.other.hosts[0].ipv6[0])
    return told.replace(json.dumps(prefix), f'{json.dumps(prefix)}, "{_MORE}"')


_MORE = "2001:db8:fade::/64"


def _change_and_back(network: Network, words: str) -> None:
    """A change of the inventory goes through, whatever the disk is like."""
    with network.inventory(_changed(network)):
        network.waits("the change", lambda: _MORE in network.learnt())
        network.hears(words)


def disk_full(network: Network) -> None:
    filler = network.state_dir / "filler"
    with filler.open("wb") as file, suppress(OSError):
        while True:
            file.write(bytes(1 << 16))
            file.flush()
    _change_and_back(network, "cannot be written")
    filler.unlink()


def disk_read_only(network: Network) -> None:
    """As after an error of the file system: whoever opens a file from now on may only read."""
    folder = str(network.state_dir)
    subprocess.run(["mount", "--bind", folder, folder], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", folder], check=True)
        again = network.gone("agent")
        network.signal("agent", signal.SIGKILL)
        network.waits("the agent is back", again)
        network.waits("it answers", lambda: not network.left())
        _change_and_back(network, "cannot be written")
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def log_wedged(network: Network) -> None:
    """Who reads the agent's log stands still, its pipe is full, and links go down and up meanwhile."""
    prefix = str(network.other.hosts[0].ipv6[0])
    with network.log_wedged():
        for _ in range(10):
            with network.link_down():
                network.waits("the prefix is withdrawn", lambda: prefix not in network.learnt())
            network.waits("it is announced", lambda: prefix in network.learnt())
    network.signal("agent", signal.SIGHUP)  # anything that it tells of


FAULTS = (
    Fault("inventory empty", inventory("ports: []\n", "max_shrink"), "max_shrink"),
    Fault("inventory garbage", inventory(bytes(range(256)) * 64, "inventory.yaml"), "inventory.yaml"),
    Fault("inventory half written", inventory('ports:\n  - {"name": "port0", "interf', "inventory.yaml"), "inventory.yaml"),
    Fault("inventory gone", inventory_gone, "inventory.yaml"),
    Fault("inventory that is never read to its end", inventory_slow, "inventory.yaml"),
    Fault("configuration read again with an error", configuration_with_an_error, "unknown key 'ruoter'"),
    Fault("who reads the log stands still, and links flap", log_wedged, "^lost lines=", wrong=("link", "route")),
    Fault("disk full, and a change of the inventory", disk_full, "cannot be written"),
    Fault("/var read-only, and a change of the inventory", disk_read_only, "cannot be written"),
)
