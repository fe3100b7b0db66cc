"""Killed at random moments under traffic, the filter is the old one or the new one, and complete: no frame ever gets past it.

A customer sends without pause a spoofed advertisement, which must never reach the router's stack, and the question for the gateway, which
must always be answered; on the other side a packet socket behind the filter looks for what came through. Meanwhile a process swaps the
filter for another program and back, or for one with other maps, and changes the port's policy, until it is killed; and once more. With the
source guard on he sends ordinary packets from others' addresses too, which must not come through either.
`L3CTL_KILLS` says how often.
"""

import os
import random
import secrets
import select
import signal
import socket
import threading
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace

import pytest

from l3ctl.kernel.tables import Kernel
from l3ctl.lab import frames
from l3ctl.model import Change, Verb
from l3ctl.xdp.filter import Filter
from l3ctl.xdp.libbpf import Map
from tests.xdp.test_filter import ASK4, NA, Router, policy, router  # noqa: F401  the fixture

pytestmark = [pytest.mark.root, pytest.mark.bpf]

SPOOFED = (frames.ethernet(frames.tcp6("2001:db8:f00::1"), 0x86DD), frames.ethernet(frames.udp4("203.0.113.77"), 0x0800))
KILLS = int(os.environ.get("L3CTL_KILLS", "25"))
OLD, NEW = (replace(policy(0, hosts=hosts), answer_rate=100_000, answer_burst=100_000) for hosts in (20, 30))
"""The host that sends is billed in both, and its answers have no limit."""


class Traffic(threading.Thread):
    """From the customer's end; counts what was sent, what was answered, and what came through behind the filter."""

    def __init__(self, bench: Router, more: Sequence[bytes] = ()) -> None:
        super().__init__(daemon=True)
        self._sent_each_time = (*more, NA, ASK4)
        self.sent = self.answered = self.through = 0
        self._ending = threading.Event()
        with bench.customer.entered():
            self._customer = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._customer.bind(("q0", 3))
        with bench.namespace.entered():
            self._behind = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self._behind.bind(("p0", 3))

    def run(self) -> None:
        while not self._ending.is_set():
            for frame in self._sent_each_time:
                self._customer.send(frame)
            self.sent += 1
            self._look(0)
            time.sleep(0.002)

    def _look(self, seconds: float) -> None:
        while ready := select.select([self._customer, self._behind], [], [], seconds)[0]:
            for one in ready:
                frame, (_, _, kind, _, _) = one.recvfrom(2048)
                if kind == socket.PACKET_OUTGOING or frame[6:12] not in (frames.HOST_MAC, frames.ROUTER_MAC):
                    continue
                if one is self._behind:
                    self.through += 1
                elif frame[12:14] == b"\x08\x06":
                    self.answered += 1

    def end(self) -> None:
        self._ending.set()
        self.join()
        self._look(0.2)
        self._customer.close()
        self._behind.close()


def upgrade_for_ever(bench: Router, guarded: bool) -> None:
    """In a process of its own, in the router's namespace."""
    chance = random.Random()
    while True:
        filter_ = Filter(bench.bpffs)
        if chance.random() < 0.3 and (bench.directory / "layout").exists():
            Map.open(bench.directory / "layout").update(bytes(4), b"\xee" * 32)  # what there is, is of a version with another layout
        filter_.open(guarded or chance.random() < 0.5)
        with Kernel() as kernel:
            for _ in range(20):
                filter_.apply(Change("web0", Verb.REPLACE, replace(chance.choice((OLD, NEW)), source_guard=guarded)), kernel.links())
                filter_.settle(["p0"], kernel.links())


def kill_at(bench: Router, seconds: float, guarded: bool) -> None:
    with bench.namespace.entered():
        child = os.fork()
        if child == 0:
            try:
                upgrade_for_ever(bench, guarded)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(1)
    time.sleep(seconds)
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "it works until it is killed"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@pytest.mark.parametrize("guarded", [False, True], ids=["ARP and ND", "and the source guard"])
def test_no_frame_gets_past_it_whenever_a_process_is_killed_at_it(router: Router, guarded: bool) -> None:  # noqa: F811
    seed = secrets.token_hex(4)
    print(f"seed {seed}")
    dice = random.Random(seed)
    wanted = replace(OLD, source_guard=guarded)
    router.add(router.opened(guarded)[0], wanted)
    traffic = Traffic(router, SPOOFED if guarded else ())
    traffic.start()
    try:
        for number in range(KILLS):
            kill_at(router, dice.random() * 0.9, guarded)
            assert traffic.through == 0, f"kill {number} of seed {seed}"
            assert set(router.programs()) == {"p0"}
            if number % 5 == 4:  # the next agent ends with what it wants, whatever it finds
                again = router.opened(guarded)[0]
                router.make_true(again, wanted)
                again.settle(["p0"], router.links)
                assert again.read(router.links) == {"web0": wanted}
    finally:
        traffic.end()
    assert traffic.through == 0, f"seed {seed}"
    assert traffic.sent > KILLS
    assert traffic.answered == traffic.sent, f"every question was answered, seed {seed}"


def test_detaching_under_traffic_takes_all_of_it_away_and_attaching_brings_all_of_it_back(router: Router) -> None:  # noqa: F811
    traffic = Traffic(router)
    filter_ = router.open()
    router.add(filter_, OLD)
    traffic.start()
    time.sleep(0.2)
    before = traffic.through
    with router.namespace.entered():
        assert Filter(router.bpffs).detach() == 1
    assert list(router.directory.iterdir()) == []
    assert router.programs() == {}
    router.add(router.open(), OLD)
    time.sleep(0.1)
    after = traffic.through
    time.sleep(0.2)
    traffic.end()
    assert before == 0
    assert after > 0, "without a filter frames do come through, and are seen to"
    assert traffic.through == after, "nothing more came through once it was back"
