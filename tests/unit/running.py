"""A command run within the test, as a person would see it."""

import pytest

from l3ctl.cli import main


class Run:
    def __init__(self, capsys: "pytest.CaptureFixture[str]") -> None:
        self._capsys = capsys

    def __call__(self, *arguments: str) -> tuple[int, str, list[str]]:
        """(exit code, stdout, stderr's lines)."""
        with pytest.raises(SystemExit) as ended:
            main(list(arguments))
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err.splitlines()
