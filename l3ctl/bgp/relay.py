"""The relay: ExaBGP's helper process, and the memory of what ExaBGP holds. It knows nothing of inventories, ports or wishes.

ExaBGP forgets every route when it stops, hangs when its helper does not read, and exits (every route gone) when its helper dies more than
five times in a minute. So the helper is this small program: it lives exactly as long as ExaBGP does, always reads, and waits for an agent
that may come, go and be upgraded behind it. Because it lives as long as ExaBGP's routes, it is also the one place that truthfully knows
which of them ExaBGP took. It imports the standard library only, as do the files beside it that are a part of it (`flush`, `hearing`,
`shown`), and so starts at once.

To ExaBGP it speaks ExaBGP's text API. Answers carry no number, and some overtake others: of the relay's own commands, one is outstanding at
a time and nothing else. Those of the agent are of one kind, which ExaBGP works off and answers in turn: of them several may be.

To the agent, a line each, ASCII, over a Unix stream socket the agent listens on::

    relay to agent                                 agent to relay, only after `ready`
    made-for FINGERPRINT           of ExaBGP's configuration
    held PEER PREFIX ATTRIBUTES    each route      neighbor PEER announce attributes ATTRIBUTES nlri PREFIX ...
    peer ADDRESS up|down                           neighbor PEER withdraw attributes ATTRIBUTES nlri PREFIX ...
    heard PEER announce PREFIX NEXT_HOP            synced     ExaBGP now holds all that is wished
    heard PEER withdraw PREFIX                     flush      say when all that was taken before is sent
    heard PEER more                not all is kept
    ready                          after those
    done | error                   one a command
    flushed

What is `heard` comes from peers with `hear` in l3ctl's configuration, and is void when their session ends or begins.

End-of-RIB is the relay's duty, because sessions also flap while no agent is there: once some agent has said `synced`, every session that
comes up gets it, after the routes ExaBGP sends again by itself. Before that none gets it, so that a peer with graceful restart keeps what
it has from before ExaBGP restarted.
"""

import math
import os
import selectors
import signal
import socket
import sys
import time
from collections import deque
from collections.abc import Callable
from contextlib import suppress

from l3ctl.bgp.flush import Flush
from l3ctl.bgp.hearing import Hearing
from l3ctl.bgp.shown import event_in, route_in, session_in, told_in

LINE_LIMIT = 64 * 1024
"""bytes of one line from the agent; ExaBGP kills a helper that sends it 1 MiB without a newline"""
BACKLOG_LIMIT = 16 * 1024 * 1024
"""bytes an agent may leave unread before it is dropped; 10,000 held routes are 0.7 MB"""
RECONNECT = 0.1
"""seconds between two tries to reach an agent"""
BEGIN = "reset\nversion"
"""drops what a relay before us left undone, whose answers we would take for ours; those it got already come before the version's text"""
SHOW_ROUTES = "show adj-rib out extensive"
SHOW_HEARD = "show adj-rib in extensive"
SHOW_PEERS = "show neighbor summary"
WINDOW = 4
"""commands of an agent for which ExaBGP may owe answers: both families of a port, for two peers"""
END_OF_RIB = ("announce eor ipv6 unicast", "announce eor ipv4 unicast")


class Gone(Exception):
    """ExaBGP closed a pipe: it is no more, and neither is anything to remember."""


