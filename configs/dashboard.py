"""The Grafana dashboard, from one list of what is on it: `make dashboard` writes configs/grafana-dashboard.json."""

import json
from pathlib import Path
from typing import Any

_WIDTH, _HEIGHT = 24, 7
"""of Grafana's grid"""
_ON = 'instance=~"$instance"'
PANELS: list[tuple[str, str, int, list[tuple[str, str]]]] = [
    (
        "Agent, relay, sessions (1 is up)",
        "short",
        8,
        [
            (f"l3ctl_up{{{_ON}}}", "agent {{instance}}"),
            (f"l3ctl_bgp_relay_up{{{_ON}}}", "relay {{instance}}"),
            (f"l3ctl_bgp_session_up{{{_ON}}}", "{{peer}} {{instance}}"),
        ],
    ),
    ("Ports by state", "short", 8, [(f"sum by (state) (l3ctl_ports{{{_ON}}})", "{{state}}")]),
    (
        "Prefixes",
        "short",
        8,
        [
            (f"sum(l3ctl_bgp_announcements_wanted{{{_ON}}})", "wanted"),
            (f"sum(l3ctl_bgp_announcements_held{{{_ON}}})", "announced"),
            (f"sum(l3ctl_bgp_queue{{{_ON}}})", "queued"),
        ],
    ),
    (
        "From a link's news to ExaBGP",
        "s",
        8,
        [
            (
                f"histogram_quantile({share}, sum by (le) (rate(l3ctl_link_to_announcement_seconds_bucket{{{_ON}}}[5m])))",
                f"p{share * 100:.0f}",
            )
            for share in (0.5, 0.99)
        ],
    ),
    ("Frames answered or refused, by reason", "pps", 8, [(f"sum by (reason) (rate(l3ctl_verdicts_total{{{_ON}}}[1m]))", "{{reason}}")]),
    (
        "Ports refused most",
        "pps",
        8,
        [(f"topk(10, sum by (port, instance) (rate(l3ctl_port_refused_frames_total{{{_ON}}}[1m])))", "{{port}} {{instance}}")],
    ),
    (
        "Changes made",
        "ops",
        8,
        [(f"sum by (verb, kind) (rate(l3ctl_changes_total{{{_ON}}}[5m]))", "{{verb}} {{kind}}")],
    ),
    (
        "Age of the inventory",
        "s",
        8,
        [(f"time() - l3ctl_inventory_read_timestamp_seconds{{{_ON}}}", "{{instance}}")],
    ),
    (
        "To be mended",
        "short",
        8,
        [
            (f"l3ctl_failures{{{_ON}}}", "failures {{instance}}"),
            (f"l3ctl_inventory_quarantined_records{{{_ON}}}", "quarantined {{instance}}"),
            (f"l3ctl_inventory_troubles{{{_ON}}}", "inventory {{instance}}"),
            (f"l3ctl_ports_held_down{{{_ON}}}", "flapping {{instance}}"),
        ],
    ),
]
"""title, unit, width, queries with their legends"""


def dashboard() -> dict[str, Any]:
    """All of it."""
    panels, x, y = [], 0, 0
    for number, (title, unit, width, queries) in enumerate(PANELS, 1):
        if x + width > _WIDTH:
            x, y = 0, y + _HEIGHT
        panels.append(
            {
                "id": number,
                "title": title,
                "type": "timeseries",
                "datasource": {"type": "prometheus", "uid": "${source}"},
                "gridPos": {"x": x, "y": y, "w": width, "h": _HEIGHT},
                "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
                "targets": [{"refId": chr(65 + at), "expr": expr, "legendFormat": legend} for at, (expr, legend) in enumerate(queries)],
            }
        )
        x += width
    return {
        "title": "l3ctl",
        "uid": "l3ctl",
        "schemaVersion": 38,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "type": "datasource", "query": "prometheus", "label": "Source"},
                {
                    "name": "instance",
                    "type": "query",
                    "label": "Router",
                    "datasource": {"type": "prometheus", "uid": "${source}"},
                    "query": "label_values(l3ctl_up, instance)",
                    "includeAll": True,
                    "multi": True,
                    "refresh": 2,
                },
            ]
        },
        "panels": panels,
    }


if __name__ == "__main__":
    (Path(__file__).parent / "grafana-dashboard.json").write_text(json.dumps(dashboard(), indent=1) + "\n")
