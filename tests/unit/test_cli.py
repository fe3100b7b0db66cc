"""What a person at a shell gets: the answer alone on stdout; one line an error, with the mend, on stderr; exit codes for scripts."""

import json
from pathlib import Path

import pytest

from l3ctl import __version__
from l3ctl.cli import COMMANDS
from tests.unit.running import Run

GOOD = """\
ports:
  - {name: web1, interface: tap-web1, mac: "52:54:00:0a:00:0b", ipv6: ["2001:db8:11::/64"], ipv4: [203.0.113.11]}
  - {name: db1, trunk: eth1, vlan: 12, mac: "52:54:00:0a:00:0c", ipv6: ["2001:db8:12::/64"]}
"""
CONFIG = """\
router: r1
inventory: {file: inventory.yaml}
gateway: {ipv6: [fe80::1], ipv4: [203.0.113.1]}
"""
BGP = """\
bgp:
  router_id: 198.51.100.2
  local_as: 65010
  peers:
    - {address: "2001:db8:ffff::1", remote_as: 65000, local_address: "2001:db8:ffff::2"}
"""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A configuration and an inventory that are good; its path."""
    (tmp_path / "inventory.yaml").write_text(GOOD)
    config = tmp_path / "l3ctl.yaml"
    config.write_text(f"{CONFIG}run_dir: {tmp_path}/run\n")
    return config


def test_check_counts_what_is_good(run: Run, site: Path) -> None:
    code, out, err = run("check", "--config", str(site))
    assert (code, err) == (0, [])
    assert out == f"{site.parent}/inventory.yaml: 2 ports of router r1, 2 hosts, 3 prefixes: good\n"
    code, out, err = run("check", "--config", str(site), "--json")
    told = json.loads(out)
    assert (code, err) == (0, [])
    assert (told["router"], told["ports"], told["hosts"], told["prefixes"]) == ("r1", 2, 2, 3)


@pytest.mark.parametrize(
    ("added", "line"),
    [
        (
            "  - {name: a, interface: t0, mac: 52:54:00:00:00:01, colour: red}",
            "4:54: unknown key 'colour' in port 'a'; known keys: name, ",
        ),
        (
            '  - {name: a, interface: t0, mac: "52:54:00:00:00:01", ipv6: ["2001:db8:11:0:8000::/65"]}',
            "4:63: port 'a' claims 2001:db8:11:0:8000::/65, which overlaps 2001:db8:11::/64 of port 'web1' ({inventory}:2:72); ",
        ),
        (
            '  - {name: a, interface: t0, mac: "52:54:00:00:00:01", ipv6: ["2001:db8:a::1/64"]}',
            "4:63: prefix 2001:db8:a::1/64 has host bits set; write 2001:db8:a::/64",
        ),
        (
            '  - {name: a, interface: t0, mac: "33:33:00:00:00:01"}',
            "4:35: MAC 33:33:00:00:00:01 is a multicast address; write the host's own",
        ),
        (
            '  - {name: web1, interface: t0, mac: "52:54:00:00:00:01"}',
            "4:12: port name 'web1' is used twice, first at {inventory}:2:12; give each port its own",
        ),
        ('  - {name: a, interface: tap-web1, mac: "52:54:00:00:00:01"}', "4:26: "),
    ],
    ids=["unknown key", "overlap", "host bits", "multicast MAC", "name twice", "netdev twice"],
)
@pytest.mark.parametrize("command", ["check", "plan", "apply", "agent", "status"])
def test_a_bad_inventory_is_one_line_with_its_place_and_nothing_is_begun(run: Run, site: Path, command: str, added: str, line: str) -> None:
    inventory = site.parent / "inventory.yaml"
    inventory.write_text(GOOD + added + "\n")
    code, out, err = run(command, "--config", str(site))
    assert (code, out, len(err)) == (2, "", 1)
    expected = line.format(inventory=inventory)
    assert err[0].startswith(f"l3ctl: {inventory}:{expected}")
    assert "; " in err[0], "a mend"
    assert not (site.parent / "run").exists()


def test_every_fault_is_told_in_one_go(run: Run, site: Path) -> None:
    records = ('  - {name: "", interface: t1, mac: 7}', "  - {name: b, interface: t2, mac: 01:00:00:00:00:00, ipv4: [1.2.3.4/8]}")
    (site.parent / "inventory.yaml").write_text(GOOD + "\n".join(records) + "\n")
    code, _, err = run("check", "--config", str(site))
    assert code == 2
    assert [line.split(":")[2] for line in err] == ["4", "4", "5", "5"]


def test_a_file_that_is_not_there(run: Run, tmp_path: Path) -> None:
    code, _, err = run("check", "--config", str(tmp_path / "none.yaml"))
    assert (code, len(err)) == (2, 1)
    assert err[0].startswith(f"l3ctl: {tmp_path}/none.yaml: ")


def test_exabgp_is_configured_from_the_same_file(run: Run, site: Path) -> None:
    code, _, err = run("exabgp-config", "--config", str(site))
    assert (code, len(err)) == (2, 1)
    assert err[0].endswith("no 'bgp' section, so there is nothing to configure ExaBGP for; add one")
    site.write_text(site.read_text() + BGP)
    code, out, err = run("exabgp-config", "--config", str(site))
    assert (code, err) == (0, [])
    assert out.startswith("# env exabgp_api_cli=false ")
    assert "neighbor 2001:db8:ffff::1 {" in out
    assert f'relay" "--socket" "{site.parent}/run/bgp.sock"' in out
    code, out, _ = run("exabgp-config", "--config", str(site), "--json")
    assert json.loads(out)["environment"]["exabgp_api_cli"] == "false"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("chekc",), "l3ctl: No such command 'chekc'"),
        (("check", "--jsno"), "l3ctl: No such option"),
        (("verdict", "x.pcap"), "l3ctl: Missing option '--port'"),
    ],
)
def test_a_wrong_command_line_is_one_line_that_says_where_help_is(run: Run, arguments: tuple[str, ...], line: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out, len(err)) == (2, "", 1)
    assert err[0].startswith(line)
    assert "--help" in err[0]


@pytest.mark.parametrize("arguments", [(), ("lab",), ("xdp",)])
def test_without_a_command_it_says_which_there_are(run: Run, arguments: tuple[str, ...]) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err[0].startswith(f"Usage: {' '.join(('l3ctl', *arguments))}")
    assert "Commands:" in err


def test_the_version(run: Run) -> None:
    assert run("--version") == (0, f"l3ctl, version {__version__}\n", [])


@pytest.mark.parametrize("command", list(COMMANDS))
def test_every_command_explains_itself(run: Run, command: str) -> None:
    code, out, err = run(command, "--help")
    assert (code, err) == (0, [])
    assert out.startswith(f"Usage: l3ctl {command} ")
