"""`python -m tests.screenshots FOLDER`: what an operator sees, as pictures, from a lab in which a customer attacks.

Each command runs on a terminal of 80 columns and 24 lines (pyte's, which understands what real ones do), and what is on its screen at the
end is drawn as SVG.
"""

import argparse
import os
import pty
import select
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

from l3ctl.lab.attacks import ATTACKS
from l3ctl.lab.customers import CUSTOMERS
from l3ctl.lab.programs import PROGRAM
from l3ctl.lab.topology import Lab

COLUMNS, LINES = 80, 24
LONG = 40
"""lines of a terminal that is pulled longer"""
ROGUE = CUSTOMERS[2]
RATE = 400
"""frames a second"""
WATCHED = 12.0
"""seconds of `top`"""
# Rich's own, without the fonts that it would load from elsewhere.
DRAWING = """\
<svg class="rich-terminal" viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
    font-family: ui-monospace, "DejaVu Sans Mono", Menlo, Consolas, monospace; font-size: {char_height}px; line-height: {line_height}px;
}}
.{unique_id}-title {{ font-size: 18px; font-weight: bold; font-family: sans-serif; }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal"><rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/></clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix" xml:space="preserve">{matrix}</g>
</g>
</svg>
"""


def screen_of(words: list[str], seconds: float, keys: str = "", lines: int = LINES) -> pyte.Screen:
    """Run a program on a terminal; press these keys after so many seconds, and look when they are over or it has ended."""
    screen = pyte.Screen(COLUMNS, lines)
    stream = pyte.ByteStream(screen)
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": str(lines)}
        os.execvp(words[0], words)
    until = time.monotonic() + seconds
    try:
        while (left := until - time.monotonic()) > 0:
            if select.select([terminal], [], [], left)[0]:
                try:
                    stream.feed(os.read(terminal, 65536))
                except OSError:  # it has ended
                    break
        if keys:
            os.write(terminal, keys.encode())
    finally:
        os.close(terminal)
        os.waitpid(pid, 0)
    return screen


def drawn(screen: pyte.Screen, title: str) -> str:
    """The screen as SVG, down to its last line that has anything."""
    rows = [screen.buffer[number] for number in range(screen.lines)]
    while rows and not "".join(rows[-1][at].data for at in range(COLUMNS)).strip():
        rows.pop()
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor", legacy_windows=False)
        for row in rows:
            line = Text()
            for style, cells in groupby((row[at] for at in range(COLUMNS)), key=_style):
                line.append("".join(cell.data for cell in cells), style)
            console.print(line, no_wrap=True, overflow="crop")
    picture = console.export_svg(title=title, code_format=DRAWING, unique_id="l3ctl")
    return "\n".join(line.rstrip(" ") for line in picture.splitlines()) + "\n"


def _style(cell: "pyte.screens.Char") -> Style:
    return Style(color=_colour(cell.fg), bgcolor=_colour(cell.bg), bold=cell.bold, reverse=cell.reverse)


def _colour(name: str) -> str | None:
    if name == "default":
        return None
    if len(name) == 6 and all(c in "0123456789abcdef" for c in name):
        return f"#{name}"
    return {"brown": "yellow"}.get(name, name.removeprefix("bright"))


@contextmanager
def attacked(lab: Lab) -> Iterator[None]:
    """One customer sends what it must not, in waves."""
    frames = [frame for attack in ATTACKS for frame in list(attack.frames(ROGUE, CUSTOMERS[0], 60))]
    with lab.hosts["rogue"].entered():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
    raw.bind(("eth0", 0))
    ending = threading.Event()

    def send() -> None:
        number = 0
        while not ending.wait(0.05):
            for _ in range(int(RATE * 0.05 * (1 + number // RATE % 3))):
                raw.send(frames[number % len(frames)])
                number += 1

    thread = threading.Thread(target=send)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join()
        raw.close()


def main() -> int:
    """Draw all of them."""
    parser = argparse.ArgumentParser(prog="python -m tests.screenshots", description=__doc__)
    parser.add_argument("folder", type=Path)
    folder: Path = parser.parse_args().folder
    folder.mkdir(parents=True, exist_ok=True)
    lab = Lab(f"l3t{os.getpid()}d")
    lab.up()
    inside = ["ip", "netns", "exec", lab.router.name, str(PROGRAM)]
    try:
        with attacked(lab):
            pictures = {"top": screen_of([*inside, "top"], WATCHED, "q")}
        lab.link_down(CUSTOMERS[1])
        lab.wait("db1's end", lambda: str(CUSTOMERS[1].ipv6) not in lab.bird_prefixes(), 30)
        pictures["status"] = screen_of([*inside, "status"], 10)
        pictures["explain"] = screen_of([*inside, "explain", str(CUSTOMERS[1].ipv4)], 10, lines=LONG)
        pictures["violations"] = screen_of([*inside, "violations"], 10, lines=LONG)
    finally:
        lab.down()
    for name, screen in pictures.items():
        (folder / f"{name}.svg").write_text(drawn(screen, f"l3ctl {name}"))
        print(folder / f"{name}.svg")
    return 0


if __name__ == "__main__":
    sys.exit(main())
