"""Ports in VRFs, which the development kernel has not got: a real agent, real VRFs, and customers who reach each other through them.

    router                                 red is table 70000, blue is table 100; a test says who is in which
    agent ── port-web1 ─── eth0  web1      203.0.113.11  2001:db8:11::/64
             port-db1 ──── eth0  db1       203.0.113.12  2001:db8:12::/64
             port-app1 ─── eth0  app1      203.0.113.13  2001:db8:13::/64

The agent makes no full pass but its first: what is right after a change is right because of the events.
"""

import json
import subprocess
from collections import Counter
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Network
from typing import Any

import pytest

from l3ctl.asking import ask
from l3ctl.errors import LabFailed
from l3ctl.lab.customers import GATEWAY4, GATEWAY6, Customer, record
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.lab.network import Network, as_its_owner_would
from l3ctl.lab.programs import Router
from tests.vm.inside.street import forget_links, share_pins
from tests.vm.inside.warm import WarmRouter

pytestmark = [pytest.mark.root, pytest.mark.bpf]

WHOLE = 60.0
"""seconds after which something has gone wrong, on an emulated processor"""
RED, BLUE, MAIN = "70000", "100", "main"
VRFS = {"red": RED, "blue": BLUE}
WEB1, DB1, APP1 = CUSTOMERS = tuple(
    Customer(name, f"52:54:00:0a:00:{number:02x}", IPv6Network(f"2001:db8:{number}::/64"), IPv4Address(f"203.0.113.{number}"), arp)
    for name, number, arp in (("web1", 11, True), ("db1", 12, False), ("app1", 13, True))
)
EACH = 3
"""routes of a customer: its /64, its /32 and its link-local's /128"""
CONFIG = f"""\
router: r1
inventory: {{file: inventory.yaml, watch: false, max_shrink: 100}}
gateway: {{ipv6: [{GATEWAY6}], ipv4: [{GATEWAY4}]}}
guard: {{mode: enforce, source_guard: false}}
full_pass: 3600
"""


class Rented(Network):
    """A router with three customers."""

    def __init__(self, prefix: str = "l3w") -> None:
        super().__init__(prefix)
        self.router: Router = WarmRouter(f"{prefix}-router", self.run_dir)
        self.hosts = {customer: Namespace(f"{prefix}-{customer.name}") for customer in CUSTOMERS}

    def routers(self) -> list[Router]:
        return [self.router]

    def namespaces(self) -> list[Namespace]:
        return [self.router, *self.hosts.values()]

    def up(self) -> None:
        self.build(self._steps)

    def _steps(self) -> None:
        self.router.prepare(f"{CONFIG}run_dir: {self.run_dir}\n")
        share_pins(self.router)
        self.router.write_inventory(record(customer) for customer in CUSTOMERS)
        self.router.forward()
        for customer in CUSTOMERS:
            self.plug_in(customer)
        self.router.start_agent(2 * WHOLE)

    def plug_in(self, customer: Customer, *words: str) -> None:
        """A new netdev for a customer, and its host at the other end; further words as `ip link set` takes them."""
        peer = f"peer name eth0 netns {self.hosts[customer].name} address {customer.lladdr}"
        self.router.ip(f"link add {customer.port} type veth {peer}", f"link set {customer.port} up {' '.join(words)}")
        self.hosts[customer].ip(*as_its_owner_would(customer))

    def tables(self, *more: str) -> dict[str, dict[str, int]]:
        """How many routes of ours each port has in each table."""
        found: dict[str, Counter[str]] = {}
        for family in ("-4", "-6"):
            shown = run("ip", "-n", self.router.name, "-N", family, "-j", "route", "show", "table", "all", "proto", "201", *more)
            for route in json.loads(shown or "[]"):
                found.setdefault(route["dev"].removeprefix("port-"), Counter())[route.get("table", MAIN)] += 1
        return {name: dict(counts) for name, counts in found.items()}

    def add_vrf(self, *names: str) -> None:
        self.router.ip(*(line for name in names for line in (f"link add {name} type vrf table {VRFS[name]}", f"link set {name} up")))

    def move(self, customer: Customer, vrf: str | None) -> None:
        self.router.ip(f"link set {customer.port} {f'master {vrf}' if vrf else 'nomaster'}")

    def settled(self, **where: str) -> None:
        """Wait until the customers' routes are in these tables and nowhere else, the others' in main, and nothing is left to do."""
        wanted = {customer.name: {where.get(customer.name, MAIN): EACH} for customer in CUSTOMERS}
        try:
            self.wait("the routes", lambda: self.tables() == wanted, WHOLE)
        except LabFailed as error:
            raise AssertionError(f"{self.tables()} and not {wanted}; {error}") from error
        assert self.plan() == []
        shown = run("ip", "-n", self.router.name, "-6", "route", "show", "table", "all", "fe80::/64")
        assert shown == "", "of fe80::/64 the hosts' own link-locals alone are routed"

    def asked(self, command: str, **more: object) -> dict[str, Any]:
        """What the agent answers, without starting a program of ours, which takes seconds on an emulated processor."""
        return ask(self.run_dir / "agent.sock", {"command": command, **more})

    def plan(self) -> list[str]:
        """As `l3ctl plan` says it."""
        return [change["text"] for change in self.asked("plan")["changes"]]

    def failed(self) -> list[dict[str, str]]:
        failed: list[dict[str, str]] = self.asked("status")["failed"]
        return failed

    def pings(self, source: Customer, address: str) -> bool:
        return " 0% packet loss" in self.hosts[source].run("ping", "-c", "1", "-W", "1", address, ok=(0, 1, 2))

    def reaches(self, source: Customer, target: Customer) -> tuple[bool, bool]:
        """By IPv6 and by IPv4; waited for, since a host's own link takes its time to be up."""
        answers = (False, False)
        for _ in range(10):
            answers = self.pings(source, target.address6), self.pings(source, str(target.ipv4))
            if all(answers):
                break
        return answers

    def route_get(self, target: str, *words: str) -> dict[str, Any]:
        """The route that the router takes; nothing where it has none."""
        shown = self.router.run("ip", "-N", "-j", "route", "get", "fibmatch", target, *words, ok=(0, 2))
        found: list[dict[str, Any]] = json.loads(shown or "[]")
        return found[0] if found else {}


