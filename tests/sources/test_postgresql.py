"""PostgreSQL's rows are an inventory, or there is one line that says why not; and what it tells is heard."""

import subprocess
import sys
import threading

import psycopg
import pytest

from l3ctl.configuration import Inventory, PostgresqlSource
from l3ctl.errors import BadInput
from l3ctl.inventory import fetched_ports, load_inventory
from l3ctl.inventory.source import Delivery
from l3ctl.inventory.sources.postgresql import Reader
from tests.sources.billed import QUERY, Readers, notify, told
from tests.sources.cluster import Cluster
from tests.sources.outcome import lines_of, names, news, readable, values


@pytest.mark.parametrize(
    ("key", "written", "read"),
    [
        ("ipv6", "'{2001:db8::/64,2001:db8:1::1}'::inet[]", ["2001:db8::/64", "2001:db8:1::1/128"]),
        ("ipv6", "'{2001:db8::/64,2001:db8:1::1}'::cidr[]", ["2001:db8::/64", "2001:db8:1::1/128"]),
        ("ipv6", "'{2001:db8::/64,2001:db8:1::1,x}'::text[]", ["2001:db8::/64", "2001:db8:1::1", "x"]),
        ("ipv6", "'{2001:db8::/64,NULL}'::inet[]", ["2001:db8::/64", None]),
        ("ipv6", "'{}'::inet[]", []),
        ("ipv6", "'2001:db8::/64'::cidr", ["2001:db8::/64"]),
        ("ipv6", "'2001:db8::1'::inet", ["2001:db8::1/128"]),
        ("ipv4", "'{192.0.2.1,198.51.100.0/24}'::inet[]", ["192.0.2.1", "198.51.100.0/24"]),
        ("ipv4", "'{192.0.2.1}'::cidr[]", ["192.0.2.1"]),
        ("ipv4", "'192.0.2.1'::inet", ["192.0.2.1"]),
        ("link_local", "'fe80::1'::inet", "fe80::1"),
        ("link_local", "'fe80::1'::cidr", "fe80::1"),
        ("mac", "'5254.000A.000B'::macaddr", "52:54:00:0a:00:0b"),
        ("vlan", "11::smallint", "11"),
        ("vlan", "11.0", "11.0"),
        ("vlan", "'NaN'::float", "NaN"),
        ("announce", "true", True),
        ("mode", "'audit'::varchar(10)", "audit"),
        ("hosts", '\'[{"mac": "x", "ipv6": null, "n": 011}]\'::jsonb'.replace("011", "11.50"), [{"mac": "x", "n": "11.50"}]),
        ("bgp", '\'{"med": 50, "communities": ["65010:1"]}\'::json', {"med": "50", "communities": ["65010:1"]}),
        ("mac", "'\\x00ff'::bytea", "\\x00ff"),
        ("vlan", "int4range(1, 5)", "[1,5)"),
        ("vlan", "ROW(1, NULL, 'x')", {"f1": "1", "f3": "x"}),
        ("vlan", "'infinity'::date", "infinity"),
        ("vlan", "'4714-11-24 BC'::timestamp", "4714-11-24T00:00:00 BC"),
        ("vlan", "'{{1,2},{3,4}}'::int[]", [["1", "2"], ["3", "4"]]),
        ("vlan", "'178000000 years'::interval", "178000000 years"),
        ("vlan", "'(1,2)'::point", "(1,2)"),
        ("mac", "E'a\\u0001\\nb'", "a\x01\nb"),
        ("mac", "E'\\U0001F600'", "\U0001f600"),
        ("bgp", '\'{"med": 1, "med": 2}\'::json', '{"med": 2}'),
        ("bgp", "('{\"a\":' || repeat('[', 30) || repeat(']', 30) || '}')::json", f'{{"a": {"[" * 30}{"]" * 30}}}'),
    ],
)
def test_what_a_value_becomes(reader: Readers, key: str, written: str, read: object) -> None:
    source = reader(f"SELECT 'web1' AS name, NULL AS guard, {written} AS {key}")
    assert values(source.read()) == [{"name": "web1", key: read}]


