"""The benchmarks that need a kernel, each once and small: whether they measure what they say, not how much it is."""

import json
import subprocess
from pathlib import Path

import pytest

from l3ctl.lab.bench_agent import bench_agent
from l3ctl.lab.bench_attack import bench_attack
from l3ctl.lab.bench_line import ANSWERED, DROPPED, bench_line, missing
from l3ctl.lab.bench_row import Row
from l3ctl.lab.crowd import PROGRAM
from l3ctl.lab.defences import PEERS

pytestmark = [pytest.mark.root, pytest.mark.bpf, pytest.mark.flood]


def by_name(rows: list[Row]) -> dict[str, Row]:
    found = {row.name: row for row in rows}
    assert len(found) == len(rows), "no two have one name"
    return found


def test_every_frame_is_measured_beside_every_defence() -> None:
    assert missing() == []
    rows = by_name(list(bench_line(1, 1, 20_000)))
    assert set(rows) == {
        *(f"line-{frame}-{peer.name}" for frame in DROPPED for peer in PEERS),
        *(f"line-answer-{frame}-kernel" for frame in ANSWERED),
    }
    assert all(row.ours > 0 and row.reference > 0 and row.ratio for row in rows.values())


def test_the_attack_bites_where_there_is_no_l3ctl() -> None:
    rows = by_name(list(bench_attack(1, ("ns",), ("20k",))))
    for peer in ("on-link", "routed", "routed-nft"):
        assert rows[f"attack-none-cold-{peer}"].reference == 40, "without an attack everybody is reached"
        assert rows[f"attack-ns-20k-neighbours-{peer}"].reference > 500
        assert rows[f"attack-ns-20k-neighbours-{peer}"].ours == 0
        assert rows[f"attack-ns-20k-cold-{peer}"].ours == 40
    assert rows["attack-ns-20k-cold-on-link"].reference < 40
    assert {"attack-ns-20k-cpu-on-link", "attack-ns-20k-p99-on-link"} <= rows.keys()


def test_an_agent_is_measured_from_its_start_to_a_record_that_changes() -> None:
    rows = by_name(list(bench_agent(50, 1)))
    assert set(rows) == {"start-10k", "restart-10k", "rss-10k", "idle-10k", "change-10k"}
    assert all(row.ours >= 0 and row.reference > 0 for row in rows.values())


def test_results_say_what_they_were_measured_on(tmp_path: Path) -> None:
    output = tmp_path / "results/today.json"
    done = subprocess.run(
        [str(PROGRAM), "bench", "all", "--quick", "--json", "--output", str(output)], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(output.read_text())
    assert {"date", "commit", "kernel", "cpu", "cpus", "memory_mib", "versions", "measured", "tables"} == told.keys()
    assert [row for rows in told["tables"].values() for row in rows] == [json.loads(line) for line in done.stdout.splitlines()]
    assert set(told["tables"]) == {"filter", "line", "forward", "attack", "kernel", "bgp", "agent"}
    assert {"nftables", "iproute2", "exabgp"} <= told["versions"].keys()
