"""bpf/abi.h as Python reads it is bpf/abi.h as the compiler lays it out."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator

import pytest

from l3ctl.xdp.abi import abi, source_dir, source_id
from l3ctl.xdp.loader import compile_filter
from l3ctl.xdp.program import MAPS, create_maps, load_program

pytestmark = [pytest.mark.root, pytest.mark.bpf]

KIND_HASH, KIND_ARRAY, KIND_PERCPU_ARRAY, KIND_LPM_TRIE, KIND_ARRAY_OF_MAPS, KIND_RINGBUF = 1, 2, 6, 11, 12, 27


def claims() -> Iterator[str]:
    for name, layout in abi().structs.items():
        yield f"sizeof(struct {name}) == {layout.size}"
        for member, where in layout.members.items():
            yield f"__builtin_offsetof(struct {name}, {member}) == {where.offset}"
            yield f"sizeof(((struct {name} *)0)->{member}) == {where.width * max(where.count, 1)}"
    symbols = re.findall(r"REASON\((\w+), (?:PASS|DROP|ANSWER)", (source_dir() / "abi.h").read_text())
    for reason, symbol in zip(abi().reasons, symbols, strict=True):
        yield f"REASON_{symbol} == {reason.number}"
    yield f"REASON_COUNT == {len(abi().reasons)}"
    for name, value in abi().numbers.items():
        yield f"{name} == {value}"


def compiles(statements: list[str]) -> bool:
    checks = "\n".join(f'_Static_assert({statement}, "no");' for statement in statements)
    text = f'#include "abi.h"\n{checks}\nint nothing(struct xdp_md *context) {{ return 2; }}'
    child = subprocess.run(
        [sys.executable, "-c", "import bcc, sys; bcc.BPF(text=sys.stdin.read(), cflags=sys.argv[1:])", f"-I{source_dir()}"],
        input=text,
        text=True,
        capture_output=True,
        env={**os.environ, "BCC_KERNEL_SOURCE": str(source_dir() / "headers")},
    )
    assert child.returncode == 0 or "static_assert failed" in child.stderr, child.stderr
    return child.returncode == 0


def test_sizes_offsets_reasons_and_limits_are_what_the_compiler_says() -> None:
    assert compiles(list(claims()))
    assert not compiles(["sizeof(struct port) == 127"])


def test_every_struct_and_every_reason_of_the_header_is_read() -> None:
    text = (source_dir() / "abi.h").read_text()
    assert set(abi().structs) == set(re.findall(r"^struct (\w+) \{", text, re.MULTILINE))
    for name, body in re.findall(r"^struct (\w+) \{\n(.*?)^\};", text, re.MULTILINE | re.DOTALL):
        assert len(abi().structs[name].members) == body.count(";")
    assert len(abi().reasons) <= abi().numbers["REASON_STRIDE"]
    assert len({reason.name for reason in abi().reasons}) == len(abi().reasons)


def test_what_is_looked_up_for_a_frame_is_found_without_a_multiplication() -> None:
    sizes = {name: abi().structs[name].size for name in ("port", "netdev", "pointer")}
    assert sizes == {"port": 128, "netdev": 64, "pointer": 32}
    assert abi().structs["netdev"].members["untagged"].count == sizes["pointer"]
    assert abi().structs["port"].members["address"].offset + 4 <= 128


@pytest.mark.parametrize("source_guard", [False, True], ids=["plain", "source guard"])
def test_both_variants_load_on_maps_of_the_layout_that_the_header_gives(source_guard: bool) -> None:
    bytecode = compile_filter(source_guard)
    numbers, size = abi().numbers, {name: layout.size for name, layout in abi().structs.items()}
    assert {one.name: (one.kind, one.key_size, one.value_size, one.max_entries) for one in bytecode.maps} == {
        "ifs": (KIND_ARRAY, 4, size["netdev"], numbers["MAX_IFINDEX"]),
        "vlans": (KIND_ARRAY, 4, size["pointer"], numbers["MAX_TRUNKS"] * 4096),
        "ports": (KIND_ARRAY, 4, size["port"], numbers["MAX_PORTS"]),
        "names": (KIND_ARRAY, 4, size["port_name"], numbers["MAX_PORTS"]),
        "budgets": (KIND_ARRAY, 4, 8, numbers["MAX_PORTS"]),
        "counters": (KIND_ARRAY_OF_MAPS, 4, 4, numbers["MAX_PORTS"] // numbers["COUNTERS_CHUNK"]),
        "counters_chunk": (KIND_PERCPU_ARRAY, 4, size["port_counters"], numbers["COUNTERS_CHUNK"]),
        "tokens": (KIND_ARRAY, 4, size["port_tokens"], numbers["MAX_PORTS"]),
        "asked": (KIND_ARRAY, 4, 8, numbers["MAX_PORTS"]),
        "seen": (KIND_ARRAY, 4, 8, numbers["MAX_PORTS"]),
        "samples": (KIND_RINGBUF, 0, 0, numbers["SAMPLES_SIZE"]),
        "far_ifs": (KIND_HASH, 4, size["netdev"], numbers["MAX_FAR_NETDEVS"]),
        "hosts": (KIND_HASH, size["host_key"], size["host"], numbers["MAX_HOSTS"]),
        "gateways": (KIND_HASH, size["gateway_key"], 1, numbers["MAX_GATEWAYS"]),
        "places": (KIND_PERCPU_ARRAY, 4, size["nd_place"], 1),
        "prefixes": (KIND_LPM_TRIE, size["prefix_key"], 1, numbers["MAX_PREFIXES"]),
    }
    assert {*MAPS, "counters_chunk"} == {one.name for one in bytecode.maps}
    assert size["port_counters"] == 8 * numbers["REASON_STRIDE"] == 8 * size["port_tokens"]
    assert abi().structs["sample"].members["frame"].count == numbers["SAMPLE_FRAME"]
    assert load_program(bytecode, create_maps(bytecode)).id() > 0


def test_the_two_variants_are_two_programs() -> None:
    assert source_id(False) != source_id(True)
    assert compile_filter(False).instructions != compile_filter(True).instructions
