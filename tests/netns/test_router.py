"""A whole router against the real kernel and the real filter: what it installs, what happens to it, and how it comes back."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from l3ctl.desired import desired
from l3ctl.kernel.sysctl import SETTINGS as SYSCTLS
from l3ctl.model import Change, Verb
from l3ctl.silence import Silence
from l3ctl.xdp.libbpf import Map
from tests.netns.router_bench import DB1, DB_PREFIXES, FOREIGN_LLADDR, SETTINGS, WEB, WEB1, WEB_PREFIXES, Bench, veth

pytestmark = [pytest.mark.root, pytest.mark.bpf]


def test_a_full_pass_installs_everything_from_nothing_and_leaves_nothing_to_do(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    planned = bench.router.plan()
    made, failed = bench.full_pass()
    assert made == planned
    assert failed == []
    assert bench.router.plan() == []
    assert bench.full_pass() == ([], [])
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.attached() == {"p0", "p1"}


def test_a_first_pass_over_many_ports_goes_some_at_a_time_and_takes_away_before_it_adds(
    build: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("present", "router"):
        monkeypatch.setattr(f"l3ctl.{module}.AT_ONCE", 1)
    bench = build(WEB1, DB1)
    links = bench.router.kernel.links()
    moved = replace(DB1, name="gone", interface="p2", guard="p2")
    left = [Change("gone", Verb.ADD, item) for item in desired(moved, links, SETTINGS).routes]
    assert bench.router.kernel.apply(left) == []
    made, failed = bench.router.full_pass()
    verbs = [change.verb for change in made]
    assert failed == []
    assert verbs == sorted(verbs, key=lambda verb: verb is not Verb.REMOVE)
    assert verbs.count(Verb.REMOVE) == len(left)
    assert bench.router.plan() == []
    assert bench.leftovers("p2") == ""
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_a_plan_changes_nothing(build: Callable[..., Bench]) -> None:
    bench = build(WEB1, DB1)
    assert bench.router.plan() == bench.router.plan() != []
    assert bench.leftovers("p0") == ""
    assert bench.attached() == set()


def test_what_the_kernel_would_believe_a_customer_is_turned_off_before_anything_is_installed(bench: Bench) -> None:
    for setting, value in (
        ("ipv6/conf/p0/accept_ra", "0"),
        ("ipv6/conf/p0/accept_redirects", "0"),
        ("ipv4/conf/p1/drop_gratuitous_arp", "1"),
    ):
        assert Path("/proc/sys/net", setting).read_text().strip() == value


def test_a_returning_agent_adopts_what_it_finds_and_only_announces(bench: Bench, build: Callable[..., Bench]) -> None:
    again = build(WEB1, DB1)
    made, failed = again.full_pass()
    assert {change.verb for change in made} == {"announce"}
    assert failed == []
    assert again.wished() == WEB_PREFIXES | DB_PREFIXES


def overwrite_records(bench: Bench) -> None:
    records = Map.open(bench.pins / "map-ports")
    for number in (1, 2):
        records.update(number.to_bytes(4, "little"), bytes(records.value_size))


def wipe_hosts(bench: Bench) -> None:
    hosts = Map.open(bench.pins / "map-hosts")
    for key, _ in list(hosts.items()):
        hosts.delete(key)


INJURIES: dict[str, Callable[[Bench], object]] = {
    "IPv6 neighbour deleted": lambda bench: bench.ip(f"neigh del {WEB.link_local} dev p0"),
    "IPv4 neighbour deleted": lambda bench: bench.ip("neigh del 192.0.2.11 dev p0"),
    "neighbour given another MAC": lambda bench: bench.ip(f"neigh replace {WEB.link_local} lladdr {FOREIGN_LLADDR} dev p0 nud permanent"),
    "neighbour made a learned one": lambda bench: bench.ip(f"neigh replace {WEB.link_local} lladdr {FOREIGN_LLADDR} dev p0 nud reachable"),
    "every neighbour flushed": lambda bench: bench.ip("neigh flush dev p0 nud all"),
    "IPv6 route deleted": lambda bench: bench.ip("route del 2001:db8:11::/64 dev p0"),
    "IPv4 route deleted": lambda bench: bench.ip("route del 192.0.2.11/32 dev p0"),
    "every route flushed": lambda bench: (bench.show("-6", "route", "flush", "dev", "p0"), bench.show("-4", "route", "flush", "dev", "p0")),
    "gateway's address deleted": lambda bench: bench.ip("addr del fe80::1/64 dev p0"),
    "every address flushed": lambda bench: bench.show("addr", "flush", "dev", "p0"),
    "filter taken off": lambda bench: bench.take_filter_off("p0"),
    "filter's records overwritten": overwrite_records,
    "filter's hosts wiped": wipe_hosts,
    "MAC of the port changed": lambda bench: bench.ip("link set p0 address 02:00:00:00:00:77"),
    "IPv6 turned off and on": lambda bench: [bench.namespace.sysctl(f"net.ipv6.conf.p0.disable_ipv6={value}") for value in (1, 0)],
    "MTU below IPv6's and back": lambda bench: bench.ip("link set p0 mtu 1000", "link set p0 mtu 1500"),
    "administratively down and up": lambda bench: bench.ip("link set p0 down", "link set p0 up"),
    "netdev deleted and made again": lambda bench: bench.ip("link del p0", *veth("p0")),
    "netdevs of two ports exchanged": lambda bench: bench.ip(
        *(f"link set {one} down" for one in ("p0", "p1")),
        *("link set p0 name tmp", "link set p1 name p0", "link set tmp name p1"),
        *(f"link set {one} up" for one in ("p0", "p1")),
    ),
}


@pytest.mark.parametrize("injury", INJURIES.values(), ids=INJURIES.keys())
@pytest.mark.parametrize("by", ["events", "full pass"])
def test_what_is_damaged_by_hand_is_put_right(bench: Bench, injury: Callable[[Bench], object], by: str) -> None:
    injury(bench)
    assert bench.router.plan() != []
    bench.settle(bench.look if by == "events" else bench.full_pass)
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES
    assert bench.attached() == {"p0", "p1"}


def sysctls(netdev: str) -> dict[str, str]:
    """Those that a port's netdev needs, as they are."""
    names = [f"net/{family}/conf/{netdev}/{setting}" for family, setting, *_ in SYSCTLS]
    return {name: Path("/proc/sys", name).read_text().strip() for name in names}


