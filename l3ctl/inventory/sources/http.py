"""The inventory as JSON from a web server, which is asked for it anew only if it has changed."""

import hashlib
import socket
import ssl
import time
from contextlib import suppress
from typing import Any
from urllib.parse import urljoin, urlsplit

from l3ctl.configuration import HttpSource
from l3ctl.errors import MissingRequirement, SourceFailed
from l3ctl.inventory import fetched_ports
from l3ctl.inventory.deadline import within
from l3ctl.inventory.source import Delivery
from l3ctl.reading.document import quoted
from l3ctl.reading.secret import read_secret
from l3ctl.reading.text import SIZE_LIMIT

try:
    import requests
    from urllib3.connection import HTTPConnection, HTTPSConnection
    from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
    from urllib3.exceptions import HTTPError
except ImportError as missing:
    raise MissingRequirement("the library requests is not installed", "pip install 'l3ctl[http]'") from missing

_CHUNK = 1 << 16
_MOST_REDIRECTS = 5
_REDIRECTS = {301, 302, 303, 307, 308}
_MENDS = {401: "check token_file", 403: "check token_file and what it may read", 404: "check url"}


class Reader:
    """`Source` of one URL."""

    def __init__(self, settings: HttpSource, timeout: int) -> None:
        self._settings = settings
        parts = urlsplit(settings.url)
        self._name = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"  # what else there is may be secret
        self._timeout = timeout
        self._validators: dict[str, str] = {}
        self._digest = b""
        self._last: Delivery | None = None

    def read(self) -> Delivery:
        """Each record; the same delivery as before where the server says, or shows, that nothing has changed."""
        fresh = self._fetch()
        assert fresh or self._last
        return fresh or self._last  # type: ignore[return-value]

    def fileno(self) -> int | None:
        """A web server says nothing by itself."""
        return None

    def news(self) -> Delivery | None:
        """Everything; None where it is the same as before."""
        return self._fetch()

    def close(self) -> None:
        """Forget what came last."""
        self._last = None
        self._validators = {}

    def _fetch(self) -> Delivery | None:
        """What the server has; None where that is `_last`."""
        token = read_secret(self._settings.token_file) if self._settings.token_file else None
        exchange = _Exchange(self._settings, self._name, token, self._validators if self._last else {}, self._timeout)
        try:
            body = within(self._timeout, exchange.body, exchange.cut)
        except TimeoutError:
            raise SourceFailed(f"{self._name}: no whole answer within {self._timeout} s", "see what it waits for, or set timeout") from None
        if body is None or (self._last and hashlib.blake2b(body).digest() == self._digest):
            self._validators = exchange.validators or self._validators
            return None
        self._last, self._validators = None, {}
        self._last = fetched_ports.delivery(body, self._name)
        self._digest, self._validators = hashlib.blake2b(body).digest(), exchange.validators
        return self._last


class _Exchange:
    """One question and its answer, in a thread that `cut` makes an end of."""

    def __init__(self, settings: HttpSource, name: str, token: str | None, conditions: dict[str, str], timeout: int) -> None:
        self.validators: dict[str, str] = {}
        self._name = name
        self._url = settings.url
        self._conditions = conditions
        self._deadline = time.monotonic() + timeout
        self._sockets: list[socket.socket] = []
        self._cut = False
        self._session = requests.Session()
        self._session.trust_env = False  # no proxy, and no ~/.netrc in the token's place
        system = ssl.get_default_verify_paths()
        self._session.verify = str(settings.ca_file or system.cafile or system.capath or True)
        self._session.headers["Accept"] = "application/json"
        self._session.headers["Accept-Encoding"] = "gzip"
        self._session.headers["User-Agent"] = "l3ctl"
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"
        for scheme in ("http://", "https://"):
            self._session.mount(scheme, _Adapter(self._hold))

    def body(self) -> bytes | None:
        """What it answers; None for 304. Raises `SourceFailed`."""
        try:
            with self._session, self._answer() as response:
                if response.status_code == 304 and self._conditions:
                    return None
                self._must_be_json(response)
                body = bytearray()
                for chunk in response.iter_content(_CHUNK):
                    body += chunk
                    if len(body) > SIZE_LIMIT:
                        raise SourceFailed(f"{self._name}: more than {SIZE_LIMIT >> 20} MiB", "check that it is the URL you mean")
                return bytes(body)
        except requests.exceptions.SSLError as error:
            raise SourceFailed(f"{self._name}: TLS: {_reason(error)}", "check the certificate's name, its date and ca_file") from None
        except (requests.RequestException, HTTPError, ValueError, OSError) as error:
            if time.monotonic() >= self._deadline:
                raise TimeoutError from None
            raise SourceFailed(f"{self._name}: {_reason(error)}", "check url, and that the server runs") from None

    def cut(self) -> None:
        """End it, from another thread."""
        self._cut = True
        for one in self._sockets:
            _shut(one)

    def _answer(self) -> requests.Response:
        """The first that is no redirection within the server."""
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            left = max(0.1, self._deadline - time.monotonic())
            response = self._session.get(url, headers=self._conditions, stream=True, allow_redirects=False, timeout=left)
            if response.status_code not in _REDIRECTS or "Location" not in response.headers:
                return response
            there = urljoin(url, response.headers["Location"])
            response.close()
            if (other := urlsplit(there))[:2] != urlsplit(url)[:2]:
                what = f"{self._name}: sends us to another server, {quoted(f'{other.scheme}://{other.netloc}')}"
                raise SourceFailed(what, "write that in url, if it is to have the token")
            url = there
        raise SourceFailed(f"{self._name}: sends us from one address to the next", "check url")

    def _must_be_json(self, response: requests.Response) -> None:
        status = response.status_code
        if status != 200:
            mend = _MENDS.get(status, "see its log" if status >= 500 else "check url")
            raise SourceFailed(f"{self._name}: answers with status {status}", mend)
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind in {"text/html", "application/xhtml+xml"}:
            raise SourceFailed(f"{self._name}: answers with a web page", "check url and token_file; a page for people to log in on?")
        pairs = (("If-None-Match", "ETag"), ("If-Modified-Since", "Last-Modified"))
        self.validators = {ask: response.headers[told] for ask, told in pairs if told in response.headers}

    def _hold(self, one: socket.socket) -> None:
        self._sockets.append(one)
        if self._cut:
            _shut(one)


def _shut(one: socket.socket) -> None:
    with suppress(OSError):
        socket.socket.shutdown(one, socket.SHUT_RDWR)  # not an SSLSocket's own, which would take its state from under the other thread


def _reason(error: BaseException) -> str:
    """The innermost of the exceptions that libraries wrap in one another, on one line."""
    inner: Any = error
    while nested := next(
        (one for one in (getattr(inner, "reason", None), *inner.args, inner.__cause__) if isinstance(one, Exception)), None
    ):
        inner = nested
    words = " ".join(str(inner.strerror if isinstance(inner, OSError) and inner.strerror else inner).split())
    return words[:200] or type(inner).__name__


class _Adapter(requests.adapters.HTTPAdapter):
    """Tells of each socket, once it is connected and TLS is agreed."""

    def __init__(self, hold: Any) -> None:
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
