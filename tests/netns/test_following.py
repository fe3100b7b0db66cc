"""An agent that follows a file: what is saved is installed, what is bad costs nobody else anything, and the reader may die."""

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from l3ctl.lab.namespaces import Namespace
from tests.netns.sole_agent import WHOLE, SoleAgent

pytestmark = [pytest.mark.root, pytest.mark.bpf]

A, B, C = "2001:db8:a::/64", "2001:db8:b::/64", "2001:db8:c::/64"


def record(number: int, *prefixes: str, **keys: object) -> dict[str, object]:
    return {"name": f"p{number}", "interface": f"p{number}", "mac": f"52:54:00:00:00:0{number}", "ipv6": list(prefixes), **keys}


class Site(SoleAgent):
    """A router with three ports, an agent, and a file that it follows."""

    def __init__(self, router: Namespace, folder: Path) -> None:
        super().__init__(router, folder, "{file: inventory.json, max_shrink: 50}")
        for number in (1, 2, 3):
            router.ip(f"link add p{number} type veth peer name q{number}", f"link set p{number} up", f"link set q{number} up")

    def save(self, *records: object) -> None:
        """As an editor does it."""
        beside = self.folder / ".inventory.new"
        beside.write_text(json.dumps({"ports": records}))
        beside.replace(self.inventory)

    def start(self) -> None:
        super().start()
        self.wait(self.answers)

    def answers(self) -> bool:
        """Before it listens, a status is the command's own look, which needs the inventory and ends with 2 where that is gone."""
        told = self.l3ctl("status", "--json", ok=(0, 1, 2))
        return told != "" and json.loads(told)["agent"] is not None

    def routes(self) -> dict[str, str]:
        shown = json.loads(self.router.run("ip", "-6", "-j", "route", "show", "proto", "201"))
        return {route["dst"]: route["dev"] for route in shown if not route["dst"].startswith("fe80")}

    def wait(self, reached: Callable[[], bool]) -> None:
        until = time.monotonic() + WHOLE
        while not reached():
            assert time.monotonic() < until, (self.routes(), self.status(), self.log())
            time.sleep(0.05)

    def wait_for(self, **routes: str) -> None:
        """`p1=A`: A and nothing else goes to p1."""
        wanted = {prefix: netdev for netdev, prefix in routes.items()}
        self.wait(lambda: self.routes() == wanted)

    def wait_for_word(self, key: str, said: str) -> None:
        self.wait(lambda: said in " ".join(self.status()["inventory"][key]))

    def reader(self) -> int:
        assert self.agent is not None
        (pid,) = Path(f"/proc/{self.agent.pid}/task/{self.agent.pid}/children").read_text().split()
        return int(pid)


@pytest.fixture
def site(namespace: Callable[[], Namespace], tmp_path: Path) -> Iterator[Site]:
    one = Site(namespace(), tmp_path)
    one.save(record(1, A), record(2, B), record(3, C))
    one.start()
    one.wait_for(p1=A, p2=B, p3=C)
    yield one
    one.end()


def test_what_is_saved_is_installed_and_one_bad_record_costs_nobody_else_anything(site: Site) -> None:
    site.save(record(1, B), record(2, A), record(3, C))
    site.wait_for(p1=B, p2=A, p3=C)

    site.save(record(1, A), record(2, "2001:db8:b::1/64"), record(3, C))
    site.wait_for_word("quarantined", "host bits set; write 2001:db8:b::/64")
    site.wait_for_word("quarantined", "which overlaps 2001:db8:a::/64 of port 'p2'")
    assert site.status()["inventory"]["kept"] == ["p1", "p2"], "as p2 keeps what it had, p1 cannot have it"
    site.wait_for(p1=B, p2=A, p3=C)
    assert "p1, p2" in site.l3ctl("status", ok=(1,))

    site.inventory.write_text('{"ports": [')
    site.wait_for_word("trouble", "inventory.json:1:12: ")
    site.save(record(1, A), record(2, B), record(3, C))
    site.wait_for(p1=A, p2=B, p3=C)
    site.wait(lambda: site.status()["troubles"] == [])


