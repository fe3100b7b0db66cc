"""How long an announcement takes: from a link's event to the UPDATE at the peer, and ten thousand prefixes from nothing.

Ours is the whole path: a real agent, the relay, and ExaBGP as `l3ctl exabgp-config` has it. Beside it, in turn in one run, an ExaBGP of the
same configuration to which a script of ten lines writes the same commands: what is left of the ratio above 1 is l3ctl's.

- `link-to-update`: a customer with a /64 and a /32 is unplugged and plugged in, in turn, and nothing else happens. From when a netlink
  socket of the benchmark has the event of the changed carrier, so without the kernel's own way there from the far end, to when the last of
  both prefixes is withdrawn or announced at the peer. Beside it from the script's write of both commands at once.
- `cold-10k`: half of the prefixes /64, half /32. An agent has everything in place and all its wishes, ExaBGP's session is up and empty, and
  its relay may call the agent: from there, which is just before the first command, to the last prefix at the peer. Beside it from the
  script's first write; its commands have 100 prefixes, each is written when the one before is answered.

Other speakers are measured in the same rounds: BIRD, from a link event too, on which its static routes depend, or from the writing of its
files; and GoBGP, where the machine has it, from the first message to its API, all of which are made before, over a call that is up already.
It knows no links, so its `link-to-update` is only what comes after somebody has seen one.
"""

import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

from l3ctl.kernel.links import parse_link
from l3ctl.kernel.netlink import open_route_socket
from l3ctl.kernel.wire import RTM_NEWLINK, split
from l3ctl.lab.bench_row import Row, row_of
from l3ctl.lab.bird_speaker import BirdSpeaker
from l3ctl.lab.crowd import Crowd
from l3ctl.lab.exabgp import BGP, Exabgp, Floor, lay_uplink, wait_for
from l3ctl.lab.gobgp_api import AT_ONCE
from l3ctl.lab.gobgp_speaker import GobgpSpeaker, has_gobgp
from l3ctl.model import Verb

_HOSTS = 10
"""of a port, where there are many"""
_FLOOR_LINE = 100
"""prefixes in a command of the floor"""
_REST = 0.02
"""seconds in which everybody finishes what an event has left him to do"""
_EVENTS_BUFFER = 1 << 20
_GROUP_LINK = 1
_IFINDEX = 60_000
"""what no other netdev of the lab has, and the next one"""
_BIRDS = "b0"
"""the netdev whose link BIRD's routes depend on"""
_SCALES = {"1k": 1_000, "10k": 10_000, "50k": 50_000}
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 0x1
_IFREQ = struct.Struct("=16sh22x")


class _Plug:
    """The cable of a customer: pulled and put back at the far end, and seen in the router's link events."""

    def __init__(self, crowd: Crowd, interface: str) -> None:
        self._interface = interface
        with crowd.far.entered():
            self._far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with crowd.router.entered():
            self._events = open_route_socket(_EVENTS_BUFFER)
            self._events.bind((0, _GROUP_LINK))

    def close(self) -> None:
        """Look no more."""
        self._far.close()
        self._events.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def turn(self, up: bool) -> float:
        """Pull it or put it back; when the event of that came."""
        name = self._interface.encode()
        flags: int = _IFREQ.unpack(fcntl.ioctl(self._far, _GET_FLAGS, _IFREQ.pack(name, 0)))[1]
        fcntl.ioctl(self._far, _SET_FLAGS, _IFREQ.pack(name, flags | _UP if up else flags & ~_UP))
        while True:
            wait_for(self._events, "a link event")
            datagram, at = self._events.recv(1 << 16), time.monotonic()
            for received in split(datagram):
                if received.type == RTM_NEWLINK:
                    facts = parse_link(received.payload)
                    if facts.name == self._interface and facts.up == up:
                        return at


