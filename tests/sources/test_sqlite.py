"""An SQLite database's rows are an inventory, or there is one line that says why not; and a commit is heard of."""

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from pathlib import Path

import pytest

from l3ctl.configuration import Inventory, SqliteSource
from l3ctl.errors import BadInput
from l3ctl.inventory import fetched_ports, load_inventory
from l3ctl.inventory.sources.sqlite import Reader
from tests.sources.outcome import lines_of, names, news, readable, values

TABLE = "CREATE TABLE ports (name TEXT PRIMARY KEY, ipv6, hosts, announce)"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "inventory?#%41.db"


@pytest.fixture(params=["delete", "truncate", "persist", "wal"])
def writer(path: Path, request: pytest.FixtureRequest) -> Iterator[sqlite3.Connection]:
    """Whoever writes, in each of the ways to commit."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        assert connection.execute(f"PRAGMA journal_mode = {request.param}").fetchone() == (request.param,)
        connection.execute(TABLE)
        connection.execute("INSERT INTO ports (name) VALUES ('web1')")
        yield connection


@pytest.fixture
def reader(path: Path) -> Iterator[Callable[..., Reader]]:
    made: list[Reader] = []

    def make(query: str = "SELECT * FROM ports ORDER BY name", timeout: int = 10) -> Reader:
        made.append(Reader(SqliteSource(path, query), timeout))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize(
    ("key", "written", "read"),
    [
        ("vlan", "11", "11"),
        ("vlan", "11.5", "11.5"),
        ("vlan", "'011'", "011"),
        ("vlan", "1e300 * 1e300", "inf"),
        ("mac", "x'00ff'", "X'00ff'"),
        ("mac", "CAST(x'52ff' AS TEXT)", "R\ufffd"),
        ("router", "'[r1'", "[r1"),
        ("announce", "0", False),
        ("announce", "1", True),
        ("source_guard", "'true'", True),
        ("qinq", "2", "2"),
        ("ipv6", "'2001:db8::/64'", ["2001:db8::/64"]),
        ("ipv6", "' 2001:db8::/64,2001:db8:1::/64\t2001:db8:2::/64\n'", ["2001:db8::/64", "2001:db8:1::/64", "2001:db8:2::/64"]),
        ("ipv4", "'[\"192.0.2.1\", 5]'", ["192.0.2.1", "5"]),
        ("ipv4", "''", []),
        ("ipv4", "json_array('192.0.2.1')", ["192.0.2.1"]),
        ("hosts", '\'[{"mac": "x", "link_local": null}]\'', [{"mac": "x"}]),
        ("bgp", "' {\"med\": 50}'", {"med": "50"}),
        ("bgp", '\'{"med": 1, "med": 2}\'', '{"med": 1, "med": 2}'),
        ("hosts", "'[broken'", "[broken"),
        ("hosts", "'none'", "none"),
    ],
)
def test_what_a_cell_becomes(path: Path, reader: Callable[..., Reader], key: str, written: str, read: object) -> None:
    path.touch()
    source = reader(f"SELECT 'web1' AS name, NULL AS guard, {written} AS {key};")
    assert values(source.read()) == [{"name": "web1", key: read}]


def test_its_rows_are_ports(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE t (name, mac, ipv6, ipv4)")
        connection.execute("INSERT INTO t VALUES ('web1', '52:54:00:0a:00:0b', '2001:db8:11::/64', '192.0.2.11')")
        connection.commit()
    query = "SELECT name, 'eth1' AS trunk, 11 AS vlan, mac, ipv6, ipv4 FROM t"
    assert [port.name for port in load_inventory(Inventory(SqliteSource(path, query)), "r1")] == ["web1"]
    told = lines_of(lambda: load_inventory(Inventory(SqliteSource(path, query.replace("11 AS", "4095 AS"))), "r1"), BadInput)
    assert told == [f"{path}: row 1 (web1): vlan: 'vlan' must be a whole number from 1 to 4094, found '4095'"]


def test_a_commit_is_heard_of(reader: Callable[..., Reader], writer: sqlite3.Connection) -> None:
    source = reader()
    assert source.fileno() is None
    assert names(source.read()) == ["web1"]
    for number in range(2, 5):
        writer.execute("INSERT INTO ports (name) VALUES (?)", [f"web{number}"])
        assert names(news(source)) == [f"web{one}" for one in range(1, number + 1)]
    writer.execute("DELETE FROM ports")
    assert names(news(source)) == []


def test_a_large_commit_is_heard_of_whole(reader: Callable[..., Reader], writer: sqlite3.Connection) -> None:
    source = reader()
    source.read()
    writer.execute("BEGIN")
    for number in range(2, 5000):
        writer.execute("INSERT INTO ports (name, hosts) VALUES (?, ?)", [f"web{number}", "x" * 500])
    writer.execute("COMMIT")
    assert len(news(source).records) == 4999


def test_what_changed_nothing_is_no_news(path: Path, reader: Callable[..., Reader], writer: sqlite3.Connection) -> None:
    source = reader()
    source.read()
    assert not readable(source, 0.3), "its own reading wakes it"
    writer.execute("UPDATE ports SET name = name")
    (path.parent / "another").write_text("x")
    while readable(source, 0.3):
        assert source.news() is None
    writer.execute("INSERT INTO ports (name) VALUES ('web2')")
    assert names(news(source)) == ["web1", "web2"]


def test_a_database_put_in_its_place_is_heard_of(path: Path, reader: Callable[..., Reader]) -> None:
    for name in ("web1", "web2"):
        with closing(sqlite3.connect(path.with_suffix(".new"))) as connection:
            connection.execute(TABLE)
            connection.execute("INSERT INTO ports (name) VALUES (?)", [name])
            connection.commit()
        if name == "web1":
            path.with_suffix(".new").rename(path)
            source = reader()
            source.read()
    path.with_suffix(".new").rename(path)
    assert names(news(source)) == ["web2"]
    path.unlink()
    assert lines_of(lambda: news(source), BadInput) == [f"{path}: no such file; check the path"]
    path.parent.rename(path.parent.with_suffix(".away"))
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(TABLE)
        assert values(source.read()) == []
        connection.execute("INSERT INTO ports (name) VALUES ('web3')")
        connection.commit()
    assert names(news(source)) == ["web3"]


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("SELEC 1", 'near "SELEC": syntax error; write one SELECT'),
        ("SELECT * FROM nowhere", "no such table: nowhere; write one SELECT"),
        ("SELECT missing", "no such column: missing; write one SELECT"),
        ("SELECT missing FROM ports", "no such column: missing; write one SELECT"),
        ("SELECT 1 AS name; SELECT 2", "You can only execute one statement at a time.; write one SELECT"),
        (
            "SELECT ? AS name",
            "Incorrect number of bindings supplied. The current statement uses 1, and there are 0 supplied.; write one SELECT",
        ),
        ("DELETE FROM ports", "attempt to write a readonly database; write one SELECT"),
        ("CREATE TABLE more (name)", "attempt to write a readonly database; write one SELECT"),
        ("-- nothing", "gives no rows; write a SELECT"),
        ("SELECT 1 AS a, 2 AS b", "gives no column 'name', only a, b; name one so, with AS"),
        ("SELECT 1 AS name, 2 AS name", "gives the column 'name' twice; name each once, with AS"),
    ],
)
def test_a_query_that_cannot_be_asked(path: Path, reader: Callable[..., Reader], query: str, line: str) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(TABLE)
    assert lines_of(reader(query).read, BadInput) == [f"inventory.sqlite.query: {line}"]


def test_a_query_that_does_not_end(path: Path, reader: Callable[..., Reader], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched_ports, "MOST_ROWS", 1000)
    path.touch()
    endless = "WITH RECURSIVE t(name) AS (SELECT 1 UNION ALL SELECT name + 1 FROM t) SELECT * FROM t"
    line = "inventory.sqlite.query: takes longer than 1 s; make it faster, or set timeout"
    assert lines_of(reader(f"{endless} WHERE name < 0", 1).read) == [line]
    line = "inventory.sqlite.query: gives more than 1000 rows; check how it joins its tables"
    assert lines_of(reader(endless, 60).read) == [line]


def test_a_database_that_is_locked(path: Path, reader: Callable[..., Reader]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(TABLE)
        connection.execute("BEGIN EXCLUSIVE")
        source = reader(timeout=1)
        assert lines_of(source.read) == [f"{path}: is locked, for longer than 1 s; see who writes to it, or set timeout"]
        connection.execute("COMMIT")
        assert values(source.read()) == []


def test_a_file_that_is_no_database(path: Path, reader: Callable[..., Reader]) -> None:
    source = reader()
    assert lines_of(source.read, BadInput) == [f"{path}: no such file; check the path"]
    path.mkdir()
    assert lines_of(source.read, BadInput) == [f"{path}: is not a file; check the path"]
    path.rmdir()
    path.write_bytes(b"no database" * 1000)
    assert lines_of(source.read, BadInput) == [f"{path}: file is not a database; check that it is the database you mean, or restore it"]
    assert not list(path.parent.glob("*-*"))


def test_a_damaged_database_is_refused_or_read(path: Path, reader: Callable[..., Reader]) -> None:
    """Each of its pages in turn."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(TABLE)
        connection.executemany("INSERT INTO ports (name, hosts) VALUES (?, ?)", [(f"web{number}", "x" * 300) for number in range(100)])
        connection.commit()
    whole = path.read_bytes()
    refused = 0
    for page in range(0, len(whole), 4096):
        path.write_bytes(whole[:page] + os.urandom(16) * 256 + whole[page + 4096 :])
        with suppress(BadInput):
            reader().read()
            continue
        refused += 1
    assert refused
    path.write_bytes(whole[: len(whole) // 2])
    assert lines_of(reader().read, BadInput) == [
        f"{path}: database disk image is malformed; check that it is the database you mean, or restore it"
    ]
