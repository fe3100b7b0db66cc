"""What ExaBGP writes to its helper, line by line. Pure, standard library only; nothing here fails on a line it does not know."""

import json
import re
from contextlib import suppress

_OUR_ATTRIBUTES = re.compile(
    r"next-hop \S+ med \d+( local-preference \d+)?( community (\[ [^]]+ \]|[^[ ]+))?( large-community (\[ [^]]+ \]|[^[ ]+))?"
)
"""of an announcement of l3ctl's, as ExaBGP shows them"""


def state_in(line: str) -> tuple[str, str] | None:
    """The peer and the state that its session changed to, of an event in JSON."""
    try:
        neighbor = json.loads(line)["neighbor"]
        return str(neighbor["address"]["peer"]), str(neighbor["state"])
    except (ValueError, KeyError, TypeError):
        return None


def route_in(words: list[str]) -> tuple[str, str, str] | None:
    """Peer, prefix and attributes of a row `neighbor P ... family-allowed F AFI SAFI PREFIX next-hop N med M ...`.

    One that looks otherwise is not l3ctl's.
    """
    with suppress(ValueError, IndexError):
        at = words.index("family-allowed") + 4
        attributes = " ".join(words[at + 1 :])
        if _OUR_ATTRIBUTES.fullmatch(attributes):
            return words[1], words[at], attributes
    return None


def session_in(words: list[str]) -> tuple[str, str, str] | None:
    """Peer, state and number of messages sent, of a row `ADDRESS AS SINCE established SENT RECEIVED`, or `ADDRESS AS down STATE ...`."""
    if len(words) == 6 and words[1].isdigit():
        return words[0], "up" if words[3] == "established" else "down", words[4]
    return None
