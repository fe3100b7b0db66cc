"""Whether files changed, from inotify, however they were changed.

What is watched are folders, never files: the one a file stands in, and every other one on the way to it, through every symbolic link. So a
file may be written anew, renamed over, deleted and made again, or a link anywhere on the way turned to something else. Which file stands
at the end of the way is found out again after each change.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import inotify_simple
from inotify_simple import flags

Place = tuple[int, str]
"""a watched folder's number, and a name in it"""

_ON_THE_WAY = flags.CREATE | flags.DELETE | flags.MOVED_FROM | flags.MOVED_TO
_AT_THE_END = _ON_THE_WAY | flags.MODIFY | flags.CLOSE_WRITE | flags.ATTRIB
_MOST_LINKS = 40


@dataclass(slots=True)
class Changes:
    """What was heard: anything of interest, which files were written and closed or moved into place, and whether some was lost."""

    any: bool = False
    complete: set[Place] = field(default_factory=set)
    lost: bool = False


class Watch:
    """One inotify descriptor. Raises `OSError` where the system gives none."""

    def __init__(self, interesting: Callable[[str], bool]) -> None:
        self._interesting = interesting
        self._inotify: Any = inotify_simple.INotify(nonblocking=True)
        self._folders: dict[str, int | None] = {}
        self._ways: set[Place] = set()
        self._whole: set[int] = set()
        self._known: set[int] = set()
        self._being_written: set[Place] = set()
        self._moving: dict[int, Place] = {}
        self._heard = Changes()

    def fileno(self) -> int:
        """Becomes readable when something happened, of interest or not."""
        number: int = self._inotify.fileno()
        return number

    def close(self) -> None:
        """Hear no more."""
        self._inotify.close()

    def begin(self) -> None:
        """Follow nothing; what is followed until `finish` is all that is of interest."""
        self._folders, self._ways, self._whole = {}, set(), set()

    def follow(self, path: Path) -> Place | None:
        """Watch the way to a file or a folder from now on. Returns where it stands; None where there is no such thing yet."""
        ahead = str(Path.cwd() / path).split("/")[::-1]
        here, links = "/", 0
        place = None
        while ahead:
            name = ahead.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                here = here.rpartition("/")[0] or "/"
                continue
            folder = self._add(here, _ON_THE_WAY)
            if folder is not None:
                place = folder, name
                self._ways.add(place)
            here = f"{here.rstrip('/')}/{name}"
            try:
                target = os.readlink(here) if Path(here).is_symlink() else None  # noqa: PTH115 - a Path would lose what is meant by //
                Path(here).lstat()
            except (OSError, ValueError):
                return None
            if target is not None:
                links += 1
                if links > _MOST_LINKS:
                    return None
                here = "/" if target.startswith("/") else here.rpartition("/")[0] or "/"
                ahead += target.split("/")[::-1]
        if place is not None:
            self._add(here.rpartition("/")[0] or "/", _AT_THE_END)
        return place

    def follow_folder(self, path: Path) -> None:
        """Watch a folder and every interesting name in it, besides the way to it."""
        self.follow(path)
        folder = self._add(os.path.realpath(path), _AT_THE_END)
        if folder is not None:
            self._whole.add(folder)

    def finish(self) -> None:
        """Let go of folders that are on no way any more."""
        used = {folder for folder in self._folders.values() if folder is not None}
        for folder in self._known - used:
            with suppress(OSError):  # it went by itself
                self._inotify.rm_watch(folder)
        self._known = used
        self._being_written = {place for place in self._being_written if place[0] in used}

    def changes(self, settle: float = 0) -> Changes:
        """What was heard since the last time. After something of interest, all that follows within `settle` seconds belongs to it."""
        self._hear()
        if self._heard.any and settle:
            end = time.monotonic() + settle
            while (left := end - time.monotonic()) > 0:
                time.sleep(left)
                self._hear()
        return self.rest()

    def rest(self) -> Changes:
        """What was heard on the way, by `being_written`."""
        heard, self._heard = self._heard, Changes()
        return heard

    def being_written(self, place: Place | None) -> bool:
        """Whether somebody began to write there and has not closed the file."""
        self._hear()
        return place in self._being_written

    def _add(self, folder: str, mask: int) -> int | None:
        key = f"{folder}\0{mask}"
        if key not in self._folders:
            try:
                self._folders[key] = self._inotify.add_watch(folder, mask | flags.ONLYDIR | flags.MASK_ADD | flags.EXCL_UNLINK)
            except OSError:  # not there, or not for us to read; and with no watches left, the next full reading tells
                self._folders[key] = None
        return self._folders[key]

    def _hear(self) -> None:
        for event in self._inotify.read(timeout=0):
            place = event.wd, event.name
            if event.mask & flags.Q_OVERFLOW:
                self._heard.any = self._heard.lost = True
                self._being_written.clear()
                continue
            self._note_writing(place, event)
            gone = event.mask & (flags.IGNORED | flags.UNMOUNT) and event.wd in self._known
            if gone or place in self._ways or (event.wd in self._whole and self._interesting(event.name)):
                self._heard.any = self._heard.any or place not in self._being_written
                if event.mask & (flags.CLOSE_WRITE | flags.MOVED_TO):
                    self._heard.complete.add(place)

    def _note_writing(self, place: Place, event: Any) -> None:
        if event.mask & flags.MODIFY:
            self._being_written.add(place)
        elif event.mask & (flags.CLOSE_WRITE | flags.DELETE):
            self._being_written.discard(place)
        elif event.mask & flags.MOVED_FROM:
            if place in self._being_written:
                self._being_written.discard(place)
                self._moving = {event.cookie: place}
        elif event.mask & flags.MOVED_TO:
            self._being_written.discard(place)
            if self._moving.pop(event.cookie, None):  # moved into place and still being written
                self._being_written.add(place)
