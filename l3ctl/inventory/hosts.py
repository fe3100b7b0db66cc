"""A host database and the table of ports beside it become an inventory: `l3ctl import`.

Owns the way from both to records: each host on the port that its row names, with all that is billed to it; hosts of one attachment on one
port. What is wrong, also between records, is told where it was written in the two files. Pure, but for the reading of them.
"""

import difflib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv6Network
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from l3ctl.errors import BadInput, Problem
from l3ctl.inventory import collector_paused
from l3ctl.inventory.claims import Entry
from l3ctl.inventory.faults import Reserved, conflicts
from l3ctl.inventory.host_entry import BilledHost, billed_host, groups_of, misspelt
from l3ctl.inventory.port_table import ATTACHMENT, OF_HOST, Table, read_table, record_of, row_problems
from l3ctl.inventory.schema import PortRecord
from l3ctl.reading.document import Document, Loc, Value, in_order, quoted, read_document
from l3ctl.reading.gathered import Gathered, Origin
from l3ctl.reading.validation import problems_of

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Choice:
    """What of both files is imported."""

    groups: frozenset[str] = frozenset()
    """hosts in one of these; empty for all"""
    router: str | None = None
    """what this router installs; None for every router"""
    ignored: frozenset[str] = frozenset()
    """keys of the host database that are not ours, however much they look so"""


@dataclass(frozen=True, slots=True)
class Imported:
    """Records that the inventory's own schema and checks found good, in the order of their names."""

    records: tuple[dict[str, Value], ...]
    remarks: tuple[Mapping[Loc, str], ...]
    """of each record: what the database remarks on parts of it"""
    hosts: int
    prefixes: int
    skipped: int
    """hosts that were not chosen"""


def import_hosts(hosts: Path, table: Path, choice: Choice, reserved: Reserved | None = None) -> Imported:
    """Both files as an inventory; `BadInput` with every problem of either and between them. `reserved` is as for `conflicts`."""
    problems: list[Problem] = []
    database, rows = _read(_read_hosts, hosts, problems), _read(read_table, table, problems)
    if database is None or rows is None:
        raise BadInput(problems)
    with collector_paused():
        return translate(database, rows, choice, reserved or Reserved())


def _read(reader: Callable[[Path], T], path: Path, problems: list[Problem]) -> T | None:
    try:
        return reader(path)
    except BadInput as error:
        problems += error.problems
        return None


def _read_hosts(path: Path) -> Document:
    document = read_document(path)
    if not isinstance(document.value, dict):
        raise BadInput([document.problem((), "the file must be a mapping of host names", "begin each host with 'NAME:'")])
    return document


def translate(database: Document, table: Table, choice: Choice, reserved: Reserved) -> Imported:
    """The same of what was read."""
    problems: list[Problem] = []
    known, chosen = _choose(database, choice, problems)
    _join(known, chosen, table, database.name, problems)
    entries: list[Entry] = []
    remarks: dict[str, Mapping[Loc, str]] = {}
    for port in _by_port(host for host in chosen.values() if host.row is not None):
        record, of_record = _record(port, problems)
        try:
            entry = Entry(PortRecord.model_validate(record.value), record)
        except ValidationError as error:  # unlikely: what is wrong with a row or a host in itself was found in it
            problems += problems_of(error, record, PortRecord)
        else:
            entries.append(entry)
            remarks[entry.port.name] = of_record
    problems += conflicts(entries, reserved)
    here = [entry for entry in entries if choice.router in (None, entry.router) or entry.router is None]
    if entries and not here:
        routers = {entry.router for entry in entries if entry.router}
        problems.append(Problem(table.name, f"no row is for router {quoted(str(choice.router))}", _meant(str(choice.router), routers)))
    if problems:
        raise BadInput(in_order(problems))
    here.sort(key=lambda entry: entry.port.name)
    hosts = [host for entry in here for _, host in entry.hosts]
    return Imported(
        tuple(_canonical(entry) for entry in here),
        tuple(remarks[entry.port.name] for entry in here),
        hosts=len(hosts),
        prefixes=sum(len(host.prefixes()) for host in hosts),
        skipped=len(known) - len(hosts),
    )


def _canonical(entry: Entry) -> dict[str, Value]:
    """The record, with its MACs and link-locals in the one notation that can be compared."""
    record = entry.source.value
    assert isinstance(record, dict)
    hosts = record.get("hosts", [record])
    for one, (_, host) in zip(hosts if isinstance(hosts, list) else [], entry.hosts, strict=True):
        assert isinstance(one, dict)
        one |= {"mac": host.lladdr} | ({"link_local": str(host.link_local)} if "link_local" in one else {})
    return record


def _choose(database: Document, choice: Choice, problems: list[Problem]) -> tuple[Mapping[str, Document], Mapping[str, BilledHost]]:
    """The key of every host, and the hosts that are asked for. Of others nothing but their groups is looked at."""
    known: dict[str, Document] = {}
    chosen: dict[str, BilledHost] = {}
    groups: set[str] = set()
    for key, entry in database.parts("host"):
        known[str(key.value)] = key
        if choice.groups:
            problems += misspelt(entry, ["groups"], choice.ignored)
            own = groups_of(entry, problems)
            groups |= own
            if not own & choice.groups:
                continue
        chosen[str(key.value)] = billed_host(key, entry, choice.ignored, problems)
    for missing in sorted(choice.groups - groups):
        problems.append(Problem(database.name, f"no host is in group {quoted(missing)}", _meant(missing, groups)))
    return known, chosen


