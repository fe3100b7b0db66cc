"""Servers that are no NetBox, or none that works, seen by its reader. The real one is in tests/netbox."""

import json
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from l3ctl.configuration import NetboxSource
from l3ctl.errors import SourceFailed
from l3ctl.inventory.sources.netbox import Reader

Answer = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Starts a server that answers so; its URL."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Answer, tls: ssl.SSLContext | None = None) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                with suppress(OSError):  # whoever asked has gone
                    answer(self)

            def log_message(self, *words: object) -> None: ...

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.handle_error = lambda *_: None  # type: ignore[method-assign]
        if tls:
            server.socket = tls.wrap_socket(server.socket, server_side=True)
        servers.append(server)
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        return f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


@pytest.fixture
def failure(tmp_path: Path) -> Callable[..., str]:
    """What a reading fails with, without its URL."""

    def read(url: str, timeout: int = 20, ca_file: Path | None = None) -> str:
        token = tmp_path / "token"
        token.write_text("0123456789abcdef0123456789abcdef01234567\n")
        token.chmod(0o600)
        with pytest.raises(SourceFailed) as failed:
            Reader(NetboxSource(url, token, ca_file=ca_file), timeout).read()
        (line,) = failed.value.lines()
        assert line.startswith(f"{url}: ")
        return line.removeprefix(f"{url}: ")

    return read


def replies(status: int, body: str | bytes, kind: str = "application/json") -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        raw = body if isinstance(body, bytes) else body.encode()
        handler.send_response(status)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(raw)))
        handler.end_headers()
        handler.wfile.write(raw)

    return answer


def page(*rows: Any, many: int = 0) -> str:
    return json.dumps({"count": many or len(rows), "next": None, "previous": None, "results": rows})


NO_LIST = "/api/dcim/interfaces/ gives no list of objects; see that NetBox 4.2 or later answers there"
NO_JSON = "answers with something else than JSON; check url; a page for people to log in on?"


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, "<html>Log in</html>", NO_JSON),
        (200, "", NO_JSON),
        (200, '{"count": 1, "results": [', NO_JSON),
        (200, b"\xff\xfe\x00", NO_JSON),
        (200, "[" * 100_000, NO_LIST),
        (200, "7", NO_LIST),
        (200, "null", NO_LIST),
        (200, "{}", NO_LIST),
        (200, '{"status": "fine"}', NO_LIST),
        (200, '{"count": null, "results": []}', NO_LIST),
        (200, '{"count": 1, "results": {"id": 1}}', NO_LIST),
        (200, '{"count": 1, "results": ["x"]}', NO_LIST),
        (200, page({"id": "seventeen", "last_updated": None}), NO_LIST),
        (
            400,
            '{"fields": ["unknown"]}',
            "answers /api/dcim/interfaces/ with status 400 ({'fields': ['unknown']}); see that NetBox 4.2 or later answers there",
        ),
        (401, '{"detail": "no"}', "answers /api/dcim/interfaces/ with status 401 (no); check token_file"),
        (404, "not here", "answers /api/dcim/interfaces/ with status 404; check url, which ends before /api"),
        (
            429,
            '{"detail": "Request was throttled."}',
            "answers /api/dcim/interfaces/ with status 429 (Request was throttled.); ask less often, with interval",
        ),
        (500, "<h1>Server Error</h1>", "answers /api/dcim/interfaces/ with status 500; see NetBox's log"),
        (502, "Bad Gateway", "answers /api/dcim/interfaces/ with status 502; see NetBox's log"),
        (503, '["a", "list"]', "answers /api/dcim/interfaces/ with status 503 (['a', 'list']); see NetBox's log"),
    ],
)
def test_an_answer_that_is_no_list_of_objects_is_told_in_one_line(
    serve: Callable[..., str], failure: Callable[..., str], status: int, body: str | bytes, said: str
) -> None:
    assert failure(serve(replies(status, body))) == said


def test_pages_that_repeat_themselves_are_told(serve: Callable[..., str], failure: Callable[..., str]) -> None:
    row = {"id": 1, "last_updated": None, "name": "eth0", "device": {"name": "d"}, "primary_mac_address": None, "custom_fields": {}}
    url = serve(replies(200, page(row, many=5000)))
    assert failure(url) == "/api/dcim/interfaces/ gives the same objects again and again; see that NetBox 4.2 or later answers there"


def no_end(handler: BaseHTTPRequestHandler) -> None:
    """Pages of ever new objects."""
    last = int(parse_qs(urlsplit(handler.path).query).get("id__gt", ["0"])[0])
    row = {"id": last + 1, "last_updated": None, "name": "e", "device": {"name": "d"}, "primary_mac_address": None, "custom_fields": {}}
    replies(200, page(row, many=5000))(handler)


def drips(*parts: bytes) -> Answer:
    """A byte every now and then, for ever."""

    def answer(handler: BaseHTTPRequestHandler) -> None:
        for part in parts:
            handler.wfile.write(part)
        for _ in count():
            handler.wfile.write(b" ")
            handler.wfile.flush()
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    "answer",
    [
        no_end,
        drips(),
        drips(b"HTTP/1.1 200 OK\r\nX: "),
        drips(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n{"),
        lambda _: time.sleep(3),
    ],
    ids=["pages without an end", "no status", "no end of headers", "no end of the body", "nothing at all"],
)
def test_what_has_no_end_is_given_up(serve: Callable[..., str], failure: Callable[..., str], answer: Answer) -> None:
    assert failure(serve(answer), timeout=1) == "no whole answer within 1 s; see what NetBox waits for, or set timeout"


def test_whom_nobody_reaches_is_told(failure: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
    assert failure(url) == "Connection refused; check url, and that NetBox runs"
    assert failure("http://netbox.invalid").endswith("; check url, and that NetBox runs")


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """For 127.0.0.1, signed by itself, with its key."""
    file = tmp_path / "server.pem"
    name = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", *name)
    subprocess.run([*made, "-keyout", file, "-out", tmp_path / "certificate"], check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "certificate").read_text())
    return file


def test_a_certificate_that_nobody_vouches_for_is_told_and_ca_file_may(
    serve: Callable[..., str], failure: Callable[..., str], certificate: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    url = serve(replies(503, ""), tls)
    assert failure(url).startswith("TLS: ")
    assert failure(url).endswith("; check the certificate's name, its date and ca_file")
    assert failure(url, ca_file=certificate) == "answers /api/dcim/interfaces/ with status 503; see NetBox's log"
    assert failure(url.replace("127.0.0.1", "localhost"), ca_file=certificate).startswith("TLS: ")


def test_a_server_without_tls_where_https_was_named_is_told(serve: Callable[..., str], failure: Callable[..., str]) -> None:
    assert failure(serve(replies(200, page())).replace("http:", "https:")).startswith("TLS: ")


def test_a_redirection_that_leads_nowhere_is_told(serve: Callable[..., str], failure: Callable[..., str]) -> None:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(302)
        handler.send_header("Location", handler.path)
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    assert failure(serve(answer)).endswith("; check url, and that NetBox runs")
