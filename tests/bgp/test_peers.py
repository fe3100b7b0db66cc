"""What BIRD, FRR and GoBGP each make of it, over global addresses and over link-local ones."""

import re
from collections.abc import Callable
from dataclasses import replace
from ipaddress import IPv6Address

import pytest

from l3ctl.lab.namespaces import Namespace
from l3ctl.model import Announcement
from l3ctl.peering import Peer
from tests.bgp.ends import ADDRESSES, Ends
from tests.bgp.peers import GLOBAL, LINK_LOCAL, SECRET, Bird, Daemon, Frr, GoBgp, Session
from tests.bgp.test_announcements import WEB1, WEB2
from tests.bgp.two_routers import Agent, TwoRouters, announcements, peer_of, settings

pytestmark = pytest.mark.root
WEB3 = announcements("2001:db8:13::/64", "192.0.2.13/32")
Cable = Callable[[type[Daemon]], TwoRouters]
DAEMONS = pytest.mark.parametrize("daemon", [Bird, Frr, GoBgp], ids=lambda daemon: daemon.__name__.lower())
KERNELS = pytest.mark.parametrize("daemon", [Bird, Frr], ids=lambda daemon: daemon.__name__.lower())
SESSIONS = pytest.mark.parametrize("session", [GLOBAL, LINK_LOCAL], ids=["global", "link-local"])


def started(routers: TwoRouters, session: Session = GLOBAL, *, peer: Peer | None = None, change: Callable[[str], str] = str) -> Agent:
    """Both ends of a session, and an agent that has nothing to say yet."""
    bgp = settings(peer or peer_of(session))
    routers.peer.start(session, change)
    routers.start_exabgp(bgp)
    agent = routers.agent(bgp)
    agent.speaker.complete()
    return agent


def reached(routers: TwoRouters, *wishes: frozenset[Announcement], next_hop: IPv6Address | None = None) -> dict[str, str]:
    """The peer's routes, when it has these and no others."""
    through = routers.peer.through(next_hop or routers.peer.session.remote)
    return {str(one.prefix): through for wish in wishes for one in wish}


@SESSIONS
@DAEMONS
def test_what_is_announced_is_there_and_what_is_withdrawn_goes(cable: Cable, daemon: type[Daemon], session: Session) -> None:
    routers = cable(daemon)
    agent = started(routers, session)
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1, WEB2))
    agent.speaker.want("web1", frozenset())
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB2))


@pytest.mark.parametrize("local_as", [65000, 65010], ids=["ebgp", "ibgp"])
@DAEMONS
def test_a_link_local_next_hop_on_a_session_over_global_addresses_is_one_on_its_link(
    cable: Cable, daemon: type[Daemon], local_as: int
) -> None:
    routers = cable(daemon)
    routers.upstream.ip("link add other0 type veth peer name other1", "link set other0 up", "link set other1 up")  # fe80::/64 is there too
    session, next_hop = replace(GLOBAL, local_as=local_as), LINK_LOCAL.remote
    agent = started(routers, session, peer=replace(peer_of(session), next_hop=next_hop))
    agent.speaker.want("web1", WEB1)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1, next_hop=next_hop))


@DAEMONS
def test_an_ibgp_peer_learns_them_too(cable: Cable, daemon: type[Daemon]) -> None:
    routers = cable(daemon)
    agent = started(routers, replace(GLOBAL, local_as=65010))
    agent.speaker.want("web1", WEB1)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1))
    for one in WEB1:
        assert re.search(r"local_?pref:? 100\b", routers.peer.route(str(one.prefix)), re.IGNORECASE)


@SESSIONS
@KERNELS
def test_packets_are_forwarded_to_what_is_announced_and_to_nothing_else(
    cable: Cable, daemon: type[Daemon], session: Session, namespace: Callable[[], Namespace]
) -> None:
    routers = cable(daemon)
    ends = Ends(routers, LINK_LOCAL.local, namespace)
    agent = started(routers, session)
    agent.until(routers.peer.established)
    assert not any(map(ends.answers, ADDRESSES))
    agent.speaker.want("web1", WEB1)
    agent.until(lambda: all(map(ends.answers, ADDRESSES)))
    agent.speaker.want("web1", frozenset())
    agent.until(lambda: routers.peer.routes() == {})
    assert not any(map(ends.answers, ADDRESSES))


@DAEMONS
def test_an_exabgp_that_is_killed_and_comes_back_loses_nothing(cable: Cable, daemon: type[Daemon]) -> None:
    """And what is not announced again goes at End-of-RIB, and not before."""
    routers = cable(daemon)
    agent = started(routers)
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1, WEB2) and agent.speaker.in_sync())
    agent.die()
    routers.kill_exabgp()
    with routers.watching_for_loss(reached(routers, WEB1, WEB2)):
        routers.start_exabgp(settings())
        agent = routers.agent()
        agent.until(routers.peer.established, within=90)
        agent.turn(1)
    agent.speaker.want("web1", WEB1)
    with routers.watching_for_loss(reached(routers, WEB1)):
        agent.speaker.complete()
        agent.until(lambda: routers.peer.routes() == reached(routers, WEB1))
        agent.turn(0.5)


