"""What is announced, to whom, and when it is not although it is up: a real agent, ExaBGP as a user of its own, and BIRD, in the lab."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from l3ctl.errors import LabFailed
from l3ctl.lab.customers import CUSTOMERS, EXABGP_USER, ROUTER6, UPSTREAM6, record
from l3ctl.lab.programs import PROGRAM
from l3ctl.lab.topology import Lab

pytestmark = [pytest.mark.root, pytest.mark.bpf]
WHOLE = 60.0
"""seconds after which something has gone wrong"""
WEB1, DB1, ROGUE = CUSTOMERS
EVERYBODY = {prefix for one in CUSTOMERS for prefix in (str(one.ipv6), f"{one.ipv4}/32")}
FLAPS = 3


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    """One for all these tests, each of which leaves it with every link up and everything announced."""
    one = Lab(
        f"l3t{os.getpid()}p",
        lambda config: config.replace("damping: off", f"damping: {{flaps: {FLAPS}, within: 60, hold: 3, max_hold: 3}}"),
    )
    one.up()
    yield one
    one.down()


def restart_agent(lab: Lab, config: str) -> None:
    stop_agent(lab)
    lab.config.write_text(config)
    lab.start_agent()


def stop_agent(lab: Lab) -> None:
    assert lab.agent is not None
    lab.agent.terminate()
    lab.agent.wait(WHOLE)


def exabgp_pid(lab: Lab) -> int:
    (pid,) = [pid for pid in lab.router.pids() if "exabgp\0server" in Path(f"/proc/{pid}/cmdline").read_text()]
    return pid


def wait_for(lab: Lab, prefixes: set[str]) -> None:
    lab.wait(f"{len(prefixes)} prefixes", lambda: lab.bird_prefixes() == prefixes, WHOLE)


def route(lab: Lab, prefix: str) -> str:
    return lab.birdc("show", "route", prefix, "all")


def reload_inventory(lab: Lab, **more: object) -> None:
    """web1's record with more keys."""
    lab.write_inventory({**record(one), **(more if one is WEB1 else {})} for one in CUSTOMERS)
    lab.l3ctl("apply")


def test_exabgp_and_its_relay_run_as_a_user_that_the_agent_knows(lab: Lab) -> None:
    owners = {
        argv.rpartition("/")[2].split(" ")[0] + (" relay" if " relay" in argv else ""): user
        for user, argv in (
            line.split(None, 1)
            for pid in lab.router.pids()
            for line in subprocess.run(
                ["ps", "-ww", "-o", "user=,args=", "-p", str(pid)], capture_output=True, text=True
            ).stdout.splitlines()
        )
        if "relay" in argv or "server" in argv
    }
    assert set(owners.values()) == {EXABGP_USER}, owners
    path = lab.run_dir / "bgp.sock"
    assert path.stat().st_mode & 0o777 == 0o660
    assert path.stat().st_uid == 0


def call(path: str, user: int, group: int) -> str:
    """What becomes of a call at the agent's socket by this user and group."""
    script = (
        "import os, socket, sys\n"
        f"os.setgroups([]); os.setgid({group}); os.setuid({user})\n"
        "s = socket.socket(socket.AF_UNIX); s.settimeout(10)\n"
        "try:\n    s.connect(sys.argv[1])\n"
        "except PermissionError:\n    print('refused')\n"
        "else:\n    print('closed' if s.recv(1) == b'' else 'heard')\n"
    )
    return subprocess.run([sys.executable, "-I", "-c", script, path], capture_output=True, text=True, check=True).stdout.strip()


def test_nobody_else_may_speak_for_exabgp(lab: Lab) -> None:
    path = lab.run_dir / "bgp.sock"
    group = path.stat().st_gid
    assert call(str(path), 12345, 12345) == "refused", "by the kernel"
    assert call(str(path), 12345, group) == "closed", "by the agent, which asks the kernel who calls"
    time.sleep(0.5)
    assert lab.status()["bgp"]["relay"], "the relay that is there is not disturbed"
    assert lab.bird_prefixes() == EVERYBODY


