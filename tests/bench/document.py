"""`python -m tests.bench.document`: README's numbers and docs/BENCHMARKS.md, written from the newest results: none of them is typed."""

from collections.abc import Iterator
from pathlib import Path
from re import fullmatch
from typing import Any

from tests.bench.reasons import BY_NOTHING, REASONS
from tests.bench.results import Results, newest, number
from tests.bench.twice import report, two_newest

ROOT = Path(__file__).parents[2]
BEGIN, END = "<!-- numbers: make bench-plots writes these -->", "<!-- numbers end -->"
DESIGNS = {"on-link": "on-link", "routed": "routed, no filter", "routed-nft": "routed, nftables"}
ATTACKS = {
    "scan": "scan of the hosts' /64s, from outside",
    "ns": "NS from hosts that do not exist",
    "rs": "RS from hosts that do not exist",
    "arp-request": "ARP for the gateway from hosts that do not exist",
    "arp-claim": "ARP that claims a neighbour's address",
}
RATES = {"2k": "2,000 a second", "20k": "20,000", "100k": "100,000", "max": "as many as go"}
FRAMES = {
    "line-arp-reply": "ARP reply, dropped",
    "line-na": "unsolicited NA, dropped",
    "line-ns-spoofed": "NS with a false source, dropped",
    "line-ra": "RA, dropped",
    "line-answer-arp": "ARP request, answered",
    "line-answer-ns": "NS, answered",
}
PEERS = {
    "xdp-drop": "empty XDP_DROP",
    "xdp-read": "XDP_DROP that touches it",
    "xdp-filter": "xdp-filter",
    "tc-bpf": "tc-bpf",
    "nft-netdev": "nftables netdev",
    "nft-bridge": "nftables bridge",
    "ebtables": "ebtables-nft",
    "kernel": "no filter",
}
SINGLE = {
    "pass-tcp6": "TCP over IPv6 passes",
    "pass-udp4": "UDP over IPv4 passes",
    "pass-tagged": "TCP over IPv6 passes, on a trunk",
    "pass-tcp6-guard": "TCP over IPv6 passes, source guard on",
    "pass-tagged-guard": "the same on a trunk",
    "pass-tagged-guard-100k": "the same, one of 100,000 ports",
    "drop-source-guard-100k": "TCP over IPv6 from another's address, dropped, source guard on, one of 100,000 ports",
    "drop-ns-spoof-100k": "neighbour solicitation from another's address, one of 100,000 ports",
    "drop-na": "neighbour advertisement dropped",
    "drop-arp-reply": "ARP reply dropped",
    "answer-ns": "neighbour solicitation answered",
    "answer-arp": "ARP request answered",
}
REST = {
    "forward-tcp-on": "TCP through the router, more is better",
    "forward-tcp-guard": "the same, source guard on",
    "forward-udp-on": "UDP of 1,400 bytes through the router, more is better",
    "forward-udp-guard": "the same, source guard on",
    "neighbours-100k-batch": "100,000 permanent neighbours added",
    "neighbours-10k-pyroute2": "10,000 of them",
    "neighbours-1k-ip": "1,000 of them",
    "neighbours-100k-limit": "100,000 of them",
    "routes6-100k-batch": "100,000 IPv6 routes added",
    "routes6-100k-limit": "the same",
    "routes4-100k-batch": "100,000 IPv4 routes via IPv6 next hops, all on one netdev, added",
    "routes4-20k": "20,000 of them",
    "noop-10k": "comparison of 10,000 ports that finds nothing to do",
    "noop-100k": "the same with ten hosts on each",
    "heal-p99": "a neighbour, route, address, link or record of the filter, changed by another hand, put right: 99th of 100",
    "neighbours-growth": "growth of the time from 1,000 to 100,000 neighbours, as an exponent",
    "routes6-growth": "the same of IPv6 routes",
    "link-to-update-p50": "link event to the UPDATEs of its /64 and /32 at the peer, median",
    "link-to-update-p50-bird": "the same",
    "link-to-update-p50-gobgp": "the same; GoBGP from when it is told, as it knows no links",
    "link-to-update-p99": "the same, 99th of 100",
    "cold-10k": "10,000 prefixes, from a relay that calls to the last one at the peer",
    "cold-50k": "50,000",
    "cold-10k-bird": "10,000 prefixes, from nothing to the last one at the peer",
    "cold-10k-gobgp": "the same; GoBGP from the first message to its API, all sessions being up",
    "start-10k": "an agent of 10,000 ports, each with a netdev, from nothing until all is in place",
    "restart-10k": "the same where all is in place already",
    "rss-10k": "its memory",
    "idle-10k": "its CPU at rest",
    "change-10k": "a changed record in a YAML file of 10,000, until the kernel has it",
}
MORE_IS_BETTER = ("Gbit/s", "Mpps")
COUNTS_MORE_IS_BETTER, COUNTS_LESS_IS_BETTER = "attack-.*-cold-.*", "attack-.*-lost-.*"
"""rows that have no ratio, since nothing is a number that they may well be"""
COSTS = {"p99": "an innocent's ping, 99th of 100, ms", "cpu": "CPU per frame of the attack, ns"}
SHOWN = "20k"
"""the rate of README's tables of attacks"""


