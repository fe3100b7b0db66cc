"""Getting the filter into the kernel: its maps and its program, new, adopted from their pins, or replaced on upgrade.

Pins under one directory of a bpffs: `layout`, `program`, `map-<name>`, and `link-<ifindex>` for each netdev.
"""

import ctypes
import errno
import os
import subprocess
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from l3ctl.errors import FilterFailed, MissingRequirement
from l3ctl.log import event
from l3ctl.xdp.abi import abi, source_id
from l3ctl.xdp.cache import bytecode, distrust
from l3ctl.xdp.counters import new_chunk
from l3ctl.xdp.libbpf import BPF_MAP_TYPE_ARRAY_OF_MAPS, Map, Program
from l3ctl.xdp.links import pinned
from l3ctl.xdp.loader import PROGRAM, Bytecode, MapSpec

_BPF_FS_MAGIC = 0xCAFE4A11
_ARRAY = 2
_KEY0 = bytes(4)
MAPS = (
    "ifs",
    "far_ifs",
    "vlans",
    "ports",
    "names",
    "budgets",
    "counters",
    "tokens",
    "asked",
    "seen",
    "samples",
    "hosts",
    "gateways",
    "places",
    "prefixes",
)
"""every map of bpf/l3ctl.bpf.c but that which only says what is in an array of maps"""


@dataclass(frozen=True, slots=True)
class Loaded:
    """A program in the kernel with the maps it works on."""

    program: Program
    maps: dict[str, Map]
    fresh: bool = False
    """the maps have just been made, and are empty"""
    pinned: bool = True
    """the program is; else links still run one that works on maps of another layout"""


def mount_bpffs(directory: Path) -> None:
    """Make sure that a bpffs is mounted there. `/sys/fs/bpf` will not do: `ip netns exec` hides it behind a fresh /sys.

    A mount made in a mount namespace of our own, as `ip netns exec` and hardened services give one, would go with us, and the pins with it:
    it is made in that of process 1, from where it comes back to us, as it does wherever mounts propagate.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise translate(error, f"cannot make {directory}") from error
    libc = ctypes.CDLL(None, use_errno=True)
    kind = (ctypes.c_long * 64)()

    def mounted() -> bool:
        return libc.statfs(os.fsencode(directory), ctypes.byref(kind)) == 0 and kind[0] & 0xFFFFFFFF == _BPF_FS_MAGIC

    if mounted():
        return
    if _mount_is_private():
        outside, command = ["nsenter", "--target=1", "--mount", "--"], ["mount", "-t", "bpf", "-o", "mode=0700", "bpf", str(directory)]
        subprocess.run([*outside, *command], capture_output=True, check=False)
        if mounted():
            return
        subprocess.run([*outside, "umount", str(directory)], capture_output=True, check=False)
        event("refuse", reason=f"the bpffs on {directory} goes with this process's mount namespace; mount it before: {' '.join(command)}")
    if libc.mount(b"bpf", os.fsencode(directory), b"bpf", 0, b"mode=0700") != 0:
        raise MissingRequirement(
            f"cannot mount a bpffs on {directory}: {os.strerror(ctypes.get_errno())}", "run as root on a kernel with CONFIG_BPF_SYSCALL"
        )


def _mount_is_private() -> bool:
    try:
        return Path("/proc/self/ns/mnt").stat().st_ino != Path("/proc/1/ns/mnt").stat().st_ino
    except OSError:  # not allowed to look: then not allowed to enter it either
        return False


_KERNEL = "the kernel log and `bpftool prog` may say more; the filter needs Linux 5.18 or newer"
_BEGIN_ANEW = "start the agent: it puts its own filter in that one's place, netdev for netdev"


def translate(error: OSError, what: str, mend: str = _KERNEL) -> FilterFailed | MissingRequirement:
    """What the operating system refused, as one of our own errors."""
    if error.errno in (errno.EPERM, errno.EACCES) and os.geteuid() != 0:
        return MissingRequirement(f"{what}: not permitted", "run as root")
    return FilterFailed(f"{what}: {error.strerror}", mend)


def _create_map(spec: MapSpec) -> Map:
    of_maps = spec.kind == BPF_MAP_TYPE_ARRAY_OF_MAPS  # the one there is is that of counters
    inner = new_chunk() if of_maps else None
    made = Map.create(spec.name, spec.kind, spec.key_size, spec.value_size, spec.max_entries, spec.flags, inner)
    if inner is not None:
        made.update(_KEY0, inner.fd.to_bytes(4, "little"))
    return made


def create_maps(bytecode: Bytecode) -> dict[str, Map]:
    """Fresh maps for a filter."""
    try:
        return {one.name: _create_map(one) for one in bytecode.maps if one.name in MAPS}
    except OSError as error:
        raise translate(error, "cannot create the filter's maps") from error


def load_program(bytecode: Bytecode, maps: dict[str, Map]) -> Program:
    """Put the maps' descriptors where the bytecode names their positions, and load it."""
    raw = bytearray(bytecode.instructions)
    for at in range(0, len(raw), 8):
        if raw[at] == 0x18 and raw[at + 1] >> 4 == 1:  # load of a map by descriptor
            position = int.from_bytes(raw[at + 4 : at + 8], "little")
            raw[at + 4 : at + 8] = maps[bytecode.maps[position].name].fd.to_bytes(4, "little")
    try:
        return Program.load(PROGRAM, bytes(raw))
    except OSError as error:
        words = Program.last_words(PROGRAM, bytes(raw))
        raise translate(error, f"the kernel does not take the filter{f' (`{words}`)' if words else ''}") from error