def test_an_odd_row_takes_no_other_with_it(reader: Readers) -> None:
    twice = "SELECT 'web1' AS name, '{\"a\": 1, \"a\": 1}'::json AS bgp, 11 AS vlan UNION ALL SELECT 'web2', NULL, 12"
    deep = "SELECT 'web1' AS name, (repeat('[', 3000) || repeat(']', 3000))::json AS hosts UNION ALL SELECT 'web2', NULL"
    assert values(reader(twice).read())[1] == {"name": "web2", "vlan": "12"}
    odd, sound = values(reader(deep).read())
    assert isinstance(odd, dict)
    assert odd["name"] == "web1"
    assert isinstance(odd["hosts"], str)
    assert sound == {"name": "web2"}


def test_a_database_without_an_encoding(cluster: Cluster) -> None:
    name = cluster.database("template0 ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C'")
    source = Reader(PostgresqlSource(cluster.where(name), "SELECT E'w\\xc3\\xa9b' AS name"), 10)
    assert names(source.read()) == ["wéb"]
    source.close()
    told_lines = lines_of(Reader(PostgresqlSource(cluster.where(name), "SELECT E'w\\xe9b' AS name"), 10).read, BadInput)
    assert told_lines[0].startswith('inventory.postgresql.query: invalid byte sequence for encoding "UTF8": 0xe9 0x62; ')


def test_its_rows_are_ports(cluster: Cluster, writer: psycopg.Connection) -> None:
    where = cluster.where(writer.info.dbname)
    query = "SELECT name, 'eth1' AS trunk, vlan, macaddr '52:54:00:0a:00:0b' AS mac, {} AS ipv6 FROM ports ORDER BY name"
    prefixes = "ARRAY[set_masklen(inet '2001:db8::' + vlan * 65536, 112)]"
    found = load_inventory(Inventory(PostgresqlSource(where, query.format(prefixes))), "r1")
    assert [str(port.hosts[0].ipv6[0]) for port in found] == ["2001:db8::1:0/112", "2001:db8::2:0/112"]
    mend = "write 2001:db8:2::1/128 for the one address, or the length billed"
    odd = query.format("CASE vlan WHEN 1 THEN ARRAY['2001:db8::/64', '\\xff'::bytea::text] ELSE ARRAY['2001:db8:2::1'] END")
    assert lines_of(lambda: load_inventory(Inventory(PostgresqlSource(where, odd)), "r1"), BadInput) == [
        "postgresql: row 1 (web1): ipv6[1]: item 2 of 'ipv6' must be an IPv6 prefix like 2001:db8:11::/64, found '\\\\xff'",
        f"postgresql: row 2 (web2): ipv6[0]: prefix 2001:db8:2::1 has no length; {mend}",
    ]


@pytest.mark.parametrize(
    "query",
    [
        f"{QUERY};",
        f"{QUERY} ; \n",
        f"{QUERY} -- all of them",
        "TABLE ports",
        "WITH these AS (SELECT * FROM ports) SELECT * FROM these",
        "SELECT name, 1 % 2 AS vlan FROM ports WHERE name LIKE 'web%' OR name LIKE '%s%%' OR name = '$1'",
        "SELECT name::varchar(20) AS name FROM ports",
    ],
)
def test_however_the_query_is_written(writer: psycopg.Connection, reader: Readers, query: str) -> None:
    source = reader(query, "Ports")
    assert names(source.read()) == ["web1", "web2"]
    notify(writer, "web2", "web3")
    assert told(news(source)) == (["web2"], {"web3"}, False)


