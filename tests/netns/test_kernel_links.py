"""Links as `ip` itself tells them, and the settings of a port's interface."""

import itertools
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from pathlib import Path

import pytest

from l3ctl.distrust import prepare
from l3ctl.errors import NetlinkFailed
from l3ctl.kernel import sysctl
from l3ctl.kernel.sysctl import Sysctls
from l3ctl.kernel.tables import Kernel
from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Change, Host, Neighbour, Port, Verb
from tests.netns.kernel_ports import Router, router_with

pytestmark = pytest.mark.root
HOST = Host("52:54:00:00:00:01", IPv6Address("fe80::5054:ff:fe00:1"), (), ())


@pytest.fixture
def router(namespace: Callable[[], Namespace]) -> Iterator[Router]:
    with router_with(namespace, "p0", "p1") as one:
        yield one


def test_links_are_what_ip_says(router: Router) -> None:
    router.ip(
        "link set q1 down",
        "link set p0 mtu 1400 address 52:54:00:00:00:01",
        "tuntap add name tap0 mode tap",
        "tuntap add name tun0 mode tun",
        "link set tap0 up",
        "link add eth1.11 type veth peer name fifteen-letters",
    )
    told = {one["ifname"]: one for one in json.loads(router.show("-j", "-d", "link", "show"))}
    links = router.kernel.links()
    assert links.keys() == told.keys()
    for name, facts in links.items():
        theirs = told[name]
        assert facts.name == name
        assert (facts.ifindex, facts.mtu) == (theirs["ifindex"], theirs["mtu"])
        assert facts.lladdr == theirs.get("address", "")
        assert facts.kind == theirs.get("linkinfo", {}).get("info_kind", "")
        assert facts.admin_up == ("UP" in theirs["flags"])
        assert facts.up == ("UP" in theirs["flags"] and "LOWER_UP" in theirs["flags"])
        assert router.kernel.link(name) == router.kernel.link(facts.ifindex) == facts
    assert {name for name, facts in links.items() if facts.up} == {"lo", "p0", "q0"}
    assert (links["p1"].admin_up, links["p1"].up) == (True, False)
    assert (links["tap0"].kind, links["p0"].kind, links["lo"].kind) == ("tun", "veth", "")


@pytest.mark.parametrize("which", ["nowhere", "", "longer-than-any-name", 99_999])
def test_there_is_no_link_where_there_is_none(router: Router, which: str | int) -> None:
    assert router.kernel.link(which) is None


def settings(name: str) -> dict[str, str]:
    folders = [Path("/proc/sys/net") / family / "conf" / name for family in ("ipv4", "ipv6")]
    return {f"{one.parents[2].name}.{one.name}": read(one) for folder in folders for one in folder.iterdir()}