def test_a_port_has_its_own_attributes_and_changing_them_loses_nothing(lab: Lab) -> None:
    own = {"med": 5, "communities": ["65010:7", "65535:65281"], "large_communities": ["65010:1:2"]}
    losses: list[set[str]] = []
    lab.write_inventory({**record(one), **({"bgp": own} if one is WEB1 else {})} for one in CUSTOMERS)
    planned = lab.l3ctl("plan", ok=(3,))
    assert f"~ announce prefix {WEB1.ipv6} med 5 communities 65010:7,65535:65281 large_communities 65010:1:2\n" in planned
    assert planned.endswith("1 port: 0 to add, 2 to replace, 0 to remove\n")
    lab.l3ctl("apply")
    ends = time.monotonic() + WHOLE
    while "BGP.med: 5" not in route(lab, str(WEB1.ipv6)) or "BGP.med: 5" not in route(lab, f"{WEB1.ipv4}/32"):
        losses.append(EVERYBODY - lab.bird_prefixes())
        assert time.monotonic() < ends
    assert not any(losses)
    told = route(lab, str(WEB1.ipv6))
    assert "BGP.community: (65010,7) (65535,65281)" in told
    assert "BGP.large_community: (65010, 1, 2)" in told
    assert "BGP.med: 0" in route(lab, str(DB1.ipv6))
    stop_agent(lab)
    lab.start_agent()
    lab.wait("the agent that comes back", lambda: lab.status()["bgp"]["held"] == len(EVERYBODY), WHOLE)
    assert "65010" in route(lab, str(WEB1.ipv6)), "and it knows what is held in these words"
    assert not [line for line in (lab.run_dir / "agent.log").read_text().rpartition("adopt ")[2].splitlines() if "announce" in line]
    reload_inventory(lab)
    lab.wait("the settings' own", lambda: "BGP.med: 0" in route(lab, str(WEB1.ipv6)), WHOLE)


def test_a_port_that_is_not_to_be_announced_is_routed_all_the_same(lab: Lab) -> None:
    reload_inventory(lab, announce=False)
    assert [port["unannounced"] for port in lab.status()["ports"]] == [None, None, "announce: false"]
    wait_for(lab, EVERYBODY - {str(WEB1.ipv6), f"{WEB1.ipv4}/32"})
    assert json.loads(lab.l3ctl("plan", "--json"))["changes"] == []
    assert str(WEB1.ipv6) in lab.router.run("ip", "-6", "route", "show", "dev", WEB1.port)
    reload_inventory(lab)
    wait_for(lab, EVERYBODY)


def test_draining_withdraws_everything_and_outlives_agent_and_exabgp(lab: Lab) -> None:
    assert lab.l3ctl("drain").startswith("drained: all is withdrawn")
    wait_for(lab, set())
    status = lab.status()
    assert status["bgp"]["drained"]
    assert status["troubles"] == ["drained: nothing is announced until `l3ctl undrain`"]
    assert all(port["routes"] and port["filter"] == "enforce" and port["in_sync"] for port in status["ports"])

    stop_agent(lab)
    lab.start_agent()
    assert lab.status()["bgp"]["drained"]
    lab.link_down(WEB1)
    lab.link_up(WEB1)
    lab.wait("web1", lambda: lab.status()["ports"][2]["link"] == "up", WHOLE)
    exabgp = exabgp_pid(lab)
    os.kill(exabgp, signal.SIGTERM)
    time.sleep(1)
    assert lab.bird_prefixes() == set(), "no route is stale where there was none"
    told = subprocess.run(["ip", "netns", "exec", lab.router.name, str(PROGRAM), "drain", "--timeout", "1"], capture_output=True, text=True)
    assert told.returncode == 1
    assert "no relay is connected, so what ExaBGP announces is not withdrawn" in told.stderr
    lab.start_exabgp()
    lab.wait("the session", lambda: set(lab.status()["bgp"]["peers"].values()) == {"up"}, WHOLE)
    assert lab.bird_prefixes() == set()

    assert lab.l3ctl("undrain") == "announcing again\n"
    wait_for(lab, EVERYBODY)
    assert lab.status()["troubles"] == []


def test_a_drain_that_stops_leaves_no_agent(lab: Lab) -> None:
    lab.l3ctl("drain", "--stop")
    assert lab.agent is not None
    assert lab.agent.wait(WHOLE) == 0
    assert lab.bird_prefixes() == set()
    assert (
        "l3ctl: no agent answers"
        in subprocess.run(["ip", "netns", "exec", lab.router.name, str(PROGRAM), "undrain"], capture_output=True, text=True).stderr
    )
    lab.start_agent()
    lab.l3ctl("undrain")
    wait_for(lab, EVERYBODY)


def test_an_agent_that_was_started_without_bgp_outlives_a_drain(lab: Lab) -> None:
    config = lab.config.read_text()
    begins, ends = config.index("bgp:"), config.index("run_dir:")
    restart_agent(lab, config[:begins] + config[ends:])
    lab.config.write_text(config)
    with pytest.raises(LabFailed, match="it announces nothing, as it was started without 'bgp'; restart it"):
        lab.l3ctl("drain")
    assert lab.status()["agent"] is not None, "it lives"
    restart_agent(lab, config)
    wait_for(lab, EVERYBODY)


