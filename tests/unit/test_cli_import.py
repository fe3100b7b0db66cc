"""`l3ctl import` at a shell: the inventory alone on stdout, a summary on stderr, and a file that is whole, and the right one."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.running import Run

ROOT = Path(__file__).parents[2]
HOSTS = "web1: {ip: 203.0.113.11, ipv6: '2001:db8:11::e/64', comment: shop}\ndb1: {groups: [db], ipv6: '2001:db8:12::1'}\n"
TABLE = "host,mac,interface\nweb1,52:54:00:0a:00:0b,tap-web1\ndb1,52:54:00:0a:00:0c,tap-db1\n"
SUMMARY = "2 hosts on 2 ports, 3 prefixes, 0 hosts skipped"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("hosts.yaml").write_text(HOSTS)
    Path("ports.csv").write_text(TABLE)
    Path("l3ctl.yaml").write_text("router: r1\ninventory: {file: out.yaml}\ngateway: {ipv6: [fe80::1], ipv4: [203.0.113.1]}\n")


def test_what_it_writes_passes_the_check(run: Run) -> None:
    assert run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml") == (0, "", [f"out.yaml: written: {SUMMARY}"])
    code, out, err = run("check", "--config", "l3ctl.yaml")
    assert (code, out, err) == (0, "out.yaml: 2 ports of router r1, 2 hosts, 3 prefixes: good\n", [])


def test_it_prints_the_inventory_alone_and_the_summary_beside_it(run: Run) -> None:
    code, out, err = run("import", "hosts.yaml", "ports.csv")
    assert (code, err) == (0, [SUMMARY])
    assert "  - name: web1 # shop\n" in out
    code, out, err = run("import", "hosts.yaml", "ports.csv", "--json")
    assert (code, err) == (0, [SUMMARY])
    assert [port["name"] for port in json.loads(out)["ports"]] == ["db1", "web1"]


def test_groups_and_router_choose(run: Run) -> None:
    code, out, err = run("import", "hosts.yaml", "ports.csv", "--groups", "db", "--router", "r1", "--json")
    assert (code, err) == (0, ["1 host on 1 port, 1 prefix, 1 host skipped"])
    assert [port["name"] for port in json.loads(out)["ports"]] == ["db1"]


def test_a_name_that_ends_in_json_gets_json(run: Run) -> None:
    assert run("import", "hosts.yaml", "ports.csv", "--output", "out.json")[0] == 0
    assert len(json.loads(Path("out.json").read_text())["ports"]) == 2


def test_every_problem_of_both_files_in_one_go_and_nothing_is_written(run: Run) -> None:
    Path("hosts.yaml").write_text(HOSTS.replace("203.0.113.11", "x") + "web2: {}\n")
    Path("ports.csv").write_text(TABLE + "web3,y,tap3\n")
    code, out, err = run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml")
    assert (code, out) == (2, "")
    assert err == [
        "l3ctl: hosts.yaml:1:12: 'ip' must be an IPv4 address, found 'x'",
        "l3ctl: hosts.yaml:3:1: host 'web2' has no row in ports.csv; add one",
        "l3ctl: ports.csv:4:1: no host 'web3' in hosts.yaml; add it there, or remove the row",
        "l3ctl: ports.csv:4:6: 'mac' must be a MAC like 52:54:00:0a:00:0b, found 'y'",
    ]
    assert not Path("out.yaml").exists()


def test_it_is_held_against_a_routers_own_addresses(run: Run) -> None:
    Path("hosts.yaml").write_text(HOSTS.replace("203.0.113.11", "203.0.113.1"))
    assert run("import", "hosts.yaml", "ports.csv")[0] == 0
    code, out, err = run("import", "hosts.yaml", "ports.csv", "--config", "l3ctl.yaml")
    assert (code, out) == (2, "")
    assert err == ["l3ctl: hosts.yaml:1:12: port 'web1' claims 203.0.113.1, which is a gateway address of the router; bill another"]


def test_a_second_import_changes_nothing_not_even_the_file(run: Run) -> None:
    assert run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml")[0] == 0
    before = Path("out.yaml").stat()
    assert run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml") == (0, "", [f"out.yaml: unchanged: {SUMMARY}"])
    after = Path("out.yaml").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_an_inventory_is_replaced_whole_with_its_mode_and_through_its_link(run: Run) -> None:
    Path("real").mkdir()
    Path("real/inventory.yaml").write_text("ports: [{name: a, interface: b, mac: 5254.0000.0001}]\n")
    Path("real/inventory.yaml").chmod(0o640)
    os.chown("real/inventory.yaml", os.getuid(), os.getgid())
    Path("out.yaml").symlink_to("real/inventory.yaml")
    before = Path("out.yaml").stat()
    with Path("out.yaml").open() as held:
        assert run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml")[0] == 0
        assert held.read().startswith("ports: [{name: a"), "who had it open reads the old one to its end"
    assert Path("out.yaml").is_symlink()
    assert "web1" in Path("real/inventory.yaml").read_text()
    assert stat.S_IMODE(Path("out.yaml").stat().st_mode) == 0o640
    assert Path("out.yaml").stat().st_ino != before.st_ino
    assert [path.name for path in Path("real").iterdir()] == ["inventory.yaml"]


@pytest.mark.parametrize(
    ("there", "refusal"),
    [
        ("router: r1\n", "is there, and no inventory; name another file, or --force"),
        ("a: [\n", "is there, and no inventory; name another file, or --force"),
        ("ports: x\n", "is there, and no inventory; name another file, or --force"),
        ("", None),
        ("ports: []\n", None),
        ("ports: [{nonsense: 1}]\n", None),
    ],
)
def test_what_is_no_inventory_is_not_overwritten(run: Run, there: str, refusal: str | None) -> None:
    Path("out.yaml").write_text(there)
    code, _, err = run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml")
    if refusal is None:
        assert (code, err) == (0, [f"out.yaml: written: {SUMMARY}"])
    else:
        assert (code, err) == (2, [f"l3ctl: out.yaml: {refusal}"])
        assert Path("out.yaml").read_text() == there
        assert run("import", "hosts.yaml", "ports.csv", "--output", "out.yaml", "--force")[0] == 0
        assert "web1" in Path("out.yaml").read_text()


@pytest.mark.parametrize("name", ["hosts.yaml", "ports.csv", "link"])
def test_what_is_imported_is_not_overwritten_even_by_force(run: Run, name: str) -> None:
    Path("link").symlink_to("hosts.yaml")
    code, _, err = run("import", "hosts.yaml", "ports.csv", "--force", "--output", name)
    assert (code, err) == (2, [f"l3ctl: {name}: is one of the files to import; write to another"])
    assert (Path("hosts.yaml").read_text(), Path("ports.csv").read_text()) == (HOSTS, TABLE)


@pytest.mark.parametrize(
    ("output", "complaint"),
    [
        (".", "is not a file; name a file, or leave --output out to print"),
        ("/dev/null", "is not a file; name a file, or leave --output out to print"),
        ("none/out.yaml", "cannot be written: No such file or directory; name a file in a folder that is there"),
        ("hosts.yaml/out.yaml", "cannot be written: Not a directory; name a file in a folder that is there"),
    ],
)
def test_where_no_file_can_be_is_said(run: Run, output: str, complaint: str) -> None:
    code, out, err = run("import", "hosts.yaml", "ports.csv", "--force", "--output", output)
    assert (code, out, err) == (2, "", [f"l3ctl: {output}: {complaint}"])
    assert Path("/dev/null").is_char_device()


def test_the_examples_are_imported_from_a_shell() -> None:
    l3ctl = Path(sys.executable).with_name("l3ctl")
    files = [str(ROOT / "configs" / name) for name in ("hosts.yaml", "hosts-ports.csv")]
    done = subprocess.run([str(l3ctl), "import", *files], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "7 hosts on 6 ports, 22 prefixes, 0 hosts skipped\n")
    assert "      - 2001:db8:21:0:f::/96 # containers\n" in done.stdout