def _add_netdev(crowd: Crowd, name: str, ifindex: int) -> None:
    """A veth whose ends have one ifindex is taken for no virtual netdev (linkwatch.c), and its carrier told of once a second only."""
    crowd.router.ip(f"link add {name} index {ifindex} type veth peer name {name} netns {crowd.far.name}")
    for one in (crowd.router, crowd.far):
        one.ip(f"link set {name} addrgenmode none up")


@contextmanager
def _lab(ports: int, hosts: int) -> Iterator[tuple[Crowd, Exabgp, Floor, BirdSpeaker, GobgpSpeaker | None]]:
    """So many ports with so many hosts each, their agent with everything in place, and both ExaBGPs and BIRD still to be started.

    GoBGP is started, but has no session yet, and calls while the others are measured: who comes to it then has not long to wait.
    """
    with ExitStack() as stack:
        crowd = stack.enter_context(Crowd(f"l3bench{os.getpid()}", ports, trunks=False, hosts=hosts, bgp=BGP))
        lay_uplink(crowd)
        crowd.router.ip(f"link del {crowd.ports[0].interface}")
        _add_netdev(crowd, crowd.ports[0].interface, _IFINDEX)
        _add_netdev(crowd, _BIRDS, _IFINDEX + 1)
        ours, floor = stack.enter_context(Exabgp(crowd, "exabgp")), stack.enter_context(Floor(crowd))
        bird = stack.enter_context(BirdSpeaker(crowd))
        gobgp = stack.enter_context(GobgpSpeaker(crowd)) if has_gobgp() else None
        crowd.start_agent()
        if gobgp is not None:
            gobgp.start()
        crowd.l3ctl("apply")  # a second pass finds nothing to do, and those that come by themselves know that: they cost little
        yield crowd, ours, floor, bird, gobgp