def read(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        # stable_secret refuses to be read until it is set
        return ""


def test_guarding_sets_what_a_port_needs_and_nothing_else(router: Router) -> None:
    router.ip("link add eth1.11 type veth peer name q2")
    with router.namespace.entered():
        before, sibling = settings("eth1.11"), settings("p0")
        changed = Sysctls().guard("eth1.11")
        after = settings("eth1.11")
        assert {name for name in before if before[name] != after[name]} == {
            "ipv6.addr_gen_mode",
            "ipv6.accept_ra",
            "ipv6.accept_redirects",
            "ipv6.autoconf",
            "ipv6.accept_dad",
            "ipv6.dad_transmits",
            "ipv6.drop_unsolicited_na",
            "ipv4.rp_filter",
            "ipv4.accept_redirects",
            "ipv4.send_redirects",
            "ipv4.drop_gratuitous_arp",
        }
        assert changed["net/ipv6/conf/eth1.11/accept_ra"] == before["ipv6.accept_ra"]
        assert len(changed) == 11
        assert Sysctls().guard("eth1.11") == {}
        assert settings("p0") == sibling


def test_what_was_before_is_restored_also_by_another_process_and_only_on_the_same_netdev(router: Router, tmp_path: Path) -> None:
    router.ip("link add eth1.11 type veth peer name q2", "link add eth1.12 type veth peer name q3")
    memory = tmp_path / "sysctls.json"
    with router.namespace.entered():
        names = ("eth1.11", "eth1.12")
        Path("/proc/sys/net/ipv6/conf/eth1.11/accept_ra").write_text("2")
        before = {name: settings(name) for name in names}
        first = Sysctls(memory)
        for name in names:
            first.guard(name)
        first.remember()
        again = Sysctls(memory)  # an agent that starts anew finds them set, and what they were before is not forgotten
        again.guard("eth1.11")
        again.remember()
        assert settings("eth1.11") != before["eth1.11"]
        router.ip("link del eth1.12", "link add eth1.12 type veth peer name q3")
        Path("/proc/sys/net/ipv6/conf/eth1.12/accept_ra").write_text("0")
        made_anew = settings("eth1.12")
        Sysctls(memory).restore()
        assert settings("eth1.11") == before["eth1.11"]
        assert settings("eth1.12") == made_anew
    assert not memory.exists()


@pytest.mark.parametrize("name", ["nowhere", "all", "default", "../lo"])
def test_what_is_no_interface_is_not_guarded(router: Router, name: str) -> None:
    with router.namespace.entered():
        before = settings("all"), settings("default")
        with pytest.raises(NetlinkFailed):
            Sysctls().guard(name)
        assert (settings("all"), settings("default")) == before


def test_what_the_kernel_tells_of_netdevs_is_what_their_sysctls_are(router: Router) -> None:
    router.ip("link add eth1.11 type veth peer name q2", "link set p1 mtu 1000")  # which takes IPv6 away
    with router.namespace.entered():
        Path("/proc/sys/net/ipv6/conf/eth1.11/accept_ra").write_text("2")
        Path("/proc/sys/net/ipv4/conf/eth1.11/rp_filter").write_text("1")
        told = router.kernel.trust(["eth1.11", "nowhere", "p0", "p1", "longer-than-any-name", "all"])
        assert told.keys() == {"eth1.11", "p0", "p1"}
        expected = {name: Sysctls().guard(name) for name in told}
        assert {name: one.differing for name, one in told.items()} == expected
        assert expected["eth1.11"]["net/ipv6/conf/eth1.11/accept_ra"] == "2"
        assert (len(expected["eth1.11"]), len(expected["p0"]), len(expected["p1"])) == (10, 10, 4)
        assert not any(one.differing for one in router.kernel.trust(["eth1.11", "p0", "p1"]).values())


def test_what_the_kernel_tells_is_set_and_remembered_as_what_is_read(router: Router, tmp_path: Path) -> None:
    memory = tmp_path / "sysctls.json"
    with router.namespace.entered():
        before = settings("p0")
        told = router.kernel.trust(["p0"])["p0"]
        one = Sysctls(memory)
        one.foresee([told])
        assert one.guard("p0", told) == told.differing
        one.remember()
        assert one.guard("p0") == {}
        assert memory.read_text().split() == json.dumps(told).split(), "once"
        Sysctls(memory).restore()
        assert settings("p0") == before


def test_who_is_killed_between_two_sysctls_can_give_all_back(router: Router, tmp_path: Path) -> None:
    memory, killed_at = tmp_path / "sysctls.json", 5
    port, policy = Port("a", "p0", "p0", None, (HOST,)), Neighbour("p0", HOST.link_local, HOST.lladdr)
    with router.namespace.entered():
        before = settings("p0")
        child = os.fork()
        if child == 0:
            try:
                real, count = sysctl._exchange, itertools.count(1)
                with Kernel(memory) as kernel:
                    die = lambda *given: os.kill(os.getpid(), signal.SIGKILL) if next(count) == killed_at else real(*given)  # noqa: E731
                    sysctl._exchange = die
                    prepare(kernel, {"a": port}, [Change("a", Verb.ADD, policy)])
            finally:
                os._exit(1)
        assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
        changed = {name for name, value in settings("p0").items() if value != before[name]}
        assert len(changed) == killed_at - 1
        with Kernel(memory) as kernel:  # the agent that comes after it, and its end
            assert prepare(kernel, {"a": port}, [Change("a", Verb.ADD, policy)]) == []
            assert Sysctls().guard("p0") == {}
            kernel.sysctls.restore()
        assert settings("p0") == before
        assert not memory.exists()


def test_what_was_told_of_a_netdev_that_another_has_replaced_is_not_believed(router: Router) -> None:
    with router.namespace.entered():
        Sysctls().guard("p0")
        told = router.kernel.trust(["p0"])["p0"]
        router.ip("link del p0", "link add p0 type veth peer name q0")
        assert len(Sysctls().guard("p0", told)) == 11


def where_sysctls_are_read_only(router: Router, program: str) -> str:
    """What that Python complains of; nothing where all goes well."""
    mount = "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys"
    script = f'{mount} && exec "{sys.executable}" -c "{program}"'
    done = subprocess.run(
        ["ip", "netns", "exec", router.namespace.name, "unshare", "--mount", "sh", "-c", script], capture_output=True, text=True
    )
    assert bool(done.returncode) == bool(done.stderr)
    return done.stderr


def test_a_sysctl_that_cannot_be_written_is_named(router: Router) -> None:
    said = where_sysctls_are_read_only(router, "from l3ctl.kernel.sysctl import Sysctls; Sysctls().guard('p0')")
    assert "MissingRequirement: net/ipv6/conf/p0/accept_ra cannot be set to 0: Read-only file system" in said


def test_sysctls_that_are_set_already_need_not_be_writable(router: Router) -> None:
    with router.namespace.entered():
        Sysctls().guard("p0")
    assert where_sysctls_are_read_only(router, "from l3ctl.kernel.sysctl import Sysctls; Sysctls().guard('p0')") == ""


def test_what_cannot_be_set_back_is_named_and_not_forgotten(router: Router, tmp_path: Path) -> None:
    memory = tmp_path / "sysctls.json"
    with router.namespace.entered():
        before = settings("p0")
        one = Sysctls(memory)
        one.guard("p0")
        one.remember()
        program = f"from pathlib import Path; from l3ctl.kernel.sysctl import Sysctls; Sysctls(Path('{memory}')).restore()"
        said = where_sysctls_are_read_only(router, program)
        assert re.search(r"MissingRequirement: net/ipv\S+ cannot be set back to \S+: Read-only file system, nor can \d+ others", said)
        assert settings("p0") != before
        Sysctls(memory).restore()
        assert settings("p0") == before
    assert not memory.exists()


def test_a_memory_that_was_cut_short_loses_no_more_than_its_last_line(router: Router, tmp_path: Path) -> None:
    memory = tmp_path / "sysctls.json"
    with router.namespace.entered():
        before = settings("p0")
        memory.write_text('["p1", 3, {"net/ipv6/conf/p1/acc')
        one = Sysctls(memory)
        one.guard("p0")
        one.remember()
        Sysctls(memory).restore()
        assert settings("p0") == before