def _spread(row: dict[str, Any]) -> str:
    if row["ratio"] is None:
        return "–"
    digits = 2 if row["ratio"] >= 0.1 else 3
    return f"{row['ratio']:.{digits}f} ({row['low']:.{digits}f} to {row['high']:.{digits}f})"


def _single(results: Results) -> Iterator[str]:
    yield "| frame, alone | l3ctl | empty XDP_PASS | ratio (lowest to highest) |"
    yield "|---|---|---|---|"
    for name, title in SINGLE.items():
        if row := results.rows.get(name):
            yield f"| {title} | {number(row['ours'])} ns | {number(row['reference'])} ns | {_spread(row)} |"


def _line(results: Results) -> Iterator[str]:
    yield f"| frame, as from a NIC | l3ctl | {' | '.join(PEERS.values())} |"
    yield "|---|---" + "|---" * len(PEERS) + "|"
    for name, title in FRAMES.items():
        rows = [results.rows.get(f"{name}-{peer}") for peer in PEERS]
        ours = next(row for row in rows if row)["ours"]
        cells = [number(row["reference"]) + " ns" if row else "" for row in rows]
        yield f"| {title} | {number(ours)} ns | {' | '.join(cells)} |"


def _attack(results: Results, rates: tuple[str, ...]) -> Iterator[str]:
    designs = " | ".join(DESIGNS.values())
    yield f"| attack | frames a second | cold hosts reached of 40: l3ctl | {designs} | table grew by: l3ctl | {designs} |"
    yield "|---|---|---" + "|---" * len(DESIGNS) + "|---" + "|---" * len(DESIGNS) + "|"
    for attack, title in ATTACKS.items():
        for rate in rates:
            cells = [title, RATES[rate]]
            for measure in ("cold", "neighbours"):
                rows = [results.rows[f"attack-{attack}-{rate}-{measure}-{design}"] for design in DESIGNS]
                cells += [number(rows[0]["ours"]), *(number(row["reference"]) for row in rows)]
            yield f"| {' | '.join(cells)} |"


def _attack_costs(results: Results) -> Iterator[str]:
    designs = " | ".join(DESIGNS.values())
    yield f"| attack, {RATES[SHOWN]} a second | {' | '.join(f'{title}: l3ctl | {designs}' for title in COSTS.values())} |"
    yield "|---" + "|---" * (len(DESIGNS) + 1) * len(COSTS) + "|"
    for attack, title in ATTACKS.items():
        cells = [title]
        for measure in COSTS:
            rows = [results.rows.get(f"attack-{attack}-{SHOWN}-{measure}-{design}") for design in DESIGNS]
            known = [row for row in rows if row]
            cells += [number(known[0]["ours"]) if known else "", *(number(row["reference"]) if row else "nobody answered" for row in rows)]
        yield f"| {' | '.join(cells)} |"


