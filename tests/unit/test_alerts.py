"""The example alerts and the dashboard: good to the programs that read them, and about metrics that exist.

Each alert is tried by promtool on numbers of its own: silent while all is well, and fired when it is not.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from l3ctl.exporter import families
from l3ctl.tally import BOUNDS

ROOT = Path(__file__).parents[2]
ALERTS = ROOT / "configs/prometheus/l3ctl-alerts.yml"
DASHBOARD = ROOT / "configs/grafana-dashboard.json"
PROMTOOL = shutil.which("promtool") or "promtool"
HERE = 'instance="r1"'
HEALTHY: dict[str, str] = {
    "l3ctl_up": "1x1000",
    'l3ctl_bgp_session_up{peer="p"}': "1x1000",
    "l3ctl_bgp_relay_up": "1x1000",
    "l3ctl_bgp_announcements_wanted": "100x1000",
    "l3ctl_bgp_announcements_held": "100x1000",
    "l3ctl_failures": "0x1000",
    "l3ctl_inventory_read_timestamp_seconds": "0+60x1000",
    "l3ctl_inventory_troubles": "0x1000",
    "l3ctl_inventory_quarantined_records": "0x1000",
    'l3ctl_ports{state="up"}': "100x1000",
    'l3ctl_ports{state="down"}': "3x1000",
    'l3ctl_port_refused_frames_total{port="web1",reason="na"}': "0+60x1000",
    "l3ctl_drained": "0x1000",
    "l3ctl_log_lines_lost_total": "0x1000",
}
"""numbers a minute, in promtool's notation: start+step x times"""
WRONG: dict[str, dict[str, str]] = {
    "L3ctlAgentDown": {"l3ctl_up": "0x1000"},
    "L3ctlSessionDown": {'l3ctl_bgp_session_up{peer="p"}': "0x1000"},
    "L3ctlRelayDown": {"l3ctl_bgp_relay_up": "0x1000"},
    "L3ctlAnnouncementsBehind": {"l3ctl_bgp_announcements_held": "99x1000"},
    "L3ctlCannotCarryOut": {"l3ctl_failures": "1x1000"},
    "L3ctlInventoryStale": {"l3ctl_inventory_read_timestamp_seconds": "0x1000"},
    "L3ctlInventoryRefused": {"l3ctl_inventory_troubles": "1x1000"},
    "L3ctlRecordsQuarantined": {"l3ctl_inventory_quarantined_records": "2x1000"},
    "L3ctlManyPortsDown": {'l3ctl_ports{state="down"}': "40x1000"},
    "L3ctlAttack": {'l3ctl_port_refused_frames_total{port="web1",reason="na"}': "0+120000x1000"},
    "L3ctlForgottenDrain": {"l3ctl_drained": "1x1000"},
    "L3ctlLogLost": {"l3ctl_log_lines_lost_total": "0+5x1000"},
}


def rules() -> list[dict[str, object]]:
    told = yaml.safe_load(ALERTS.read_text())
    return [rule for group in told["groups"] for rule in group["rules"]]


def existing() -> set[str]:
    """Every name that the exporter can tell."""
    told = {
        "router": {"version": "1", "drained": False},
        "ports": {"up": 1},
        "held_down": 0,
        "waits": 0,
        "failures": 0,
        "inventory": dict.fromkeys(("read", "changed", "records", "quarantined", "trouble"), 0),
        "changes": [["add", "route", 1]],
        "events": {"add": 1},
        "lines_lost": 0,
        "violations": 0,
        "verdicts": {"na": 1},
        "offenders": {"web1": {"na": 1}},
        "latency": {"bounds": BOUNDS, "buckets": [0] * (len(BOUNDS) + 1), "seconds": 0.0},
        "bgp": {"relay": True, "wanted": 1, "held": 1, "queued": 0, "refused": [], "peers": {"2001:db8::1": "up"}},
    }
    return {"l3ctl_up", *(sample.name for family in families(told) for sample in family.samples)}


def named(expression: object) -> set[str]:
    return set(re.findall(r"\bl3ctl_\w+", str(expression)))


def test_promtool_finds_them_good() -> None:
    done = subprocess.run([PROMTOOL, "check", "rules", str(ALERTS)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(WRONG)} rules found" in done.stdout


def test_each_is_about_metrics_that_exist_and_is_tried() -> None:
    assert {str(rule["alert"]) for rule in rules()} == WRONG.keys()
    assert set().union(*(named(rule["expr"]) for rule in rules())) <= existing()
    assert {name.partition("{")[0] for name in HEALTHY} <= existing()


@pytest.mark.parametrize("alert", [None, *WRONG])
def test_each_fires_when_it_should_and_no_other_does(alert: str | None, tmp_path: Path) -> None:
    numbers = HEALTHY | (WRONG[alert] if alert else {})
    series = [
        {"series": f"{name[:-1]},{HERE}}}" if name.endswith("}") else f"{name}{{{HERE}}}", "values": values}
        for name, values in numbers.items()
    ]
    expression = 'count by (alertname) (ALERTS{alertstate="firing"})'
    fired = [] if alert is None else [{"labels": f'{{alertname="{alert}"}}', "value": 1}]
    tests = [
        {"interval": "1m", "input_series": series, "promql_expr_test": [{"expr": expression, "eval_time": "8h", "exp_samples": fired}]}
    ]
    file = tmp_path / "test.yml"
    file.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": tests}))
    done = subprocess.run([PROMTOOL, "test", "rules", str(file)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_dashboard_is_as_it_is_generated_and_shows_what_exists() -> None:
    from configs.dashboard import dashboard

    told = json.loads(DASHBOARD.read_text())
    assert told == dashboard(), "write it anew: make dashboard"
    queries = [target["expr"] for panel in told["panels"] for target in panel.get("targets", ())]
    assert set().union(*map(named, queries)) <= existing()
    assert len(queries) >= 10
