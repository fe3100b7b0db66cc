"""The virtual machines themselves, on the oldest kernel of the matrix."""

import os
import shlex
import shutil
import sys
from pathlib import Path

import pytest

from tests.vm.kernels import CannotRun, Kernel, kernel
from tests.vm.machine import run

pytestmark = [
    pytest.mark.root,
    pytest.mark.skipif(os.environ.get("L3CTL_VM") == "1", reason="in a virtual machine already"),
    pytest.mark.skipif(shutil.which("qemu-system-x86_64") is None, reason="QEMU is missing (mend: make setup, as root)"),
]

ROOT = Path(__file__).parents[2]
BOOT = 240.0
"""seconds, on a machine that does other things as well"""


@pytest.fixture(scope="module")
def bookworm() -> Kernel:
    return kernel("bookworm")


def test_a_script_runs_on_that_kernel_and_its_status_and_words_come_back(bookworm: Kernel, tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("as it was")
    said: list[str] = []
    script = """
        uname -r
        ip link add name eth9 type dummy && ip link add link eth9 name eth9.11 type vlan id 11 && echo a VLAN device
        cat mine; echo changed > mine; cat mine
        echo lasts > /run/job/kept/file
        exit 7
    """
    assert run(bookworm, script, folder=tmp_path, seconds=BOOT, show=said.append) == 7
    assert "".join(said).splitlines()[:3] == [bookworm.release, "a VLAN device", "as it waschanged"]
    assert (tmp_path / "mine").read_text() == "as it was"
    assert (tmp_path / ".make/vm/bookworm/file").read_text() == "lasts\n"


def test_the_verifier_of_that_kernel_takes_the_filter(bookworm: Kernel) -> None:
    """Each kernel's verifier understands less than the next one's."""
    said: list[str] = []
    load = "from l3ctl.xdp.program import load_private; [load_private(guard) for guard in (False, True)]; print('taken')"
    status = run(bookworm, f"{sys.executable} -c {shlex.quote(load)}", folder=ROOT, seconds=3 * BOOT, show=said.append)
    assert ("".join(said).strip(), status) == ("taken", 0)


def test_the_heart_of_what_is_shown_on_stock_kernels(bookworm: Kernel) -> None:
    """A real trunk with the filter native on it, and tags that are hidden; `make vm` has all kernels do all of tests/vm/inside."""
    said: list[str] = []
    rooms = ["tests/vm/inside/test_vlans.py", "tests/vm/inside/test_shapes.py"]
    command = [sys.executable, "-m", "pytest", "-q", *rooms, "-k", "native or hidden"]
    status = run(bookworm, shlex.join(command), folder=ROOT, seconds=5 * BOOT, show=said.append)
    assert status == 0, "".join(said)
    assert "".join(said).splitlines()[-1].startswith("15 passed, ")


def test_one_that_does_not_end_is_ended(bookworm: Kernel, tmp_path: Path) -> None:
    with pytest.raises(CannotRun, match="had not ended after 2 s"):
        run(bookworm, "sleep 1000", folder=tmp_path, seconds=2)


def test_a_kernel_that_is_none_is_refused_with_the_names_there_are() -> None:
    with pytest.raises(CannotRun, match=r"there is no kernel 'sid' \(mend: one of bookworm, backports, trixie\)"):
        kernel("sid")