def _join(known: Mapping[str, Document], chosen: Mapping[str, BilledHost], table: Table, hosts: str, problems: list[Problem]) -> None:
    """Give each host its row. Rows of hosts that are not chosen are not looked at."""
    rows: dict[str, Document] = {}
    for row in table.rows:
        name = row.value.get("host") if isinstance(row.value, dict) else None
        if not isinstance(name, str) or name not in known:
            wrong = row_problems(row)
            if isinstance(name, str) and name:
                close = difflib.get_close_matches(name, known, n=1, cutoff=0.8)
                mend = f"did you mean {quoted(close[0])}?" if close else "add it there, or remove the row"
                wrong.append(row.problem(("host",), f"no host {quoted(name)} in {hosts}", mend))
            problems += wrong
        elif name in rows:
            what = f"host {quoted(name)} has a second row, first at {rows[name].place(('host',))}"
            problems.append(row.problem(("host",), what, "keep one"))
        else:
            rows[name] = row
            if name in chosen:
                wrong = row_problems(row)
                problems += wrong
                chosen[name].row = None if wrong else row
    for name, host in chosen.items():
        if name not in rows:
            problems.append(host.key.problem((), f"host {quoted(name)} has no row in {table.name}", "add one"))


def _by_port(hosts: Iterable[BilledHost]) -> list[list[BilledHost]]:
    """Hosts of one attachment together, in the order of their names."""
    ports: dict[tuple[Value, ...], list[BilledHost]] = {}
    for host in sorted(hosts, key=lambda host: host.name):
        where = host.row.value if host.row is not None and isinstance(host.row.value, dict) else {}
        ports.setdefault(tuple(str(where.get(key)) for key in ATTACHMENT), []).append(host)
    return list(ports.values())


def _record(hosts: Sequence[BilledHost], problems: list[Problem]) -> tuple[Gathered, dict[Loc, str]]:
    """The record of one port. Its name is the one that a row gives it, or that of its first host."""
    rows = [record_of(host.row) for host in hosts if host.row is not None]
    record, origins = rows[0]
    if named := _named(hosts, problems):
        record["name"], origins["name",] = named.value, (named, ())
    remarks: dict[Loc, str] = {}
    if len(hosts) == 1:
        _bill(hosts[0], (), record, origins, remarks)
        remarks[()] = hosts[0].remark
    else:
        inside: list[Value] = []
        for index, (host, (row, places)) in enumerate(zip(hosts, rows, strict=True)):
            one = {key: row[key] for key in OF_HOST if key in row}
            origins["hosts", index] = places[()]
            for key in one:
                origins["hosts", index, key] = places[key,]
            _keep(host, [other for other in hosts if other is not host])
            _bill(host, ("hosts", index), one, origins, remarks)
            remarks["hosts", index] = f"{host.name}: {host.remark}" if host.remark else host.name
            inside.append(one)
        record = {key: value for key, value in record.items() if key not in OF_HOST} | {"hosts": inside}
    return Gathered(origins[()][0].name, record, f"port {quoted(str(record['name']))}", origins=origins), remarks


def _named(hosts: Sequence[BilledHost], problems: list[Problem]) -> Document | None:
    first: Document | None = None
    for host in hosts:
        if host.row is not None and isinstance(host.row.value, dict) and "port" in host.row.value:
            told = host.row.at(("port",))
            first = first or told
            if told.value != first.value:
                one, other = quoted(str(told.value)), quoted(str(first.value))
                what = f"the port of host {quoted(host.name)} is called {one}, and {other} at {first.place()}"
                problems.append(told.problem((), what, "give the one port one name"))
    return first


def _keep(host: BilledHost, others: Sequence[BilledHost]) -> None:
    """Route an address by itself that is within a network of its host, where a longer prefix of another on the port would take it along."""
    for address, source in host.within:
        own, elsewhere = (
            max((network.prefixlen for one in hosts for network, _, _ in one.ipv6 if address in network), default=0)
            for hosts in ([host], others)
        )
        if elsewhere > own:
            host.ipv6.append((IPv6Network(address), source, ""))


def _bill(host: BilledHost, base: Loc, record: dict[str, Value], origins: dict[Loc, Origin], remarks: dict[Loc, str]) -> None:
    """Put into a record what is billed to a host, in numerical order: the order in which a database is dumped is none."""
    ipv6 = [(str(what), source, remark) for what, source, remark in sorted(host.ipv6, key=lambda one: one[0])]
    ipv4 = [(str(what), source, remark) for what, source, remark in sorted(host.ipv4, key=lambda one: one[0])]
    for key, billed in (("ipv6", ipv6), ("ipv4", ipv4)):
        if billed:
            record[key] = [text for text, _, _ in billed]
        for index, (_, source, remark) in enumerate(billed):
            origins[*base, key, index], remarks[*base, key, index] = source, remark


def _meant(word: str, known: Iterable[str]) -> str:
    names = sorted(known)
    close = difflib.get_close_matches(word, names, n=1)
    few = ", ".join(names[:10]) + (", ..." if len(names) > 10 else "")
    return f"did you mean {quoted(close[0])}?" if close else f"there is {few or 'none'}"