def test_where_the_inventory_is_strict_one_bad_record_holds_up_all_and_its_neighbours_keep_what_they_have(site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("max_shrink: 50", "max_shrink: 50, strict: true"))
    site.l3ctl("apply")
    site.save(record(1, B), record(2, A), record(3, "2001:db8:c::1/64"))
    site.wait_for_word("trouble", "host bits set; write 2001:db8:c::/64")
    assert site.status()["inventory"]["quarantined"] == []
    site.wait_for(p1=A, p2=B, p3=C)
    site.save(record(1, B), record(2, A), record(3, C))
    site.wait_for(p1=B, p2=A, p3=C)


def test_an_agent_that_is_told_to_reload_while_it_starts_does(site: Site) -> None:
    assert site.agent is not None
    site.agent.kill()
    site.agent.wait()
    site.save(record(1, B), record(2, A), record(3, C))
    SoleAgent.start(site)
    children = Path(f"/proc/{site.agent.pid}/task/{site.agent.pid}/children")
    site.wait(lambda: children.read_text() != "")
    until = time.monotonic() + 1.0
    while time.monotonic() < until:
        assert site.agent.poll() is None, site.log()
        site.agent.send_signal(signal.SIGHUP)
        time.sleep(0.002)
    site.wait_for(p1=B, p2=A, p3=C)


def test_a_plan_says_why_of_every_port(site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("max_shrink: 50", "max_shrink: 50, watch: false"))
    site.l3ctl("apply")
    site.save(record(1, B), record(3, C), record(4, A))
    site.router.ip("link add p4 type veth peer name q4", "link set p4 up", "link set q4 up", f"route del {C} metric 201")
    why = json.loads(site.l3ctl("plan", "--json", ok=(3,)))["why"]
    at = str(site.inventory)
    assert why.pop("p1") == f"billed otherwise, {at}:1:12"
    assert why.pop("p4").startswith(f"new in the inventory, {at}:1:")
    assert why.pop("p2") == "no longer in the inventory"
    assert why.pop("-p2") == "port 'p2' is no longer in the inventory"
    assert why.pop("p3", "missing on the router") == "missing on the router", "unless the agent was quicker and put the route back"
    assert why == {}
    assert f"p1: billed otherwise, {at}:1:12" in site.l3ctl("plan", ok=(3,))


def test_ports_that_vanish_and_files_that_are_none_take_nothing_away(site: Site) -> None:
    for content in ('{"ports": []}', json.dumps({"ports": [record(1, A)]}), "", "\0", "null"):
        site.inventory.write_text(content)
        site.wait(lambda: bool(site.status()["inventory"]["trouble"]))
        site.wait_for(p1=A, p2=B, p3=C)
        site.save(record(1, A), record(2, B), record(3, C))
        site.wait(lambda: not site.status()["inventory"]["trouble"])
    site.inventory.unlink()
    os.mkfifo(site.inventory)
    site.wait(lambda: bool(site.status()["inventory"]["trouble"]))
    site.router.ip("link set q1 down")
    site.wait_for(p2=B, p3=C)
    site.router.ip("link set q1 up")
    site.wait_for(p1=A, p2=B, p3=C)
    site.inventory.unlink()
    site.save(record(1, A), record(2, B))
    site.wait_for(p1=A, p2=B)


def test_a_reader_that_is_killed_is_replaced_and_ends_with_its_agent(site: Site) -> None:
    first = site.reader()
    os.kill(first, signal.SIGKILL)
    site.save(record(1, A), record(2, C), record(3, B))
    site.wait_for(p1=A, p2=C, p3=B)
    second = site.reader()
    assert second != first
    assert site.agent is not None
    site.agent.kill()
    site.agent.wait()
    site.wait(lambda: not Path(f"/proc/{second}").exists())


