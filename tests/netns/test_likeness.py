"""What has just what is wanted is taken for it by its bytes, and nothing else is: against the real kernel and the real filter."""

from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from l3ctl.kernel.likeness import Likeness
from l3ctl.model import Change, GatewayAddress, Liveness, Neighbour, PortState, Verb
from l3ctl.probing import Probing
from tests.netns.router_bench import DB1, WEB, WEB1, Bench

pytestmark = [pytest.mark.root, pytest.mark.bpf]

INJURIES = (
    "neigh del {ll} dev p0",
    "neigh replace {ll} lladdr 02:00:00:00:00:66 dev p0 nud permanent protocol 201",
    "neigh replace {ll} lladdr {mac} dev p0 nud permanent protocol 3",
    "neigh replace {ll} lladdr {mac} dev p0 nud noarp protocol 201",
    "neigh add fe80::99 lladdr {mac} dev p0 nud permanent protocol 201",
    "neigh add fe80::99 lladdr {mac} dev p0 nud permanent protocol 3",
    "neigh add 192.0.2.99 lladdr {mac} dev p0 nud permanent protocol 201",
    "route del 2001:db8:11::/64 metric 201",
    "route replace 2001:db8:11::/64 via fe80::99 dev p0 metric 201 protocol 201",
    "route add 2001:db8:99::/64 via {ll} dev p0 metric 201 protocol 201",
    "route add 2001:db8:11::/64 via {ll} dev p0 metric 202 protocol 201",
    "route add 2001:db8:11::/64 via {ll} dev p0 metric 201 protocol 201 table 77",
    "route append 2001:db8:11::/64 via fe80::99 dev p0 metric 201 protocol 201",
    "route add 192.0.2.99/32 via inet6 {ll} dev p0 metric 5 protocol 201",
    "route replace blackhole 2001:db8:11::/64 metric 201 protocol 201",
    "addr del fe80::1/64 dev p0",
    "addr add fe80::99/64 dev p0 nodad",
    "link set q0 down",
)


def of_both(bench: Bench) -> tuple[dict[str, PortState], dict[str, PortState], dict[str, PortState]]:
    """What is wanted of each port; what is there, looked at beside that; and understood without it."""
    router = bench.router
    links = router.kernel.links()
    wanted = router.wanting(links)
    beside = {name: state for some in router.present.each(links, router.kernel.look(), wanted) for name, state in some.items()}
    return {name: wanted(name) for name in router.ports}, beside, router.present.states(None, links)


def are_taken_for(state: PortState, want: PortState) -> bool:
    """Whether nothing of it was made of what the kernel said."""
    return state.neighbours is want.neighbours and state.routes is want.routes and state.addresses is want.addresses


def test_ports_that_have_what_is_wanted_are_taken_for_it(bench: Bench) -> None:
    want, beside, understood = of_both(bench)
    assert beside == understood == want
    assert all(are_taken_for(beside[name], want[name]) and beside[name].policy is want[name].policy for name in want)


@pytest.mark.parametrize("injury", INJURIES)
def test_what_is_otherwise_is_understood(bench: Bench, injury: str) -> None:
    before, _, _ = of_both(bench)
    bench.ip(injury.format(ll=WEB.link_local, mac=WEB.lladdr))
    want, beside, understood = of_both(bench)
    assert beside == understood
    assert are_taken_for(beside["db1"], want["db1"])
    if (beside["web1"], want["web1"]) != (before["web1"], before["web1"]):
        assert not are_taken_for(beside["web1"], want["web1"]) or "link" in injury


def test_only_the_policy_is_otherwise(bench: Bench) -> None:
    assert bench.router.filter is not None
    want, _, _ = of_both(bench)
    policy = want["web1"].policy
    assert policy is not None
    for other in (
        replace(policy, answer_rate=7),
        replace(policy, unknown_vlan_drop=True),
        replace(policy, gateways=policy.gateways[:1]),
        replace(policy, hosts=(replace(policy.hosts[0], ipv4=()),)),
    ):
        links = bench.router.kernel.links()
        bench.router.filter.apply(Change("web1", Verb.REPLACE, other, policy), links)
        want, beside, understood = of_both(bench)
        assert beside == understood
        assert are_taken_for(beside["web1"], want["web1"])
        assert beside["web1"].policy == other != want["web1"].policy


@pytest.mark.parametrize("gateway", ["fe80::25", "fe80::2528:6966:696e:2962"])
def test_bytes_that_mean_something_in_a_format_are_bytes(build: Callable[..., Bench], gateway: str) -> None:
    """`%`, and `%(ifin)b`, which stands in what does not differ between ports."""
    bench = build(WEB1, DB1)
    bench.router.replace((WEB1, DB1), replace(bench.router.settings, gateway_ipv6=(IPv6Address(gateway),)))
    bench.full_pass()
    want, beside, understood = of_both(bench)
    assert beside == understood == want
    assert all(are_taken_for(beside[name], want[name]) for name in want)


def test_another_netdev_another_address_or_metric_is_not_alike(bench: Bench) -> None:
    """What it compares with is wrong in one thing, and the kernel is right."""
    links = bench.router.kernel.links()
    want = bench.router.wanted("web1", links)
    likeness = Likeness(bench.router.kernel.look())
    here, there = links["p0"].ifindex, links["p1"].ifindex
    assert likeness.holds(here, want)
    assert not likeness.holds(there, want)
    assert not likeness.holds(99999, want)
    assert likeness.holds(here, want)
    (address,) = want.addresses
    wrong: list[PortState] = [
        replace(want, addresses=frozenset({GatewayAddress("p0", address.address, on_link=True)})),
        replace(want, addresses=frozenset()),
        *(replace(want, neighbours=want.neighbours - {one}) for one in want.neighbours),
        *(
            replace(want, neighbours=want.neighbours - {one} | {Neighbour("p0", one.address, "02:00:00:00:00:66")})
            for one in want.neighbours
        ),
        *(replace(want, routes=want.routes - {one}) for one in want.routes),
        *(replace(want, routes=want.routes - {one} | {replace(one, metric=one.metric + 1)}) for one in want.routes),
        *(replace(want, routes=want.routes - {one} | {replace(one, table=77)}) for one in want.routes),
        *(replace(want, routes=want.routes | {replace(one, metric=one.metric + 7)}) for one in want.routes),
        *(replace(want, routes=want.routes - {one} | {replace(one, next_hop=IPv6Address("fe80::99"))}) for one in want.routes),
    ]
    for one in wrong:
        assert one != want
        assert not likeness.holds(here, one), one
    assert likeness.holds(here, want)


@pytest.mark.parametrize("few", [0, 500], ids=["looked at all together", "looked at one by one"])
def test_who_has_no_route_is_away_to_a_returning_agent(build: Callable[..., Bench], monkeypatch: pytest.MonkeyPatch, few: int) -> None:
    monkeypatch.setattr("l3ctl.probing.AT_ONCE", few)
    probed = [replace(one, liveness=Liveness.PROBE) for one in (WEB1, DB1)]
    bench = build(*probed)
    bench.full_pass()
    for family in ("-4", "-6"):
        bench.show(family, "route", "flush", "dev", "p1", "proto", "201")
    probing = Probing(build(*probed).router)
    probing.replace(0.0)
    assert probing.away == {"db1"}
