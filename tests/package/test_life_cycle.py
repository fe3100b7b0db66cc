"""The package's life on a bare Debian, from its installation to its purge, as docs/OPERATING.md tells it and with the commands that are
printed there. Told in this order: each test goes on where the one before ended.
"""

import json
import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l3ctl import __version__
from l3ctl.errors import MissingRequirement
from l3ctl.lab.attacks import attack
from l3ctl.lab.customers import CUSTOMERS, GATEWAY6, UPSTREAM6
from l3ctl.lab.namespaces import run
from l3ctl.lab.pings import Pings
from tests.package.manual import blocks
from tests.package.packaged import Packaged

pytestmark = [pytest.mark.root, pytest.mark.bpf]

ROOT = Path(__file__).parents[2]
WEB1, DB1, ROGUE = CUSTOMERS
NAMES = sorted(one.name for one in CUSTOMERS)
AGENT, EXABGP, METRICS = "l3ctl-agent.service", "l3ctl-exabgp.service", "l3ctl-metrics.service"
NEXT = "99.0"
"""the version that is upgraded to"""


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As `make deb` builds it."""
    folder = tmp_path_factory.mktemp("deb")
    built = subprocess.run([ROOT / "configs/debian/build.sh", __version__, folder], stdout=subprocess.PIPE, text=True, check=True)
    return Path(built.stdout.strip())


@pytest.fixture(scope="module")
def newer(package: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with another version, which its programs tell."""
    folder = tmp_path_factory.mktemp("newer")
    subprocess.run(["dpkg-deb", "--raw-extract", package, folder / "tree"], check=True)
    control = folder / "tree/DEBIAN/control"
    control.write_text(re.sub(r"^Version: .*$", f"Version: {NEXT}", control.read_text(), flags=re.MULTILINE))
    (version,) = (folder / "tree/usr/lib/l3ctl").glob("lib/python*/site-packages/l3ctl/__init__.py")
    version.write_text(version.read_text().replace(__version__, NEXT))
    shutil.rmtree(version.with_name("__pycache__"))  # which would be believed
    built = folder / f"l3ctl_{NEXT}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", folder / "tree", built], check=True, stdout=subprocess.DEVNULL)
    return built


@pytest.fixture(scope="module")
def lab() -> Iterator[Packaged]:
    one = Packaged(f"l3t{os.getpid()}k")
    try:
        try:
            one.up(links_up=False)
        except MissingRequirement as error:
            pytest.skip("; ".join(error.lines()))
        for customer in CUSTOMERS:
            one.link_up(customer)
        yield one
    finally:
        one.down()


@pytest.fixture(scope="module")
def before(lab: Packaged) -> dict[str, str]:
    """The sysctls of a router that has never known l3ctl."""
    return lab.sysctls()


def lost(lab: Packaged, work: Callable[[], object]) -> dict[str, int]:
    """Of the pings that upstream sends web1 meanwhile, those without an answer."""
    with Pings(lab.upstream, WEB1) as pings:
        work()
    return {prefix: sum(not one.answered for one in sent) for prefix, sent in pings.sent().items()}


NOTHING_LOST = {str(WEB1.ipv6): 0, f"{WEB1.ipv4}/32": 0}


class Reader:
    """Types what the manual says, block by block, and remembers which blocks those were."""

    def __init__(self, lab: Packaged) -> None:
        self._lab = lab
        self.left = blocks()

    def types(self, heading: str) -> list[str]:
        """The next block under that heading, line by line: what each printed. `plan` says with 3 that something would change."""
        return [self._lab.machine.run(*shlex.split(line), ok=(0, 3)) for line in self.left[heading].pop(0)]


@pytest.fixture(scope="module")
def reader(lab: Packaged) -> Reader:
    return Reader(lab)


