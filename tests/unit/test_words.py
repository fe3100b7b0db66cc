"""What is kept of somebody's word for a port."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from l3ctl.errors import AgentRefused, MissingRequirement
from l3ctl.model import Liveness, Port
from l3ctl.words import Words
from tests.unit.test_desired import PORT, SETTINGS

EXTERNAL = replace(PORT, liveness=Liveness.EXTERNAL)


def router(*ports: Port) -> Any:
    """All of one that is asked here; no backend is."""
    return SimpleNamespace(ports={one.name: one for one in ports}, settings=SETTINGS)


def test_what_was_said_is_there_for_the_next(tmp_path: Path) -> None:
    words = Words(router(EXTERNAL), tmp_path / "away")
    assert words.tell("web1", up=False)
    assert words.away == {"web1"}
    again = Words(router(EXTERNAL), tmp_path / "away")
    assert again.away == {"web1"}
    assert not again.tell("web1", up=False)
    assert again.tell("web1", up=True)
    assert again.away == frozenset()


@pytest.mark.parametrize("content", ["", "null", "{", '{"web1": 1}', "[1, null]", '["web2"]'])
def test_a_file_that_says_nothing_leaves_all_to_their_links(tmp_path: Path, content: str) -> None:
    (tmp_path / "away").write_text(content)
    assert Words(router(EXTERNAL), tmp_path / "away").away == frozenset()


def test_a_word_that_cannot_be_written_down_changes_nothing(tmp_path: Path) -> None:
    words = Words(router(EXTERNAL), tmp_path / "nowhere" / "away")
    with pytest.raises(MissingRequirement, match="cannot write"):
        words.tell("web1", up=False)
    assert words.away == frozenset()
    assert not (tmp_path / "nowhere").exists()


def test_where_links_count_no_word_does(tmp_path: Path) -> None:
    words = Words(router(PORT), tmp_path / "away")
    with pytest.raises(AgentRefused, match="goes by its link"):
        words.tell("web1", up=False)
    with pytest.raises(AgentRefused, match="there is no port"):
        words.tell("web2", up=False)