def test_sysctls_that_are_set_back_are_set_again_and_told(bench: Bench, caplog: pytest.LogCaptureFixture) -> None:
    """Whichever they are; those of a netdev that is no port's are left alone."""
    caplog.set_level("INFO", "l3ctl")
    bench.untold.look()
    assert not caplog.messages
    before, others = sysctls("p0"), sysctls("p2")
    for name, was in before.items():
        Path("/proc/sys", name).write_text("1" if was == "0" else "0")
    assert not set(before.items()) & set(sysctls("p0").items())
    bench.untold.look()
    assert (sysctls("p0"), sysctls("p2")) == (before, others)
    (told,) = caplog.messages
    assert told.startswith("replace port=web1 ")
    assert all(name in told for name in before)
    bench.untold.look()
    assert len(caplog.messages) == 1


def test_a_filter_that_is_taken_off_again_before_the_next_comparison_is_missed(bench: Bench) -> None:
    bench.full_pass()
    bench.untold.look()
    for _ in range(2):
        assert not bench.untold.displaced()
        bench.take_filter_off("p0")
        bench.until(bench.untold.displaced)
        for _ in bench.router.look_again_at(bench.untold.look()):
            pass
    assert not bench.untold.displaced()
    assert bench.router.plan() == []


@pytest.mark.parametrize("by", ["events", "full pass"])
@pytest.mark.parametrize(
    ("down", "up"),
    [("link set q0 down", "link set q0 up"), ("link set p0 down", "link set p0 up")],
    ids=["carrier", "administratively"],
)
def test_a_port_is_announced_while_its_link_is_up_and_not_while_it_is_down(bench: Bench, down: str, up: str, by: str) -> None:
    step = bench.look if by == "events" else bench.full_pass
    bench.ip(down)
    bench.until(lambda: bench.wished() == DB_PREFIXES, step)
    bench.settle(step)
    assert "2001:db8:11" not in bench.show("-6", "route", "show")
    assert bench.attached() == {"p0", "p1"}
    bench.ip(up)
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, step)
    bench.settle(step)


def test_without_carrier_the_neighbours_stay(bench: Bench) -> None:
    bench.ip("link set q0 down")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    assert bench.show("neigh", "show", "dev", "p0", "nud", "permanent").count("PERMANENT") == 2


def test_a_netdev_that_goes_takes_its_port_with_it_and_brings_it_back(bench: Bench) -> None:
    bench.ip("link del p0")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    bench.settle()
    assert bench.attached() == {"p1"}
    bench.ip(*veth("p0"))
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, bench.look)
    bench.settle()


