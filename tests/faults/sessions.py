"""The BGP session and the uplink."""

import time

from tests.faults.fault import Fault
from tests.faults.network import HOLD_TIME, Network

_FORGETS = "the peer itself forgets what it was told"


def reset_by_peer(network: Network) -> None:
    network.birdc("restart l3ctl")


def black_hole(network: Network, seconds: float) -> None:
    """TCP segments of BGP vanish on their way in, both ways; everything else goes on."""
    rules = [["INPUT", *direction.split(), "-j", "DROP"] for direction in ("-p tcp --dport 179", "-p tcp --sport 179")]
    for rule in rules:
        network.router.run("ip6tables", "-A", *rule)
    time.sleep(seconds)
    for rule in rules:
        network.router.run("ip6tables", "-D", *rule)


FAULTS = (
    Fault("session ended by the peer", reset_by_peer, "peer", by="ExaBGP", costs=_FORGETS),
    # No longer: TCP tries again ever more seldom, and a try that comes after the hold time is a fault of another kind, the next one.
    Fault("BGP's TCP segments lost for 2 s", lambda network: black_hole(network, 2), None, by="TCP"),
    Fault(
        f"BGP's TCP segments lost for {HOLD_TIME + 4} s, longer than the hold time",
        lambda network: black_hole(network, HOLD_TIME + 4),
        "peer",
        by="ExaBGP",
        costs=_FORGETS,
    ),
)