class Relay:
    """The state of one life of ExaBGP. `source` and `sink` are ExaBGP's pipes to and from us."""

    def __init__(self, socket_path: str, made_for: str = "", source: int = 0, sink: int = 1) -> None:
        self.socket_path, self.made_for = socket_path, made_for
        self.source, self.sink = source, sink
        self.selector = selectors.PollSelector()
        self.held: dict[tuple[str, str], str] = {}
        """(peer, prefix) -> the attributes ExaBGP holds it with"""
        self.peers: dict[str, str] = {}
        self.hearing = Hearing()
        self.flush = Flush()
        self.synced = False
        self.own: deque[str] = deque((BEGIN, SHOW_ROUTES, SHOW_PEERS, SHOW_HEARD))
        """the relay's own commands still to be sent: at first, what a relay before us may have left"""
        self.outstanding: deque[tuple[str, socket.socket | None]] = deque()
        """what ExaBGP owes an answer for, and the agent that asked; None for the relay itself"""
        self.from_exabgp, self.to_exabgp = bytearray(), bytearray()
        self.agent: socket.socket | None = None
        self.greeted = False
        self.from_agent, self.to_agent = bytearray(), bytearray()
        self.begun, self.retry_at = False, 0.0

    def run(self) -> int:
        """Serve until ExaBGP is gone; the exit code."""
        for pipe in (self.source, self.sink):
            os.set_blocking(pipe, False)
        try:
            while True:
                self.connect()
                self.advance()
                self.watch(self.source, selectors.EVENT_READ, self.read_exabgp)
                self.watch(self.sink, selectors.EVENT_WRITE if self.to_exabgp else 0, self.write_exabgp)
                wake_at = min(self.flush.look_at, math.inf if self.agent else self.retry_at)
                for key, _ in self.selector.select(None if wake_at == math.inf else max(0.0, wake_at - time.monotonic())):
                    key.data()
        except Gone:
            return 0

    def watch(self, file: int | socket.socket, events: int, callback: Callable[[], None]) -> None:
        """Make the selector wait for exactly these events of `file`; 0 is none."""
        known = file in self.selector.get_map()
        if known and not events:
            self.selector.unregister(file)
        elif known:
            self.selector.modify(file, events, callback)
        elif events:
            self.selector.register(file, events, callback)

    # ExaBGP's side

    def read_exabgp(self) -> None:
        """Drain ExaBGP's pipe: it writes blocking, and stops serving its peers while the pipe is full."""
        with suppress(BlockingIOError):
            chunk = os.read(self.source, 65536)
            if not chunk:
                raise Gone
            self.from_exabgp += chunk
        *lines, rest = self.from_exabgp.split(b"\n")
        self.from_exabgp = rest if len(rest) <= BACKLOG_LIMIT else bytearray()
        for line in lines:
            self.heard(line.decode("ascii", "replace").strip())

    def write_exabgp(self) -> None:
        """Hand over what the pipe takes now; a stalled ExaBGP must not stall the reading of its events."""
        try:
            del self.to_exabgp[: os.write(self.sink, self.to_exabgp)]
        except BlockingIOError:
            return
        except BrokenPipeError:
            raise Gone from None

    def heard(self, line: str) -> None:
        """One line of ExaBGP: an event, an answer, or a row of what the relay asked to be shown."""
        if line.startswith("{"):
            if event := event_in(line):
                peer, state, message = event
                for told in self.hearing.update(peer, message) if message else ():
                    self.tell(told)
                if state:
                    self.changed(peer, state)
        elif not self.begun:
            self.begun = line.startswith("exabgp ")
        elif line in ("done", "error") and self.outstanding:
            command, asked_by = self.outstanding.popleft()
            if line == "done":
                self.remember(command)
            if command == SHOW_PEERS and self.flush.looked():
                self.tell("flushed")
            if asked_by is not None and asked_by is self.agent:
                self.tell(line)
        elif (SHOW_ROUTES, None) in self.outstanding:
            if route := route_in(line.split()):
                peer, prefix, self.held[peer, prefix] = route
        elif (SHOW_PEERS, None) in self.outstanding:
            if session := session_in(line.split()):
                peer, self.peers[peer], self.flush.sent[peer] = session
        elif (SHOW_HEARD, None) in self.outstanding:
            self.recover_heard(line.split())

    def changed(self, peer: str, state: str) -> None:
        """Keep what a session's state changed to, and finish its graceful restart."""
        if state == "up" and self.synced:
            self.own.extend(f"neighbor {peer} {command}" for command in END_OF_RIB)
        if state in ("up", "down"):
            self.hearing.forget(peer)
        if state == "up" or (state == "down" and self.peers.get(peer) != "down"):
            self.peers[peer] = state
            self.tell(f"peer {peer} {state}")

    def remember(self, command: str) -> None:
        """What ExaBGP holds once it has taken an agent's command."""
        if (told := told_in(command)) is None:
            return
        peer, announces, attributes, prefixes = told
        for prefix in prefixes:
            if announces:
                self.held[peer, prefix] = attributes
            else:
                self.held.pop((peer, prefix), None)

    def recover_heard(self, words: list[str]) -> None:
        """A row of what peers said. Of a peer that is down, ExaBGP still has what it said before."""
        with suppress(ValueError, IndexError):
            if self.peers.get(words[1]) == "up":
                self.hearing.recover(words)

    # the agent's side

    def connect(self) -> None:
        """Try for an agent, when there is none and the last try is a while ago."""
        if self.agent is not None or time.monotonic() < self.retry_at:
            return
        self.retry_at = time.monotonic() + RECONNECT
        agent = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            agent.connect(self.socket_path)
        except OSError:
            agent.close()
            return
        self.agent = agent
        self.flush.begin(patient=False)  # what another agent asked last may not be sent yet

    def drop(self, why: str) -> None:
        """Let this agent go; what it sent and was not yet asked of ExaBGP is void, the line it died in above all."""
        assert self.agent is not None
        self.watch(self.agent, 0, self.serve_agent)
        self.agent.close()
        self.agent, self.greeted = None, False
        self.flush.give_up()
        self.from_agent.clear()
        self.to_agent.clear()
        if why:
            with suppress(OSError):
                os.write(2, f"l3ctl relay: dropped the agent: {why}\n".encode())

    def serve_agent(self) -> None:
        """Read and write what can be read and written without waiting."""
        assert self.agent is not None
        try:
            if self.to_agent:
                del self.to_agent[: self.agent.send(self.to_agent)]
            chunk = self.agent.recv(65536) if len(self.from_agent) <= LINE_LIMIT else b""
        except BlockingIOError:
            return
        except OSError:
            self.drop("")
            return
        if not chunk and len(self.from_agent) <= LINE_LIMIT:
            self.drop("")
            return
        self.from_agent += chunk
        if not chunk.isascii():
            self.drop("a byte that is not ASCII")
        elif len(self.from_agent) > LINE_LIMIT and self.from_agent.find(b"\n", 0, LINE_LIMIT) < 0:
            self.drop(f"a line longer than {LINE_LIMIT} bytes")

    def tell(self, line: str) -> None:
        """Queue a line for the agent, if it has been told all that came before."""
        if self.greeted:
            self.to_agent += line.encode("ascii", "replace") + b"\n"

    def advance(self) -> None:
        """Do what may be done: own commands first, then greet a new agent, then its commands."""
        if time.monotonic() >= self.flush.look_at:
            self.flush.look_at = math.inf
            self.own.append(SHOW_PEERS)
        while not self.outstanding or self.has_room():
            if self.own:
                self.ask(self.own.popleft(), None)
            elif self.agent and not self.greeted:
                if self.flush.goes_on:
                    break
                self.greet()
            elif self.agent and b"\n" in self.from_agent:
                line, _, self.from_agent = self.from_agent.partition(b"\n")
                self.obey(line.decode())
            else:
                break
        if self.to_exabgp:
            self.write_exabgp()
        if self.agent and len(self.to_agent) > BACKLOG_LIMIT:
            self.drop("it does not read")
        if self.agent:
            reading = selectors.EVENT_READ if len(self.from_agent) <= LINE_LIMIT else 0
            self.watch(self.agent, reading | (selectors.EVENT_WRITE if self.to_agent else 0), self.serve_agent)

    def has_room(self) -> bool:
        """Whether a command of the agent may follow those that are outstanding."""
        return self.greeted and not self.own and self.outstanding[-1][1] is not None and len(self.outstanding) < WINDOW

    def greet(self) -> None:
        """Tell a new agent how things stand."""
        self.greeted = True
        held = (f"held {peer} {prefix} {attributes}" for (peer, prefix), attributes in self.held.items())
        peers = (f"peer {peer} {state}" for peer, state in self.peers.items())
        for line in (f"made-for {self.made_for}", *held, *peers, *self.hearing.lines(), "ready"):
            self.tell(line)

    def obey(self, line: str) -> None:
        """One line of the agent. What the relay could not account for is never passed on."""
        if line == "synced":
            self.own.extend(() if self.synced else END_OF_RIB)
            self.synced = True
        elif line == "flush":
            self.flush.begin(patient=True)
        elif told_in(line) and line.isprintable():
            self.ask(line, self.agent)
        else:
            self.drop(f"not a line of the protocol: {line[:80]!r}")

    def ask(self, command: str, asked_by: socket.socket | None) -> None:
        """One command for ExaBGP."""
        self.outstanding.append((command, asked_by))
        self.to_exabgp += command.encode() + b"\n"


def run(socket_path: str, made_for: str) -> int:
    """Relay between ExaBGP, on standard input and output, and the agent at `socket_path`; returns when ExaBGP is gone.

    `made_for` is the fingerprint of the settings that ExaBGP's configuration was made from.

    SIGTERM is ExaBGP's own word for its shutdown and keeps its default; a terminal's SIGINT and SIGHUP are ExaBGP's business, not ours.
    """
    for signum in (signal.SIGINT, signal.SIGHUP):
        signal.signal(signum, signal.SIG_IGN)
    return Relay(socket_path, made_for).run()


if __name__ == "__main__":
    sys.exit(run(sys.argv[1], sys.argv[3]))
