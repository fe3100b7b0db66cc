"""What a glance at the configuration shows is what the strict reader would say, or nothing."""

from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from l3ctl.errors import BadInput
from l3ctl.glance import Glance, glance
from l3ctl.reading.document import read_document
from l3ctl.reading.outermost import outermost_texts

GOOD = "router: r1\ninventory: {file: i.yaml}\n"
PIECES = st.sampled_from(
    (
        *("router", "run_dir", "r1", "/run/x", "null", "~", "''", "'r 2'", '"r3"', "yes", "12", "a b", "é", "\x00", "\t", "\ud800"),
        *(": ", ":", "\n", "\n  ", "- ", ", ", "{", "}", "[", "]", "? ", "# c\n", "---\n", "&a ", "*a", "!!str ", "<<: ", "|\n "),
    )
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("glance") / "l3ctl.yaml"


@given(text=st.one_of(st.lists(PIECES, max_size=14).map("".join), st.text(max_size=20).map(lambda end: GOOD + end)))
@example(text=GOOD + "run_dir: /run/x\n")
@example(text="{router: r1, run_dir: /run/x, bgp: {peers: [{router: r2}]}}")
@example(text="router: r1\nrouter: r2\n")
@example(text="router: r1\n---\nrouter: r2\n")
@example(text="router: &a r1\nrun_dir: *a\n")
@example(text="router: !!str 1\n")
@example(text="router: null\n")
@example(text="- router\n- r1\n")
@example(text="[" * 3000)
def test_it_says_what_the_strict_reader_says_or_nothing(file: Path, text: str) -> None:
    file.write_bytes(text.encode(errors="surrogatepass"))
    said = outermost_texts(file)
    try:
        read = read_document(file).value
    except BadInput:
        return  # a fault elsewhere in the file hides nothing of what is plain
    outermost = read if isinstance(read, dict) else {}
    texts = {key: value for key, value in outermost.items() if isinstance(value, str)}
    assert said in ({}, texts)
    if "&" not in text and "!" not in text:
        assert said == texts, "what is good is taken at a glance"


def test_what_a_glance_does_not_show_the_strict_reader_says(file: Path) -> None:
    file.write_text(GOOD)
    assert glance(file) == Glance("r1", Path("/run/l3ctl/agent.sock"))
    file.write_text(GOOD + "run_dir: run/x\n")
    with pytest.raises(BadInput, match="run_dir"):
        glance(file)
    file.write_text("router: r1\n" * 2)
    with pytest.raises(BadInput, match="twice"):
        glance(file)
    file.unlink()
    with pytest.raises(BadInput):
        glance(file)
