"""How it stands with the inventory, for people."""

import time
from typing import Any

import click

from l3ctl.wording import counted


def lines(report: dict[str, Any]) -> list[str]:
    """What is wrong with it, and what stands all the same."""
    told = [*report["trouble"], *report["quarantined"]]
    if report["kept"]:
        told.append(f"the last good version stands of {', '.join(report['kept'])}")
    if report["held"]:
        told.append(f"missing, and kept as there are records without a name: {', '.join(report['held'])}")
    return told + ([report["copy"]] if report["copy"] else [])


def is_bad(report: dict[str, Any]) -> bool:
    """Whether somebody has something to mend."""
    return bool(report["trouble"] or report["quarantined"] or report["copy"])


def print_lines(report: dict[str, Any]) -> bool:
    """Print `lines` on stderr; whether it `is_bad`."""
    for line in lines(report):
        click.echo(f"l3ctl: {line}", err=True)
    return is_bad(report)


def summary(report: dict[str, Any]) -> str:
    """One line: what it is, and how old what is known of it is."""
    read = f"read {_ago(report['read'])}" if report["read"] else "not read yet: the last good copy serves"
    changed = f", changed {_ago(report['changed'])}" if report["changed"] else ""
    return f"{report['source']}, {counted(report['records'], 'record')}, {read}{changed}"


def _ago(then: float) -> str:
    seconds = max(0, round(time.time() - then))
    if seconds < 120:
        return f"{seconds} s ago"
    return f"{seconds // 60} min ago" if seconds < 7200 else f"{seconds // 3600} h ago"
