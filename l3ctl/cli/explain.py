"""`l3ctl explain`."""

import shutil
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from l3ctl.cli.options import print_json, with_config, with_json
from l3ctl.cli.reach import agent_answer, lone_router
from l3ctl.glance import glance
from l3ctl.names import ANSWERS

_INDENT = 13
"""columns before what is said"""


@click.command("explain")
@click.argument("what", metavar="ADDRESS|MAC|PORT|PREFIX")
@with_config
@with_json
def command(what: str, config_path: Path, as_json_text: bool) -> int:
    """Say all that is known of one port, address, MAC or prefix, and in one sentence why packets reach it or do not.

    From its record over link, entries and filter to the peers that have it, and what happened last. Without an agent the router is looked
    at all the same. The exit code is 1 where it is not reachable.
    """
    config = glance(config_path)
    told = agent_answer(config, "explain", what=what)
    if told is None:
        from l3ctl.explained import explained
        from l3ctl.site import load_site

        told = explained(lone_router(load_site(config_path), load=False), what)
        click.echo("note: no agent runs: what it remembers is not here, and nobody knows what is announced", err=True)
    if as_json_text:
        print_json({"router": config.router, **told})
    else:
        width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        click.echo("\n\n".join("\n".join(_fitting(line, width) for line in _lines(one)) for one in told["found"]))
    return 0 if all(one["reachable"] for one in told["found"]) else 1


def _lines(one: dict[str, Any]) -> Iterator[str]:
    name = " ".join(part for part in (f"port {one['port']}", one["host"], one["prefix"]) if part)
    colour, word = ("green", "reachable") if one["reachable"] else ("red", "not reachable")
    yield f"{click.style(name, bold=True)}: {click.style(word, fg=colour)}: {one['because']}"
    record = one["record"]
    where = record["interface"] if record["guard"] == record["interface"] else f"{record['interface']}, guarded on {record['guard']}"
    vlan = "" if record["vlan"] is None else f" vlan {record['vlan']}"
    says = [record["mode"], *(["source guard"] if record["source_guard"] else []), f"liveness {record['liveness']}"]
    yield _row("record", f"{where}{vlan}; {', '.join(says)}{'' if record['announce'] else '; announce: false'}")
    for host in record["hosts"]:
        yield _row("", f"{host['mac']} {host['link_local']} {' '.join([*host['ipv6'], *host['ipv4']])}".rstrip())
    for number, (netdev, link) in enumerate(one["link"].items()):
        facts = "not there" if link is None else f"{link['state']}, {link['kind'] or 'device'}, mtu {link['mtu']}, {link['mac']}"
        yield _row("" if number else "link", f"{netdev}: {facts}")
    yield from _entries("neighbours", one["neighbours"])
    yield from _entries("routes", one["routes"])
    interface = record["interface"]
    elsewhere = [f"{prefix} leaves by {netdev or 'nothing'}" for prefix, netdev in one["leads_to"].items() if netdev != interface]
    yield from (_row("", click.style(line, fg="red")) for line in elsewhere)
    filter_ = one["filter"]
    yield _row("filter", filter_["policy"] or "none: nothing is asked of its frames")
    if filter_["counters"]:
        refused = {reason: count for reason, count in filter_["counters"].items() if reason not in ANSWERS}
        answered = sum(count for reason, count in filter_["counters"].items() if reason in ANSWERS)
        counts = ", ".join(f"{count} {reason}" for reason, count in sorted(refused.items(), key=lambda item: -item[1])) or "none"
        yield _row("", f"answered {answered}; refused {counts}")
    if filter_["last_seen"] is not None:
        yield _row("", f"its host was last heard {_ago(filter_['last_seen'])}")
    if one["stranger"]:
        yield _row("", click.style(f"frames came from {one['stranger']}, which is not billed here", fg="red"))
    for number, announcement in enumerate(one["announcements"]):
        yield _row("" if number else "announced", _announcement(announcement))
    for number, difference in enumerate(one["differs"]):
        yield _row("" if number else "to do", difference)
    for number, event in enumerate(one["events"]):
        yield _row("" if number else "last", f"{_moment(event['at'])}  {event['text']}")


def _row(title: str, text: str) -> str:
    return f"  {title:<{_INDENT - 2}}{text}"


def _fitting(line: str, width: int | None) -> str:
    """Broken between words, under its own beginning."""
    if width is None or len(click.unstyle(line)) <= width:
        return line
    indent = " " * (_INDENT if line.startswith("  ") else 2)
    return "\n".join(textwrap.wrap(line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False))


def _moment(at: float) -> str:
    """Of today without the date."""
    then, now = time.localtime(at), time.localtime()
    return time.strftime("%H:%M:%S" if then[:3] == now[:3] else "%m-%d %H:%M:%S", then)


def _entries(title: str, entries: list[dict[str, Any]]) -> Iterator[str]:
    """Those that are as they should be in plain, the others with what is wrong about them."""
    if not entries:
        yield _row(title, "none")
    for number, entry in enumerate(entries):
        wrong = "" if entry["there"] and entry["wanted"] else "MISSING " if entry["wanted"] else "TOO MUCH "
        yield _row("" if number else title, click.style(wrong, fg="red") + entry["text"].partition(" ")[2])


def _announcement(one: dict[str, Any]) -> str:
    if not one["peers"]:
        return f"{one['prefix']}: {'wished' if one['wished'] else 'not wished'}"
    peers = (f"{address} {'has it' if peer['has'] else 'has it not, session ' + peer['session']}" for address, peer in one["peers"].items())
    return f"{one['prefix']}: {', '.join(peers)}"


def _ago(seconds: float) -> str:
    return f"{seconds:.1f} s ago" if seconds < 120 else f"{seconds / 60:.0f} min ago"
