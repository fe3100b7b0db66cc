"""A host database and a table of ports as files, for the tests of what becomes of them."""

from pathlib import Path

import pytest

from l3ctl.errors import BadInput
from l3ctl.inventory.hosts import Choice, Imported, import_hosts
from l3ctl.inventory.written import as_yaml
from l3ctl.model import Port
from tests.unit.inventories import load_file

HOSTS, TABLE, INVENTORY = Path("hosts.yaml"), Path("ports.csv"), Path("inventory.yaml")
ROOT = Path(__file__).parents[2]
ALL = Choice()
HEADER = "host,mac,interface,trunk,vlan,router,port,guard,link_local"


def row(host: str, **keys: object) -> str:
    number = sum(host.encode())
    own = {"host": host, "mac": f"52:54:00:00:{number >> 8:02x}:{number & 255:02x}", "interface": f"tap-{host}"} | keys
    return ",".join(str(own.get(column, "")) for column in HEADER.split(","))


def table(*rows: str) -> str:
    return "\n".join((HEADER, *rows)) + "\n"


def import_texts(hosts: str, rows: str, choice: Choice = ALL) -> Imported:
    HOSTS.write_text(hosts)
    TABLE.write_text(rows)
    return import_hosts(HOSTS, TABLE, choice)


def lines_of(hosts: str, rows: str, choice: Choice = ALL) -> list[str]:
    with pytest.raises(BadInput) as caught:
        import_texts(hosts, rows, choice)
    return caught.value.lines()


def ports_of(imported: Imported, router: str = "r1") -> tuple[Port, ...]:
    """As the inventory's own reader has them."""
    INVENTORY.write_text(as_yaml(imported.records, imported.remarks, "written by a test"))
    return load_file(INVENTORY, router)


def billed(ports: tuple[Port, ...]) -> set[tuple[str, str]]:
    return {(host.lladdr, str(prefix)) for port in ports for host in port.hosts for prefix in host.prefixes()}
