"""Each fault of the matrix, one after the other on one network: nobody innocent loses a packet, nothing is announced wrongly, it heals.

`make faults` runs all of it, and prints the table; without `L3CTL_FAULTS=all` it is every third.
"""

import os
import platform
import re
import time
from collections.abc import Iterator

import pytest

from l3ctl.lab.kills import Pings
from l3ctl.lab.observer import Observing
from l3ctl.lab.peered import UPSTREAM4
from tests.faults import inputs, processes, sessions, tables
from tests.faults.fault import Fault
from tests.faults.network import HOLD_TIME, PORTS, Network
from tests.faults.report import FOLDER, Row, markdown, text

pytestmark = [pytest.mark.root, pytest.mark.bpf]

FAULTS = (*processes.FAULTS, *tables.FAULTS, *sessions.FAULTS, *inputs.FAULTS)
AFTERWARDS = 0.3
"""seconds for which it is looked at when it has healed"""


@pytest.fixture(scope="module")
def rows() -> Iterator[list[Row]]:
    """What came of each, which becomes the table."""
    collected: list[Row] = []
    yield collected
    FOLDER.mkdir(exist_ok=True)
    (FOLDER / "faults.txt").write_text(text(collected))
    where = f"{os.cpu_count()} processors, Linux {platform.release()}"
    (FOLDER / "faults.md").write_text(markdown(collected, ports=PORTS, hold=HOLD_TIME, where=where))


@pytest.fixture(scope="module")
def network() -> Iterator[Network]:
    with Network(f"l3t{os.getpid()}f") as one:
        one.begin()
        yield one


@pytest.mark.parametrize("fault", FAULTS if os.environ.get("L3CTL_FAULTS") == "all" else FAULTS[::3], ids=lambda fault: fault.name)
def test_a_fault_heals_and_nobody_else_notices(network: Network, rows: list[Row], fault: Fault) -> None:
    check(network, rows, fault)


def test_so_do_many_changes_at_once(rows: list[Row]) -> None:
    with Network(f"l3t{os.getpid()}g", 5, inputs.MANY) as network:
        network.begin()
        check(network, rows, inputs.MANY_ROWS)


def check(network: Network, rows: list[Row], fault: Fault) -> None:
    """What holds of every fault."""
    network.heals()
    network.mark()
    six, four = network.pings()
    with Observing(network) as observing, Pings(network.upstream, six) as pings6, Pings(network.upstream, four, UPSTREAM4) as pings4:
        said = fault.happens(network)
        healed = network.heals()
        time.sleep(AFTERWARDS)
    lines = [*network.log(), *([said] if said else [])]
    told = "nothing" if fault.told is None else next((line for line in lines if re.search(fault.told, line)), "")
    row = Row(fault, pings6.sent + pings4.sent, len(pings6.lost) + len(pings4.lost), observing.report, healed, told)
    rows.append(row)

    assert row.sent > 20
    assert fault.costs or row.lost == 0
    assert observing.report.samples > 5
    assert {one.missing for one in observing.report.excesses} <= set(fault.wrong)
    assert observing.report.left == 0
    assert told, "\n".join(lines)