def _link_to_update(rounds: int, events: int) -> Iterator[Row]:
    """Rounds of so many events of ours and so many of the floor, one after the other in turn."""
    with ExitStack() as stack:
        crowd, ours, floor, bird, gobgp = stack.enter_context(_lab(1, 1))
        plug, birds = (stack.enter_context(_Plug(crowd, name)) for name in (crowd.ports[0].interface, _BIRDS))
        prefixes = crowd.ports[0].hosts[0].prefixes()
        ours.start(crowd.l3ctl("exabgp-config"))
        ours.establish()
        ours.last_of(Verb.ANNOUNCE, prefixes)
        floor.start_script()
        texts = {verb: "".join(floor.commands(verb, prefixes, 1)) for verb in (Verb.ANNOUNCE, Verb.WITHDRAW)}
        floor.takes(Verb.ANNOUNCE, prefixes, [texts[Verb.ANNOUNCE]])
        bird.start(prefixes, f'via "{_BIRDS}"')
        bird.last_of(Verb.ANNOUNCE, prefixes)
        paths = {verb: GobgpSpeaker.texts(verb, prefixes) for verb in (Verb.ANNOUNCE, Verb.WITHDRAW)}
        if gobgp is not None:
            gobgp.establish()
            gobgp.takes(Verb.ANNOUNCE, prefixes, paths[Verb.ANNOUNCE])
        medians: list[tuple[float, ...]] = []
        slowest: list[tuple[float, ...]] = []
        for _ in range(rounds):
            times: list[tuple[float, ...]] = []
            for event in range(events):
                up = event % 2 == 1
                verb = Verb.ANNOUNCE if up else Verb.WITHDRAW
                began = plug.turn(up)
                took = ours.last_of(verb, prefixes) - began
                time.sleep(_REST)
                floors = floor.takes(verb, prefixes, [texts[verb]])
                time.sleep(_REST)
                began = birds.turn(up)
                turns = [took, floors, bird.last_of(verb, prefixes) - began]
                time.sleep(_REST)
                if gobgp is not None:
                    turns.append(gobgp.takes(verb, prefixes, paths[verb]))
                    time.sleep(_REST)
                times.append(tuple(1000 * one for one in turns))
            columns = [sorted(column) for column in zip(*times, strict=True)]
            medians.append(tuple(column[events // 2] for column in columns))
            slowest.append(tuple(column[-1 - events // 100] for column in columns))
        for name, found in (("p50", medians), ("p99", slowest)):
            yield row_of(f"link-to-update-{name}", "ms", "a script's write", [(one[0], one[1]) for one in found])
            yield row_of(
                f"link-to-update-{name}-bird", "ms", "BIRD, static routes that check the link", [(one[0], one[2]) for one in found]
            )
            if gobgp is not None:
                yield row_of(f"link-to-update-{name}-gobgp", "ms", "GoBGP, a message to its API", [(one[0], one[3]) for one in found])


class _Door:
    """Where the relay calls: `path` leads to nobody of the agent's at first, and to the agent's own socket when it is opened."""

    def __init__(self, agents: Path) -> None:
        self._agents, self._nobodys = agents, agents.with_name("nobodys.sock")
        self.path = agents.with_name("door.sock")
        self._stand_in = socket.socket(socket.AF_UNIX)
        self._stand_in.bind(str(self._nobodys))
        self._stand_in.listen()
        self._lead_to(self._nobodys)

    def _lead_to(self, target: Path) -> None:
        link = self.path.with_suffix(".new")
        link.symlink_to(target)
        link.replace(self.path)

    def open(self) -> float:
        """Hang up on the relay, which then calls the agent, at once since its last call is a while ago; when that was."""
        wait_for(self._stand_in, "the relay")
        relay, _ = self._stand_in.accept()
        self._lead_to(self._agents)
        began = time.monotonic()
        relay.close()
        self._stand_in.close()
        self._nobodys.unlink()
        return began


def _cold(scale: str, count: int, repeats: int) -> Iterator[Row]:
    with _lab(max(1, count // 2 // _HOSTS), _HOSTS) as (crowd, ours, floor, bird, gobgp):
        prefixes = [prefix for port in crowd.ports for host in port.hosts for prefix in host.prefixes()]
        texts, files = floor.commands(Verb.ANNOUNCE, prefixes, _FLOOR_LINE), bird.texts(prefixes, "blackhole")
        paths = {verb: GobgpSpeaker.texts(verb, prefixes) for verb in (Verb.ANNOUNCE, Verb.WITHDRAW)}
        config = crowd.l3ctl("exabgp-config")
        rounds: list[tuple[float, ...]] = []
        for _ in range(repeats):
            agents = crowd.run_dir / "bgp.sock"
            door = _Door(agents)
            ours.start(config.replace(str(agents), str(door.path)))
            ours.establish()
            began = door.open()
            took = ours.last_of(Verb.ANNOUNCE, prefixes) - began
            ours.stop()
            floor.start_script()
            floors = floor.takes(Verb.ANNOUNCE, prefixes, texts)
            floor.stop()
            bird.start()
            times = [took, floors, bird.takes(prefixes, files)]
            bird.stop()
            if gobgp is not None:
                gobgp.establish()
                times.append(gobgp.takes(Verb.ANNOUNCE, prefixes, paths[Verb.ANNOUNCE]))
                gobgp.takes(Verb.WITHDRAW, prefixes, paths[Verb.WITHDRAW])
            rounds.append(tuple(1000 * one for one in times))
        yield row_of(f"cold-{scale}", "ms", f"a script's lines of {_FLOOR_LINE}", [(one[0], one[1]) for one in rounds])
        yield row_of(f"cold-{scale}-bird", "ms", "BIRD, static routes and `birdc configure`", [(one[0], one[2]) for one in rounds])
        if gobgp is not None:
            yield row_of(f"cold-{scale}-gobgp", "ms", f"GoBGP, messages of {AT_ONCE:,} to its API", [(one[0], one[3]) for one in rounds])


def bench_bgp(rounds: int, events: int, repeats: int, share: float = 1.0) -> Iterator[Row]:
    """Every row: `rounds` of so many link events, and each number of prefixes `repeats` times; of a `share` of them."""
    yield from _link_to_update(rounds, events)
    for scale, count in _SCALES.items():
        yield from _cold(scale, int(count * share), repeats)