@pytest.mark.parametrize(
    ("query", "line"),
    [
        ("SELEC 1", 'syntax error at or near "1"; write one SELECT that this user may ask'),
        ("SELECT * FROM nowhere", 'relation "nowhere" does not exist; write one SELECT that this user may ask'),
        ("SELECT nam FROM ports", 'column "nam" does not exist Perhaps you meant to reference the column "ports.name".; write one SELECT'),
        ("SELECT 1 AS name; SELECT 2", 'syntax error at or near ";"; write one SELECT'),
        ("DELETE FROM ports RETURNING name", 'syntax error at or near "FROM"; write one SELECT'),
        ("SELECT vlan AS a, vlan AS b FROM ports", "gives no column 'name', only a, b; name one so, with AS"),
        ("SELECT a.name, b.name, a.vlan, b.vlan FROM ports a, ports b", "gives the column 'name' twice; name each once, with AS"),
        ("SELECT 'a' AS name WHERE $1", "there is no parameter $1; write one SELECT"),
        ("SELECT (1 / 0)::text AS name", "division by zero; write one SELECT"),
        ("SELECT rolname AS name FROM pg_authid", "permission denied for table pg_authid; write one SELECT that this user may ask"),
        (
            "SELECT nextval('numbers')::text AS name",
            "cannot execute nextval() in a read-only transaction; write",
        ),
    ],
)
def test_a_query_that_cannot_be_asked(cluster: Cluster, writer: psycopg.Connection, reader: Readers, query: str, line: str) -> None:
    writer.execute("CREATE SEQUENCE numbers")
    writer.execute("DO $$ BEGIN CREATE ROLE asking LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
    writer.execute("GRANT SELECT ON ports TO asking; GRANT USAGE ON SEQUENCE numbers TO asking")
    source = reader(query, where=cluster.where(writer.info.dbname, "asking"))
    assert lines_of(source.read, BadInput)[0].startswith(f"inventory.postgresql.query: {line}")
    assert source.fileno() is None


def test_a_query_that_gives_far_too_much(reader: Readers, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetched_ports, "MOST_ROWS", 1000)
    endless = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT n::text AS name FROM t"
    line = "inventory.postgresql.query: gives more than 1000 rows; check how it joins its tables"
    assert lines_of(reader(endless).read) == [line]


def test_no_row_is_an_inventory_without_ports(writer: psycopg.Connection, reader: Readers) -> None:
    writer.execute("TRUNCATE ports")
    assert reader(QUERY).read() == Delivery([])


@pytest.mark.parametrize(
    ("payloads", "found", "gone", "whole"),
    [
        (["web1"], ["web1"], set(), False),
        (["web2", "web1", "web2"], ["web1", "web2"], set(), False),
        (["web3"], [], {"web3"}, False),
        (["web1", "o'hara\"; DROP TABLE ports; --", "%s", "{}", "é" * 63], ["web1"], None, False),
        ([f"p{number}" for number in range(999)], [], None, False),
        ([f"p{number}" for number in range(5000)], ["web1", "web2"], set(), True),
        ([""], ["web1", "web2"], set(), True),
        (["x" * 64], ["web1", "web2"], set(), True),
        (["{" * 7999], ["web1", "web2"], set(), True),
    ],
)
def test_what_is_told_is_read(
    writer: psycopg.Connection, listening: Reader, payloads: list[str], found: list[str], gone: set[str] | None, whole: bool
) -> None:
    notify(writer, *payloads)
    assert told(news(listening)) == (found, set(payloads) - set(found) if gone is None else gone, whole)
    while readable(listening, 0.2):  # a long list comes in pieces
        assert listening.news() is None or whole
    assert listening.news() is None


def test_a_change_a_rename_and_an_end(writer: psycopg.Connection, listening: Reader) -> None:
    writer.execute("UPDATE ports SET vlan = 9 WHERE name = 'web1'; NOTIFY \"Ports\", 'web1'")
    assert values(news(listening)) == [{"name": "web1", "vlan": "9"}]
    writer.execute("UPDATE ports SET name = 'web9' WHERE name = 'web1'; NOTIFY \"Ports\", 'web1'; NOTIFY \"Ports\", 'web9'")
    assert told(news(listening)) == (["web9"], {"web1"}, False)
    writer.execute("DELETE FROM ports; NOTIFY \"Ports\", 'web9'; NOTIFY \"Ports\", 'web2'")
    assert told(news(listening)) == ([], {"web9", "web2"}, False)


def test_a_name_is_asked_for_as_it_is(writer: psycopg.Connection, listening: Reader) -> None:
    for odd in ("o'hara", 'a"b', "a\\b", "%s", "{x,y}", "$1", "é", " "):
        writer.execute("INSERT INTO ports VALUES (%s)", [odd])
        notify(writer, odd)
        assert told(news(listening)) == ([odd], set(), False)


def test_nothing_falls_between_connecting_and_reading(writer: psycopg.Connection, reader: Readers) -> None:
    """What is committed while a reading is under way, which does not see it any more, is heard of after it."""
    writer.execute("CREATE FUNCTION slow(text) RETURNS text LANGUAGE sql VOLATILE AS $$ SELECT $1 FROM pg_sleep(0.2) $$")
    source = reader("SELECT slow(name) AS name, vlan FROM ports", "Ports")
    found: list[Delivery] = []
    reading = threading.Thread(target=lambda: found.append(source.read()))
    reading.start()
    asked = "SELECT FROM pg_stat_activity WHERE application_name = 'l3ctl' AND state = 'active' AND query LIKE 'FETCH%'"
    while not writer.execute(asked).fetchall():
        assert reading.is_alive()
    writer.execute("UPDATE ports SET vlan = 7; NOTIFY \"Ports\", 'web1'; NOTIFY \"Ports\", 'web2'")
    reading.join()
    assert [value["vlan"] for value in values(found[0])] == ["1", "2"]
    assert [value["vlan"] for value in values(news(source))] == ["7", "7"]
    assert source.news() is None


def test_a_column_may_become_another_meanwhile(writer: psycopg.Connection, listening: Reader) -> None:
    writer.execute("ALTER TABLE ports ALTER vlan TYPE text USING 'v' || vlan")
    notify(writer, "web1")
    assert values(news(listening)) == [{"name": "web1", "vlan": "v1"}]
    writer.execute("ALTER TABLE ports DROP vlan")
    notify(writer, "web1")
    assert values(news(listening)) == [{"name": "web1"}]


def test_without_a_channel_everything_is_read(writer: psycopg.Connection, reader: Readers) -> None:
    source = reader(QUERY)
    source.read()
    assert source.fileno() is None
    assert told(source.news()) == (["web1", "web2"], set(), True)


def test_it_may_write_nothing_and_says_who_it_is(writer: psycopg.Connection, reader: Readers) -> None:
    writer.execute("CREATE FUNCTION writes() RETURNS text LANGUAGE sql AS $$ INSERT INTO ports VALUES ('x') RETURNING name $$")
    told = lines_of(reader("SELECT writes() AS name").read, BadInput)
    assert told == ["inventory.postgresql.query: cannot execute INSERT in a read-only transaction; write one SELECT that this user may ask"]
    source = reader("SELECT current_setting('application_name') AS name", where=f"{writer.info.dsn} application_name=x")
    assert names(source.read()) == ["l3ctl"]
    assert writer.execute("SELECT count(*) FROM ports").fetchone() == (2,)


def test_without_the_library_it_says_how_to_get_it() -> None:
    script = """
import sys
sys.modules["psycopg"] = None
from l3ctl.configuration import PostgresqlSource, Inventory
from l3ctl.errors import MissingRequirement
from l3ctl.inventory.sources import open_source
try:
    open_source(Inventory(PostgresqlSource("", "")))
except MissingRequirement as error:
    print(*error.lines())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "the library psycopg is not installed; install what pyproject.toml has under 'postgresql'\n"
