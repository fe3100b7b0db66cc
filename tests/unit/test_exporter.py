"""The exporter and whoever may connect to it: the agent is asked no more than once a second, and its absence is a number."""

from prometheus_client import CollectorRegistry, generate_latest

from l3ctl.asking import Answer
from l3ctl.errors import AgentUnreachable
from l3ctl.exporter import Agent


def test_a_hundred_looks_in_a_row_ask_the_agent_once() -> None:
    asked = []

    def ask() -> Answer:
        asked.append(1)
        raise AgentUnreachable("none is there")

    registry = CollectorRegistry()
    registry.register(Agent(ask))
    told = {generate_latest(registry) for _ in range(100)}
    assert len(asked) <= 5, "a hundred looks take less than five seconds"
    assert [line for line in told.pop().decode().splitlines() if line[0] != "#"] == ["l3ctl_up 0.0"]
    assert not told
