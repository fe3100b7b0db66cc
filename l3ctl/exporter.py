"""Metrics in the words of Prometheus: what an agent answers to `metrics`, as families with names, units and help.

A process of its own, so that neither the library nor whoever may connect to it comes near the agent: it asks over the agent's socket like
any command. Names follow the conventions of that world (base units, `_total` of what only grows).
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping
from threading import Lock
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from l3ctl.asking import Answer
from l3ctl.errors import L3ctlError

Ask = Callable[[], Answer]
_AGAIN = 1.0
"""seconds between two questions to the agent"""
Values = Mapping[tuple[str, ...], int]
"""by the values of the labels"""


class Agent(Collector):
    """Asked when somebody looks, and at most once a second: who may connect is not to keep it busy.

    What fails is a metric too: `l3ctl_up` is 0, and nothing else is told.
    """

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._lock = Lock()
        self._told: Answer | None = None
        self._asked_at = -math.inf

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        with self._lock:  # each who looks has a thread
            if time.monotonic() >= self._asked_at + _AGAIN:
                try:
                    self._told = self._ask()
                except L3ctlError:
                    self._told = None
                self._asked_at = time.monotonic()
            told = self._told
        yield _gauge("l3ctl_up", "Whether an agent answers.", int(told is not None))
        if told is not None:
            yield from families(told)

    def describe(self) -> list[Metric]:
        """Nothing: who registers it is not to ask an agent that may not be there yet."""
        return []


def families(told: Answer) -> Iterator[Metric]:
    """What an agent's answer says."""
    router, inventory, latency = told["router"], told["inventory"], told["latency"]
    yield _labelled("l3ctl_build", "The version that runs.", "gauge", {(router["version"],): 1}, "version")
    yield _labelled("l3ctl_ports", "Ports by state: up, away, down, missing.", "gauge", _by_one(told["ports"]), "state")
    yield _gauge("l3ctl_ports_held_down", "Ports that are not announced, as their links flap.", told["held_down"])
    yield _gauge("l3ctl_ports_leaving", "Ports that keep their ground until peers have heard of a withdraw.", told["waits"])
    yield _gauge("l3ctl_drained", "Whether nothing is announced, for a maintenance.", int(router["drained"]))
    yield _gauge("l3ctl_failures", "What could not be done, and is tried again.", told["failures"])
    yield _gauge("l3ctl_inventory_read_timestamp_seconds", "When the inventory was last read whole; 0 for never.", inventory["read"])
    yield _gauge("l3ctl_inventory_changed_timestamp_seconds", "When it last changed; 0 for never.", inventory["changed"])
    yield _gauge("l3ctl_inventory_records", "Records in it.", inventory["records"])
    yield _gauge("l3ctl_inventory_quarantined_records", "Records that cannot be used.", inventory["quarantined"])
    yield _gauge("l3ctl_inventory_troubles", "Reasons why it cannot be read or carried out.", inventory["trouble"])
    changes: Values = {(verb, kind): count for verb, kind, count in told["changes"]}
    yield _labelled("l3ctl_changes", "Changes made to kernel, filter and wishes.", "counter", changes, "verb", "kind")
    yield _labelled("l3ctl_events", "Events told in the log, by their word.", "counter", _by_one(told["events"]), "event")
    yield _counter("l3ctl_log_lines_lost", "Lines of the log that nobody took.", told["lines_lost"])
    yield _counter("l3ctl_violations", "Lines of evidence written.", told["violations"])
    yield _labelled("l3ctl_verdicts", "Frames answered or refused, by reason.", "counter", _by_one(told["verdicts"]), "reason")
    worst: Values = {(port, reason): count for port, counts in told["offenders"].items() for reason, count in counts.items()}
    yield _labelled("l3ctl_port_refused_frames", "The same of the ports refused most.", "counter", worst, "port", "reason")
    yield _histogram(latency)
    if told["bgp"] is not None:
        yield from _bgp(told["bgp"])


def _bgp(bgp: Mapping[str, Any]) -> Iterator[Metric]:
    yield _gauge("l3ctl_bgp_relay_up", "Whether ExaBGP's relay is connected.", int(bgp["relay"]))
    yield _gauge("l3ctl_bgp_announcements_wanted", "Prefixes to be announced.", bgp["wanted"])
    yield _gauge("l3ctl_bgp_announcements_held", "Prefixes that ExaBGP announces to every peer.", bgp["held"])
    yield _gauge("l3ctl_bgp_queue", "Changes that ExaBGP has still to be asked or to answer, counted for each peer.", bgp["queued"])
    yield _gauge("l3ctl_bgp_refused", "Commands that ExaBGP refused.", len(bgp["refused"]))
    sessions: Values = {(peer,): int(state == "up") for peer, state in bgp["peers"].items()}
    yield _labelled("l3ctl_bgp_session_up", "Whether a peer's session stands.", "gauge", sessions, "peer")


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)


def _by_one(counts: Mapping[str, int]) -> Values:
    return {(label,): count for label, count in counts.items()}


def _labelled(name: str, text: str, kind: str, values: Values, *labels: str) -> Metric:
    family = (CounterMetricFamily if kind == "counter" else GaugeMetricFamily)(name, text, labels=labels)
    for one, value in values.items():
        family.add_metric(one, value)
    return family


def _histogram(latency: Mapping[str, Any]) -> Metric:
    family = HistogramMetricFamily("l3ctl_link_to_announcement_seconds", "From the news of a link until ExaBGP had taken what follows.")
    total, buckets = 0, []
    for bound, count in zip([*map(str, latency["bounds"]), "+Inf"], latency["buckets"], strict=True):
        total += count
        buckets.append((bound, total))
    family.add_metric([], buckets, latency["seconds"])
    return family