def test_a_port_that_flaps_is_held_down_alone_and_comes_back_when_it_is_quiet(lab: Lab) -> None:
    mine = {str(DB1.ipv6), f"{DB1.ipv4}/32"}
    for _ in range(FLAPS):
        lab.link_down(DB1)
        wait_for(lab, EVERYBODY - mine)
        lab.link_up(DB1)
        wait_for(lab, EVERYBODY)
    lab.link_down(DB1)
    lab.link_up(DB1)
    lab.wait("the agent's patience to end", lambda: "not announced, as the link flaps" in " ".join(lab.status()["troubles"]), WHOLE)
    (port,) = [port for port in lab.status()["ports"] if port["name"] == "db1"]
    assert 0 < port["held_down"] <= 3
    assert lab.bird_prefixes() == EVERYBODY - mine
    assert str(DB1.ipv6) in lab.router.run("ip", "-6", "route", "show", "dev", DB1.port), "it is not announced, but it is routed"
    wait_for(lab, EVERYBODY)
    assert lab.status()["troubles"] == []


def test_what_is_covered_at_home_is_announced_by_its_cover_alone(lab: Lab) -> None:
    config = lab.config.read_text()
    restart_agent(lab, config.replace("  peers:\n", "  covers: ['2001:db8:11::/48', '203.0.113.10/31']\n  peers:\n"))
    wait_for(lab, EVERYBODY - {str(WEB1.ipv6), f"{WEB1.ipv4}/32"} | {"2001:db8:11::/48", "203.0.113.10/31"})
    assert "2001:db8:11::/48 " in lab.router.run("ip", "-6", "route", "show", "type", "blackhole")
    assert json.loads(lab.l3ctl("plan", "--json"))["changes"] == []
    lab.router.ip("route del blackhole 203.0.113.10/31")
    lab.wait("the blackhole", lambda: "203.0.113.10/31" in lab.router.run("ip", "route", "show", "type", "blackhole"), WHOLE)
    restart_agent(lab, config)
    wait_for(lab, EVERYBODY)
    assert lab.router.run("ip", "-6", "route", "show", "type", "blackhole", "proto", "201") == ""


def test_a_link_local_next_hop_is_this_routers_own_on_that_link_whatever_it_is_now(lab: Lab) -> None:
    config = lab.config.read_text()

    def mine() -> str:
        shown = json.loads(lab.router.run("ip", "-j", "-6", "addr", "show", "dev", "uplink0", "scope", "link"))
        return next(info["local"] for one in shown for info in one.get("addr_info", ()) if "local" in info)

    def reached_by(next_hop: str) -> bool:
        return lab.upstream.kernel_routes() == dict.fromkeys(EVERYBODY, next_hop)

    restart_agent(lab, "full_pass: 1\n" + config.replace("local_address:", "next_hop: link-local, local_address:"))
    lab.wait("the link-local", lambda: reached_by(mine()), WHOLE)
    lab.upstream.run("ping", "-n", "-q", "-c", "3", "-i", "0.02", "-I", UPSTREAM6, WEB1.address6)
    lab.router.ip(f"addr del {mine()}/64 dev uplink0", "addr add fe80::77/64 dev uplink0 nodad")
    lab.wait("the other one", lambda: reached_by("fe80::77"), WHOLE)
    restart_agent(lab, config)
    lab.wait("the global one", lambda: reached_by(ROUTER6), WHOLE)


def test_a_password_and_ttl_security_guard_the_session(lab: Lab) -> None:
    secret = lab.etc / "secret"
    secret.write_text("sesame#1\n")
    config = lab.config.read_text()
    guarded = config.replace("local_address:", "password_file: secret, ttl_security: true, local_address:")
    exabgp = exabgp_pid(lab)
    restart_agent(lab, guarded)
    lab.wait("the relay", lambda: lab.status()["bgp"]["relay"], WHOLE)
    assert "ExaBGP runs with another configuration" in " ".join(lab.status()["troubles"])
    os.kill(exabgp, signal.SIGTERM)
    bird = (lab.run_dir / "bird.conf").read_text()
    try:
        (lab.run_dir / "bird.conf").write_text(bird.replace("graceful restart on;", 'password "sesame#2"; ttl security on;'))
        lab.upstream.run("birdc", "-s", f"{lab.run_dir}/bird.ctl", "configure")
        lab.start_exabgp()
        assert (lab.run_dir / "exabgp.conf").stat().st_mode & 0o777 == 0o600
        time.sleep(5)
        assert set(lab.status()["bgp"]["peers"].values()) != {"up"}, "not with another word"
        (lab.run_dir / "bird.conf").write_text(bird.replace("graceful restart on;", 'password "sesame#1"; ttl security on;'))
        lab.upstream.run("birdc", "-s", f"{lab.run_dir}/bird.ctl", "configure")
        wait_for(lab, EVERYBODY)
        assert lab.status()["bgp"]["configuration"] == "current"
    finally:
        (lab.run_dir / "bird.conf").write_text(bird)
        lab.upstream.run("birdc", "-s", f"{lab.run_dir}/bird.ctl", "configure")
