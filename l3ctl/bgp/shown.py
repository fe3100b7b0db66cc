"""What ExaBGP and its helper write to each other, line by line. Pure, standard library only; no line is too strange for it."""

import json
import re
import socket
from contextlib import suppress
from typing import Any

_OUR_ATTRIBUTES = re.compile(
    r"next-hop \S+ med \d+( local-preference \d+)?( community (\[ [^]]+ \]|[^[ ]+))?( large-community (\[ [^]]+ \]|[^[ ]+))?"
)
"""of an announcement of l3ctl's, as ExaBGP shows them"""


def event_in(line: str) -> tuple[str, str, Any] | None:
    """Of an event in JSON the peer, and the state that its session changed to or the message that it sent: the other is empty.

    The peer's own words are in it, and may have any form.
    """
    try:
        neighbor = json.loads(line)["neighbor"]
        peer = str(neighbor["address"]["peer"])
        return (peer, str(neighbor.get("state", "")), neighbor.get("message")) if _is_address(peer) else None
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return None


def route_in(words: list[str]) -> tuple[str, str, str] | None:
    """Peer, prefix and attributes of a row `neighbor P ... family-allowed F AFI SAFI PREFIX next-hop N med M ...`.

    One that looks otherwise is not l3ctl's.
    """
    with suppress(ValueError, IndexError):
        at = words.index("family-allowed") + 4
        attributes = " ".join(words[at + 1 :])
        if _is_address(words[1]) and _OUR_ATTRIBUTES.fullmatch(attributes):
            return words[1], words[at], attributes
    return None


def session_in(words: list[str]) -> tuple[str, str, str] | None:
    """Peer, state and number of messages sent, of a row `ADDRESS AS SINCE established SENT RECEIVED`, or `ADDRESS AS down STATE ...`."""
    if len(words) == 6 and words[1].isdigit() and _is_address(words[0]):
        return words[0], "up" if words[3] == "established" else "down", words[4]
    return None


def _is_address(word: str) -> bool:
    """Whether this is what a peer is called by: what is not may be no word of a line, and no connection has it."""
    try:
        return bool(socket.inet_pton(socket.AF_INET6 if ":" in word else socket.AF_INET, word))
    except (OSError, ValueError):
        return False


def told_in(command: str) -> tuple[str, bool, str, list[str]] | None:
    """Peer, whether it announces, attributes and prefixes of `neighbor PEER announce|withdraw attributes ... nlri PREFIX ...`."""
    words = command.split(" ")
    if words[0] != "neighbor" or words[2:4] not in (["announce", "attributes"], ["withdraw", "attributes"]) or "nlri" not in words[5:-1]:
        return None
    at = words.index("nlri")
    return words[1], words[2] == "announce", " ".join(words[4:at]), words[at + 1 :]