def test_installed_it_works_in_audit_and_on_no_port(lab: Packaged, before: dict[str, str], package: Path, reader: Reader) -> None:
    machine = lab.machine
    make, install = reader.left["Install"].pop(0)
    assert (make, install.rsplit("/")[-1]) == ("make deb", package.name)  # which the fixture did
    machine.place(package, "/root/dist")
    machine.run("sh", "-ec", f"cd /root; {install}")
    assert reader.types("Install")[0] == "active\n"
    assert [machine.state(unit) for unit in (AGENT, EXABGP, METRICS)] == ["active", "inactive", "inactive"]
    assert lab.l3ctl("--version").strip().endswith(__version__)
    told = lab.status()
    assert (told["agent"]["version"], told["ports"]) == (__version__, [])
    assert "mode: audit" in (machine.root / "etc/l3ctl/l3ctl.yaml").read_text()
    assert (lab.programs(), lab.ours()) == ({}, [])
    assert lab.sysctls() == before
    assert machine.run("systemctl", "list-units", "--failed", "--plain", "--no-legend", "*l3ctl*") == ""
    looks = json.loads(lab.l3ctl("doctor", "--json"))["findings"]
    assert {one["what"]: one["state"] for one in looks}["bpffs"] == "good"
    assert [one for one in looks if one["state"] == "bad"] == []


def test_from_what_billing_knows_to_audit_and_to_bgp(lab: Packaged, reader: Reader) -> None:
    reader.types("1. Write down what billing knows")
    lab.configure(bgp=False)
    check, plan = reader.types("1. Write down what billing knows")
    assert "3 ports of router r1, 3 hosts, 6 prefixes: good" in check
    assert re.search(r"\+ add +route 2001:db8:11::/64 via", plan)
    assert (lab.programs(), lab.ours()) == ({}, []), "nothing was done yet"

    _, status = reader.types("2. Audit")
    assert "in sync" in status
    assert lab.modes() == dict.fromkeys(NAMES, "audit")

    lab.configure()
    reader.types("3. Announce")
    lab.machine.wait("what is announced", lambda: lab.bird_prefixes() == lab.expected_prefixes() and len(lab.bird_prefixes()) == 6)
    assert "6 of 6 announced" in reader.types("3. Announce")[0]
    assert lost(lab, lambda: None) == NOTHING_LOST


def learnt(lab: Packaged) -> set[str]:
    """Who is in the router's neighbour table by the attacker's port, and not by billing."""
    return {one["dst"] for one in lab.neighbours(lab.router) if one["dev"] == ROGUE.port and one["state"] != ["PERMANENT"]}


@pytest.mark.flood
def test_from_audit_to_enforce_one_port_first(lab: Packaged, reader: Reader) -> None:
    list(attack(lab, 100))
    would, top, journal = reader.types("4. Watch what would be dropped")
    assert "port rogue claimed 203.0.113.11, billed to web1" in would
    assert "port rogue claimed 203.0.113.11, billed to web1" in journal
    assert "arp-reply" in top

    lab.configure(enforced="rogue")
    lab.machine.wait("one port", lambda: lab.modes() == {"db1": "audit", "rogue": "enforce", "web1": "audit"})
    reader.types("5. Enforce, one port first")
    lab.configure(mode="enforce")
    reader.types("6. Enforce everywhere")
    lab.machine.wait("all ports", lambda: lab.modes() == dict.fromkeys(NAMES, "enforce"))

    before = learnt(lab)  # what audit let in goes by and by
    list(attack(lab, 100))
    assert learnt(lab) - before == set()
    told = lab.machine.run("journalctl", "--quiet", "--output=json", "L3CTL_EVENT=violation", "L3CTL_PORT=rogue").splitlines()
    assert {(json.loads(line)["PRIORITY"], json.loads(line)["_SYSTEMD_UNIT"]) for line in told} == {("5", AGENT)}
    assert lost(lab, lambda: None) == NOTHING_LOST


def because(lab: Packaged, asked: str) -> str:
    (one,) = json.loads(lab.l3ctl("explain", "--json", asked, ok=(0, 1)))["found"]
    return str(one["because"])