def test_a_bgpd_that_dies_and_comes_back_loses_nothing(cable: Cable) -> None:
    """zebra keeps FRR's routes. What is withdrawn while bgpd is away may stay there too long, but not for ever."""
    routers = cable(Frr)
    agent = started(routers)
    agent.speaker.want("web1", WEB1)
    agent.speaker.want("web2", WEB2)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1, WEB2) and agent.speaker.in_sync())
    with routers.watching_for_loss(reached(routers, WEB1)):
        routers.peer.kill_bgpd()
        agent.speaker.want("web2", frozenset())
        agent.until(agent.speaker.in_sync)
        assert routers.peer.routes() == reached(routers, WEB1, WEB2)
        routers.peer.run_bgpd()
        agent.until(routers.peer.established, within=90)
        agent.speaker.want("web3", WEB3)
        agent.until(lambda: routers.peer.routes().items() >= reached(routers, WEB1, WEB3).items())
        agent.speaker.want("web2", WEB2)
        agent.until(lambda: all("65010" in routers.peer.route(str(one.prefix)) for one in WEB2))
        agent.speaker.want("web2", frozenset())
        agent.until(lambda: routers.peer.routes() == reached(routers, WEB1, WEB3))


@DAEMONS
def test_the_examples_take_only_what_a_host_can_have(cable: Cable, daemon: type[Daemon]) -> None:
    routers = cable(daemon)
    agent = started(routers)
    strange = announcements("::/0", "0.0.0.0/0", "2001:db8::/32", "203.0.113.0/24", "2001:db8:ffff::/64", "192.88.99.1/32", "2002::/48")
    agent.speaker.want("stranger", strange)
    agent.until(agent.speaker.in_sync)
    hosts = announcements("2001:db8:12::/48", "2001:db8:13::5/128", "192.0.2.12/32", "198.51.100.12/32", "203.0.113.12/32")
    agent.speaker.want("web1", hosts)
    agent.until(lambda: routers.peer.routes() == reached(routers, hosts))


def secured(routers: TwoRouters, password: str, *, ttl_security: bool) -> Peer:
    path = routers.directory / "password"
    path.write_text(f"{password}\n")
    return replace(peer_of(GLOBAL), password_file=path, ttl_security=ttl_security)


@DAEMONS
def test_the_examples_secured_sessions_stand(cable: Cable, daemon: type[Daemon]) -> None:
    routers = cable(daemon)
    agent = started(routers, replace(GLOBAL, secured=True), peer=secured(routers, SECRET, ttl_security=True))
    agent.speaker.want("web1", WEB1)
    agent.until(lambda: routers.peer.routes() == reached(routers, WEB1))


@pytest.mark.parametrize(
    ("password", "ttl_security", "counter"),
    [(SECRET, False, "TCPMinTTLDrop"), ("other", True, "TCPMD5Failure")],
    ids=["hop-limit", "password"],
)
@DAEMONS
def test_secured_sessions_refuse_a_router_that_is_not_secured_alike(
    cable: Cable, daemon: type[Daemon], password: str, ttl_security: bool, counter: str
) -> None:
    routers = cable(daemon)
    agent = started(routers, replace(GLOBAL, secured=True), peer=secured(routers, password, ttl_security=ttl_security))
    agent.until(lambda: routers.upstream_counter(counter) > 3)
    assert not routers.peer.established()


@pytest.mark.parametrize(
    ("daemon", "question", "answer", "kept"),
    [
        (Bird, ["show", "protocols", "all", "l3ctl"], r"Import limit: +3 \[HIT\]", 3),
        (Frr, ["show bgp ipv6 unicast summary"], r"Idle \(PfxCt\)", 0),
        (GoBgp, ["neighbor"], r"Idle\(PfxCt\)", None),
    ],
    ids=["bird", "frr", "gobgp"],
)
def test_the_examples_have_a_limit(cable: Cable, daemon: type[Daemon], question: list[str], answer: str, kept: int | None) -> None:
    """BIRD goes on with what it has; the others end the session, and what GoBGP keeps then is another each time."""
    routers = cable(daemon)
    agent = started(routers, change=lambda conf: conf.replace("20000", "3"))
    agent.until(routers.peer.established)
    agent.speaker.want("mad", frozenset().union(*map(routers.numbered, range(1, 20))))
    agent.until(lambda: re.search(answer, routers.peer.ask(*question)) is not None)
    assert kept is not None or not routers.peer.established()
    agent.until(lambda: kept in (None, len(routers.peer.routes())), told=lambda: f"{routers.peer.routes()} {routers.peer.ask(*question)}")
