"""GoBGP's API as a controller uses it: paths are announced and withdrawn by `AddPathStream`, many in one message, in a call that lasts.

The messages (gobgp.proto and attribute.proto of GoBGP 3) are packed here, by hand: they have a handful of fields, for which nobody should
need a compiler of protocol buffers. gRPC itself is Debian's python3-grpcio, imported only by who calls.
"""

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from queue import SimpleQueue

from l3ctl.errors import LabFailed
from l3ctl.model import Prefix, Verb

AT_ONCE = 1000
"""paths in a message"""
_CALL = "/apipb.GobgpApi/AddPathStream"
_TRIES_AGAIN = 100
"""milliseconds after a first try that came too early; gRPC's second is a long time for who starts quickly"""
_TYPE = b"type.googleapis.com/apipb."
_VARINT, _BYTES = 0, 2
"""how a field is encoded"""
_REQUEST_PATHS = 3
_PATH_NLRI, _PATH_ATTRIBUTES, _PATH_IS_WITHDRAW, _PATH_FAMILY = 1, 2, 5, 9
_UNICAST = 1
_FAMILIES = {4: 1, 6: 2}


def has_grpc() -> bool:
    """Whether this Python can call."""
    return importlib.util.find_spec("grpc") is not None


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(value)


def _bytes(field: int, value: bytes) -> bytes:
    return _varint(field << 3 | _BYTES) + _varint(len(value)) + value


def _any(message: bytes, body: bytes) -> bytes:
    """A message that says which it is (google.protobuf.Any)."""
    return _bytes(1, _TYPE + message) + _bytes(2, body)


def messages(verb: Verb, prefixes: Sequence[Prefix], next_hop: str) -> list[bytes]:
    """What announces these, or withdraws them: each message has as many as go in one."""
    rest = {
        version: b"".join(
            (
                _bytes(_PATH_ATTRIBUTES, _any(b"OriginAttribute", b"")),
                _bytes(_PATH_ATTRIBUTES, _any(b"NextHopAttribute", _bytes(1, next_hop.encode()))),
                _number(_PATH_IS_WITHDRAW, verb is Verb.WITHDRAW),
                _bytes(_PATH_FAMILY, _number(1, family) + _number(2, _UNICAST)),
            )
        )
        for version, family in _FAMILIES.items()
    }

    def path(prefix: Prefix) -> bytes:
        nlri = _number(1, prefix.prefixlen) + _bytes(2, str(prefix.network_address).encode())
        return _bytes(_PATH_NLRI, _any(b"IPAddressPrefix", nlri)) + rest[prefix.version]

    return [
        b"".join(_bytes(_REQUEST_PATHS, path(prefix)) for prefix in prefixes[start : start + AT_ONCE])
        for start in range(0, len(prefixes), AT_ONCE)
    ]


class GobgpApi:
    """One call, which lasts, to a GoBGP that listens on a UNIX socket. Raises `LabFailed` where nobody does within so many seconds."""

    def __init__(self, path: Path, patience: float) -> None:
        import grpc

        self._channel = grpc.insecure_channel(f"unix://{path}", [("grpc.initial_reconnect_backoff_ms", _TRIES_AGAIN)])
        try:
            grpc.channel_ready_future(self._channel).result(patience)
        except grpc.FutureTimeoutError as error:
            self._channel.close()
            raise LabFailed(f"GoBGP's API: not within {patience:g} s") from error
        self._unsent: SimpleQueue[bytes | None] = SimpleQueue()
        self._call = self._channel.stream_unary(_CALL).future(iter(self._unsent.get, None))  # without a serializer bytes are messages

    def send(self, texts: Iterable[bytes]) -> None:
        """Have these sent; nobody waits for it."""
        for text in texts:
            self._unsent.put(text)

    def complaint(self) -> str:
        """Why GoBGP has ended the call; nothing while it has not."""
        return str(self._call.details()) if self._call.done() else ""

    def close(self) -> None:
        """Hang up."""
        self._unsent.put(None)  # which ends gRPC's thread that waits there
        self._channel.close()
