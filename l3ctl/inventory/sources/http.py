"""The inventory as JSON from a web server, which is asked for it anew only if it has changed."""

import hashlib
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
    from urllib3.exceptions import HTTPError
except ImportError as missing:
    raise MissingRequirement("the library requests is not installed", "install what pyproject.toml has under 'http'") from missing

from l3ctl.inventory.sources.web_session import WebSession, reason

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
        self._session = WebSession(settings.ca_file, timeout)
        self._session.headers["Accept"] = "application/json"
        if token:
            self._session.headers["Authorization"] = f"Bearer {token}"

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
            raise SourceFailed(f"{self._name}: TLS: {reason(error)}", "check the certificate's name, its date and ca_file") from None
        except (requests.RequestException, HTTPError, ValueError, OSError) as error:
            if self._session.is_over:
                raise TimeoutError from None
            raise SourceFailed(f"{self._name}: {reason(error)}", "check url, and that the server runs") from None

    def cut(self) -> None:
        """End it, from another thread."""
        self._session.cut()

    def _answer(self) -> requests.Response:
        """The first that is no redirection within the server."""
        url = self._url
        for _ in range(_MOST_REDIRECTS + 1):
            response = self._session.get(url, headers=self._conditions, stream=True, allow_redirects=False)
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
