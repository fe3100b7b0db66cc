"""Frames that leave in one system call: all of them, in order, each on its netdev, and none for one that is gone."""

import socket
from collections.abc import Callable
from contextlib import closing

import pytest

from l3ctl.kernel.probes import Batch, ProbeSocket
from l3ctl.lab.namespaces import Namespace

pytestmark = pytest.mark.root

COUNT = 1500
"""more than one call takes (UIO_MAXIOV)"""


def frame(number: int) -> bytes:
    return bytes.fromhex("5254000000aa52540000bb00") + b"\x88\xb5" + number.to_bytes(4) + bytes(42 + number % 5)


def test_a_batch_goes_out_whole_and_again_and_skips_what_takes_nothing(namespace: Callable[[], Namespace]) -> None:
    here = namespace()
    here.ip(
        *(f"link add {name}0 type veth peer name {name}1" for name in "abc"), *(f"link set {name}{end} up" for name in "ab" for end in "01")
    )
    with here.entered():
        ifindexes = [socket.if_nametoindex(f"{name}0") for name in "abc"]
        taps = {name: socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.htons(0x88B5)) for name in "ab"}
        sender = ProbeSocket()
    for name, tap in taps.items():
        tap.setsockopt(socket.SOL_SOCKET, 33, 64 << 20)  # SO_RCVBUFFORCE
        tap.bind((f"{name}1", 0x88B5))
    frames = [(ifindexes[number % 3], frame(number)) for number in range(COUNT)]
    gone = [*frames[:10], (ifindexes[-1] + 1000, frame(0)), *frames[10:]]
    with closing(sender):
        down = [[at for at, (ifindex, _) in enumerate(some) if ifindex not in ifindexes[:2]] for some in (frames, gone)]
        for batch, left_out in ((Batch(frames), down[0]), (Batch(gone), down[1]), (Batch([]), [])):
            for _ in range(2):
                assert sender.send(batch) == left_out
                if left_out:
                    for place, tap in enumerate(taps.values()):
                        assert [tap.recv(2000) for _ in range(COUNT // 3)] == [frame(number) for number in range(place, COUNT, 3)]
    for tap in taps.values():
        with closing(tap), pytest.raises(BlockingIOError):
            tap.recv(2000)
