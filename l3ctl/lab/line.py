"""A line whose frames come in as from a NIC: in a NAPI thread of the netdev's own, which is pinned to one CPU and does nothing else.

    gen ──────── port        each in the same namespace

What is given to `gen` by XDP's own redirect reaches the NAPI of `port`, its other end, without an skb, as a driver's frames do; native
XDP sees it first, and where none is there the kernel makes skbs and goes its way. What that costs in all, whoever drops or answers it, is
the CPU time of the thread. The generator keeps the other CPU busy and gives more than can be taken, so that the thread never rests;
what finds its ring full is counted by nobody and costs `port` nothing.
"""

import os
import socket
import struct
import time
from pathlib import Path
from typing import Self

from l3ctl.errors import LabFailed, MissingRequirement
from l3ctl.lab.namespaces import Namespace
from l3ctl.xdp.libbpf import XDP_FLAGS_DRV_MODE, Link, Program

XDP_DROP = 1
_AT_ONCE = 50_000
"""frames between two looks at how many have come through"""
_AT_MOST = 20.0
"""seconds; then the frames do not come through, and something is wrong"""
_SETTLES = 0.02
_CPU = 1
"""of the thread; the generator has the other"""
_COMM = 15
"""characters that the kernel keeps of a thread's name"""


def returning(verdict: int) -> bytes:
    """The program that says so to every frame: r0 = verdict; exit."""
    return struct.pack("<BBhi", 0xB7, 0, 0, verdict) + struct.pack("<BBhi", 0x95, 0, 0, 0)


def _redirecting(ifindex: int) -> bytes:
    """r1 = ifindex; r2 = 0; call bpf_redirect; exit."""
    set1, set2 = struct.pack("<BBhi", 0xB7, 1, 0, ifindex), struct.pack("<BBhi", 0xB7, 2, 0, 0)
    return set1 + set2 + struct.pack("<BBhi", 0x85, 0, 0, 23) + struct.pack("<BBhi", 0x95, 0, 0, 0)


class Line:
    """Made when entered, removed when left. `number` tells the lines of one process apart."""

    def __init__(self, number: int) -> None:
        own = f"{os.getpid() % 100_000}{chr(ord('a') + number)}"
        self.namespace = Namespace(f"l3bench{os.getpid()}{chr(ord('a') + number)}")
        self.port, self._gen = f"l{own}", f"g{own}"
        """the netdevs; a thread is known by theirs"""

    def __enter__(self) -> Self:
        if (os.cpu_count() or 1) < 2:
            raise MissingRequirement("a line needs a CPU for its frames and one for who makes them", "measure on a machine with two")
        self.namespace.add()
        try:
            self.namespace.sysctl("net.ipv6.conf.default.accept_dad=0", "net.ipv6.conf.default.router_solicitations=0")
            self.namespace.ip(f"link add {self._gen} type veth peer name {self.port}")
            both = (self._gen, self.port)
            for netdev in both:  # before they are up: then each learns that the other has NAPI, without which no frame is redirected to it
                self.namespace.run("ethtool", "-K", netdev, "gro", "on")
            self.namespace.ip(*(f"link set {netdev} up" for netdev in both))
            for netdev in both:
                self.namespace.run("sh", "-c", f"echo 1 > /sys/class/net/{netdev}/threaded")
            with self.namespace.entered():
                self.ifindex = socket.if_nametoindex(self.port)
                gen = socket.if_nametoindex(self._gen)
                self._generator = Program.load("generator", _redirecting(gen))
                self._sink = Link.attach(Program.load("sink", returning(XDP_DROP)), gen, XDP_FLAGS_DRV_MODE)  # where answers end
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.namespace.remove()

    def cost(self, frame: bytes, count: int) -> float:
        """CPU nanoseconds of `port` for each of so many frames that came through."""
        thread = napi_thread(self.port)
        os.sched_setaffinity(thread, {_CPU})
        mine = os.sched_getaffinity(0)
        os.sched_setaffinity(0, mine - {_CPU})
        try:
            with self.namespace.entered():
                before, spent = self._came(), cpu_of(thread)
                until = time.monotonic() + _AT_MOST
                while (came := self._came() - before) < count:
                    if time.monotonic() > until:
                        raise LabFailed(f"{came} of {count} frames came through in {_AT_MOST:.0f} s")
                    self._generator.feed(frame, _AT_ONCE)
                time.sleep(_SETTLES)
                return (cpu_of(thread) - spent) / (self._came() - before)
        finally:
            os.sched_setaffinity(0, mine)

    def _came(self) -> int:
        """Frames that NAPI has taken from the ring so far."""
        told = Path("/proc/thread-self/net/dev").read_text().partition(f"{self.port}:")[2].split()
        return int(told[1])


def napi_thread(netdev: str) -> int:
    """The thread of a netdev with threaded NAPI: another one each time that native XDP comes or goes."""
    begins = f"napi/{netdev}-"[:_COMM]
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "comm").read_text().startswith(begins):
                return int(process.name)
        except OSError:  # it has just ended
            continue
    raise LabFailed(f"{netdev} has no NAPI thread; a kernel with threaded NAPI (5.12) has one")


def cpu_of(thread: int) -> int:
    """Nanoseconds that a thread has had a CPU."""
    return int(Path(f"/proc/{thread}/schedstat").read_text().split()[0])
