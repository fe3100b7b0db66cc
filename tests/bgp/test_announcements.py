"""What reaches a real peer's kernel."""

import random
import re
from dataclasses import replace

import pytest

from l3ctl.peering import NextHop
from tests.bgp.peers import LINK
from tests.bgp.two_routers import ROUTER, TwoRouters, announcements, peer, settings

pytestmark = pytest.mark.root
WEB1 = announcements("2001:db8:11::/64", "192.0.2.11/32")
WEB2 = announcements("2001:db8:12::/64", "192.0.2.12/32")


def through(next_hop: object, *wishes: frozenset) -> dict[str, str]:
    """As a peer with a kernel has them."""
    return {str(one.prefix): f"{next_hop} dev {LINK}" for wish in wishes for one in wish}


def test_prefixes_of_both_families_reach_the_peers_kernel_and_leave_it(routers: TwoRouters) -> None:
    agent = routers.agent()
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB1, WEB2))

    agent.speaker.want("web1", frozenset())
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB2) and agent.speaker.in_sync())
    assert agent.speaker.held() == agent.speaker.wanted() == WEB2
    agent.until(lambda: agent.speaker.withdrawn(WEB1))
    assert agent.speaker.status() == {
        "relay": True, "held": 2, "wanted": 2, "queued": 0, "refused": [], "peers": {"2001:db8:ffff::1": "up"},
        "configuration": "current",
    }  # fmt: skip


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_a_storm_of_flapping_links_ends_with_exactly_the_last_wish(routers: TwoRouters, seed: int) -> None:
    """500 toggles over 20 prefixes, faster than ExaBGP sends."""
    dice = random.Random(seed)
    agent = routers.agent()
    agent.speaker.complete()
    agent.until(lambda: agent.speaker.status()["peers"] == {"2001:db8:ffff::1": "up"})
    ports = {f"p{i}": announcements(f"2001:db8:{i:x}::/64" if i % 2 else f"192.0.2.{i}/32") for i in range(20)}
    up: set[str] = set()
    for _ in range(500):
        port = dice.choice(sorted(ports))
        up ^= {port}
        agent.speaker.want(port, ports[port] if port in up else frozenset())
        if dice.random() < 0.5:
            agent.turn(dice.random() * 0.004)
    agent.until(agent.speaker.in_sync)
    assert len(agent.asked) > 100, "the storm must not have been coalesced away"
    agent.until(lambda: routers.peer.routes() == through(ROUTER, *(ports[port] for port in up)))
    agent.turn(1)  # nothing late may undo it
    assert routers.peer.routes() == through(ROUTER, *(ports[port] for port in up))


def test_the_hosts_own_link_local_is_the_next_hop_for_a_peer_on_its_link(cabled: TwoRouters) -> None:
    bgp = settings(replace(peer(), next_hop=NextHop.HOST))
    cabled.peer.start()
    cabled.start_exabgp(bgp)
    agent = cabled.agent(bgp)
    agent.speaker.want("web1", WEB1)
    agent.speaker.complete()
    (host,) = {one.host for one in WEB1}
    agent.until(lambda: cabled.peer.routes() == through(host, WEB1))


def test_a_changed_attribute_replaces_without_a_moment_of_absence(routers: TwoRouters) -> None:
    first = routers.agent()
    first.speaker.want("web1", WEB1)
    first.speaker.complete()
    first.until(lambda: routers.peer.routes() == through(ROUTER, WEB1))
    first.die()

    second = routers.agent(settings(med=50))
    second.speaker.want("web1", WEB1)
    with routers.watching_for_loss(through(ROUTER, WEB1)):
        second.speaker.complete()
        second.until(lambda: routers.peer.ask("show", "route", "all").count("BGP.med: 50") == 2)
    assert not any("withdraw" in command for command in second.asked)


def test_a_peer_that_asks_for_everything_again_gets_it(routers: TwoRouters) -> None:
    """Route refresh, as an operator's `reload in` after a changed import filter does it."""
    agent = routers.agent()
    agent.speaker.want("web1", WEB1)
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB1))

    def received() -> int:
        return sum(map(int, re.findall(r"Import updates:\s+(\d+)", routers.peer.ask("show", "protocols", "all", "l3ctl"))))

    before = received()
    with routers.watching_for_loss(through(ROUTER, WEB1)):
        routers.peer.ask("reload", "in", "l3ctl")
        agent.until(lambda: received() == before + 2)


def test_what_exabgp_refuses_is_reported_and_holds_nothing_else_up(routers: TwoRouters) -> None:
    """The agent knows a peer that ExaBGP's configuration lacks."""
    stranger = peer(ROUTER + 7)
    agent = routers.agent(settings(stranger, peer()))
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB1, WEB2))
    agent.until(agent.speaker.in_sync)
    refused = agent.speaker.refused()
    assert {(command.peer, command.prefixes) for command in refused} == {(str(stranger.address), (str(one.prefix),)) for one in WEB1 | WEB2}
    asked = len(agent.asked)
    agent.turn(0.5)
    assert len(agent.asked) == asked, "a refused command is not retried while its wish stays the same"
    assert agent.speaker.held() == frozenset(), "what one peer lacks is not held"