def load_private(source_guard: bool) -> Loaded:
    """A filter of one's own, with empty maps and no pins: what `verdict` and the tests run frames through."""
    code = bytecode(source_guard)
    maps = create_maps(code)
    return Loaded(load_program(code, maps), maps)


def is_pinned(directory: Path) -> bool:
    """Whether a complete filter is pinned here: the program's name is made last."""
    return (directory / "program").exists()


def open_pinned(directory: Path) -> Loaded:
    """Open what is pinned, to look at or to change; never loads. Refuses maps of another layout."""
    found = _open_maps(directory)
    if found is None:
        raise FilterFailed(f"the filter pinned in {directory} is not whole, or has maps of another layout", _BEGIN_ANEW)
    try:
        return Loaded(Program.open(directory / "program"), found[0])
    except OSError as error:
        raise translate(error, f"cannot open the filter pinned in {directory}", _BEGIN_ANEW) from error


def _open_maps(directory: Path) -> tuple[dict[str, Map], bytes] | None:
    """The pinned maps, and the name of the sources that the pinned program came from: zeroes where none is.

    None where not all are there, or where they are of another layout.
    """
    try:
        told = Map.open(directory / "layout").lookup(_KEY0) or b""
        if told[:16] != abi().layout_id:
            return None
        return {name: Map.open(directory / f"map-{name}") for name in MAPS}, told[16:]
    except FileNotFoundError:
        return None
    except OSError as error:
        raise translate(error, f"cannot open the maps pinned in {directory}") from error


def open_or_load(directory: Path, source_guard: bool) -> tuple[Loaded, bool]:
    """The pinned filter, adopted as it is, or a new one, pinned; and whether its program is another than before.

    A program from other sources replaces the pinned one; the maps, with records and counters, stay. Where the maps are of another layout,
    new ones take their names. While links still run the program that works on the old ones, the new program is not pinned: who comes
    next then, because we were killed, goes on from there, and so does `pin_program`.
    """
    wanted, found = source_id(source_guard), _open_maps(directory)
    if found is not None and found[1] == wanted and is_pinned(directory):
        return open_pinned(directory), False
    code = bytecode(source_guard)
    links = bool(pinned(directory))
    if found is None and links:
        event("replace", what="filter", reason="the pinned one is not whole, or has maps of another layout; its counters begin anew")
    maps, source = found or (_pin_maps(directory, code), bytes(16))
    try:
        program = load_program(code, maps)
    except FilterFailed:
        program = load_program(distrust(source_guard), maps)
    if settled := not links or any(source):
        pin_program(directory, program, source_guard)
    return Loaded(program, maps, found is None, settled), True


def pin_program(directory: Path, program: Program, source_guard: bool) -> None:
    """Give the program its name, in the place of one there: at no moment is there none."""
    fresh = directory / "program-new"
    try:
        fresh.unlink(missing_ok=True)
        program.pin(fresh)
        fresh.replace(directory / "program")
        with closing(Map.open(directory / "layout")) as layout:
            layout.update(_KEY0, abi().layout_id + source_id(source_guard))
    except OSError as error:
        raise translate(error, f"cannot pin the filter in {directory}") from error


def _pin_maps(directory: Path, code: Bytecode) -> dict[str, Map]:
    """Make empty maps and pin them; `layout` is pinned last, and says that all are there."""
    maps = create_maps(code)
    try:
        # Of a load that did not come to its end, or of another layout: the program first, as it has the others in use, `layout` next.
        for leftover in (directory / "program", directory / "layout", *directory.glob("map-*")):
            leftover.unlink(missing_ok=True)
        for name, one in maps.items():
            one.pin(directory / f"map-{name}")
        _pin_layout(directory)
    except OSError as error:
        raise translate(error, f"cannot pin the filter's maps in {directory}") from error
    return maps


def _pin_layout(directory: Path) -> None:
    layout = Map.create("l3ctl_layout", _ARRAY, 4, 32, 1)
    layout.update(_KEY0, abi().layout_id + bytes(16))
    layout.pin(directory / "layout")


def pin_again(directory: Path, loaded: Loaded, source_guard: bool) -> list[str]:
    """Give what we have open the names back that somebody took away, also with all of the bpffs; which these were."""
    wanted = {f"map-{name}": one for name, one in loaded.maps.items()}
    if not (missing := [name for name in (*wanted, "layout", "program") if not (directory / name).exists()]):
        return []
    mount_bpffs(directory.parent)
    try:
        directory.mkdir(mode=0o700, exist_ok=True)
        for name in missing:
            if name in wanted:
                wanted[name].pin(directory / name)
        if "layout" in missing:
            _pin_layout(directory)
    except OSError as error:
        raise translate(error, f"cannot pin the filter's maps in {directory}") from error
    pin_program(directory, loaded.program, source_guard)
    return missing
