"""What a real peer announces reaches the agent through ExaBGP and the relay, whichever of them is new."""

import os
import signal
from dataclasses import replace

import pytest

from l3ctl.bgp.others import Duplicate
from tests.bgp.test_announcements import WEB1
from tests.bgp.two_routers import Agent, TwoRouters, peer, settings

pytestmark = pytest.mark.root
OTHER = "2001:db8:ffff::3"
ELSEWHERE = f"""
protocol static elsewhere6 {{ ipv6; route 2001:db8:11::/64 via {OTHER}; route 2001:db8:99::/64 via {OTHER}; }}
protocol static elsewhere4 {{ ipv4; route 192.0.2.11/32 via {OTHER}; }}
"""
EXPORT = 'export where proto ~ "elsewhere*"; next hop keep on;'
HEARING = settings(replace(peer(), hear=True))
DUPLICATES = [Duplicate(str(one.prefix), OTHER, str(peer().address)) for one in sorted(WEB1, key=str)]


def speaking(conf: str) -> str:
    return conf.replace("export none;", EXPORT) + ELSEWHERE


@pytest.fixture
def hearing(cabled: TwoRouters) -> TwoRouters:
    """A peer that has what this router announces from another one too."""
    cabled.peer.start(change=speaking)
    cabled.start_exabgp(HEARING)
    return cabled


def announcing(routers: TwoRouters) -> Agent:
    agent = routers.agent(HEARING)
    agent.speaker.want("web1", WEB1)
    agent.speaker.complete()
    return agent


def hears(agent: Agent) -> None:
    agent.until(lambda: agent.speaker.duplicates() == DUPLICATES)


def test_both_families_are_heard_and_gone_when_the_peer_withdraws(hearing: TwoRouters) -> None:
    agent = announcing(hearing)
    hears(agent)
    hearing.peer.ask("disable", "elsewhere4")
    agent.until(lambda: [one.prefix for one in agent.speaker.duplicates()] == ["2001:db8:11::/64"])
    hearing.peer.ask("disable", "elsewhere6")
    agent.until(lambda: agent.speaker.duplicates() == [])
    assert agent.speaker.held() == WEB1


def test_a_session_that_ends_takes_along_what_was_heard_and_brings_it_again(hearing: TwoRouters) -> None:
    agent = announcing(hearing)
    hears(agent)
    hearing.peer.kill()
    agent.until(lambda: agent.speaker.status()["peers"] == {str(peer().address): "down"} and agent.speaker.duplicates() == [])
    hearing.peer.start(change=speaking)
    agent.until(lambda: agent.speaker.duplicates() == DUPLICATES, within=60)


def test_a_relay_that_was_killed_loses_nothing_of_it(hearing: TwoRouters) -> None:
    agent = announcing(hearing)
    hears(agent)
    dead = hearing.relay_pid()
    os.kill(dead, signal.SIGKILL)
    agent.until(lambda: agent.speaker.duplicates() == [])
    hears(agent)
    assert hearing.relay_pid() != dead
    hearing.peer.ask("disable", "elsewhere6")
    agent.until(lambda: [one.prefix for one in agent.speaker.duplicates()] == ["192.0.2.11/32"])


def test_a_peer_that_is_not_heard_may_say_what_it_likes(cabled: TwoRouters) -> None:
    cabled.peer.start(change=speaking)
    cabled.start_exabgp(settings())
    agent = cabled.agent()
    agent.speaker.want("web1", WEB1)
    agent.speaker.complete()
    agent.until(lambda: agent.speaker.held() == WEB1 and "2 exported" in cabled.peer.ask("show", "protocols", "all", "l3ctl"))
    agent.turn(1.5)
    assert agent.speaker.duplicates() == []
