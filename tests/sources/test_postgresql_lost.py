"""PostgreSQL may end, hang, be locked or be none: one line says so, in time, and when it is back nothing was missed."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import psycopg
import pytest

from l3ctl.configuration import PostgresqlSource
from l3ctl.errors import BadInput, SourceFailed
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.sources.postgresql import Reader
from tests.sources.billed import LATE, QUERY, Readers, notify, told
from tests.sources.cluster import Cluster
from tests.sources.outcome import lines_of, names, news, readable


def backends(writer: psycopg.Connection) -> set[int]:
    """The readers' processes on this database, those of earlier tests included."""
    asked = "SELECT pid FROM pg_stat_activity WHERE application_name = 'l3ctl' AND datname = current_database()"
    return {pid for (pid,) in writer.execute(asked).fetchall()}


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def test_a_connection_that_is_ended_is_told_of_once(writer: psycopg.Connection, listening: Reader) -> None:
    for pid in backends(writer):
        writer.execute("SELECT pg_terminate_backend(%s)", [pid])
    told_lines = lines_of(lambda: news(listening))
    assert told_lines[0].startswith("postgresql: consuming input failed: server closed the connection unexpectedly")
    assert listening.fileno() is None
    writer.execute("INSERT INTO ports VALUES ('web3')")
    assert told(listening.news()) == (["web1", "web2", "web3"], set(), True)
    notify(writer, "web1")
    assert told(news(listening)) == (["web1"], set(), False)


@pytest.fixture
def mortal(cluster: Cluster) -> Iterator[Cluster]:
    """It runs again for the other tests."""
    yield cluster
    cluster.stop()
    cluster.start()


def test_a_server_that_is_killed_and_comes_back(mortal: Cluster) -> None:
    where = mortal.where("postgres")
    with psycopg.connect(where, autocommit=True) as first:
        first.execute("CREATE TABLE ports AS SELECT 'web1' AS name")
        source = Reader(PostgresqlSource(where, QUERY, "Ports"), 10)
        source.read()
        mortal.kill()
    assert lines_of(lambda: news(source))[0].startswith("postgresql: ")
    assert source.fileno() is None
    assert lines_of(source.read)[0].endswith("; check connection and password_file, and that the server runs")
    mortal.start()
    assert names(source.read()) == ["web1"]
    with psycopg.connect(where, autocommit=True) as second:
        notify(second, "web1", "web2")
        assert told(news(source)) == (["web1"], {"web2"}, False)
    mortal.stop()
    lines_of(lambda: news(source))
    mortal.start()
    with stopped(mortal.pid):
        assert lines_of(Reader(PostgresqlSource(where, QUERY), 1).read) == [LATE]
    assert names(source.read()) == ["web1"]
    source.close()


def test_a_server_process_that_hangs(writer: psycopg.Connection, reader: Readers) -> None:
    others = backends(writer)
    source = reader(QUERY, "Ports", timeout=1)
    source.read()
    (pid,) = backends(writer) - others
    with stopped(pid):
        assert lines_of(source.read) == [LATE]
        assert source.fileno() is None
        assert names(source.read()) == ["web1", "web2"]
    (pid,) = backends(writer) - others - {pid}
    notify(writer, "web1")
    assert readable(source)
    with stopped(pid):
        assert lines_of(source.news) == [LATE]
    assert told(source.news()) == (["web1", "web2"], set(), True)


def test_a_table_that_is_locked(cluster: Cluster, writer: psycopg.Connection, reader: Readers) -> None:
    source = reader(QUERY, "Ports", timeout=1)
    source.read()
    notify(writer, "web1")
    with psycopg.connect(cluster.where(writer.info.dbname)) as other:
        other.execute("LOCK TABLE ports")
        mend = "see who holds a lock or what takes so long, or set timeout"
        for work in (lambda: news(source), source.read):
            assert lines_of(work) == [f"inventory.postgresql.query: canceling statement due to lock timeout; {mend}"]
        assert lines_of(reader("SELECT 'a' AS name FROM pg_sleep(1000)", timeout=1).read) == [
            f"inventory.postgresql.query: canceling statement due to statement timeout; {mend}"
        ]
    assert told(source.news()) == (["web1", "web2"], set(), True)


def test_a_table_that_is_away_and_back(writer: psycopg.Connection, listening: Reader) -> None:
    writer.execute("DROP TABLE ports; NOTIFY \"Ports\", 'web1'")
    assert lines_of(lambda: news(listening), BadInput)[0].startswith('inventory.postgresql.query: relation "ports" does not exist')
    assert listening.fileno() is None
    writer.execute("CREATE TABLE ports (name text)")
    assert listening.read() == Delivery([])


@pytest.mark.parametrize("greeting", [b"", b"HTTP/1.1 400 Bad Request\r\n\r\n", b"N" * 100])
def test_what_is_no_database(greeting: bytes) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        where = f"host=127.0.0.1 port={server.getsockname()[1]} dbname=x user=x sslmode=disable"

        def greet() -> None:
            one, _ = server.accept()
            with one, suppress(OSError):
                one.sendall(greeting)
                one.settimeout(10)
                while one.recv(1000):
                    pass

        greeting_thread = threading.Thread(target=greet)
        greeting_thread.start()
        told_lines = lines_of(Reader(PostgresqlSource(where, QUERY), 1).read)
        assert told_lines == [LATE] if not greeting else told_lines[0].startswith("postgresql: connection failed: ")
        if greeting:
            greeting_thread.join()


def test_who_may_not_come_in(cluster: Cluster, writer: psycopg.Connection, reader: Readers, tmp_path: Path) -> None:
    writer.execute("CREATE ROLE secretive LOGIN PASSWORD 'open sesame'")
    writer.execute("GRANT SELECT ON ports TO secretive")
    where = cluster.where(writer.info.dbname, "secretive")
    password = tmp_path / "password"
    mend = "check connection and password_file, and that the server runs"
    source = reader(QUERY, "Ports", where=where, password_file=password)
    assert lines_of(source.read, BadInput) == [f"{password}: no such file; check the path"]
    password.write_text("open rye\n")
    assert lines_of(source.read, BadInput) == [f"{password}: may be read or changed by everybody; chmod o= {password}"]
    password.chmod(0o600)
    (line,) = lines_of(source.read)
    assert line.endswith(f'FATAL: password authentication failed for user "secretive"; {mend}')
    assert "rye" not in line
    password.write_text("open sesame\n")
    assert names(source.read()) == ["web1", "web2"]
    assert lines_of(reader(QUERY, where=where).read)[0].endswith(f"fe_sendauth: no password supplied; {mend}")
    writer.execute("DROP OWNED BY secretive; DROP ROLE secretive")


@pytest.mark.parametrize(
    ("where", "line"),
    [
        ("hots=x", 'inventory.postgresql.connection: invalid connection option "hots"; write it as for psql'),
        ("host", 'inventory.postgresql.connection: missing "=" after "host" in connection info string; write it as for psql'),
        ("host=/nowhere dbname=x", "postgresql: connection is bad: connection to server on socket"),
        ("host=127.0.0.1 port=1 dbname=x", 'postgresql: connection failed: connection to server at "127.0.0.1", port 1 failed: Connection'),
        ("host=nowhere.invalid", "postgresql: "),
    ],
)
def test_a_connection_that_cannot_be_made(where: str, line: str) -> None:
    source = Reader(PostgresqlSource(where, QUERY), 20)
    assert lines_of(source.read, BadInput if "write" in line else SourceFailed)[0].startswith(line)
    source.close()
    source.close()
