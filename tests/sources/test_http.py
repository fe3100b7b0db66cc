"""A web server's JSON is an inventory, or one line says why not: in time, in bounded memory, and with the token told to nobody else."""

import gzip
import http.server
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from l3ctl.configuration import HttpSource
from l3ctl.errors import BadInput
from l3ctl.inventory.sources.http import Reader
from tests.sources.outcome import lines_of, values

PORTS = b'{"ports": [{"name": "web1", "vlan": 11}]}'
LATE = "no whole answer within 1 s; see what it waits for, or set timeout"
Answer = Callable[["Handler"], None]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: "Server"

    def do_GET(self) -> None:
        self.server.asked.append((self.path, dict(self.headers)))
        with suppress(OSError):
            self.server.answer(self)

    def give(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        given = {key.replace("_", "-"): value for key, value in headers.items()}
        for key, value in {"Content-Type": "application/json", "Content-Length": str(len(body)), **given}.items():
            self.send_header(key, value)
        self.end_headers()
        self.wfile.write(body)

    def drip(self, chunk: bytes) -> None:
        """Again and again, until the other side has gone."""
        while not self.server.over.wait(0.05):
            self.wfile.write(chunk)
            self.wfile.flush()

    def log_message(self, *arguments: Any) -> None:
        """Nothing."""


class Server(http.server.ThreadingHTTPServer):
    answer: Answer
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[tuple[str, dict[str, str]]] = []
        self.over = threading.Event()

    def handle_error(self, *arguments: Any) -> None:
        """A client that goes away is meant to."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/ports"


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as one:
        thread = threading.Thread(target=one.serve_forever, args=(0.01,))
        thread.start()
        yield one
        one.over.set()
        one.shutdown()
        thread.join()


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text("s3cret\n")
    path.chmod(0o640)
    return path


def test_it_is_asked_for_json_with_the_token_of_the_moment(server: Server, token_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (token_file.parent / ".netrc").write_text("default login somebody password else")
    monkeypatch.setenv("HOME", str(token_file.parent))
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server.answer = lambda request: request.give(200, PORTS)
    source = Reader(HttpSource(server.url, token_file), 10)
    assert values(source.read()) == [{"name": "web1", "vlan": "11"}]
    token_file.write_text("another")
    source.read()
    assert [headers["Authorization"] for _, headers in server.asked] == ["Bearer s3cret", "Bearer another"]
    assert server.asked[0][1]["Accept"] == "application/json"
    assert source.fileno() is None


@pytest.mark.parametrize(("told", "asked"), [("ETag", "If-None-Match"), ("Last-Modified", "If-Modified-Since")])
def test_what_has_not_changed_is_not_sent_again(server: Server, told: str, asked: str) -> None:
    state = ["1", PORTS]

    def answer(request: Handler) -> None:
        if request.headers.get(asked) == state[0]:
            request.give(304)
        else:
            request.give(200, state[1], **{told: state[0]})

    server.answer = answer
    source = Reader(HttpSource(server.url), 10)
    first = source.read()
    assert source.read() is first
    assert source.news() is None
    state[:] = ["2", b"[]"]
    assert values(source.news()) == []
    assert source.news() is None
    assert [headers.get(asked) for _, headers in server.asked] == [None, "1", "1", "1", "2"]
    state[:] = ["3", b"["]
    lines_of(source.news, BadInput)
    state[1] = PORTS
    assert values(source.read()) == [{"name": "web1", "vlan": "11"}]
    assert [headers.get(asked) for _, headers in server.asked[5:]] == ["2", None]
    source.close()
    source.read()
    assert asked not in server.asked[-1][1]


def test_the_same_body_is_no_news_without_a_validator_either(server: Server) -> None:
    server.answer = lambda request: request.give(200, PORTS)
    source = Reader(HttpSource(server.url), 10)
    assert source.read() is source.read()
    assert source.news() is None


def test_a_compressed_answer_is_read(server: Server) -> None:
    server.answer = lambda request: request.give(200, gzip.compress(PORTS), Content_Encoding="gzip")
    assert values(Reader(HttpSource(server.url), 10).read()) == [{"name": "web1", "vlan": "11"}]


def test_a_server_may_send_us_on_to_itself_only(server: Server, token_file: Path) -> None:
    with Server() as other:
        threading.Thread(target=other.serve_forever, args=(0.01,), daemon=True).start()
        other.answer = lambda request: request.give(200, PORTS)
        there = ["/v2/ports"]

        def answer(request: Handler) -> None:
            if request.path == "/v2/ports":
                request.give(200, PORTS)
            else:
                request.give(302, Location=there[0])

        server.answer = answer
        source = Reader(HttpSource(server.url, token_file), 10)
        assert len(source.read().records) == 1
        here = f"127.0.0.1:{server.server_port}"
        for there[0], told in ((other.url, other.url.removesuffix("/ports")), (f"https://{here}/ports", f"https://{here}")):
            told = f"{server.url}: sends us to another server, '{told}'; write that in url, if it is to have the token"
            assert lines_of(source.read) == [told]
        there[0] = "/ports"
        assert lines_of(source.read) == [f"{server.url}: sends us from one address to the next; check url"]
        other.shutdown()
    assert other.asked == []


@pytest.mark.parametrize(
    ("answer", "line"),
    [
        (lambda request: request.give(401), "answers with status 401; check token_file"),
        (lambda request: request.give(404, b"<html>", Content_Type="text/html"), "answers with status 404; check url"),
        (lambda request: request.give(503), "answers with status 503; see its log"),
        (lambda request: request.give(304), "answers with status 304; check url"),
        (lambda request: request.give(204), "answers with status 204; check url"),
        (
            lambda request: request.give(200, b"<html>", Content_Type="text/HTML; charset=utf-8"),
            "answers with a web page; check url and token_file; a page for people to log in on?",
        ),
        (
            lambda request: request.give(200, b"no gzip", Content_Encoding="gzip"),
            "Error -3 while decompressing data: incorrect header check; check url",
        ),
        (
            lambda request: request.give(200, PORTS, Content_Length="1000"),
            "no whole answer within 1 s; see what it waits for, or set timeout",
        ),
        (lambda request: request.server.over.wait(5), LATE),
        (lambda request: request.drip(b"HTTP/1.1 200 OK\r\nX: "), LATE),
        (
            lambda request: (request.give(200, Content_Length="9999999"), request.drip(b" ")),
            "no whole answer within 1 s; see what it waits",
        ),
        (lambda request: request.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n\r\n"), "SSH-2.0-OpenSSH_9.2"),
        (lambda request: request.connection.shutdown(socket.SHUT_RDWR), "Remote end closed connection without response"),
        (lambda request: request.give(200, bytes(1 << 20) * 65), "more than 64 MiB; check that it is the URL you mean"),
        (lambda request: request.give(200, gzip.compress(bytes(1 << 27)), Content_Encoding="gzip"), "more than 64 MiB; check that it is"),
    ],
)
def test_an_answer_that_is_no_inventory(server: Server, answer: Answer, line: str) -> None:
    server.answer = answer
    told = lines_of(Reader(HttpSource(server.url), 1 if "within" in line else 20).read)
    assert told[0].startswith(f"{server.url}: {line}")
    assert len(told) == 1


@pytest.mark.parametrize(
    ("body", "line"),
    [
        (b"", "is empty; check what writes it"),
        (b"<html>", "not JSON: expecting value at line 1, column 1; check what writes it"),
        (b'{"results": []}', "missing key 'ports' in the answer; add it"),
    ],
)
def test_a_body_that_is_no_inventory(server: Server, body: bytes, line: str) -> None:
    server.answer = lambda request: request.give(200, body)
    assert lines_of(Reader(HttpSource(f"{server.url}?key=secret"), 10).read, BadInput)[0] == f"{server.url}: {line}"


def test_nobody_there_and_no_such_name() -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/"
    assert lines_of(Reader(HttpSource(url), 10).read) == [f"{url}: Connection refused; check url, and that the server runs"]
    told = lines_of(Reader(HttpSource("http://u:p@nowhere.invalid/?key=secret"), 20).read)
    assert told[0].startswith("http://nowhere.invalid/: ")


def test_a_connection_that_is_never_accepted() -> None:
    with closing(socket.create_server(("127.0.0.1", 0), backlog=0)) as server, closing(socket.socket()) as other:
        other.connect(server.getsockname())  # fills the queue, so that the kernel drops whatever else comes
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert lines_of(Reader(HttpSource(url), 1).read) == [f"{url}: {LATE}"]


def test_what_was_given_up_ends(server: Server) -> None:
    server.answer = lambda request: request.drip(b"HTTP/1.1 200 OK\r\nX: ")
    lines_of(Reader(HttpSource(server.url), 1).read)
    deadline = time.monotonic() + 20
    while any(thread.name == "inventory source" for thread in threading.enumerate()):
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("text", "mode", "line"),
    [
        ("s3cret", 0o644, "may be read or changed by everybody; chmod o= {}"),
        ("", 0o600, "must hold one line of text; write the secret there, and nothing else"),
        ("a\nb", 0o600, "must hold one line of text; write the secret there, and nothing else"),
        ("\xff\xfe", 0o600, "must hold one line of text; write the secret there, and nothing else"),
        (None, 0, "no such file; check the path"),
    ],
)
def test_a_token_that_cannot_be_used(server: Server, tmp_path: Path, text: str | None, mode: int, line: str) -> None:
    path = tmp_path / "token"
    if text is not None:
        path.write_bytes(text.encode("latin-1"))
        path.chmod(mode)
    assert lines_of(Reader(HttpSource(server.url, path), 10).read, BadInput) == [f"{path}: {line.format(path)}"]
    assert server.asked == []


def test_a_certificate_is_checked(server: Server, tmp_path: Path) -> None:
    server.answer = lambda request: request.give(200, PORTS)
    for name in ("127.0.0.1", "127.0.0.2"):
        words = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"]
        files = ["-keyout", str(tmp_path / f"{name}.key"), "-out", str(tmp_path / f"{name}.pem")]
        subprocess.run([*words, "-subj", f"/CN={name}", "-addext", f"subjectAltName=IP:{name}", *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "127.0.0.1.pem", tmp_path / "127.0.0.1.key")
    server.socket = context.wrap_socket(server.socket, server_side=True)
    url = server.url.replace("http:", "https:")
    assert len(Reader(HttpSource(url, ca_file=tmp_path / "127.0.0.1.pem"), 10).read().records) == 1
    for ca_file in (None, tmp_path / "127.0.0.2.pem"):
        assert lines_of(Reader(HttpSource(url, ca_file=ca_file), 10).read)[0].startswith(f"{url}: TLS: ")
    told = lines_of(Reader(HttpSource(url, ca_file=tmp_path / "none.pem"), 10).read)
    assert "none.pem" in told[0]
    told = lines_of(Reader(HttpSource(url.replace("https:", "http:")), 10).read)
    assert len(told) == 1


def test_without_the_library_it_says_how_to_get_it() -> None:
    script = """
import sys
sys.modules["requests"] = None
from l3ctl.configuration import HttpSource, Inventory
from l3ctl.errors import MissingRequirement
from l3ctl.inventory.sources import open_source
try:
    open_source(Inventory(HttpSource("http://127.0.0.1/")))
except MissingRequirement as error:
    print(*error.lines())
"""
    told = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert told.stdout == "the library requests is not installed; install what pyproject.toml has under 'http'\n"