@pytest.mark.parametrize("looked_in_between", [False, True])
def test_a_renamed_netdev_is_left_without_anything_of_ours(bench: Bench, looked_in_between: bool) -> None:
    """Also when somebody asked for the status before the event was read: links are then known by their new names already."""
    bench.ip("link set p0 name x0")
    if looked_in_between:
        assert bench.router.plan() != []
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    bench.settle()
    assert bench.leftovers("x0") == ""
    assert bench.attached() == {"p1"}
    bench.ip("link set x0 name p0")
    bench.until(lambda: bench.wished() == WEB_PREFIXES | DB_PREFIXES, bench.look)
    bench.settle()


def test_with_mtu_too_small_for_ipv6_the_port_is_reported_and_not_announced_until_it_is_large_enough(bench: Bench) -> None:
    bench.ip("link set p0 mtu 1000")
    bench.until(lambda: bench.wished() == DB_PREFIXES, bench.look)
    _, failed = bench.full_pass()
    assert {failure.change.port for failure in failed} == {"web1"}
    bench.ip("link set p0 mtu 1500")
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_many_flaps_end_with_nothing_to_do(bench: Bench) -> None:
    for number in range(30):
        bench.ip(f"link set q{number % 2} down", f"link set p{number % 2} down", f"link set q{number % 2} up", f"link set p{number % 2} up")
        bench.look()
    bench.until(lambda: all(bench.router.kernel.links()[name].up for name in ("p0", "p1")))
    bench.settle()
    assert bench.wished() == WEB_PREFIXES | DB_PREFIXES


def test_states_tell_each_port_by_its_own_interface(bench: Bench) -> None:
    links = bench.router.kernel.links()
    states = bench.router.present.states(None, links)
    assert states == {one.name: desired(one, links, SETTINGS) for one in (WEB1, DB1)}
    assert bench.router.present.states({"web1"}, links) == {"web1": states["web1"]}


def test_a_pass_that_finds_nothing_new_sees_what_was_done_behind_its_back(bench: Bench) -> None:
    """A look that nothing differs is a comparison of bytes; whatever is injured there, the bytes tell."""
    assert bench.router.filter is not None
    injuries = (
        "neigh del {} dev p0",
        "neigh replace {} lladdr 02:00:00:00:00:66 dev p0 nud permanent protocol 201",
        "neigh replace {} lladdr 52:54:00:0a:00:0b dev p0 nud permanent protocol 3",
        "route del 2001:db8:11::/64 metric 201",
        "addr del fe80::1/64 dev p0",
        "link set p0 address 02:00:00:00:00:77",
        "link set p0 mtu 1000",
    )
    for injury in injuries:
        assert bench.full_pass() == ([], [])
        assert bench.full_pass() == ([], [])
        bench.ip(injury.format(WEB.link_local))
        made, failed = bench.full_pass()
        assert made or failed, injury
        if "mtu" in injury:
            bench.ip("link set p0 mtu 1500")
        if "protocol 3" in injury:
            bench.ip(f"neigh del {WEB.link_local} dev p0")
        bench.settle()
    for name in ("ports", "hosts", "gateways", "prefixes"):
        assert bench.full_pass() == ([], [])
        assert bench.full_pass() == ([], [])
        pinned = Map.open(bench.pins / f"map-{name}")
        key = (1).to_bytes(4, "little") if name == "ports" else next(pinned.items())[0]
        if name == "ports":
            pinned.update(key, bytes(pinned.value_size))
        else:
            pinned.delete(key)
        assert bench.full_pass()[0], name
        bench.settle()


def test_a_step_that_broke_off_is_made_up_for_in_the_next_full_pass(bench: Bench) -> None:
    """The agent asks for one; it must not take what the links were by then for what they were when all was well."""
    bench.ip("link set q0 down")
    bench.settle()
    assert bench.full_pass() == ([], [])
    bench.events.read()
    bench.ip("link set q0 up")
    bench.until(lambda: bench.router.kernel.links()["p0"].up)
    batch = bench.events.read()
    bench.router.concerned(batch.ifindexes, batch.links_changed)  # and here it broke off
    made, failed = bench.full_pass()
    assert made
    assert failed == []


def test_a_neighbour_of_ours_with_one_state_too_many_is_made_anew_once(bench: Bench) -> None:
    bench.ip(f"neigh replace {WEB.link_local} lladdr {WEB.lladdr} dev p0 nud noarp protocol 201")
    bench.settle()
    assert bench.full_pass() == ([], [])
    assert "PERMANENT" in bench.show("neigh", "show", str(WEB.link_local), "dev", "p0")


def test_what_a_pass_remembers_is_not_changed_by_who_holds_a_port_down(bench: Bench, tmp_path: Path) -> None:
    bench.full_pass()
    bench.router.held_down = frozenset({"web1"})
    silence = Silence(bench.router, tmp_path / "drained", None)
    silence.replace()
    before = bench.router.told()
    bench.router.held_down -= {"web1"}
    assert bench.router.told() != before
