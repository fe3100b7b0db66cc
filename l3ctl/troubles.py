"""What keeps a router from being what the files say, each in a sentence: the last line of `l3ctl status`, and its exit code."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from l3ctl.asking import Answer
from l3ctl.wording import counted, shortened


def troubles(told: Answer, held_down: Mapping[str, float], behind: Sequence[str]) -> list[str]:
    """Of what is told of a router but for its ports, of those that flap (seconds left), and of those that are not in sync.

    Nothing: in sync.
    """
    found = []
    if not told["agent"]:
        found.append("no agent runs; what is installed stays, and nobody watches it")
    found += _of_bgp(told["bgp"]) if told["bgp"] else ()
    if held_down:
        flapping = [f"{name} ({seconds:.0f} s left)" for name, seconds in sorted(held_down.items())]
        found.append(f"not announced, as the link flaps: {shortened(flapping)}")
    found += _of_inventory(told["inventory"])
    if told["failed"]:
        found.append(f"{counted(len(told['failed']), 'failure')}, listed above")
    if told["duplicates"]:
        found.append(f"{counted(len(told['duplicates']), 'prefix', 'es')} announced elsewhere too, listed above")
    found += (f"{peer} says more than is kept: duplicates in the rest go unseen" for peer in told["unheard"])
    if behind and told["agent"]:
        found.append(f"not in sync: {shortened(behind)}; `l3ctl plan` says how")
    return found


def _of_bgp(bgp: dict[str, Any]) -> Iterator[str]:
    if not bgp["relay"]:
        yield "no relay is connected: is ExaBGP running?"
    elif bgp["configuration"] == "stale":
        yield "ExaBGP runs with another configuration: write a new one with `l3ctl exabgp-config --output FILE`, and restart it"
    elif silent := [address for address, state in bgp["peers"].items() if state != "up"]:
        yield f"no BGP session with {', '.join(silent)}: what is announced is not heard there"
    if bgp["drained"]:
        yield "drained: nothing is announced until `l3ctl undrain`"


def _of_inventory(report: dict[str, Any]) -> Iterator[str]:
    if report["trouble"]:
        yield "the inventory cannot be used as it is, see above; what stood stands"
    if report["quarantined"]:
        yield f"{counted(len(report['quarantined']), 'fault')} in the inventory, listed above"
    if report["copy"]:
        yield "there is no last good copy of the inventory"
