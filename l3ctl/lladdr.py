"""Link-layer addresses: canonical text is six lower-case hex bytes joined by colons. Pure, standard library only."""

import re
from ipaddress import IPv6Address

_WRITTEN = re.compile(r"[0-9a-f]{2}([:-])(?:[0-9a-f]{2}\1){4}[0-9a-f]{2}|[0-9a-f]{4}\.[0-9a-f]{4}\.[0-9a-f]{4}", re.IGNORECASE)
"""the ways that people and vendors write one"""
_NO_SEPARATORS = str.maketrans("", "", ":.-")


def understand_lladdr(text: str) -> bytes | None:
    """The bytes of a link-layer address as people write it: with colons, with hyphens, or with two dots; None for anything else."""
    return bytes.fromhex(text.translate(_NO_SEPARATORS)) if _WRITTEN.fullmatch(text) else None


def format_lladdr(raw: bytes) -> str:
    """Canonical text of a link-layer address: ``52:54:00:0a:00:0b``."""
    return raw.hex(":")


def parse_lladdr(text: str) -> bytes:
    """The bytes of a canonical link-layer address."""
    return bytes.fromhex(text.replace(":", ""))


def eui64_link_local(lladdr: str) -> IPv6Address:
    """The link-local address a host forms from its MAC (RFC 4291, appendix A)."""
    raw = parse_lladdr(lladdr)
    interface_id = bytes([raw[0] ^ 0x02]) + raw[1:3] + b"\xff\xfe" + raw[3:]
    return IPv6Address(b"\xfe\x80" + bytes(6) + interface_id)
