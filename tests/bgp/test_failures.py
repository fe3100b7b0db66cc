"""Whatever dies, the peer's kernel keeps what is wished; and what is no longer wished goes when the agent is back."""

import os
import re
import signal
import socket

import pytest

from tests.bgp.test_announcements import WEB1, WEB2, through
from tests.bgp.two_routers import ROUTER, Agent, TwoRouters, settings

pytestmark = pytest.mark.root


def announcing(routers: TwoRouters) -> Agent:
    """An agent that announces WEB1 and WEB2, and a peer that has them."""
    agent = routers.agent()
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB1, WEB2) and agent.speaker.in_sync())
    return agent


def test_a_restarted_agent_with_the_same_wishes_asks_nothing(routers: TwoRouters) -> None:
    announcing(routers).die()
    agent = routers.agent()
    agent.until(lambda: agent.speaker.held() is not None)
    agent.speaker.want("web1", WEB1)
    agent.turn(0.3)  # half of the wishes: nothing may be withdrawn yet
    agent.speaker.want("web2", WEB2)
    with routers.watching_for_loss(through(ROUTER, WEB1, WEB2)):
        agent.speaker.complete()
        agent.until(agent.speaker.in_sync)
        agent.turn(0.3)
    assert agent.asked == []
    assert agent.speaker.held() == WEB1 | WEB2
    assert agent.speaker.status()["peers"] == {"2001:db8:ffff::1": "up"}


def test_a_restarted_agent_with_fewer_wishes_withdraws_the_rest(routers: TwoRouters) -> None:
    announcing(routers).die()
    agent = routers.agent()
    agent.speaker.want("web2", WEB2)
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB2) and agent.speaker.in_sync())
    assert len(agent.asked) == 2, "one withdraw for each family, and no announce"


def test_an_agent_that_dies_in_the_middle_of_a_line_asks_nothing_of_exabgp(routers: TwoRouters) -> None:
    announcing(routers).die()
    routers.socket_path.unlink()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(routers.socket_path))
        listener.listen(1)
        listener.settimeout(10)
        relay, _ = listener.accept()
        with relay, relay.makefile("rb") as lines:
            relay.settimeout(10)
            while next(lines) != b"ready\n":
                pass
            relay.sendall(f"neighbor 2001:db8:ffff::1 withdraw attributes next-hop {ROUTER} med 0 nlri 2001:db8:11::/64".encode())
    agent = routers.agent()
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    with routers.watching_for_loss(through(ROUTER, WEB1, WEB2)):
        agent.speaker.complete()
        agent.until(agent.speaker.in_sync)
        agent.turn(0.3)
    assert agent.asked == []


def test_a_restarted_exabgp_loses_no_route_and_revives_none(routers: TwoRouters) -> None:
    agent = announcing(routers)
    with routers.watching_for_loss(through(ROUTER, WEB2)):
        routers.kill_exabgp()
        agent.until(lambda: agent.speaker.held() is None)
        assert routers.peer.routes() == through(ROUTER, WEB1, WEB2), "the peer keeps them while ExaBGP is away"
        agent.speaker.want("web1", frozenset())
        routers.start_exabgp(settings())
        agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB2) and agent.speaker.in_sync())
    assert agent.speaker.held() == WEB2


def test_no_end_of_rib_before_the_agent_has_said_everything(routers: TwoRouters) -> None:
    """ExaBGP restarts while no agent is there: the peer must go on using what it has."""
    announcing(routers).die()
    routers.kill_exabgp()
    with routers.watching_for_loss(through(ROUTER, WEB1, WEB2)):
        routers.start_exabgp(settings())
        agent = routers.agent()
        agent.until(lambda: agent.speaker.status()["peers"] == {"2001:db8:ffff::1": "up"})
        agent.turn(1)
        agent.speaker.want("web1", WEB1)
        agent.speaker.want("web2", WEB2)
        agent.turn(0.5)
        agent.speaker.complete()
        agent.until(agent.speaker.in_sync)
        agent.turn(0.5)
    agent.until(lambda: "Neighbor graceful restart active" not in routers.peer.ask("show", "protocols", "all", "l3ctl"))


def test_a_peer_that_restarts_while_no_agent_is_there_gets_everything_and_end_of_rib(routers: TwoRouters) -> None:
    agent = announcing(routers)
    agent.die()
    routers.peer.kill()
    with routers.watching_for_loss(through(ROUTER, WEB1, WEB2)):
        routers.peer.start(recover=True)
        waiting = routers.agent()  # its loop only passes the time: it never says `complete`
        waiting.until(routers.peer.established, within=60)
        waiting.until(lambda: "recovery in progress" not in routers.peer.ask("show", "status"))
    assert waiting.asked == []


def test_relay_and_agent_killed_at_once_leave_nothing_that_nobody_wishes(routers: TwoRouters) -> None:
    agent = announcing(routers)
    dead = routers.relay_pid()
    os.kill(dead, signal.SIGKILL)
    agent.die()
    agent = routers.agent()
    agent.speaker.want("web2", WEB2)
    with routers.watching_for_loss(through(ROUTER, WEB2)):
        agent.speaker.complete()
        agent.until(lambda: routers.peer.routes() == through(ROUTER, WEB2) and agent.speaker.in_sync())
    assert routers.relay_pid() != dead
    assert not any("announce" in command for command in agent.asked), "what is held is known even to a relay that has just been born"
    assert agent.speaker.status()["peers"] == {"2001:db8:ffff::1": "up"}


def test_the_relay_ends_with_exabgp(routers: TwoRouters) -> None:
    agent = announcing(routers)
    killed = routers.relay_pid()
    routers.kill_exabgp()
    agent.until(lambda: not routers.runs(killed) and agent.speaker.held() is None)

    routers.start_exabgp(settings())
    agent.until(agent.speaker.in_sync)
    stopped = routers.relay_pid()
    assert routers.exabgp is not None
    routers.exabgp.terminate()
    agent.until(lambda: not routers.runs(stopped))


def test_exabgp_serves_on_while_agents_come_and_go_in_the_middle_of_a_resync(routers: TwoRouters) -> None:
    """Ten agents in a row, each killed with commands unanswered: the eleventh ends with exactly its own wish."""
    for number in range(10):
        agent = routers.agent()
        for port in range(300):
            agent.speaker.want(f"p{port}", frozenset() if (port + number) % 3 == 0 else routers.numbered(port))
        agent.speaker.complete()
        agent.until(lambda asked=agent.asked: len(asked) >= 2)
        agent.die()
    agent = routers.agent()
    for port in range(0, 300, 2):
        agent.speaker.want(f"p{port}", routers.numbered(port))
    agent.speaker.complete()
    agent.until(lambda: routers.peer.routes() == through(ROUTER, agent.speaker.wanted()) and agent.speaker.in_sync())
    assert re.search(r"Routes:\s+150 imported", routers.peer.ask("show", "protocols", "all", "l3ctl"))
