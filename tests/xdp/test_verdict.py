"""`l3ctl verdict`, as an operator runs it, on two small captures: what it prints is what the contract's text says of each frame.

web1.pcap has a frame of every kind from a port of two hosts; db1.pcapng a VLAN's of a trunk, with more questions than its budget answers.
"""

import json
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from l3ctl.config import load_config
from l3ctl.desired import port_policy
from l3ctl.inventory import load_inventory, reserved_by
from l3ctl.lab.frames import ethernet, na, tcp6
from l3ctl.lab.namespaces import Namespace, run
from l3ctl.lab.programs import PROGRAM
from l3ctl.model import PortPolicy
from l3ctl.xdp.abi import abi
from l3ctl.xdp.capture import read_capture
from tests.xdp.model import Judgement, judge

pytestmark = [pytest.mark.root, pytest.mark.bpf]

CAPTURES = Path(__file__).with_name("captures")
CONFIG = CAPTURES / "l3ctl.yaml"


def verdict(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([str(PROGRAM), "verdict", "--config", str(CONFIG), *arguments], capture_output=True, text=True)


def told(*arguments: str) -> list[dict[str, Any]]:
    done = verdict(*arguments, "--json")
    assert (done.returncode, done.stderr) == (0, "")
    return [json.loads(line) for line in done.stdout.splitlines()]


def policy(name: str) -> PortPolicy:
    config = load_config(CONFIG).configuration()
    ports = {port.name: port for port in load_inventory(config.inventory, config.router, reserved_by(config))}
    return port_policy(ports[name], "02:00:00:00:00:01", config.settings)


def line(packet: int, judged: Judgement) -> dict[str, Any]:
    answer = {} if judged.answer is None else {"answer": judged.answer.hex()}
    return {"packet": packet, "verdict": judged.verdict, "reason": judged.reason} | answer


def test_a_frame_of_every_kind_is_judged_as_the_contract_says() -> None:
    lines = told("--port", "web1", str(CAPTURES / "web1.pcap"))
    frames = [captured.frame for captured in read_capture(CAPTURES / "web1.pcap")]
    assert lines == [line(number, judge(frame, policy("web1"))) for number, frame in enumerate(frames, 1)]
    not_of_this_port = {"unknown-port", "rate-limit", "source-spoof", "probe-answer"}
    assert {one["reason"] for one in lines} >= {reason.name for reason in abi().reasons} - not_of_this_port


def test_a_vlan_of_a_trunk_is_judged_by_its_tag_and_answered_within_its_budget() -> None:
    lines = told("--port", "db1", str(CAPTURES / "db1.pcapng"))
    frames = [captured.frame for captured in read_capture(CAPTURES / "db1.pcapng")]
    expected = [line(number, judge(frame, policy("db1"))) for number, frame in enumerate(frames, 1)]
    answered = [number for number, one in enumerate(expected) if one["verdict"] == "answer"]
    for number in answered[20:]:  # all within a millisecond of the capture's own clock, which refills nothing
        expected[number] = {"packet": number + 1, "verdict": "drop", "reason": "rate-limit"}
    assert lines == expected
    assert len(answered) > 20
    assert all(bytes.fromhex(one["answer"])[12:16] == b"\x81\x00\x00\x0b" for one in lines if "answer" in one)


def test_audit_says_the_reason_and_passes() -> None:
    enforced = told("--port", "web1", str(CAPTURES / "web1.pcap"))
    audited = told("--port", "web1", "--audit", str(CAPTURES / "web1.pcap"))
    assert [one["reason"] for one in audited] == [one["reason"] for one in enforced]
    assert {one["verdict"] for one in audited} == {"pass"}


def test_the_source_guard_can_be_tried() -> None:
    plain = told("--port", "web1", str(CAPTURES / "web1.pcap"))
    guarded = told("--port", "web1", "--source-guard", str(CAPTURES / "web1.pcap"))
    differ = [(before, after) for before, after in zip(plain, guarded, strict=True) if before != after]
    assert differ
    assert all(before["verdict"] == "pass" and after["reason"] == "source-spoof" for before, after in differ)


def test_people_get_a_line_a_frame_and_a_sum() -> None:
    done = verdict("--port", "db1", str(CAPTURES / "db1.pcapng"))
    assert done.returncode == 0
    lines = done.stdout.splitlines()
    assert lines[0].split() == ["1", "answer", "ns-answer"]
    assert lines[-1].startswith("49 frames: ")
    assert "22 drop rate-limit" in lines[-1]


def capture(path: Path, *frames: bytes) -> Path:
    """A pcap file."""
    packets = (struct.pack("<IIII", number, 0, len(frame), len(frame)) + frame for number, frame in enumerate(frames))
    path.write_bytes(struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262144, 1) + b"".join(packets))
    return path


