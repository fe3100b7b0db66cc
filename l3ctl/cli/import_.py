"""`l3ctl import`."""

import os
import stat
from contextlib import suppress
from pathlib import Path

import click

from l3ctl.configuration import FileSource, Inventory
from l3ctl.errors import BadInput, L3ctlError, Problem
from l3ctl.inventory import reserved_by
from l3ctl.inventory.faults import Reserved
from l3ctl.inventory.hosts import Choice, Imported, import_hosts
from l3ctl.inventory.sources import open_source
from l3ctl.inventory.written import as_json, as_yaml
from l3ctl.site import load_configuration
from l3ctl.wording import counted

_HEAD = "Written by `l3ctl import`: change the host database and the table of ports, and import them again."
_FILE = click.Path(path_type=Path)


@click.command("import")
@click.argument("hosts", type=_FILE)
@click.argument("ports", type=_FILE)
@click.option("--router", help="Write what this router installs: rows of others are checked and left out.")
@click.option("--groups", multiple=True, metavar="GROUP", help="Import the hosts in this group alone; may be repeated.")
@click.option("--ignore", multiple=True, metavar="KEY", help="A key of the host database that is another's, though it looks like ours.")
@click.option("--config", "config_path", type=_FILE, help="Hold addresses against this router's gateways and BGP sessions, too.")
@click.option("--output", type=_FILE, help="Write it here, whole or not at all, instead of printing it.")
@click.option("--force", is_flag=True, help="Write even where something is that is no inventory.")
@click.option("--json", "as_json_text", is_flag=True, help="Write JSON; what --output calls .json is JSON anyway.")
def command(
    hosts: Path,
    ports: Path,
    router: str | None,
    groups: tuple[str, ...],
    ignore: tuple[str, ...],
    config_path: Path | None,
    output: Path | None,
    force: bool,
    as_json_text: bool,
) -> None:
    """Make an inventory of a host database and a table of ports.

    HOSTS (YAML or JSON) maps host names to entries with ip, ipv6, ipv6_network, routed_networks6, other_ips and other_ips6; all other keys
    are ignored. PORTS (CSV, YAML or JSON) has a row for each host: host, mac, and interface or trunk and vlan; and router, port (the
    port's name, where it is not the host's), guard and link_local. Hosts of one attachment share a port.
    """
    reserved = reserved_by(load_configuration(config_path)) if config_path is not None else Reserved()
    imported = import_hosts(hosts, ports, Choice(frozenset(groups), router, frozenset(ignore)), reserved)
    in_json = as_json_text or (output is not None and output.suffix.lower() == ".json")
    text = as_json(imported.records) if in_json else as_yaml(imported.records, imported.remarks, _HEAD)
    came = ""
    if output is None:
        click.echo(text, nl=False)
    else:
        came = f"{output}: {_write(output, text, (hosts, ports), force)}: "
    click.echo(f"{came}{_summary(imported)}", err=True)


def _summary(imported: Imported) -> str:
    amounts = f"{counted(imported.hosts, 'host')} on {counted(len(imported.records), 'port')}, {counted(imported.prefixes, 'prefix', 'es')}"
    return f"{amounts}, {counted(imported.skipped, 'host')} skipped"


def _write(path: Path, text: str, inputs: tuple[Path, ...], force: bool) -> str:
    """Replace a file by this text, and say in a word what came of it. Of a symbolic link, it is the file that it names."""
    target = Path(os.path.realpath(path))
    try:
        there = target.stat() if target.exists() else None
        if there is not None and (objection := _objection(target, there, inputs, force)):
            raise BadInput([Problem(str(path), *objection)])
        if there is not None and target.read_bytes() == text.encode():
            return "unchanged"
        _replace(target, text, there)
    except OSError as error:
        raise BadInput([Problem(str(path), f"cannot be written: {error.strerror}", "name a file in a folder that is there")]) from error
    return "written"


def _objection(target: Path, there: os.stat_result, inputs: tuple[Path, ...], force: bool) -> tuple[str, str] | None:
    """Why a file that is there is left alone, and the mend."""
    if any(target.samefile(one) for one in inputs):
        return "is one of the files to import", "write to another"
    if not stat.S_ISREG(there.st_mode):
        return "is not a file", "name a file, or leave --output out to print"
    if there.st_size and not force and not _is_inventory(target):
        return "is there, and no inventory", "name another file, or --force"
    return None


def _replace(path: Path, text: str, there: os.stat_result | None) -> None:
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666 if there is None else 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
            file.write(text)
            if there is not None:
                with suppress(PermissionError):  # who may write to the folder need not be root
                    os.fchown(file.fileno(), there.st_uid, there.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(there.st_mode))
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
        folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
    finally:
        beside.unlink(missing_ok=True)


def _is_inventory(path: Path) -> bool:
    try:
        open_source(Inventory(FileSource(path))).read()
    except L3ctlError:
        return False
    return True
