"""`l3ctl top`."""

import os
import select
import sys
import termios
import time
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import click

from l3ctl.asking import ask
from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.configuration import Configuration
from l3ctl.rates import Counters, Rate, Rates
from l3ctl.site import load_configuration

if TYPE_CHECKING:
    from rich.table import Table

_HEAD_AND_FOOT = 3
"""lines of the screen that are not rows"""
_PLAIN_ROWS = 20


@dataclass(slots=True)
class _View:
    """What the person at the keys has chosen."""

    by_total: bool = False
    containing: str = ""
    typing: bool = False
    leaving: bool = False

    def press(self, key: str) -> None:
        """A key."""
        if self.typing and key not in "\r\n":
            self.containing = {"\x7f": self.containing[:-1], "\b": self.containing[:-1], "\x1b": ""}.get(key, self.containing + key)
            self.typing = key != "\x1b"
        elif self.typing:
            self.typing = False
        elif key == "/":
            self.typing, self.containing = True, ""
        elif key == "s":
            self.by_total = not self.by_total
        elif key in "q\x03\x04":
            self.leaving = True

    def foot(self) -> str:
        """What the keys do."""
        if self.typing:
            return f"port or reason: {self.containing}_   (Enter: done, Esc: all)"
        return f"q quit   s by {'rate' if self.by_total else 'total'}   / filter" + (f": {self.containing}" if self.containing else "")


@click.command("top")
@click.option("--interval", type=click.FloatRange(min=0.1), default=1.0, show_default=True, help="Seconds between two looks.")
@click.option("--once", is_flag=True, help="Look twice, print what came in between, and end.")
@with_config
@with_json
def command(interval: float, once: bool, config_path: Path, as_json_text: bool) -> None:
    """Show frames refused a second, by port and reason, the busiest first, until q or Ctrl-C.

    Not on a terminal, or with --json, it is as with --once.
    """
    config = load_configuration(config_path)
    rates = Rates()
    rates.add(_counters(config), time.monotonic())
    if once or as_json_text or not (sys.stdin.isatty() and sys.stdout.isatty()):
        time.sleep(interval)
        rates.add(_counters(config), time.monotonic())
        _print(config, rates, as_json_text)
    else:
        _live(config, rates, interval)


def _counters(config: Configuration) -> Counters:
    told: Counters = ask(config.agent_socket, {"command": "counters"})["counters"]
    return told


def _print(config: Configuration, rates: Rates, as_json_text: bool) -> None:
    rows = list(rates.all())
    if as_json_text:
        told = [{"port": one.port, "reason": one.reason, "per_second": round(one.now, 1), "total": one.total} for one in rows]
        print_json({"router": config.router, "rates": told})
        return
    from rich.console import Console

    Console().print(_table(rows[:_PLAIN_ROWS]))


def _table(rows: list[Rate]) -> "Table":
    from rich.table import Table

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("port", no_wrap=True, max_width=24)
    table.add_column("reason", no_wrap=True)
    for column in ("a second", "in all"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("lately", no_wrap=True)
    for one in rows:
        busy = "red" if one.now else "dim"
        table.add_row(one.port, one.reason, f"[{busy}]{one.now:,.0f}", f"{one.total:,}", f"[cyan]{one.sparkline()}")
    return table


def _live(config: Configuration, rates: Rates, interval: float) -> None:
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console, view = Console(), _View()

    def picture() -> Group:
        rows = list(islice(rates.all(by_total=view.by_total, containing=view.containing), max(1, console.height - _HEAD_AND_FOOT)))
        frames = sum(one.now for one in rates.all())
        head = Text(f"router {config.router}: {frames:,.0f} frames refused a second", style="bold")
        return Group(head, _table(rows), Text(view.foot(), style="dim"))

    with _keys() as keys, Live(picture(), console=console, screen=True, auto_refresh=False) as live:
        due = time.monotonic() + interval
        while not view.leaving:
            if (pressed := keys(max(0.0, due - time.monotonic()))) is not None:
                for one in pressed:
                    view.press(one)
            else:
                due = time.monotonic() + interval
                rates.add(_counters(config), time.monotonic())
            live.update(picture(), refresh=True)


@contextmanager
def _keys() -> Iterator[Callable[[float], str | None]]:
    """A function that waits so many seconds for keys; `q` where the terminal has gone. The terminal is as it was afterwards."""
    fd = sys.stdin.fileno()
    before = termios.tcgetattr(fd)

    def keys(seconds: float) -> str | None:
        return (os.read(fd, 64).decode(errors="replace") or "q") if select.select([fd], [], [], seconds)[0] else None

    try:
        tty.setcbreak(fd)
        yield keys
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)
