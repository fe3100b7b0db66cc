"""A Unix socket that lets in only whom it knows: where commands reach the agent, and where ExaBGP's relay calls.

Who connects is told by the kernel (SO_PEERCRED of unix(7)), so that the path's mode does not decide it alone; it is kept narrow all the
same, and put right where somebody has changed it or taken the path away.
"""

import os
import selectors
import socket
import stat
import struct
import time
from collections.abc import Callable
from pathlib import Path

from l3ctl.errors import MissingRequirement
from l3ctl.log import event

_WAITING = 16
"""connections that may wait to be let in"""
_TOLD_EACH = 60.0
"""seconds between two lines of the log about one user who is not let in"""
_TOLD_OF = 100
"""users, so that nobody fills our memory by being many"""


class Door:
    """At `path`, once it is open. `come_in` is called with each connection of one of these users.

    `group` is whose members may touch it at all; without one it is for its owner only.
    """

    def __init__(self, path: Path, selector: selectors.BaseSelector, come_in: Callable[[socket.socket], None]) -> None:
        self.path = path
        self._selector, self._come_in = selector, come_in
        self._callers: set[int] = set()
        self._group: int | None = None
        self._listener: socket.socket | None = None
        self._made: tuple[int, ...] = ()
        self._told: dict[int, float] = {}

    def open(self, callers: set[int], group: int | None = None) -> None:
        """Let these users in from now on. What a dead agent left at the path is removed.

        Raises:
            MissingRequirement: there can be no socket.
        """
        self._callers, self._group = callers, group
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if self.path.is_socket():
                self.path.unlink()
            listener.bind(str(self.path))
            self.path.chmod(0o600 if group is None else 0o660)  # before listen(), so that nobody came in before
            if group is not None:
                os.chown(self.path, -1, group, follow_symlinks=False)
            listener.listen(_WAITING)
            self._made = self._as_it_is()
        except OSError as error:
            listener.close()
            what = f"cannot listen at {self.path}: {error.strerror or error}"
            raise MissingRequirement(what, "its folder must be there and writable") from error
        self._listener = listener
        self._selector.register(listener, selectors.EVENT_READ, self._accept)

    def close(self) -> None:
        """Let nobody in any more. Who is inside stays."""
        if self._listener is not None:
            self._selector.unregister(self._listener)
            self._listener.close()
            self._listener = None
            self.path.unlink(missing_ok=True)

    def keep(self) -> None:
        """Make it anew where the path is gone, or somebody has changed what it is; for now and then."""
        if self._listener is None or self._as_it_is() == self._made:
            return
        listener = self._listener
        try:
            self.open(self._callers, self._group)
        except MissingRequirement:  # its folder is gone as well: the next time
            return
        self._selector.unregister(listener)
        listener.close()
        event("replace", what="socket", path=self.path, reason="somebody had removed or changed it")

    def _as_it_is(self) -> tuple[int, ...]:
        try:
            found = self.path.lstat()
        except OSError:
            return ()
        return found.st_dev, found.st_ino, stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid

    def _accept(self) -> None:
        assert self._listener is not None
        try:
            caller, _ = self._listener.accept()
        except OSError:  # gone again, or no descriptor is free: whoever it is asks again
            return
        _, uid, _ = struct.unpack("3i", caller.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i")))
        if uid not in self._callers:
            caller.close()
            self._tell_of(uid)
            return
        caller.setblocking(False)
        self._come_in(caller)

    def _tell_of(self, uid: int) -> None:
        now = time.monotonic()
        if now < self._told.get(uid, now) or (uid not in self._told and len(self._told) >= _TOLD_OF):
            return
        self._told[uid] = now + _TOLD_EACH
        # By number: to look up a name may take as long as a directory server does.
        event("refuse", reason=f"the user of id {uid} is not let in at {self.path}")
