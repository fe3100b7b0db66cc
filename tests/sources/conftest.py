"""One PostgreSQL for all tests, each of which has a database of its own."""

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest

from l3ctl.configuration import PostgresqlSource
from l3ctl.inventory.sources.postgresql import Reader
from tests.sources.billed import QUERY, Readers
from tests.sources.cluster import Cluster, running
from tests.sources.outcome import names

SCHEMA = Path(__file__).parents[2] / "configs" / "schema.sql"


@pytest.fixture(scope="session")
def cluster() -> Iterator[Cluster]:
    with running() as one:
        yield one


@pytest.fixture(scope="session")
def database(cluster: Cluster) -> str:
    return cluster.database()


@pytest.fixture
def connection(cluster: Cluster, database: str) -> Iterator[psycopg.Connection]:
    """Whoever writes, with nothing there."""
    with psycopg.connect(cluster.where(database), autocommit=True) as one:
        one.execute("DROP SCHEMA public CASCADE; CREATE SCHEMA public; GRANT ALL ON SCHEMA public TO PUBLIC")
        yield one


@pytest.fixture
def reader(cluster: Cluster, database: str) -> Iterator[Callable[..., Reader]]:
    """Makes readers of that database."""
    made: list[Reader] = []

    def make(query: str, channel: str | None = None, timeout: int = 10, where: str = "", password_file: Path | None = None) -> Reader:
        made.append(Reader(PostgresqlSource(where or cluster.where(database), query, channel, password_file), timeout))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture(scope="session")
def billing_database(cluster: Cluster) -> str:
    name = cluster.database()
    command = ["psql", "-X", "-q", "-1", "-v", "ON_ERROR_STOP=1", "-d", cluster.where(name), "-f", SCHEMA]
    subprocess.run(command, check=True, capture_output=True, text=True, timeout=30)
    return name


@pytest.fixture
def billing(cluster: Cluster, billing_database: str) -> Iterator[psycopg.Connection]:
    """A database made from configs/schema.sql, with nothing in it."""
    with psycopg.connect(cluster.where(billing_database), autocommit=True) as one:
        one.execute("DELETE FROM servers")  # TRUNCATE makes two dozen files anew
        yield one


@pytest.fixture
def writer(connection: psycopg.Connection) -> psycopg.Connection:
    """With web1 and web2 in a table that tells nothing by itself."""
    connection.execute("CREATE TABLE ports (name text PRIMARY KEY, vlan int)")
    connection.execute("INSERT INTO ports VALUES ('web1', 1), ('web2', 2)")
    return connection


@pytest.fixture
def listening(writer: psycopg.Connection, reader: Readers) -> Reader:
    source = reader(QUERY, "Ports")
    assert names(source.read()) == ["web1", "web2"]
    return source
