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


def inventory_a_pipe(network: Network) -> None:
    """Reading one that nobody writes into would never end."""
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


def _change_and_back(network: Network, words: str) -> None:
    """A change of the inventory goes through, whatever the disk is like: a host loses its IPv4 address."""
    (host,) = network.other.hosts
    told = (network.run_dir / "inventory.yaml").read_text()
    address = json.dumps([str(one) for one in host.ipv4])
    with network.inventory(told.replace(f'"ipv4": {address}', '"ipv4": []')):
        network.waits("the change", lambda: not network.learnt() & {f"{one}/32" for one in host.ipv4})
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

    def flap() -> None:
        with network.link_down():
            network.waits("the prefix is withdrawn", lambda: prefix not in network.learnt())
        network.waits("it is announced", lambda: prefix in network.learnt())

    with network.log_wedged():
        for _ in range(10):
            flap()
    flap()
    network.hears("lost lines")


def many_rows(network: Network) -> None:
    """All hosts of the bulk, but for one a port, leave the inventory and come again."""
    file = network.run_dir / "inventory.yaml"
    before = file.read_bytes()
    head, *lines = before.decode().splitlines()
    ports = [json.loads(line.removeprefix("  - ")) for line in lines]
    left = [port | {"hosts": port["hosts"][:1]} if "hosts" in port else port for port in ports]
    network.put(file, "".join([f"{head}\n", *(f"  - {json.dumps(port)}\n" for port in left)]).encode())
    gone = {str(prefix) for port in network.bulk for host in port.hosts[1:] for prefix in host.prefixes()}
    network.waits("they are withdrawn", lambda: not network.learnt() & gone)
    network.put(file, before)


MANY = 5000
MANY_ROWS = Fault(f"{MANY} hosts leave the inventory at once, and come again", many_rows, "^announce .*2001:db8:1")
FAULTS = (
    Fault("inventory empty", inventory("ports: []\n", "would go"), "would go"),
    Fault("inventory garbage", inventory(bytes(range(256)) * 64, "inventory.yaml"), "inventory.yaml"),
    Fault("inventory half written", inventory('ports:\n  - {"name": "port0", "interf', "inventory.yaml"), "inventory.yaml"),
    Fault("inventory gone", inventory_gone, "inventory.yaml"),
    Fault("a pipe in the inventory's place", inventory_a_pipe, "not a regular file"),
    Fault("configuration read again with an error", configuration_with_an_error, "unknown key 'ruoter'"),
    Fault("who reads the log stands still, and links flap", log_wedged, "^lost lines=", wrong=("link", "route")),
    Fault("disk full, and a change of the inventory", disk_full, "cannot be written"),
    Fault("/var read-only, and a change of the inventory", disk_read_only, "cannot be written"),
)
