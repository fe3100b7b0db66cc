"""What stands beside the pointer to a port is a copy of its record and can let a frame pass without it: it must not outlive that."""

import os
import signal
import traceback
from dataclasses import replace

import pytest

from l3ctl.lab import frames
from l3ctl.model import Change, PortPolicy, Verb
from l3ctl.xdp.filter import Filter
from l3ctl.xdp.pointers import Pointers
from tests.xdp.test_filter import Router, policy, router, trunk  # noqa: F401  the fixtures

pytestmark = [pytest.mark.root, pytest.mark.bpf]

OTHERS = "02:00:00:00:77:77"
"""the MAC of a host that has taken the port over"""


def killed_before_it_points(bench: Router, wanted: PortPolicy) -> None:
    """An agent that carries this policy out ends, as by SIGKILL, when the record is written and the pointer is not."""

    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    with bench.namespace.entered():
        child = os.fork()
        if child == 0:
            try:
                Pointers.point = die  # type: ignore[method-assign]
                filter_ = Filter(bench.bpffs)
                filter_.open(True)
                filter_.apply(Change(wanted.port, Verb.REPLACE, wanted), bench.links)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL


def other_mac(old: PortPolicy) -> PortPolicy:
    return replace(old, hosts=(replace(old.hosts[0], lladdr=OTHERS),))


def other_prefix(old: PortPolicy) -> PortPolicy:
    return replace(old, hosts=(replace(old.hosts[0], ipv6=policy(7).hosts[0].ipv6),))


@pytest.mark.parametrize("guarded", [False, True], ids=["guard off before", "guard on before"])
@pytest.mark.parametrize("vlan_id", [None, 11])
def test_an_agent_killed_before_the_pointer_leaves_a_filter_that_goes_by_the_record(
    trunk: Router,  # noqa: F811
    vlan_id: int | None,
    guarded: bool,
) -> None:
    tags = () if vlan_id is None else ((0x8100, vlan_id),)
    host = policy(0).hosts[0].ipv6[0][5]
    sent = [frames.ethernet(frames.tcp6(str(host)), 0x86DD, tags=tags), frames.ethernet(frames.udp4(), 0x0800, tags=tags)]
    before = replace(policy(0, vlan_id), source_guard=guarded)
    filter_ = trunk.opened(source_guard=True)[0]
    trunk.add(filter_, before)
    trunk.send(0, *sent)
    assert filter_.counters_of("web0") == {}, "it is welcome while it is billed"
    after = replace(other_mac(before), source_guard=True)
    killed_before_it_points(trunk, after)
    trunk.send(0, *sent)
    assert filter_.counters_of("web0") == {"source-spoof": 2}
    again = trunk.opened(source_guard=True)[0]
    assert again.read(trunk.links) != {"web0": after}, "and the next agent sees that it was not done"
    trunk.make_true(again, after)
    assert again.read(trunk.links) == {"web0": after}
    trunk.send(0, *sent)
    assert again.counters_of("web0") == {"source-spoof": 4}


@pytest.mark.parametrize("vlan_id", [None, 11])
def test_what_the_copy_welcomes_is_what_the_record_does_after_any_change(trunk: Router, vlan_id: int | None) -> None:  # noqa: F811
    tags = () if vlan_id is None else ((0x8100, vlan_id),)
    host = policy(0).hosts[0].ipv6[0][5]
    spoofed = frames.ethernet(frames.tcp6("2001:db8:f00::1"), 0x86DD, tags=tags)
    honest = frames.ethernet(frames.tcp6(str(host)), 0x86DD, tags=tags)
    filter_ = trunk.opened(source_guard=True)[0]
    free, guarded = policy(0, vlan_id), replace(policy(0, vlan_id), source_guard=True)
    trunk.add(filter_, free)
    for wanted, spoofs, honests in ((free, 0, 0), (guarded, 1, 0), (other_mac(guarded), 1, 1), (other_prefix(guarded), 1, 1), (free, 0, 0)):
        counted = filter_.counters_of("web0").get("source-spoof", 0)
        trunk.apply(filter_, Change("web0", Verb.REPLACE, wanted))
        assert filter_.read(trunk.links) == {"web0": wanted}
        trunk.send(0, spoofed)
        assert filter_.counters_of("web0").get("source-spoof", 0) == counted + spoofs
        trunk.send(0, honest)
        assert filter_.counters_of("web0").get("source-spoof", 0) == counted + spoofs + honests