def test_explain_finds_each_of_three_faults_in_one_command(lab: Packaged) -> None:
    """What a customer's telephone call is about: an address that is not reached."""
    address = str(DB1.ipv4)
    lab.link_down(DB1)
    lab.machine.wait("a link that is down", lambda: f"its link {DB1.port} has no carrier" in because(lab, address))
    lab.link_up(DB1)
    lab.machine.wait("the link", lambda: because(lab, address).startswith("link up"))

    lab.router.ip(f"route add {address}/32 dev uplink0 metric 1")
    assert "leave by uplink0: a route that is not ours wins" in because(lab, address)
    lab.router.ip(f"route del {address}/32 dev uplink0 metric 1")

    lab.configure(mode="enforce", wrong_mac=DB1.name)
    lab.machine.wait("the other MAC", lambda: '"52:54:00:00:00:99"' in lab.l3ctl("explain", "--json", DB1.name, ok=(0, 1)))
    lab.hosts[DB1.name].ip("neigh flush dev eth0")
    lab.hosts[DB1.name].run("ping", "-c", "1", "-W", "1", f"{GATEWAY6}%eth0", ok=(1, 2))
    lab.machine.wait("a wrong record", lambda: f"frames come from {DB1.lladdr}, which is not billed there" in because(lab, address))
    lab.configure(mode="enforce")
    lab.machine.wait("the record", lambda: "frames" not in because(lab, address) and lab.l3ctl("plan", ok=(0, 3)).endswith("in sync\n"))


def test_its_units_may_do_little(lab: Packaged) -> None:
    """As systemd itself counts it, of the units as they run."""
    told = lab.machine.run("systemd-analyze", "security", "--no-pager", ok=(0, 1))
    exposure = {unit: float(at) for unit, at in re.findall(r"^(l3ctl-\w+\.service)\s+([\d.]+)", told, re.MULTILINE)}
    assert exposure[AGENT] <= 3.0
    assert exposure[EXABGP] <= 1.5
    lab.machine.run("systemctl", "start", METRICS)
    shown = "import urllib.request as r; print(r.urlopen('http://127.0.0.1:9797/metrics').read().decode())"
    lab.machine.wait("the numbers", lambda: 'l3ctl_ports{state="up"} 3.0' in lab.machine.run("/usr/bin/python3", "-c", shown, ok=(0, 1)))
    told = lab.machine.run("systemd-analyze", "security", "--no-pager", ok=(0, 1))
    assert float(re.findall(rf"^{METRICS}\s+([\d.]+)", told, re.MULTILINE)[0]) <= 1.5


def test_no_end_of_the_agent_loses_a_packet(lab: Packaged) -> None:
    machine, filters = lab.machine, lab.programs()
    assert len(filters) == 3
    assert lost(lab, lambda: machine.run("systemctl", "restart", AGENT)) == NOTHING_LOST

    def killed() -> None:
        machine.run("systemctl", "kill", "--signal=KILL", AGENT)
        machine.wait("its return", lambda: machine.state(AGENT) == "active")

    assert lost(lab, killed) == NOTHING_LOST
    assert lab.programs() == filters
    assert len(lab.bird_prefixes()) == 6


def test_an_agent_that_stands_still_is_ended_and_comes_back(lab: Packaged) -> None:
    """The watchdog, with less patience than the unit has."""
    machine = lab.machine
    machine.write(f"/etc/systemd/system/{AGENT}.d/patience.conf", "[Service]\nWatchdogSec=2\n")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", AGENT)
    stopped = machine.main_pid(AGENT)

    def stand_still() -> None:
        machine.run("systemctl", "kill", "--kill-who=main", "--signal=STOP", AGENT)
        machine.wait("another agent", lambda: machine.main_pid(AGENT) not in {0, stopped} and machine.state(AGENT) == "active")

    assert lost(lab, stand_still) == NOTHING_LOST
    assert "Watchdog timeout" in machine.journal(AGENT)
    machine.run("rm", "-r", f"/etc/systemd/system/{AGENT}.d")
    machine.run("systemctl", "daemon-reload")
    machine.run("systemctl", "restart", AGENT)


