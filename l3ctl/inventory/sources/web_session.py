"""A session with a web server that ends when it is told to, and trusts whom the configuration names."""

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from l3ctl.errors import MissingRequirement

try:
    import requests
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
except ImportError as missing:
    raise MissingRequirement("the library requests is not installed", "install what pyproject.toml has under 'http'") from missing


class WebSession(requests.Session):
    """For one reading: used in one thread, and `cut` from another when that takes too long."""

    def __init__(self, ca_file: Path | None, timeout: float) -> None:
        super().__init__()
        self._deadline = time.monotonic() + timeout
        self._sockets: list[socket.socket] = []
        self._cut = False
        self.trust_env = False  # no proxy, and no ~/.netrc in the token's place
        system = ssl.get_default_verify_paths()
        self.verify = str(ca_file or system.cafile or system.capath or True)
        self.headers["User-Agent"] = "l3ctl"
        self.headers["Accept-Encoding"] = "gzip"
        for scheme in ("http://", "https://"):
            self.mount(scheme, _Adapter(self._hold))

    @property
    def is_over(self) -> bool:
        """Whether its time is up."""
        return self._cut or time.monotonic() >= self._deadline

    def send(self, request: requests.PreparedRequest, **words: Any) -> requests.Response:
        """As ever, but with what is left of the time as the most to wait for the server's next word."""
        return super().send(request, **{**words, "timeout": max(0.1, self._deadline - time.monotonic())})

    def cut(self) -> None:
        """End whatever is under way, from another thread."""
        self._cut = True
        for one in self._sockets:
            _shut(one)

    def _hold(self, one: socket.socket) -> None:
        self._sockets.append(one)
        if self._cut:
            _shut(one)


def reason(error: BaseException) -> str:
    """The innermost of the exceptions that libraries wrap in one another, on one line."""
    inner: Any = error
    while nested := next(
        (one for one in (getattr(inner, "reason", None), *inner.args, inner.__cause__) if isinstance(one, Exception)), None
    ):
        inner = nested
    words = " ".join(str(inner.strerror if isinstance(inner, OSError) and inner.strerror else inner).split())
    return words[:200] or type(inner).__name__


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # not an SSLSocket's own, which would take its state from under the other thread


class _Adapter(requests.adapters.HTTPAdapter):
    """Tells of each socket, once it is connected and TLS is agreed."""

    def __init__(self, hold: Callable[[socket.socket], None]) -> None:
        self._hold = hold
        super().__init__()

    def init_poolmanager(self, *arguments: Any, **words: Any) -> None:
        super().init_poolmanager(*arguments, **words)
        hold = self._hold

        class Plain(HTTPConnection):
            def connect(self) -> None:
                super().connect()
                hold(self.sock)

        class Secure(HTTPSConnection):
            def connect(self) -> None:
                super().connect()
                hold(self.sock)

        class PlainPool(HTTPConnectionPool):
            ConnectionCls = Plain

        class SecurePool(HTTPSConnectionPool):
            ConnectionCls = Secure

        self.poolmanager.pool_classes_by_scheme = {"http": PlainPool, "https": SecurePool}
