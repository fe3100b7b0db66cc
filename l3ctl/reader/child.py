"""The child's end."""

import ctypes
import os
import pickle
import selectors
import signal
import socket
import time
import traceback
from collections import deque
from pathlib import Path
from typing import NoReturn

from l3ctl.errors import L3ctlError
from l3ctl.followed import FollowedSite
from l3ctl.reader.messages import HEADER, Ask, Told, Verdict, send
from l3ctl.report import Report
from l3ctl.signals import let_go

_PR_SET_PDEATHSIG = 1
_LONGEST_REST = 5.0
"""seconds between two attempts at most, where a source fails; the first comes after one"""


def live(path: Path, channel: socket.socket) -> NoReturn:
    """The child's whole life. It ends with its parent, and holds nothing of what that had open: no lock, and no signal meant for it."""
    try:
        signal.set_wakeup_fd(-1)
        for signum in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(signum, signal.SIG_IGN)  # a Ctrl-C goes to the whole group, and only the parent may say what it ends
        let_go(signal.SIGHUP)  # what the parent holds, a program that a source runs would inherit
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        os.closerange(3, channel.fileno())
        os.closerange(channel.fileno() + 1, os.sysconf("SC_OPEN_MAX"))
        _Follower(path, channel).run()
    except EOFError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


class _Follower:
    """The child's end."""

    def __init__(self, path: Path, channel: socket.socket) -> None:
        self._followed = FollowedSite(path)
        self._channel = channel
        self._asked: deque[Ask] = deque()
        self._reported = Report()
        self._rest = 1.0
        self._next = float("inf")
        self._open = False

    def run(self) -> None:
        """Serve until the parent is gone, which raises EOFError."""
        while True:
            if self._asked:
                self._serve(self._asked.popleft())
            else:
                self._follow()

    def _follow(self) -> None:
        """Wait for a question, the source, or the time to read it again."""
        on_trial = self._followed.is_on_trial()
        follows = self._open and self._followed.config.inventory.watch and not on_trial
        descriptor = self._followed.following.source.fileno() if follows else None
        with selectors.DefaultSelector() as selector:
            selector.register(self._channel, selectors.EVENT_READ)
            if descriptor is not None:
                selector.register(descriptor, selectors.EVENT_READ)
            wait = None if on_trial or self._next == float("inf") else max(0.0, self._next - time.monotonic())
            ready = {key.fd for key, _ in selector.select(wait)}
        if self._channel.fileno() in ready:
            message = self._receive()
            assert isinstance(message, Ask)
            self._asked.append(message)
        elif descriptor is not None and descriptor in ready:
            self._propose(news=True)
        elif not on_trial and time.monotonic() >= self._next:
            self._propose(news=False)

    def _propose(self, *, news: bool) -> None:
        following = self._followed.following
        try:
            update = following.news() if news else following.read()
        except L3ctlError:
            self._rest = min(2 * self._rest, _LONGEST_REST)
            self._next = time.monotonic() + self._rest
            self._report()
            return
        self._schedule()
        if update:
            self._proposed(Told(following.outlook(), update=update))
        else:
            following.taken()
        self._report()

    def _schedule(self) -> None:
        config = self._followed.config.inventory
        self._rest = 1.0
        self._next = time.monotonic() + config.interval if config.watch else float("inf")

    def _serve(self, ask: Ask) -> None:
        site = None
        try:
            match ask.verb:
                case "reload":
                    site = self._followed.reload(ask.why, asked=ask.asked)
                case "roll back":
                    site = self._followed.roll_back()
                case "confirm":
                    site = self._followed.confirm()
                case "keep":
                    self._followed.keep()
                    if self._followed.config.inventory.watch:
                        self._next = time.monotonic()  # what the source said meanwhile
        except L3ctlError as error:
            self._send(Told(self._followed.report(), error=error, asked=True))
            return
        told = Told(self._followed.outlook(), site=site, asked=True)
        if site is None:
            self._send(told)
        elif self._proposed(told):
            self._open = True
            self._schedule()
            report = self._followed.report()
            if not report.read:  # the last good copy serves: now for the source itself, which may hang
                self._next = time.monotonic()
            elif report.trouble:
                self._next = time.monotonic() + self._rest
            self._report()

    def _proposed(self, told: Told) -> bool:
        """Say what would be, and wait for what becomes of it."""
        self._send(told)
        while not isinstance(message := self._receive(), Verdict):
            assert isinstance(message, Ask)
            self._asked.append(message)
        if message.taken:
            self._followed.taken(on_trial=message.on_trial)
        else:
            self._followed.left()
        return message.taken

    def _report(self) -> None:
        """Tell how it stands with the inventory, if that is new."""
        report = self._followed.report()
        if report != self._reported:
            self._reported = report
            self._send(Told(report))

    def _send(self, told: Told) -> None:
        try:
            send(self._channel, told)
        except OSError:
            raise EOFError from None

    def _receive(self) -> object:
        (length,) = HEADER.unpack(self._exactly(HEADER.size))
        return pickle.loads(self._exactly(length))  # noqa: S301  of our own parent

    def _exactly(self, length: int) -> bytes:
        received = b""
        while len(received) < length:
            try:
                some = self._channel.recv(length - len(received))
            except OSError:
                some = b""
            if not some:
                raise EOFError
            received += some
        return received