def _times_behind(row: dict[str, Any]) -> float:
    """How many times worse l3ctl is than the reference; 0 where that cannot be said."""
    if fullmatch(COUNTS_MORE_IS_BETTER, row["name"]):
        return float(row["reference"] / row["ours"]) if row["ours"] else 0.0
    if fullmatch(COUNTS_LESS_IS_BETTER, row["name"]):
        return float(row["ours"] / row["reference"]) if row["reference"] else 0.0
    if not row["ratio"]:
        return 0.0
    return float(1 / row["ratio"] if row["unit"] in MORE_IS_BETTER else row["ratio"])


def _behind(results: Results) -> Iterator[str]:
    """Wherever somebody is ahead in any row: by how much, why, and what would change it. Raises `KeyError` where nobody has said why."""
    worst: dict[str, tuple[float, str]] = {}
    for name, row in results.rows.items():
        if (times := _times_behind(row)) >= BY_NOTHING:
            worst[_reason(name)] = max((times, name), worst.get(_reason(name), (0.0, "")))
    yield "| where l3ctl is behind | times, at most | in the row | why | what would change it |"
    yield "|---|---|---|---|---|"
    for pattern, (what, why, change) in REASONS.items():
        if pattern in worst:
            times, name = worst[pattern]
            yield f"| {what} | {times:.2f} | {name} | {why} | {change} |"


def _reason(name: str) -> str:
    for pattern in REASONS:
        if fullmatch(pattern, name):
            return pattern
    raise KeyError(f"{name}: l3ctl is behind, and tests/bench/reasons.py does not say why")


def _rest(results: Results) -> Iterator[str]:
    yield "| what | beside | l3ctl | reference | ratio (lowest to highest) |"
    yield "|---|---|---|---|---|"
    for name, title in REST.items():
        if row := results.rows.get(name):
            unit = "" if row["unit"] == "exponent" else f" {row['unit']}"
            ours, reference = (f"{number(row[key])}{unit}" for key in ("ours", "reference"))
            yield f"| {title} | {row['reference_name']} | {ours} | {reference} | {_spread(row)} |"


def summary(results: Results) -> str:
    """README's part, markers included."""
    parts = [
        f"{results.machine()}; [all rows](docs/BENCHMARKS.md).",
        "\n".join(_line(results)),
        "\n".join(_attack(results, (SHOWN,))),
        "\n".join(_attack_costs(results)),
        "\n".join(_single(results)),
        "\n".join(_rest(results)),
        "\n".join(_behind(results)),
    ]
    return "\n\n".join([BEGIN, *parts, END])


def whole(results: Results) -> str:
    """docs/BENCHMARKS.md."""
    lines = [
        "# Benchmarks",
        "",
        f"Written by `make bench-plots` from [{results.path.name}](../{results.path.relative_to(ROOT)}): {results.machine()}.",
        "The ratio is l3ctl's divided by the reference's, both measured in turn in one run: the median of the rounds, the lowest and the",
        "highest. Where a reference is nothing there is none, and both are the worst of all rounds.",
        "",
        "| program | version |",
        "|---|---|",
        *(f"| {name} | {version} |" for name, version in results.told["versions"].items()),
    ]
    head = "| row | beside | l3ctl | reference | unit | ratio (lowest to highest) | rounds |"
    for table, rows in results.tables.items():
        lines += ["", f"## {table}", "", f"Commit {results.told['measured'][table]['commit']}.", "", head, "|---" * 7 + "|"]
        for row in rows:
            cells = (row["name"], row["reference_name"], number(row["ours"]), number(row["reference"]), row["unit"], _spread(row))
            lines.append(f"| {' | '.join(cells)} | {row['repeats']} |")
    if pair := two_newest():
        lines += ["", "## Measured twice", "", *report(*map(Results, pair))]
    return "\n".join(lines) + "\n"


def main() -> None:
    """Write both."""
    results = Results(newest())
    (ROOT / "docs/BENCHMARKS.md").write_text(whole(results))
    readme = ROOT / "README.md"
    before, begins, rest = readme.read_text().partition(BEGIN)
    if not begins:
        raise SystemExit(f"README.md does not say where its numbers go; write `{BEGIN}` and `{END}` there")
    readme.write_text(before + summary(results) + rest.partition(END)[2])


if __name__ == "__main__":
    main()
