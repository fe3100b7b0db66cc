"""The borders of the rooms: who may import whom, and that the picture in docs/ARCHITECTURE.md shows just that."""

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "l3ctl"
ARCHITECTURE = Path(__file__).parents[2] / "docs/ARCHITECTURE.md"
STANDARD = sys.stdlib_module_names

GROUND = {"configuration", "model", "names", "peering", "lladdr", "errors", "log", "journal", "wording"}
"""what every room may stand on; the picture leaves it out"""
BACKENDS = {"kernel", "xdp", "bgp"}
LAYERS = (
    {"cli"},
    {"lab"},
    {"agent", "release", "exporter", "doctor"},
    {"desk"},
    {"intake", "liveness", "explained", "metrics", "kept"},
    {"tally", "status", "silence", "words", "probing", "urgent", "untold", "next_hops", "planned"},
    {"router", "violations"},
    {"netdevs", "distrust", "leaving"},
    {"present"},
    {"reader"},
    {"followed"},
    {"glance"},
    {"control", "site", "lock", "failures", "signals", "service_manager"},
    BACKENDS,
    {"config", "inventory", "desired", "diff", "evidence", "damping", "rates"},
    {"reading", "report", "troubles"},
    {"asking", "door"},
    {"log", "configuration"},
    {"peering", "journal"},
    {"model", "lladdr", "names", "errors", "wording"},
)
"""top to bottom; imports go down only"""


def room(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def imports_of(path: Path) -> set[str]:
    """Every module that a file imports, also inside functions, by its full name."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            assert node.module
            found.add(node.module)
            if node.module == "l3ctl" or node.module.count(".") == 1:
                found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def files() -> list[tuple[str, Path]]:
    """(room, file) of the package."""
    relative = ((path.relative_to(PACKAGE), path) for path in sorted(PACKAGE.rglob("*.py")))
    return [(parts.parts[0].removesuffix(".py"), path) for parts, path in relative if parts.name != "__init__.py" or len(parts.parts) > 1]


def edges() -> set[tuple[str, str]]:
    rooms = {name for name, _ in files()}
    return {
        (name, room(module))
        for name, path in files()
        for module in imports_of(path)
        if module.startswith("l3ctl.") and room(module) != name and room(module) in rooms
    }


def test_every_room_has_its_layer() -> None:
    assert {name for name, _ in files()} == set().union(*LAYERS)


def test_imports_go_down_only() -> None:
    level = {name: number for number, names in enumerate(LAYERS) for name in names}
    wrong = {(a, b) for a, b in edges() if level[a] >= level[b]}
    assert not wrong


def test_the_backends_do_not_know_each_other() -> None:
    assert not {(a, b) for a, b in edges() if a in BACKENDS and b in BACKENDS}


def test_the_backends_know_nothing_of_configuration_and_inventory() -> None:
    assert not {(a, b) for a, b in edges() if a in BACKENDS and b in {"config", "inventory", "reading"}}


@pytest.mark.parametrize(
    ("library", "owner"),
    [
        ("pyroute2", ("kernel/", "lab/bench_programming.py")),  # which measures it
        ("bcc", "xdp/loader.py"),
        ("yaml", ("reading/document.py", "reading/outermost.py", "lab/bench_inventory.py")),  # which measures it
        ("inotify_simple", "inventory/"),
        ("exabgp", "bgp/steady_exabgp.py"),  # which is that program
        ("grpc", "lab/gobgp_api.py"),
        ("psycopg", "inventory/sources/postgresql_session.py"),
        ("requests", "inventory/"),
        ("prometheus_client", ("exporter.py", "cli/metrics.py")),
        ("pynetbox", "inventory/sources/netbox.py"),
    ],
)
def test_a_library_has_one_room(library: str, owner: str | tuple[str, ...]) -> None:
    for _, path in files():
        if any(module.split(".")[0] == library for module in imports_of(path)):
            assert path.relative_to(PACKAGE).as_posix().startswith(owner)


@pytest.mark.parametrize(
    "file",
    [
        *(
            "model.py",
            "configuration.py",
            "report.py",
            "peering.py",
            "lladdr.py",
            "errors.py",
            "log.py",
            "journal.py",
            "desired.py",
            "diff.py",
            "evidence.py",
            "rates.py",
            "damping.py",
        ),
        *("bgp/flush.py", "bgp/hearing.py", "bgp/relay.py", "bgp/shown.py"),
    ],
)
def test_the_standard_library_is_enough_for(file: str) -> None:
    assert {module.split(".")[0] for module in imports_of(PACKAGE / file)} <= {*STANDARD, "l3ctl"}


def test_the_relay_stands_alone() -> None:
    """But for its own parts, and they do."""
    own = {"l3ctl.bgp.flush", "l3ctl.bgp.hearing", "l3ctl.bgp.shown"}
    imports = set().union(*(imports_of(PACKAGE / "bgp" / file) for file in ("relay.py", "flush.py", "hearing.py", "shown.py")))
    assert own < imports
    assert {module.split(".")[0] for module in imports if not module.startswith(tuple(own))} <= STANDARD


def test_the_picture_shows_the_imports() -> None:
    picture = re.search(r"```mermaid\n(.*?)```", ARCHITECTURE.read_text(), re.DOTALL)
    assert picture, "it has its picture"
    drawn = set()
    for source, targets in re.findall(r"^\s*(\w+) --> (.+)$", picture.group(1), re.MULTILINE):
        drawn |= {(source, target.strip()) for target in targets.split("&")}
    assert drawn == {(a, b) for a, b in edges() if b not in GROUND}


def test_the_agent_leaves_what_reads_strictly_to_its_reader() -> None:
    """It takes 19 MB, and the agent lives long."""
    told = "import sys, l3ctl.agent, l3ctl.reader.parent; print({'pydantic', 'yaml', 'sqlite3', 'psycopg'} & sys.modules.keys())"
    assert subprocess.run([sys.executable, "-c", told], capture_output=True, text=True).stdout == "set()\n"


def test_rooms_stay_small() -> None:
    long = {str(path): len(path.read_text().splitlines()) for _, path in files()}
    assert not {path: lines for path, lines in long.items() if lines > 320}