@pytest.fixture
def trunk(tmp_path: Path) -> Path:
    """A configuration of the same ports, in which what is on an unknown VLAN passes."""
    config = tmp_path / "trunk.yaml"
    config.write_text(CONFIG.read_text().replace("inventory.yaml", str(CAPTURES / "inventory.yaml")).replace("unknown_vlan: drop, ", ""))
    return config


@pytest.mark.parametrize(("mode", "verdict"), [("--enforce", "drop"), ("--audit", "pass")])
def test_a_priority_tag_in_front_of_a_ports_is_dropped_there(tmp_path: Path, trunk: Path, mode: str, verdict: str) -> None:
    stacks = [
        ((0x8100, 0), (0x8100, 11)),
        ((0x88A8, 0), (0x8100, 11)),
        ((0x8100, 0), (0x8100, 0), (0x8100, 11)),
        ((0x8100, 11), (0x8100, 0)),
    ]
    file = capture(tmp_path / "stacks.pcap", *(ethernet(na(), 0x86DD, tags=tags) for tags in stacks * 2))
    done = run(str(PROGRAM), "verdict", "--config", str(trunk), "--port", "db1", mode, "--json", str(file))
    judged = [json.loads(line) for line in done.splitlines()]
    assert [(one["verdict"], one["reason"]) for one in judged] == [(verdict, "vlan-stacked")] * 8


@pytest.mark.parametrize(("kind", "expected"), [("veth peer name far0", ("drop", "unknown-port")), ("bridge", ("pass", ""))])
def test_where_the_trunk_is_here_and_may_hide_tags_it_is_judged_as_such(
    namespace: Callable[[], Namespace], tmp_path: Path, trunk: Path, kind: str, expected: tuple[str, str]
) -> None:
    here = namespace()
    here.ip(f"link add eth1 type {kind}")
    file = capture(tmp_path / "untagged.pcap", ethernet(na(), 0x86DD), ethernet(tcp6(), 0x86DD))
    done = here.run(str(PROGRAM), "verdict", "--config", str(trunk), "--port", "db1", "--json", str(file))
    judged = [json.loads(line) for line in done.splitlines()]
    assert [(one["verdict"], one["reason"]) for one in judged] == [expected, ("pass", "")]


def test_it_leaves_no_program_map_or_netdev_behind(namespace: Callable[[], Namespace]) -> None:
    here = namespace()
    before = here.run("ip", "-d", "link", "show")
    here.run(str(PROGRAM), "verdict", "--config", str(CONFIG), "--port", "web1", str(CAPTURES / "web1.pcap"))
    assert here.run("ip", "-d", "link", "show") == before
    assert not Path("/run/l3ctl/bpf/l3ctl").exists()


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("--port", "web9", "web1.pcap"), "no port 'web9' of router r1; it has: db1, web1"),
        (("--port", "web1", "nothing.pcap"), "nothing.pcap: No such file or directory"),
        (("--port", "web1", "inventory.yaml"), "inventory.yaml: byte 0: not a pcap or pcapng file; capture with `tcpdump -w FILE`"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_line(arguments: tuple[str, ...], complaint: str) -> None:
    *options, capture = arguments
    done = verdict(*options, str(CAPTURES / capture))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("l3ctl: ")
    assert done.stderr.strip().endswith(complaint)
    assert len(done.stderr.splitlines()) == 1
