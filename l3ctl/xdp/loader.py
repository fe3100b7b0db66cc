"""Compile the filter with bcc. The only importer of bcc, and only ever run as a short-lived process of its own.

bcc with its compiler costs over 130 MB that never come back, so `compile_filter` runs this file as a child, which prints the bytecode and
the maps it refers to as JSON and is gone.
"""

import base64
import ctypes
import json
import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

from l3ctl.errors import FilterFailed, MissingRequirement
from l3ctl.xdp.abi import source_dir

PROGRAM = "l3ctl_filter"
_LOAD_MAP_FD = (0x18, 1)
"""opcode and source register of the instruction that loads a map by its file descriptor (BPF_LD_IMM64, BPF_PSEUDO_MAP_FD)"""


@dataclass(frozen=True, slots=True)
class MapSpec:
    """What a map of the filter is made of. `kind` and `flags` are the kernel's numbers."""

    name: str
    kind: int
    key_size: int
    value_size: int
    max_entries: int
    flags: int


@dataclass(frozen=True, slots=True)
class Bytecode:
    """A compiled filter. In `instructions`, each map load carries the map's position in `maps` instead of a descriptor."""

    instructions: bytes
    maps: tuple[MapSpec, ...]


def compile_filter(source_guard: bool) -> Bytecode:
    """Compile in a child process. Raises `FilterFailed` with the compiler's complaint."""
    child = subprocess.run(
        # -P: not what somebody may have put into the folder that we happen to be in, under that name
        [sys.executable, "-P", "-m", "l3ctl.xdp.loader", *(["-DSOURCE_GUARD"] if source_guard else [])],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BCC_KERNEL_SOURCE": str(source_dir() / "headers")},
    )
    if child.returncode != 0:
        complaint = [line for line in child.stderr.splitlines() if "error" in line.lower()] or child.stderr.splitlines()[-1:]
        if "No module named 'bcc'" in child.stderr:
            raise MissingRequirement("the compiler library bcc is not installed", "apt-get install python3-bpfcc, and make setup")
        raise FilterFailed(f"the filter does not compile: {complaint[0] if complaint else 'no output'}", f"see {source_dir()}")
    return parse_bytecode(child.stdout)


def parse_bytecode(text: str) -> Bytecode:
    """What the child prints. Raises `ValueError`, `KeyError` or `TypeError` for anything else."""
    told = json.loads(text)
    return Bytecode(base64.b64decode(told["instructions"], validate=True), tuple(MapSpec(**spec) for spec in told["maps"]))


def _positions(instructions: bytes, position: dict[int, int]) -> bytes:
    """Put each map's position where bcc left the descriptor of its own process."""
    raw = bytearray(instructions)
    for at in range(0, len(raw), 8):
        if (raw[at], raw[at + 1] >> 4) == _LOAD_MAP_FD:
            fd = int.from_bytes(raw[at + 4 : at + 8], "little")
            raw[at + 4 : at + 8] = position[fd].to_bytes(4, "little")
    return bytes(raw)


def _spec(name: str, fd: int) -> MapSpec:
    """The map as the kernel made it; its fdinfo is the one place that names every number."""
    lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
    told = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    return MapSpec(
        name=name,
        kind=int(told["map_type"]),
        key_size=int(told["key_size"]),
        value_size=int(told["value_size"]),
        max_entries=int(told["max_entries"]),
        flags=int(told["map_flags"], 16),
    )


def main(cflags: list[str]) -> None:
    """Compile, and print the result as JSON."""
    # bcc and its compiler write to descriptor 1 what belongs to 2; the answer goes out on a copy.
    answer = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    import bcc

    library = bcc.libbcc.lib
    library.bpf_table_name.restype = ctypes.c_char_p
    library.bpf_table_name.argtypes = [ctypes.c_void_p, ctypes.c_size_t]
    warnings = ["-Wall", "-Wextra", "-Werror", "-Wno-unused-function"]
    built = bcc.BPF(src_file=str(source_dir() / "l3ctl.bpf.c"), cflags=[f"-I{source_dir()}", *warnings, *cflags])
    names = [library.bpf_table_name(built.module, number) for number in range(library.bpf_num_tables(built.module))]
    descriptors = [library.bpf_table_fd(built.module, name) for name in names]
    position = {fd: at for at, fd in enumerate(descriptors)}
    json.dump(
        {
            "instructions": base64.b64encode(_positions(built.dump_func(PROGRAM), position)).decode(),
            "maps": [asdict(_spec(name.decode(), fd)) for name, fd in zip(names, descriptors, strict=True)],
        },
        answer,
    )
    answer.close()


if __name__ == "__main__":
    main(sys.argv[1:])