@pytest.fixture(scope="module")
def built() -> Iterator[Rented]:
    """Skipped where the kernel has no VRFs, which is found out by making one."""
    subprocess.run(["modprobe", "vrf"], capture_output=True, check=False)
    probe = Namespace("l3w-probe")
    probe.add()
    try:
        probe.ip("link add red type vrf table 10")
    except LabFailed as error:
        pytest.skip(f"this kernel has no VRF devices ({'; '.join(error.lines())}): `make vm` runs this in some that have")
    finally:
        probe.remove()
    lab = Rented()
    lab.up()
    try:
        yield lab
    finally:
        lab.down()
        forget_links()


@pytest.fixture
def lab(built: Rented) -> Rented:
    """Every port in main, no VRF, and an agent that has nothing to do."""
    for name in VRFS:
        built.router.run("ip", "link", "del", name, ok=(0, 1))
    built.settled()
    return built


def test_customers_in_one_vrf_reach_each_other_and_nobody_outside_of_it(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.move(WEB1, "red")
    lab.move(DB1, "red")
    lab.settled(web1=RED, db1=RED)
    assert lab.reaches(WEB1, DB1) == (True, True)
    assert lab.reaches(DB1, WEB1) == (True, True)
    assert lab.pings(WEB1, f"{GATEWAY6}%eth0"), "the router speaks as the gateway in the VRF too"
    for target in (WEB1.address6, str(WEB1.ipv4)):
        found = lab.route_get(target, "vrf", "red")
        assert (found["dev"], found["table"], found["protocol"]) == (WEB1.port, RED, "201")
        assert lab.route_get(target) == {}, "main does not know it"
    assert not lab.pings(APP1, WEB1.address6)
    assert not lab.pings(APP1, str(WEB1.ipv4))


def test_two_customers_may_be_in_two_vrfs(lab: Rented) -> None:
    lab.add_vrf("red", "blue")
    lab.move(WEB1, "red")
    lab.move(APP1, "blue")
    lab.settled(web1=RED, app1=BLUE)
    for customer, vrf in ((WEB1, "red"), (APP1, "blue")):
        assert lab.pings(customer, f"{GATEWAY6}%eth0")
        for target in (customer.address6, str(customer.ipv4)):
            found = lab.route_get(target, "vrf", vrf)
            assert (found["dev"], found["table"]) == (customer.port, VRFS[vrf])
    assert not lab.pings(WEB1, APP1.address6)


def test_a_netdev_that_moves_takes_its_routes_along(lab: Rented) -> None:
    lab.add_vrf("red", "blue")
    lab.move(DB1, "blue")
    for vrf, table in (("red", RED), ("blue", BLUE), (None, MAIN), ("blue", BLUE)):
        lab.move(WEB1, vrf)
        lab.settled(web1=table, db1=BLUE)
    assert lab.reaches(WEB1, DB1) == (True, True)


def test_a_netdev_that_moves_to_and_fro_at_full_speed_ends_right(lab: Rented) -> None:
    lab.add_vrf("red", "blue")
    steps = [f"link set {one.port} {where}" for where in ("master red", "nomaster", "master blue", "master red") * 5 for one in CUSTOMERS]
    lab.router.ip(*steps)
    lab.settled(web1=RED, db1=RED, app1=RED)
    assert lab.reaches(WEB1, APP1) == (True, True)


def test_a_netdev_that_is_down_while_it_moves_is_right_when_it_is_up_again(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.router.ip(f"link set {WEB1.port} down", f"link set {WEB1.port} master red")
    lab.wait("no routes", lambda: "web1" not in lab.tables(), WHOLE)
    assert lab.plan() == []
    lab.router.ip(f"link set {WEB1.port} up")
    lab.settled(web1=RED)


def test_a_vrf_that_is_deleted_leaves_its_ports_in_main_and_one_made_again_has_them_back(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.move(WEB1, "red")
    lab.move(DB1, "red")
    lab.settled(web1=RED, db1=RED)
    lab.router.ip("link del red")
    lab.settled()
    assert lab.reaches(WEB1, APP1) == (True, True)
    lab.add_vrf("red")
    lab.move(WEB1, "red")
    lab.move(DB1, "red")
    lab.settled(web1=RED, db1=RED)
    assert lab.reaches(WEB1, DB1) == (True, True)


def test_a_netdev_that_is_made_anew_in_a_vrf_has_no_route_to_all_link_locals_there(lab: Rented) -> None:
    """The kernel puts fe80::/64 of a link-local that it makes by itself into the VRF's table; it goes with the address."""
    lab.add_vrf("red")
    lab.router.ip(f"link del {WEB1.port}")
    lab.plug_in(WEB1, "master", "red")
    lab.settled(web1=RED)


def test_what_is_removed_by_hand_in_a_vrfs_table_is_put_back(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.move(WEB1, "red")
    lab.settled(web1=RED)
    for family in ("-4", "-6"):
        lab.router.run("ip", family, "route", "flush", "table", RED, "proto", "201")
    lab.settled(web1=RED)


def test_a_route_of_ours_in_the_wrong_table_goes(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.move(WEB1, "red")
    lab.settled(web1=RED)
    lab.router.ip(
        f"route add {WEB1.ipv6} via {WEB1.link_local} dev {WEB1.port} proto 201 metric 201",
        f"route add {WEB1.ipv4}/32 via inet6 {WEB1.link_local} dev {WEB1.port} proto 201 table 33",
    )
    lab.settled(web1=RED)


def test_what_is_anothers_in_a_vrfs_table_is_named_with_it_and_gives_way_to_who_asks(lab: Rented) -> None:
    lab.add_vrf("red")
    lab.move(DB1, "red")
    lab.settled(db1=RED)
    lab.router.ip(f"route add {WEB1.ipv6} via {DB1.link_local} dev {DB1.port} metric 201 proto bird table {RED}")
    lab.move(WEB1, "red")
    lab.wait("the rest", lambda: lab.tables().get("web1") == {RED: EACH - 1}, WHOLE)
    lab.wait("the failure", lambda: bool(lab.failed()), WHOLE)
    (failed,) = lab.failed()
    assert failed["change"] == f"add route {WEB1.ipv6} via {WEB1.link_local} dev {WEB1.port} table {RED}"
    assert failed["reason"] == (
        f"route {WEB1.ipv6} via {DB1.link_local} dev {DB1.port} metric 201 table {RED} of protocol 12 stands in the way"
    )
    assert lab.plan() == [f"route {WEB1.ipv6} via {WEB1.link_local} dev {WEB1.port} table {RED}"]
    lab.asked("apply", take_over=True)
    lab.settled(web1=RED, db1=RED)


def test_an_agent_that_comes_back_adopts_what_is_in_a_vrf_and_a_release_removes_it(lab: Rented) -> None:
    lab.add_vrf("red", "blue")
    lab.move(WEB1, "red")
    lab.move(DB1, "blue")
    lab.settled(web1=RED, db1=BLUE)
    _end_agent(lab.router)
    said = len(lab.router.log("agent").read_text())
    lab.move(DB1, "red")
    lab.router.start_agent(2 * WHOLE)
    lab.settled(web1=RED, db1=RED)
    news = lab.router.log("agent").read_text()[said:]
    assert "port=db1" in news
    assert "port=web1" not in news, "all of it was there"
    _end_agent(lab.router)
    lab.router.l3ctl("agent", "--release")
    assert lab.tables() == {}
    lab.router.start_agent(2 * WHOLE)
    lab.settled(web1=RED, db1=RED)


def _end_agent(router: Router) -> None:
    assert router.agent is not None
    router.agent.terminate()
    router.agent.wait(WHOLE)
