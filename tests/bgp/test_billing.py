"""From a commit in the billing database to a route at the peer, and what a database that fails may take away: nothing.

A real PostgreSQL with configs/schema.sql, a real agent, ExaBGP and BIRD, in the lab.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import quantiles

import psycopg
import pytest

from l3ctl.errors import LabFailed
from l3ctl.lab.bird import BirdSocket
from l3ctl.lab.customers import CUSTOMERS
from l3ctl.lab.topology import Lab
from tests.sources.cluster import Cluster, running

pytestmark = [pytest.mark.root, pytest.mark.bpf]
WHOLE = 60.0
"""seconds after which something has gone wrong"""
CHANGES = int(os.environ.get("L3CTL_CHANGES", "20"))
"""commits that are timed"""
SCHEMA = Path(__file__).parents[2] / "configs" / "schema.sql"
TIMEOUT = 2
WEB1, DB1, ROGUE = CUSTOMERS
EVERYBODY = {prefix for one in CUSTOMERS for prefix in (str(one.ipv6), f"{one.ipv4}/32")}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Cluster]:
    with running() as one:
        yield one


@pytest.fixture(scope="module")
def database(cluster: Cluster) -> str:
    name = cluster.database()
    with psycopg.connect(cluster.where(name), autocommit=True) as connection:
        connection.execute(SCHEMA.read_text().encode())
        bill(connection)
    return name


@pytest.fixture
def billing(cluster: Cluster, database: str) -> Iterator[psycopg.Connection]:
    """Whoever bills, each statement a commit."""
    with psycopg.connect(cluster.where(database), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def lab(cluster: Cluster, database: str) -> Iterator[Lab]:
    """One for all these tests, each of which leaves everybody billed and announced."""
    source = f'{{connection: "{cluster.where(database, "l3ctl")}", query: SELECT * FROM l3ctl_ports, channel: l3ctl}}'
    inventory = f"inventory: {{postgresql: {source}, timeout: {TIMEOUT}, interval: 2}}"

    def config(text: str) -> str:
        (line,) = [line for line in text.splitlines() if line.startswith("inventory:")]
        return text.replace(line, inventory)

    one = Lab(f"l3t{os.getpid()}b", config)
    one.up()
    yield one
    one.down()


def bill(connection: psycopg.Connection, *customers: str) -> None:
    """These, or all, in one transaction."""
    with connection.transaction():
        for one in (each for each in CUSTOMERS if not customers or each.name in customers):
            connection.execute("INSERT INTO servers (name) VALUES (%s)", (one.name,))
            port = (one.name, one.name, one.port)
            connection.execute("INSERT INTO ports (name, server, router, interface) VALUES (%s, %s, 'r1', %s)", port)
            connection.execute("INSERT INTO hosts (port, mac) VALUES (%s, %s)", (one.name, one.lladdr))
            connection.execute("INSERT INTO prefixes VALUES (%s, %s, %s)", (str(one.ipv6), one.name, one.lladdr))
            connection.execute("INSERT INTO addresses VALUES (%s, %s, %s)", (str(one.ipv4), one.name, one.lladdr))


def wait_for(lab: Lab, prefixes: set[str]) -> None:
    lab.wait(f"{sorted(prefixes)}", lambda: lab.bird_prefixes() == prefixes, WHOLE)


def inventory(lab: Lab) -> dict[str, list[str]]:
    told: dict[str, list[str]] = lab.status()["inventory"]
    return told


def wait_for_trouble(lab: Lab, said: str) -> None:
    try:
        lab.wait(said, lambda: said in " ".join(inventory(lab)["trouble"]), WHOLE)
    except LabFailed as error:
        raise AssertionError(inventory(lab)) from error
    assert lab.bird_prefixes() == EVERYBODY, "nothing is withdrawn that should stand"


def wait_for_no_trouble(lab: Lab) -> None:
    try:
        lab.wait("the end of the trouble", lambda: not inventory(lab)["trouble"] and not inventory(lab)["quarantined"], WHOLE)
    except LabFailed as error:
        raise AssertionError(lab.status()["failed"], inventory(lab), (lab.run_dir / "agent.log").read_text()[-3000:]) from error
    assert lab.bird_prefixes() == EVERYBODY


def routes(lab: Lab) -> set[str]:
    return {route["dst"] for route in json.loads(lab.router.run("ip", "-6", "-j", "route", "show", "proto", "201"))}


def test_a_commit_reaches_the_kernel_and_the_peer(lab: Lab, billing: psycopg.Connection) -> None:
    """And how long that takes, for whoever asks with -s: `L3CTL_CHANGES=200 pytest -s -k commit_reaches`."""
    wait_for(lab, EVERYBODY)
    took: list[float] = []
    with BirdSocket(lab.upstream.control) as bird:
        for number in range(CHANGES):
            prefix, there = f"2001:db8:f:{number // 2 + 1:x}::/64", number % 2 == 0
            if there:
                billing.execute("INSERT INTO prefixes VALUES (%s, %s, %s)", (prefix, WEB1.name, WEB1.lladdr))
            else:
                billing.execute("DELETE FROM prefixes WHERE prefix = %s", (prefix,))
            committed = time.monotonic()
            while (prefix in bird.ask("show route", prefix)) != there:
                assert time.monotonic() < committed + WHOLE, lab.status()
                time.sleep(0.002)
            took.append(1000 * (time.monotonic() - committed))
            if there:
                assert prefix in routes(lab), "announced, so installed"
            time.sleep(0.02)
    cuts = quantiles(took, n=100)
    print(f"\n{CHANGES} commits, each until BIRD has it: p50 {cuts[49]:.0f} ms, p99 {cuts[98]:.0f} ms, longest {max(took):.0f} ms")
    assert lab.bird_prefixes() == EVERYBODY


def test_a_whole_transaction_is_one_change(lab: Lab, billing: psycopg.Connection) -> None:
    """Two customers swap their addresses, which no order of two changes could do."""
    swap = "UPDATE addresses SET port = %s, mac = %s WHERE address = %s"
    with billing.transaction():
        for one, other in ((WEB1, DB1), (DB1, WEB1)):
            billing.execute(swap, (other.name, other.lladdr, str(one.ipv4)))
    lab.wait("the swap", lambda: via(lab, DB1.port) == {str(WEB1.ipv4)} and via(lab, WEB1.port) == {str(DB1.ipv4)}, WHOLE)
    with billing.transaction():
        for one in (WEB1, DB1):
            billing.execute(swap, (one.name, one.lladdr, str(one.ipv4)))
    lab.wait("the swap back", lambda: via(lab, WEB1.port) == {str(WEB1.ipv4)} and via(lab, DB1.port) == {str(DB1.ipv4)}, WHOLE)
    wait_for(lab, EVERYBODY)


def via(lab: Lab, interface: str) -> set[str]:
    return {route["dst"] for route in json.loads(lab.router.run("ip", "-4", "-j", "route", "show", "proto", "201", "dev", interface))}


def test_a_database_that_is_killed_takes_nothing_with_it(lab: Lab, cluster: Cluster, database: str) -> None:
    cluster.kill()
    wait_for_trouble(lab, "postgresql: ")
    lab.link_down(DB1)
    wait_for(lab, EVERYBODY - {str(DB1.ipv6), f"{DB1.ipv4}/32"})
    lab.link_up(DB1)
    wait_for(lab, EVERYBODY)
    cluster.start()
    wait_for_no_trouble(lab)
    prefix = "2001:db8:f:ffff::/64"
    with psycopg.connect(cluster.where(database), autocommit=True) as billing:
        billing.execute("INSERT INTO prefixes VALUES (%s, %s, %s)", (prefix, WEB1.name, WEB1.lladdr))
        wait_for(lab, EVERYBODY | {prefix})
        billing.execute("DELETE FROM prefixes WHERE prefix = %s", (prefix,))
        wait_for(lab, EVERYBODY)


def test_an_agent_that_starts_while_the_database_is_away_serves_the_last_good_copy(lab: Lab, cluster: Cluster) -> None:
    cluster.kill()
    assert lab.agent is not None
    lab.agent.terminate()
    lab.agent.wait(WHOLE)
    lab.start_agent()
    assert len(lab.status()["ports"]) == 3
    wait_for_trouble(lab, "postgresql: ")
    assert "not read yet: the last good copy serves" in lab.l3ctl("status", ok=(1,))
    cluster.start()
    wait_for_no_trouble(lab)


@pytest.mark.parametrize("emptied", ["TRUNCATE servers CASCADE", "DELETE FROM ports", "TRUNCATE prefixes, addresses"])
def test_an_empty_dump_is_not_believed(lab: Lab, billing: psycopg.Connection, emptied: str) -> None:
    with billing.transaction():
        billing.execute(emptied.encode())
    wait_for_trouble(lab, "all 3 ports of this router would go")
    told = json.loads(lab.l3ctl("inventory", "diff", "--json", ok=(2,)))
    assert [change["name"] for change in told["changes"]] == sorted(one.name for one in CUSTOMERS)
    assert "cannot be used as it is" in lab.l3ctl("status", ok=(1,))
    with billing.transaction():
        billing.execute(b"TRUNCATE servers CASCADE")
        bill(billing)
    wait_for_no_trouble(lab)


def test_what_is_really_gone_goes_when_somebody_confirms_it(lab: Lab, billing: psycopg.Connection) -> None:
    with billing.transaction():
        for one in (DB1, ROGUE):
            billing.execute("DELETE FROM servers WHERE name = %s", (one.name,))
    wait_for_trouble(lab, "2 of 3 ports would go")
    assert re.fullmatch(r"confirmed: \d+ changes made\n", lab.l3ctl("inventory", "confirm"))
    wait_for(lab, {str(WEB1.ipv6), f"{WEB1.ipv4}/32"})
    assert "nothing waits to be confirmed" in failing(lab, "inventory", "confirm")
    bill(billing, DB1.name, ROGUE.name)
    wait_for(lab, EVERYBODY)
    latest = json.loads(lab.l3ctl("inventory", "history", "--json"))["versions"]
    assert [(one["added"], one["changed"], one["removed"]) for one in latest[:2]] == [(2, 0, 0), (0, 0, 2)]
    told = json.loads(lab.l3ctl("inventory", "history", str(latest[1]["serial"]), "--json"))["changes"]
    assert [(one["name"], one["verb"]) for one in told] == [(DB1.name, "remove"), (ROGUE.name, "remove")]


def failing(lab: Lab, *arguments: str) -> str:
    command = ["ip", "netns", "exec", lab.router.name, ".venv/bin/l3ctl", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 1
    return done.stderr


def test_a_lock_that_lasts_holds_up_neither_links_nor_the_agent(lab: Lab, billing: psycopg.Connection) -> None:
    with billing.transaction():
        billing.execute(b"LOCK TABLE hosts IN ACCESS EXCLUSIVE MODE")
        wait_for_trouble(lab, "lock timeout")
        lab.link_down(WEB1)
        wait_for(lab, EVERYBODY - {str(WEB1.ipv6), f"{WEB1.ipv4}/32"})
        lab.link_up(WEB1)
        wait_for(lab, EVERYBODY)
    wait_for_no_trouble(lab)


@pytest.mark.parametrize(
    "garbage",
    [
        "SELECT 'web1'::bytea AS name, router, interface, hosts FROM kept",
        "SELECT name, router, interface, '[1, 2]'::jsonb AS hosts FROM kept",
        "SELECT name, router, interface, int4range(1, 3) AS hosts FROM kept",
        "SELECT name, router, interface, 'Infinity'::float8 AS hosts FROM kept",
        "SELECT name, 7 AS router, interface, hosts, 1 AS colour FROM kept",
        "SELECT name || repeat('x', 100000) AS name, router, interface, hosts FROM kept",
        "SELECT upper(name) || ' ' AS name, router, interface, hosts FROM kept",
        "SELECT 1/0 AS name FROM kept",
        "SELECT FROM kept",
    ],
    ids=["bytes", "numbers", "a range", "infinity", "another column", "long names", "other names", "an error", "no column"],
)
def test_garbage_changes_nothing(lab: Lab, billing: psycopg.Connection, garbage: str) -> None:
    billing.execute(b"ALTER VIEW l3ctl_ports RENAME TO kept")
    try:
        billing.execute(f"CREATE VIEW l3ctl_ports AS {garbage}; GRANT SELECT ON l3ctl_ports TO l3ctl; NOTIFY l3ctl".encode())
        lab.wait("a word about it", lambda: inventory(lab)["trouble"] or inventory(lab)["quarantined"], WHOLE)
        assert lab.bird_prefixes() == EVERYBODY
        assert len(lab.status()["ports"]) == 3
    finally:
        billing.execute(b"DROP VIEW IF EXISTS l3ctl_ports; ALTER VIEW kept RENAME TO l3ctl_ports; NOTIFY l3ctl")
    wait_for_no_trouble(lab)


def test_what_is_applied_on_trial_is_rolled_back_unless_confirmed(lab: Lab, billing: psycopg.Connection) -> None:
    """The source still says it, and is not believed again before it says something else."""
    text = lab.config.read_text()
    prefix = "2001:db8:f:f::/64"
    lab.config.write_text(text.replace("interval: 2", "watch: false"))
    try:
        lab.l3ctl("apply")
        billing.execute("INSERT INTO prefixes VALUES (%s, %s, %s)", (prefix, WEB1.name, WEB1.lladdr))
        lab.l3ctl("apply", "--confirm", "2")
        wait_for(lab, EVERYBODY | {prefix})
        wait_for(lab, EVERYBODY)
        lab.l3ctl("apply", "--confirm", "2")
        assert "stays" in lab.l3ctl("inventory", "confirm")
        wait_for(lab, EVERYBODY | {prefix})
        time.sleep(3)
        assert lab.bird_prefixes() == EVERYBODY | {prefix}, "confirmed"
        billing.execute("DELETE FROM prefixes WHERE prefix = %s", (prefix,))
        lab.l3ctl("apply", "--confirm", "60")
        wait_for(lab, EVERYBODY)
        assert lab.agent is not None
        lab.agent.kill()
        lab.agent.wait(WHOLE)
        lab.start_agent()
        wait_for(lab, EVERYBODY | {prefix})
        assert [change["verb"] for change in json.loads(lab.l3ctl("plan", "--json", ok=(3,)))["changes"]]
    finally:
        billing.execute("DELETE FROM prefixes WHERE prefix = %s", (prefix,))
        lab.config.write_text(text)
        lab.l3ctl("apply")
    wait_for(lab, EVERYBODY)
    wait_for_no_trouble(lab)
