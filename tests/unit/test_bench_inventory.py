"""The benchmark of inventories, with few records."""

from l3ctl.lab.bench_inventory import bench_inventory


def test_the_benchmark_measures_something() -> None:
    rows = {row.name: row for row in bench_inventory(2, (20, 200))}
    assert list(rows) == [f"inventory-{what}" for what in ("yaml", "json", "again", "change-p99", "memory", "growth")]
    for row in rows.values():
        assert row.repeats == 2
        assert row.low <= row.ratio <= row.high
        assert row.reference > 0
    assert rows["inventory-yaml"].ours > 0
    assert rows["inventory-memory"].ours > 10
