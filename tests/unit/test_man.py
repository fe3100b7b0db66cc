"""The manual page and the shell's completion: made of the commands as they are, and good for who reads them."""

import os
import re
import subprocess
from pathlib import Path

import click
import pytest

from l3ctl.cli import COMMANDS, l3ctl
from l3ctl.cli.man import page

PROGRAM = Path(__file__).parents[2] / ".venv/bin/l3ctl"


def options(command: click.Command) -> set[str]:
    nested = (
        [command.get_command(click.Context(command), name) for name in command.list_commands(click.Context(command))]
        if isinstance(command, click.Group)
        else []
    )
    own = {one.opts[0] for one in command.params if isinstance(one, click.Option) and not one.hidden}
    return own.union(*(options(one) for one in nested if one is not None))


def test_every_command_and_every_option_is_in_it() -> None:
    text = "\n".join(page()).replace("\\-", "-")
    for name in COMMANDS:
        command = l3ctl.get_command(click.Context(l3ctl), name)
        assert command is not None
        assert f'.SS "l3ctl {name} ' in text
        assert {option for option in options(command) if option not in text} == set()


def test_a_typesetter_has_nothing_to_complain_of() -> None:
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-P-c"], input="\n".join(page()), capture_output=True, text=True, check=True)
    assert done.stderr == ""
    shown = re.sub(r".\x08", "", done.stdout)
    assert "l3ctl explain [OPTIONS] ADDRESS|MAC|PORT|PREFIX" in shown
    assert "EXIT STATUS" in shown


@pytest.mark.parametrize(("words", "at", "wanted"), [("l3ctl expl", 1, "explain"), ("l3ctl agent --take", 2, "--take-over")])
def test_a_shell_completes_commands_and_options(words: str, at: int, wanted: str) -> None:
    environ = {**os.environ, "_L3CTL_COMPLETE": "bash_complete", "COMP_WORDS": words, "COMP_CWORD": str(at)}
    done = subprocess.run([PROGRAM], env=environ, capture_output=True, text=True, check=False)
    assert f"plain,{wanted}" in done.stdout


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_is_told_how(shell: str) -> None:
    done = subprocess.run([PROGRAM, "completion", shell], capture_output=True, text=True, check=True)
    assert "_L3CTL_COMPLETE" in done.stdout


def test_bash_takes_what_it_is_told() -> None:
    asks = f'eval "$({PROGRAM} completion bash)"; complete -p l3ctl'
    done = subprocess.run(["bash", "-ec", asks], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("complete ")
