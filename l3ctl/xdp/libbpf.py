"""The few calls of libbpf that l3ctl needs, by ctypes: 10 MB in the agent where `import bcc` costs 74.

Every call raises `OSError` with the kernel's errno; the rooms above translate it.
"""

import ctypes
import errno
import functools
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from l3ctl.xdp.structures import LinkCreateOpts, LinkInfo, MapCreateOpts, ProgInfo, ProgLoadOpts, TestRunOpts

BPF_PROG_TYPE_XDP = 6
BPF_XDP = 37
BPF_MAP_TYPE_PERCPU_ARRAY = 6
BPF_MAP_TYPE_ARRAY_OF_MAPS = 12
XDP_FLAGS_SKB_MODE = 1 << 1
XDP_FLAGS_DRV_MODE = 1 << 2
BATCH = 4096


@functools.cache
def library() -> ctypes.CDLL:
    """The library itself, for calls that are no plain system calls."""
    calls = ctypes.CDLL("libbpf.so.1", use_errno=True)
    calls.libbpf_set_print(None)  # its warnings would go to our stderr
    return calls


def _call(name: str, *arguments: object) -> int:
    result = int(getattr(library(), name)(*arguments))
    if result < 0:
        number = -result if result != -1 else ctypes.get_errno() or errno.EPERM
        raise OSError(number, os.strerror(number), name)
    return result


def online_cpus() -> int:
    """How many values a per-CPU map hands out: one a possible CPU."""
    spans = Path("/sys/devices/system/cpu/possible").read_text().strip().split(",")
    return sum(int(last or first) - int(first) + 1 for first, _, last in (span.partition("-") for span in spans))


class Descriptor:
    """An open BPF object. Closed with its owner."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def close(self) -> None:
        """Close it; a pinned object lives on."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def __del__(self) -> None:
        self.close()

    def pin(self, path: Path) -> None:
        """Give it a name in a bpffs, from where it outlives us."""
        _call("bpf_obj_pin", self.fd, str(path).encode())


def _open(path: Path) -> int:
    return _call("bpf_obj_get", str(path).encode())


