"""`python -m tests.bench.figures`: what the newest results file says, drawn for README's width, for light and for dark pages."""

from collections.abc import Iterator
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("svg")
from matplotlib import pyplot as plt

from tests.bench.document import ATTACKS, DESIGNS, FRAMES, PEERS
from tests.bench.results import Results, newest

FOLDER = Path(__file__).parents[2] / "docs/figures"
_INK = {"light": "#1f2328", "dark": "#e6edf3"}
_GRID = {"light": "#d0d7de", "dark": "#3d444d"}
_OURS = "#1f883d"
_COLOURS = {
    "xdp-drop": "#8c959f",
    "xdp-read": "#6e7781",
    "xdp-filter": "#54aeff",
    "tc-bpf": "#0969da",
    "nft-netdev": "#bf8700",
    "nft-bridge": "#d4a72c",
    "ebtables": "#bc4c00",
    "kernel": "#cf222e",
    "on-link": "#cf222e",
    "routed": "#bf8700",
    "routed-nft": "#0969da",
}
_MARKERS = {"ours": "o", "on-link": "s", "routed": "^", "routed-nft": "D"}
_APART = 0.2
"""of the way from one rate to the next: where the marks of one rate stand beside each other"""
_TITLES = {
    "scan": "scan from outside",
    "ns": "NS",
    "rs": "RS",
    "arp-request": "ARP for gateway",
    "arp-claim": "ARP claims",
}
_RATES = ("2k", "20k", "100k", "max")
_WIDTH = 9.0
"""inches; README shows it at some 900 pixels"""


@contextmanager
def _page(theme: str) -> Iterator[None]:
    ink, grid = _INK[theme], _GRID[theme]
    settings: dict[str, Any] = {
        "svg.fonttype": "none",
        "svg.hashsalt": "l3ctl",
        "font.family": "sans-serif",
        "font.size": 10,
        "text.color": ink,
        "axes.labelcolor": ink,
        "axes.edgecolor": grid,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": grid,
        "xtick.color": ink,
        "ytick.color": ink,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "legend.frameon": False,
    }
    with mpl.rc_context(settings):
        yield


def draw_line(results: Results) -> Any:
    """CPU time a frame of each class, for each defence."""
    figure, axes = plt.subplots(figsize=(_WIDTH, 8.2), layout="constrained")
    names = list(FRAMES)
    defences = ["ours", *PEERS]
    for number, defence in enumerate(defences):
        places, values = [], []
        for row, frame in enumerate(names):
            found = [results.rows[f"{frame}-{peer}"] for peer in PEERS if f"{frame}-{peer}" in results.rows]
            value = found[0]["ours"] if defence == "ours" else results.rows.get(f"{frame}-{defence}", {}).get("reference")
            if value:
                places.append(row + (number - len(defences) / 2) / (len(defences) + 1.5))
                values.append(value)
        label = "l3ctl" if defence == "ours" else PEERS[defence]
        bars = axes.barh(places, values, 1 / (len(defences) + 1.5), color=_COLOURS.get(defence, _OURS), label=label)
        axes.bar_label(bars, [f"{value:,.0f}" for value in values], fontsize=7, padding=2)
    axes.set_yticks(range(len(names)), [FRAMES[name] for name in names])
    axes.invert_yaxis()
    axes.grid(axis="y", visible=False)
    axes.set_xlabel("CPU time per frame, as from a NIC (ns; less is better)")
    figure.legend(loc="outside upper center", ncols=4, fontsize=9)
    return figure


def draw_attack(results: Results) -> Any:
    """Under each attack at each rate: hosts reached for the first time, and by how much the neighbour table grew."""
    figure, rows = plt.subplots(2, len(ATTACKS), figsize=(_WIDTH, 5.0), sharex=True, sharey="row", layout="constrained")
    designs = {"ours": "l3ctl", **DESIGNS}
    for column, attack in enumerate(ATTACKS):
        for axes, measure in zip(rows[:, column], ("cold", "neighbours"), strict=True):
            for number, (design, title) in enumerate(designs.items()):
                key = "ours" if design == "ours" else "reference"
                other = "on-link" if design == "ours" else design
                values = [results.rows[f"attack-{attack}-{rate}-{measure}-{other}"][key] for rate in _RATES]
                places = [place + (number - (len(designs) - 1) / 2) * _APART for place in range(len(_RATES))]
                look = {"linestyle": "none", "marker": _MARKERS[design], "markersize": 4.5, "zorder": 3}
                axes.plot(places, values, label=title, color=_COLOURS.get(design, _OURS), clip_on=False, **look)
            axes.set_xticks(range(len(_RATES)), _RATES, fontsize=8)
            axes.set_xlim(-0.6, len(_RATES) - 0.4)
            axes.set_ylim(0, 42 if measure == "cold" else 1150)
            axes.grid(axis="x", visible=False)
        rows[0, column].set_title(_TITLES[attack], fontsize=10)
    rows[0, 0].set_ylabel("cold hosts reached, of 40\n(more is better)")
    rows[1, 0].set_ylabel("neighbour table grew by\n(less is better)")
    figure.supxlabel("frames a second; the worst of five rounds each", fontsize=10)
    figure.legend(*rows[0, 0].get_legend_handles_labels(), loc="outside upper center", ncols=4, fontsize=9)
    return figure


DRAWINGS = {"line": draw_line, "attack": draw_attack}


def main() -> None:
    """Draw all of them."""
    results = Results(newest())
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, draw in DRAWINGS.items():
        for theme in _INK:
            with _page(theme):
                figure = draw(results)
                drawn = StringIO()
                figure.savefig(drawn, metadata={"Date": None})
                lines = (line.rstrip() for line in drawn.getvalue().splitlines())  # else each has a blank at its end
                (FOLDER / f"{name}-{theme}.svg").write_text("\n".join(lines) + "\n")
                plt.close(figure)


if __name__ == "__main__":
    main()