def test_an_agent_that_starts_without_its_source_serves_what_was_carried_out_last(site: Site) -> None:
    assert site.agent is not None
    site.agent.kill()
    site.agent.wait()
    site.inventory.unlink()
    site.router.run("ip", "-6", "route", "flush", "proto", "201")
    assert site.routes() == {}
    site.start()
    site.wait_for(p1=A, p2=B, p3=C)
    site.wait_for_word("trouble", "no such file")
    site.save(record(1, A), record(2, B))
    site.wait_for(p1=A, p2=B)


def test_signals_and_commands_that_meet_a_dead_reader_cost_the_agent_nothing(site: Site) -> None:
    """Nobody has noticed yet that it is dead, or another is being made: every order of these."""
    assert site.agent is not None
    for round_ in range(6):
        site.wait(lambda: len(Path(f"/proc/{site.agent.pid}/task/{site.agent.pid}/children").read_text().split()) == 1)  # type: ignore[union-attr]
        os.kill(site.agent.pid, signal.SIGSTOP)  # so that it finds all of it at once
        os.kill(site.reader(), signal.SIGKILL)
        if round_ % 2:
            site.agent.send_signal(signal.SIGHUP)
        asked = [asking(site, b'{"command": "apply"}\n') for _ in range(round_ % 3)]
        os.kill(site.agent.pid, signal.SIGCONT)
        for one in asked:
            assert json.loads(one.makefile("rb").readline())
        assert site.status()["agent"]["pid"] == site.agent.pid
        site.wait(lambda: site.status()["troubles"] == [])
    site.save(record(1, B), record(2, A), record(3, C))
    site.wait_for(p1=B, p2=A, p3=C)


def asking(site: Site, question: bytes) -> socket.socket:
    one = socket.socket(socket.AF_UNIX)
    one.settimeout(WHOLE)
    one.connect(str(site.run_dir / "agent.sock"))
    one.sendall(question)
    return one


@pytest.mark.parametrize("seconds", ["true", "-1", "0", '"60"', "1e400", "1.5", "1" + 4000 * "0", "[]"])
def test_a_trial_of_no_time_at_all_is_refused(site: Site, seconds: str) -> None:
    with asking(site, f'{{"command": "apply", "confirm": {seconds}}}\n'.encode()) as one:
        assert json.loads(one.makefile("rb").readline())["error"]
    assert site.status()["troubles"] == []


def test_who_has_said_all_and_closed_that_end_has_an_answer(site: Site) -> None:
    """As `nc -N` does."""
    with asking(site, b'{"command": "plan"}\n') as one:
        one.shutdown(socket.SHUT_WR)
        assert json.loads(one.makefile("rb").readline())["changes"] == []
    with asking(site, b'{"command": "plan"}\n'):
        pass  # and who has gone is no trouble
    assert site.status()["troubles"] == []


def test_while_something_is_on_trial_the_source_is_not_followed_and_so_it_can_be_rolled_back(site: Site) -> None:
    site.config.write_text(site.config.read_text().replace("max_shrink: 50", "max_shrink: 51"))
    site.l3ctl("apply", "--confirm", "3")
    site.save(record(1, B), record(2, A), record(3, C))
    time.sleep(1)
    site.wait_for(p1=A, p2=B, p3=C)
    site.wait_for(p1=B, p2=A, p3=C)
    log = (site.folder / "agent.log").read_text()
    assert log.index("roll-back") < log.index('item="route 2001:db8:b::/64 via fe80::5054:ff:fe00:1 dev p1"')


def test_what_went_one_by_one_and_then_is_refused_can_be_confirmed(site: Site) -> None:
    """The hour that is counted over is the running reader's memory, and no command's."""
    site.save(record(1, A), record(2, B))
    site.wait_for(p1=A, p2=B)
    site.save(record(1, A))
    site.wait_for_word("trouble", "1 of 3 ports would go, after 1 within the hour")
    site.wait_for(p1=A, p2=B)
    assert "confirmed: " in site.l3ctl("inventory", "confirm")
    site.wait_for(p1=A)