class Map(Descriptor):
    """A BPF map. Keys and values are bytes; a per-CPU value is that of all CPUs, each padded to 8 bytes."""

    def __init__(self, fd: int) -> None:
        super().__init__(fd)
        lines = Path(f"/proc/self/fdinfo/{fd}").read_text().splitlines()
        told = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
        self.kind = int(told["map_type"])
        self.key_size = int(told["key_size"])
        self.value_size = int(told["value_size"])
        self.max_entries = int(told["max_entries"])
        per_cpu = self.kind == BPF_MAP_TYPE_PERCPU_ARRAY
        self.room = (self.value_size + 7) // 8 * 8 * online_cpus() if per_cpu else self.value_size

    @classmethod
    def create(
        cls, name: str, kind: int, key_size: int, value_size: int, max_entries: int, flags: int = 0, inner: "Map | None" = None
    ) -> "Map":
        """Make a new map. An array of maps takes such as `inner` is."""
        opts = MapCreateOpts(sz=ctypes.sizeof(MapCreateOpts), map_flags=flags, inner_map_fd=inner.fd if inner else 0)
        return cls(_call("bpf_map_create", kind, name.encode()[:15], key_size, value_size, max_entries, ctypes.byref(opts)))

    @classmethod
    def open(cls, path: Path) -> "Map":
        """Open a pinned map."""
        return cls(_open(path))

    @classmethod
    def by_id(cls, number: int) -> "Map":
        """Open a map by the kernel's number of it: as an array of maps hands them out."""
        return cls(_call("bpf_map_get_fd_by_id", number))

    def lookup(self, key: bytes) -> bytes | None:
        """The value at `key`, or None."""
        value = ctypes.create_string_buffer(self.room)
        try:
            _call("bpf_map_lookup_elem", self.fd, key, value)
        except OSError as error:
            if error.errno == errno.ENOENT:
                return None
            raise
        return value.raw

    def update(self, key: bytes, value: bytes) -> None:
        """Set the value at `key`. One of another length is a caller's mistake, and would be read from beyond its end."""
        if (len(key), len(value)) != (self.key_size, self.room):
            raise ValueError(f"a map of keys of {self.key_size} bytes and values of {self.room} was given {len(key)} and {len(value)}")
        _call("bpf_map_update_elem", self.fd, key, value, ctypes.c_uint64(0))

    def delete(self, key: bytes) -> None:
        """Remove `key`; nothing to do when it is not there."""
        try:
            _call("bpf_map_delete_elem", self.fd, key)
        except OSError as error:
            if error.errno != errno.ENOENT:
                raise

    def items(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry of a hash or a trie."""
        for keys, values in self.batches():
            for at in range(len(keys) // self.key_size):
                yield keys[at * self.key_size : (at + 1) * self.key_size], values[at * self.room : (at + 1) * self.room]

    def batches(self) -> Iterator[tuple[bytes, bytes]]:
        """The same, keys side by side and values side by side, a few thousand a system call."""
        cursor: bytes | None = None
        left = self.max_entries  # who writes meanwhile must not keep us here for ever
        while left > 0:
            keys, values, cursor = self._batch(cursor, min(left, BATCH))
            yield keys, values
            if cursor is None:
                return
            left -= len(keys) // self.key_size

    def mapped(self) -> "memoryview[int]":
        """The 64-bit values of an array that was made to be mapped, in our own memory: no system call reads or writes them."""
        return memoryview(mmap.mmap(self.fd, self.max_entries * self.value_size)).cast("Q")

    def array(self, first: int, count: int) -> bytes:
        """The values of an array from index `first`, side by side, each `room` bytes long."""
        parts: list[bytes] = []
        for start in range(first, first + count, BATCH):
            before = (start - 1).to_bytes(self.key_size, "little") if start else None  # a batch begins after its cursor
            parts.append(self._batch(before, min(BATCH, first + count - start))[1])
        return b"".join(parts)

    def used(self, limit: int | None = None) -> Iterator[tuple[int, bytes]]:
        """Index and value of every entry of an array that is not all zero, below index `limit`."""
        end = self.max_entries if limit is None else min(limit, self.max_entries)
        nothing = bytes(BATCH * self.room)
        for start in range(0, end, BATCH):
            values = self.array(start, min(BATCH, end - start))
            if nothing.startswith(values):  # the fastest way to look through millions of zeroes
                continue
            for at in range(0, len(values), self.room):
                if (value := values[at : at + self.room]).strip(b"\0"):
                    yield start + at // self.room, value

    def _batch(self, cursor: bytes | None, count: int) -> tuple[bytes, bytes, bytes | None]:
        """At most `count` keys and values after `cursor`, and where to go on; None at the end of the map."""
        keys, values = ctypes.create_string_buffer(self.key_size * count), ctypes.create_string_buffer(self.room * count)
        position = ctypes.create_string_buffer(max(self.key_size, 8))
        got = ctypes.c_uint32(count)
        try:
            _call("bpf_map_lookup_batch", self.fd, cursor, position, keys, values, ctypes.byref(got), None)
            onward = position.raw
        except OSError as error:
            if error.errno != errno.ENOENT:  # the end of the map, with what was left in it
                raise
            onward = None
        return keys.raw[: got.value * self.key_size], values.raw[: got.value * self.room], onward


_LOG_SIZE = 16 << 20
"""bytes; kernels before 6.4 keep the beginning of a log that is longer, later ones its end"""
_LIVE_FRAMES = 1 << 1
_XDP_MD = struct.Struct("=6I")
"""data, data_end, data_meta, ingress_ifindex, rx_queue_index, egress_ifindex"""
_STATISTICS = ("processed ", "verification time", "stack depth")


def _load(name: str, instructions: bytes, opts: ProgLoadOpts, kind: int = BPF_PROG_TYPE_XDP) -> int:
    opts.sz, opts.attempts, opts.expected_attach_type = ctypes.sizeof(ProgLoadOpts), 5, BPF_XDP if kind == BPF_PROG_TYPE_XDP else 0
    count = ctypes.c_size_t(len(instructions) // 8)
    return _call("bpf_prog_load", kind, name.encode()[:15], b"GPL", instructions, count, ctypes.byref(opts))


class Program(Descriptor):
    """A loaded XDP program."""

    @classmethod
    def load(cls, name: str, instructions: bytes, kind: int = BPF_PROG_TYPE_XDP) -> "Program":
        """Hand it to the verifier. The licence is what it is loaded under: GPL, of the two it is offered under."""
        return cls(_load(name, instructions, ProgLoadOpts(), kind))

    @staticmethod
    def last_words(name: str, instructions: bytes) -> str:
        """What the verifier says at the end of its log of a program that it refuses; empty where it takes it."""
        log = ctypes.create_string_buffer(_LOG_SIZE)
        try:
            os.close(_load(name, instructions, ProgLoadOpts(log_level=1, log_size=_LOG_SIZE, log_buf=ctypes.addressof(log))))
        except OSError:
            lines = log.value.decode(errors="replace").strip().splitlines()
            return next((line for line in reversed(lines) if not line.startswith(_STATISTICS)), "")
        return ""

    @classmethod
    def open(cls, path: Path) -> "Program":
        """Open a pinned program."""
        return cls(_open(path))

    @classmethod
    def by_id(cls, number: int) -> "Program":
        """Open a program by the kernel's number of it."""
        return cls(_call("bpf_prog_get_fd_by_id", number))

    def _info(self) -> ProgInfo:
        info, size = ProgInfo(), ctypes.c_uint32(ctypes.sizeof(ProgInfo))
        _call("bpf_obj_get_info_by_fd", self.fd, ctypes.byref(info), ctypes.byref(size))
        return info

    def id(self) -> int:
        """The kernel's number of it."""
        return int(self._info().id)

    def name(self) -> str:
        """What its loader called it, at most 15 bytes of that."""
        return bytes(self._info().name).decode(errors="replace")

    def test_run(self, frame: bytes, room: int = 256) -> tuple[int, bytes]:
        """Run it once on a frame that comes in on this namespace's loopback; its verdict, and the frame as it left it.

        The kernel refuses frames shorter than an Ethernet header (EINVAL): no driver hands one to XDP. It takes none longer than a page
        with its margins, 3.5 kB. `room` is how much the answer may be longer than the frame.
        """
        out = ctypes.create_string_buffer(len(frame) + room)
        opts = self._run(frame, 1, out)
        return int(opts.retval), out.raw[: opts.data_size_out]

    def measure(self, frame: bytes, repeat: int) -> int:
        """Nanoseconds a run takes, by the kernel's own clock, as the mean of `repeat`. A program that changes the frame sees it changed."""
        return int(self._run(frame, repeat, None).duration)

    def feed(self, frame: bytes, repeat: int) -> None:
        """Run it on so many frames that go where it says, to a netdev of this namespace or into the stack, as from a driver."""
        context = ctypes.create_string_buffer(_XDP_MD.pack(0, len(frame), 0, 1, 0, 0))
        opts = TestRunOpts(
            sz=ctypes.sizeof(TestRunOpts),
            data_in=ctypes.cast(ctypes.c_char_p(frame), ctypes.c_void_p),
            data_size_in=len(frame),
            ctx_in=ctypes.addressof(context),
            ctx_size_in=_XDP_MD.size,
            repeat=repeat,
            flags=_LIVE_FRAMES,
        )
        _call("bpf_prog_test_run_opts", self.fd, ctypes.byref(opts))

    def _run(self, frame: bytes, repeat: int, out: "ctypes.Array[ctypes.c_char] | None") -> TestRunOpts:
        opts = TestRunOpts(
            sz=ctypes.sizeof(TestRunOpts),
            data_in=ctypes.cast(ctypes.c_char_p(frame), ctypes.c_void_p),
            data_size_in=len(frame),
            data_out=None if out is None else ctypes.cast(out, ctypes.c_void_p),
            data_size_out=0 if out is None else len(out),
            repeat=repeat,
        )
        _call("bpf_prog_test_run_opts", self.fd, ctypes.byref(opts))
        return opts


class Link(Descriptor):
    """A program attached to a netdev. It stays attached as long as the link lives, and nothing but the link can take its place."""

    @classmethod
    def attach(cls, program: Program, ifindex: int, flags: int) -> "Link":
        """Attach to a netdev. EBUSY or EEXIST: another program is there."""
        opts = LinkCreateOpts(sz=ctypes.sizeof(LinkCreateOpts), flags=flags)
        return cls(_call("bpf_link_create", program.fd, ifindex, BPF_XDP, ctypes.byref(opts)))

    @classmethod
    def open(cls, path: Path) -> "Link":
        """Open a pinned link."""
        return cls(_open(path))

    def facts(self) -> tuple[int, int]:
        """(program id, ifindex); the ifindex is 0 once the netdev is gone."""
        info, size = LinkInfo(), ctypes.c_uint32(ctypes.sizeof(LinkInfo))
        _call("bpf_obj_get_info_by_fd", self.fd, ctypes.byref(info), ctypes.byref(size))
        return int(info.prog_id), int(info.ifindex)

    def update(self, program: Program) -> None:
        """Replace its program, in one step between two frames."""
        _call("bpf_link_update", self.fd, program.fd, None)

    def detach(self) -> None:
        """Take the program off its netdev, at once. A link that merely loses its last name is let go some time later."""
        _call("bpf_link_detach", self.fd)


def program_on(ifindex: int, flags: int = 0) -> int:
    """The id of the XDP program attached to a netdev, whosever it is; 0 is none. With the flag of a mode, of the one in that mode."""
    number = ctypes.c_uint32()
    _call("bpf_xdp_query_id", ifindex, flags, ctypes.byref(number))
    return number.value
