"""The log: events with fields, one line each on stderr, where the service manager dates them.

The words are a fixed vocabulary: announce, withdraw, add, replace, remove, refuse, violation, adopt, and start, stop, full-pass, overrun
for the agent itself.
"""

import logging

_log = logging.getLogger("l3ctl")


def configure() -> None:
    """Send events to stderr."""
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(message)s"))
    _log.addHandler(handler)
    _log.setLevel(logging.INFO)


def event(word: str, **fields: object) -> None:
    """Tell one event: `add port=web1 item="neighbour fe80::1 ..."`."""
    _log.info(" ".join((word, *(f"{name}={_quoted(str(value))}" for name, value in fields.items() if value is not None))))


def _quoted(text: str) -> str:
    if text and text.isprintable() and not set(text) & set(' "='):
        return text
    return '"' + "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text).replace('"', "'") + '"'