def test_an_exabgp_that_is_restarted_loses_no_packet(lab: Packaged) -> None:
    def restart() -> None:
        lab.machine.run("systemctl", "restart", EXABGP)
        lab.machine.wait("the session", lambda: lab.status()["bgp"]["peers"][UPSTREAM6] == "up")

    assert lost(lab, restart) == NOTHING_LOST
    lab.machine.wait("what is announced", lambda: lab.bird_prefixes() == lab.expected_prefixes())


def test_an_upgrade_loses_no_packet_and_leaves_the_filter_where_it_is(lab: Packaged, newer: Path) -> None:
    filters, told_at = lab.programs(), lab.upstream.birdc("show", "route", "2001:db8:11::/64", "all")
    assert lost(lab, lambda: lab.install(newer)) == NOTHING_LOST
    assert lab.status()["agent"]["version"] == NEXT
    assert lab.machine.state(METRICS) == "active"
    assert lab.programs() == filters
    assert lab.modes() == dict.fromkeys(NAMES, "enforce"), "the files of the operator are his"
    assert lab.upstream.birdc("show", "route", "2001:db8:11::/64", "all") == told_at, "nobody told the peer anything"


def test_what_cannot_be_given_back_is_not_left_alone(lab: Packaged) -> None:
    """ExaBGP stands still, so that nothing can be withdrawn: the package stays, and so does all that it looks after."""
    machine = lab.machine
    machine.run("systemctl", "kill", "--signal=STOP", EXABGP)
    try:
        done = subprocess.run(machine.command("apt-get", "remove", "-y", "l3ctl"), capture_output=True, text=True)
    finally:
        machine.run("systemctl", "kill", "--signal=CONT", EXABGP)
    assert done.returncode != 0
    assert "so the package stays" in done.stdout + done.stderr
    machine.wait("the agent", lambda: machine.state(AGENT) == "active")
    machine.wait("what is announced", lambda: lab.bird_prefixes() == lab.expected_prefixes())
    assert lost(lab, lambda: None) == NOTHING_LOST


def given_back(lab: Packaged, before: dict[str, str]) -> None:
    assert lab.bird_prefixes() == set()
    assert (lab.programs(), lab.ours()) == ({}, [])
    assert " fe80::1/" not in run("ip", "-n", lab.router.name, "addr"), "the gateway, not an address that begins as it does"
    assert {name: value for name, value in lab.sysctls().items() if before[name] != value} == {}
    assert "/run/l3ctl" not in lab.machine.run("cat", "/proc/mounts")
    assert not (lab.machine.root / "usr/lib/l3ctl").exists()


def test_removed_it_gives_the_router_back(lab: Packaged, before: dict[str, str], reader: Reader) -> None:
    reader.types("Remove")
    given_back(lab, before)
    assert "web1" in (lab.machine.root / "etc/l3ctl/inventory.yaml").read_text(), "the files of the operator are his"


def test_installed_again_it_goes_on_and_purged_it_leaves_nothing(
    lab: Packaged, before: dict[str, str], package: Path, reader: Reader
) -> None:
    lab.install(package)
    lab.machine.wait("all ports", lambda: lab.modes() == dict.fromkeys(NAMES, "enforce"))
    reader.types("Remove")
    given_back(lab, before)
    left = lab.machine.run("find", "/", "-xdev", "-path", "/proc", "-prune", "-o", "-name", "*l3ctl*", "-print").split()
    assert [path for path in left if not path.startswith(("/root/", "/var/log/", "/tmp/"))] == []
    assert "l3ctl" not in lab.machine.run("cat", "/etc/passwd", "/etc/group")


def test_every_block_of_the_manual_was_typed(reader: Reader) -> None:
    assert {heading: left for heading, left in reader.left.items() if left} == {}
