"""`l3ctl man`: the manual page, made of the same definitions as `--help`."""

from collections.abc import Iterator

import click

_EXIT_STATUS = (
    ("0", "Done, or in sync."),
    ("1", "Something failed, or is not as it should be."),
    ("2", "What was written is no good: a file, an option."),
    ("3", "`plan` found changes."),
)
_FILES = (
    ("/etc/l3ctl/l3ctl.yaml", "The configuration; another is named by --config or $L3CTL_CONFIG."),
    ("/run/l3ctl", "Sockets, the lock, and the bpffs in which the filter is pinned."),
    ("/var/lib/l3ctl", "The last good copy of the inventory."),
)


@click.command("man")
def command() -> None:
    """Print the manual page, to be read with `man -l -` or put into /usr/share/man/man1/l3ctl.1."""
    click.echo("\n".join(page()))


def page() -> Iterator[str]:
    """Its lines, in the man macros of groff_man(7)."""
    from l3ctl import __version__
    from l3ctl.cli import COMMANDS, l3ctl

    yield f'.TH L3CTL 1 "" "l3ctl {__version__}" "User Commands"'
    yield from _section("NAME", "l3ctl \\- a routed layer-3 network from what billing already knows")
    yield ".SH SYNOPSIS\n.B l3ctl\n.I COMMAND\n[\\fIOPTIONS\\fR] [\\fIARGUMENTS\\fR]"
    yield from _section("DESCRIPTION", _quoted(l3ctl.help or ""))
    yield ".SH COMMANDS"
    context = click.Context(l3ctl, info_name="l3ctl")
    for name in COMMANDS:
        one = l3ctl.get_command(context, name)
        assert one is not None
        yield from _command(one, context, name)
    for title, entries in (("EXIT STATUS", _EXIT_STATUS), ("FILES", _FILES)):
        yield f".SH {title}"
        for head, text in entries:
            yield f".TP\n.B {_quoted(head)}\n{_quoted(text)}"


def _command(one: click.Command, parent: click.Context, name: str) -> Iterator[str]:
    context = click.Context(one, info_name=name, parent=parent)
    usage = " ".join(one.collect_usage_pieces(context))
    yield f'.SS "{_quoted(context.command_path)} {_quoted(usage)}"'
    for number, paragraph in enumerate((one.help or "").split("\n\n")):
        yield (".PP\n" if number else "") + _quoted(" ".join(paragraph.split()))
    for parameter in one.get_params(context):
        record = parameter.get_help_record(context)
        if record is not None and record[1] and "--help" not in parameter.opts:
            yield f".TP\n.B {_quoted(record[0])}\n{_quoted(' '.join(record[1].split()))}"
    if isinstance(one, click.Group):
        for under in one.list_commands(context):
            nested = one.get_command(context, under)
            assert nested is not None
            yield from _command(nested, context, under)


def _section(title: str, *paragraphs: str) -> Iterator[str]:
    yield f".SH {title}"
    yield from paragraphs


def _quoted(text: str) -> str:
    """Text that groff takes as it is: no escape, no macro at the beginning of a line, hyphens to be copied from a terminal."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace('"', "\\(dq")
    return f"\\&{text}" if text[:1] in (".", "'") else text
