"""A PostgreSQL of this run's own: in a temporary folder, reached by a socket in it, ended with the process that made it."""

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

import psycopg

PROGRAMS = Path("/usr/lib/postgresql/15/bin")
WAIT = 30
"""seconds for what takes one or two"""
HBA = """
local all secretive scram-sha-256
local all all trust
"""
SETTINGS = {
    "listen_addresses": "",
    "fsync": "off",
    "full_page_writes": "off",
    "max_connections": "40",
    "shared_buffers": "64MB",
    "autovacuum": "off",
    "min_wal_size": "32MB",
    "max_wal_size": "32MB",
}


class Cluster:
    """Runs between `start` and `kill` or `stop`; what was written stays until `remove`."""

    def __init__(self) -> None:
        memory = Path("/dev/shm")
        roomy = memory.is_dir() and shutil.disk_usage(memory).free > 1 << 30
        # Its path is short: a socket's has 107 bytes.
        self.folder = Path(tempfile.mkdtemp(prefix="l3ctl-pg", dir=memory if roomy else None))
        self._server: subprocess.Popen[bytes] | None = None
        self._numbers = count()
        # PostgreSQL refuses to be root.
        self._as_postgres = ["setpriv", "--pdeathsig", "INT"]
        if os.geteuid() == 0:
            shutil.chown(self.folder, "postgres", "postgres")
            self._as_postgres += ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
        options = ("--no-sync", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--locale=C.UTF-8", "--no-instructions")
        subprocess.run([*self._as_postgres, PROGRAMS / "initdb", *options, "-D", self.data], check=True, capture_output=True, cwd="/")
        (self.data / "pg_hba.conf").write_text(HBA)

    @property
    def data(self) -> Path:
        return self.folder / "data"

    @property
    def pid(self) -> int:
        assert self._server
        return self._server.pid

    def start(self) -> None:
        """Whoever was killed may leave children behind for a moment, and until then there is no starting anew."""
        deadline = time.monotonic() + WAIT
        words = [f"--{key}={value}" for key, value in SETTINGS.items()]
        while True:
            with (self.folder / "log").open("ab") as log:
                command = [*self._as_postgres, PROGRAMS / "postgres", "-D", self.data, "-k", self.folder, *words]
                self._server = subprocess.Popen(command, stdout=log, stderr=log, cwd="/")
            while self._server.poll() is None:
                try:
                    psycopg.connect(self.where("postgres")).close()
                except psycopg.OperationalError:
                    assert time.monotonic() < deadline, (self.folder / "log").read_text()
                    time.sleep(0.02)
                else:
                    return
            assert time.monotonic() < deadline, (self.folder / "log").read_text()
            time.sleep(0.1)

    def kill(self) -> None:
        """As a crash would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """Without waiting for those that are connected."""
        self._end(signal.SIGINT)

    def remove(self) -> None:
        if self._server and self._server.poll() is None:
            self._end(signal.SIGQUIT)  # nothing has to be kept
        shutil.rmtree(self.folder)

    def where(self, database: str, user: str = "postgres") -> str:
        return f"host={self.folder} dbname={database} user={user}"

    def database(self, template: str = "template1") -> str:
        """A new one, empty or like another that nobody is connected to."""
        name = f"billing{next(self._numbers)}"
        with psycopg.connect(self.where("postgres"), autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name

    def _end(self, signum: int) -> None:
        assert self._server
        with suppress(ProcessLookupError):  # ended already
            os.kill(self._server.pid, signum)
        try:
            self._server.wait(WAIT)
        except subprocess.TimeoutExpired:
            self._server.kill()
            raise


@contextmanager
def running() -> Iterator[Cluster]:
    """One that is there for as long as it is used."""
    one = Cluster()
    try:
        one.start()
        yield one
    finally:
        one.remove()
