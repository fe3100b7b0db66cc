"""The filter against the model: generated frames through the real program, until they disagree or the time is up.

    python -m tests.xdp.fuzz --seconds 60 --seed random --processes 2

Compared are the verdict, the counter that moved, that no other did, the answer's bytes, and that a frame which passes is left as it was. A
disagreement is printed with the port, the frame and both opinions, cut down to as few bytes as still show it, and ends the run with exit
code 1. `--define` and `--source` compile another filter than the shipped one: a rule broken on purpose must be found.
"""

import argparse
import ctypes
import multiprocessing
import os
import secrets
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import TypeAlias

from l3ctl.errors import FilterFailed
from l3ctl.xdp.abi import abi, source_dir
from l3ctl.xdp.counters import Counters
from l3ctl.xdp.loader import Bytecode, parse_bytecode
from l3ctl.xdp.program import create_maps, load_program
from l3ctl.xdp.structures import TestRunOpts
from l3ctl.xdp.tables import Tables
from tests.xdp.generators import SCENARIOS, Generator, Scenario
from tests.xdp.model import Judgement, Model

_VERDICTS = {1: "drop", 2: "pass", 3: "answer"}
_LOOPBACK = 1
_FOR_EVER = b"\xff" * 8
_ROUND = 1000
"""frames between two looks at every counter"""
_RATE_LIMIT = "rate-limit"

# The loader as the package runs it, but on sources from elsewhere.
_LOADER = (
    "import pathlib, sys; from l3ctl.xdp import loader; loader.source_dir = lambda: pathlib.Path(sys.argv[1]); loader.main(sys.argv[2:])"
)

Counts: TypeAlias = Counter[tuple[str, str]]
"""(port, reason) -> frames; the port is empty for frames of none"""


def compile_from(source: Path, *cflags: str) -> Bytecode:
    """Compile a filter in a process of its own, as the package does. Raises `FilterFailed` with all that the compiler said."""
    child = subprocess.run(
        [sys.executable, "-c", _LOADER, str(source), *cflags],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "BCC_KERNEL_SOURCE": str(source / "headers")},
    )
    if child.returncode != 0:
        raise FilterFailed(f"the filter in {source} does not compile:\n{child.stderr}")
    return parse_bytecode(child.stdout)


class Filter:
    """The real program with the ports of one scenario after another in its maps. Its buffers are made once: a run costs microseconds."""

    _room = 4096

    def __init__(self, bytecode: Bytecode) -> None:
        self._maps = create_maps(bytecode)
        self._program = load_program(bytecode, self._maps)
        self._tables = Tables(self._maps)
        chunk = Counters(self._maps["counters"]).chunk(0)
        assert chunk is not None
        self._counters = chunk
        library = ctypes.CDLL("libbpf.so.1", use_errno=True)
        self._test_run, self._look_up = library.bpf_prog_test_run_opts, library.bpf_map_lookup_elem
        self._in, self._out = ctypes.create_string_buffer(self._room), ctypes.create_string_buffer(self._room)
        self._value = (ctypes.c_uint64 * (self._counters.room // 8))()
        size = ctypes.sizeof(TestRunOpts)
        self._opts = TestRunOpts(sz=size, data_in=ctypes.addressof(self._in), data_out=ctypes.addressof(self._out), repeat=1)
        self._by_reference = ctypes.byref(self._opts)
        self._keys: dict[str, bytes] = {}
        self._numbers = {reason.name: reason.number for reason in abi().reasons}
        self._stride = abi().numbers["REASON_STRIDE"]

    def guard(self, scenario: Scenario) -> None:
        """Guard a scenario's ports, and no others."""
        for port in self._tables.ports():
            self._tables.remove(port)
        for policy in scenario.policies:
            self._tables.put(policy, _LOOPBACK)
        indexes = {"": 0} | {policy.port: self._tables.index(policy.port) for policy in scenario.policies}
        self._keys = {port: index.to_bytes(4, "little") for port, index in indexes.items()}
        until = _FOR_EVER if scenario.asked else bytes(8)
        for key in self._keys.values():
            self._maps["asked"].update(key, until)

    def run(self, frame: bytes) -> tuple[str, bytes]:
        """(verdict, the frame as the program left it)."""
        opts, size = self._opts, len(frame)
        ctypes.memmove(self._in, frame, size)
        opts.data_size_in, opts.data_size_out = size, self._room
        result = self._test_run(self._program.fd, self._by_reference)
        if result < 0:
            raise OSError(-result, f"{os.strerror(-result)}: a frame of {size} bytes")
        return _VERDICTS.get(opts.retval, f"action {opts.retval}"), ctypes.string_at(self._out, opts.data_size_out)

    def counted(self, port: str, reason: str) -> int:
        """One counter."""
        self._look_up(self._counters.fd, self._keys[port], self._value)
        return sum(self._value[self._numbers[reason] :: self._stride])

    def counts(self) -> Counts:
        """Every counter of this scenario that is not zero, that of no reason included."""
        cells = {(port, reason): self.counted(port, reason) for port in self._keys for reason in self._numbers}
        return Counter({cell: count for cell, count in cells.items() if count})


@dataclass(frozen=True, slots=True)
class Disagreement:
    """Two opinions of one frame."""

    scenario: Scenario
    frame: bytes
    expected: Judgement
    got: str
    found_as: bytes = b""
    after: int = 0

    def __str__(self) -> str:
        answer = f", answer {self.expected.answer.hex()}" if self.expected.answer is not None else ""
        return (
            f"DISAGREEMENT after {self.after} frames, scenario {self.scenario.name!r}\n"
            + "".join(f"  policy   {policy!r}\n" for policy in self.scenario.policies)
            + f"  found as {self.found_as.hex()}\n"
            + f"  frame    {self.frame.hex()}\n"
            + f"  model    {self.expected.verdict} {self.expected.reason!r}{answer}\n"
            + f"  filter   {self.got}"
        )


@dataclass
class Tally:
    """What a run has seen: judgements by (scenario, verdict, reason), and where the two disagreed."""

    frames: int = 0
    met: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    disagreements: list[Disagreement] = field(default_factory=list)

    def add(self, other: "Tally") -> None:
        """Take in what another run has seen."""
        self.frames += other.frames
        self.met.update(other.met)
        self.disagreements += other.disagreements

    def reasons(self) -> Counter[str]:
        """Frames by reason."""
        counts: Counter[str] = Counter()
        for (_, _, reason), count in self.met.items():
            counts[reason] += count
        return counts


class Duel:
    """One scenario's filter and model, and the frames that they are asked about."""

    def __init__(self, scenario: Scenario, real: Filter) -> None:
        self.scenario = scenario
        self.filter = real
        real.guard(scenario)
        self._model = Model(*scenario.policies, asked=scenario.asked)
        self._without_pass = Model(
            *(replace(policy, router_solicitations_pass=False) for policy in scenario.policies), asked=scenario.asked
        )

    def expect(self, frame: bytes) -> Judgement:
        """The model's opinion."""
        return self._model.judge(frame)

    def _may_be_limited(self, frame: bytes, expected: Judgement) -> bool:
        """Whether this frame would have to be paid for from the budget: an answer, or a router solicitation that passes."""
        return expected.verdict == "answer" or (expected == ("pass", "", None) and self._without_pass.judge(frame).reason == "rs")

    def differs(self, frame: bytes) -> tuple[Judgement, str] | None:
        """Run one frame and look at everything; what was expected and what came, if they are not the same."""
        expected = self.expect(frame)
        before = self.filter.counts()
        verdict, out = self.filter.run(frame)
        moved = self.filter.counts()
        moved.subtract(before)
        moved = Counter({cell: count for cell, count in moved.items() if count})
        if self.scenario.starved and self._may_be_limited(frame, expected) and verdict == "drop":
            expected = Judgement("drop", _RATE_LIMIT)
        agreed = (
            verdict == expected.verdict
            and moved == ({(self._model.port(frame), expected.reason): 1} if expected.reason else {})
            and (verdict == "drop" or out == (frame if expected.answer is None else expected.answer))
        )
        if agreed:
            return None
        counted = ", ".join(f"{reason!r} of {port!r} {count:+d}" for (port, reason), count in moved.items()) or "nothing"
        changed = "" if out == frame else f", left {out.hex()}"
        return expected, f"{verdict}, counted {counted}{changed if verdict != 'drop' else ''}"

    def shrink(self, frame: bytes, alike: Callable[[Judgement, str], bool]) -> bytes:
        """As short and as empty a frame as still shows the same."""

        def shows(candidate: bytes) -> bool:
            if len(candidate) < 14:
                return False
            found = self.differs(candidate)
            return found is not None and alike(*found)

        shrunk = True
        while shrunk:
            shrunk = False
            for size in (256, 64, 16, 8, 4, 2, 1):
                at = len(frame)
                while at > 0:
                    at = max(0, at - size)
                    for candidate in (frame[:at] + frame[at + size :], frame[:at] + bytes(len(frame[at : at + size])) + frame[at + size :]):
                        if candidate != frame and shows(candidate):
                            frame, shrunk = candidate, True
                            break
        return frame

    def _found(self, frame: bytes, after: int) -> Disagreement | None:
        found = self.differs(frame)
        if found is None:
            return None
        expected, got = found
        verdict = got.partition(", left")[0]
        small = self.shrink(frame, lambda other, told: other[:2] == expected[:2] and told.partition(", left")[0] == verdict)
        told = self.differs(small)
        assert told is not None
        return Disagreement(self.scenario, small, *told, found_as=frame, after=after)

    def run(self, random: Random, count: int) -> Tally:
        """Ask both about `count` generated frames, or fewer where they disagree.

        A frame's verdict, bytes and own counter are compared at once; that no other counter moved is seen at the end of each round, and
        where one did, the round's frames are run again one by one.
        """
        tally = Tally()
        generate, expect, port_of = Generator(self.scenario.policies, random).frame, self._model.judge, self._model.port
        run, counted = self.filter.run, self.filter.counted
        starved = self.scenario.starved
        while tally.frames < count and not tally.disagreements:
            frames = []
            counts = self.filter.counts()
            for _ in range(min(_ROUND, count - tally.frames)):
                frame = generate()
                frames.append(frame)
                expected = expect(frame)
                verdict, out = run(frame)
                if starved and verdict == "drop" and self._may_be_limited(frame, expected):
                    expected = Judgement("drop", _RATE_LIMIT)
                wanted_verdict, reason, answer = expected
                agreed = verdict == wanted_verdict and (verdict == "drop" or out == (frame if answer is None else answer))
                if reason:
                    cell = port_of(frame), reason
                    counts[cell] += 1
                    agreed = agreed and counted(*cell) == counts[cell]
                tally.met[self.scenario.name, wanted_verdict, reason] += 1
                if not agreed:
                    break
            tally.frames += len(frames)
            if not agreed or self.filter.counts() != counts:
                suspects = frames if agreed else frames[-1:]
                first = next((found for frame in suspects if (found := self._found(frame, tally.frames))), None)
                tally.disagreements.append(first or self._unrepeated(frames[-1], tally.frames))
        return tally

    def _unrepeated(self, frame: bytes, after: int) -> Disagreement:
        return Disagreement(self.scenario, frame, self.expect(frame), "another opinion, which it did not repeat", frame, after)


class Arena:
    """The two programs, and every scenario in turn."""

    def __init__(self, plain: Bytecode, guard: Bytecode) -> None:
        self._plain, self._guard = Filter(plain), Filter(guard)

    def run(self, seed: str, number: int, count: int) -> Tally:
        """The part `number` of a run: `count` frames of one scenario. The same seed and number make the same frames."""
        scenario = SCENARIOS[number % len(SCENARIOS)]
        return Duel(scenario, self._guard if scenario.guard_compiled else self._plain).run(Random(f"{seed}/{number}"), count)


def compile_both(source: Path, *cflags: str) -> tuple[Bytecode, Bytecode]:
    """The filter without and with the source guard."""
    return compile_from(source, *cflags), compile_from(source, "-DSOURCE_GUARD", *cflags)


_PART = 5000


def _work(plain: Bytecode, guard: Bytecode, seed: str, seconds: float, tallies: "multiprocessing.Queue[Tally | None]") -> None:
    try:
        arena, until, number = Arena(plain, guard), time.monotonic() + seconds, 0
        while time.monotonic() < until:
            tally = arena.run(seed, number, _PART)
            tallies.put(tally)
            number += 1
            if tally.disagreements:
                break
    finally:
        tallies.put(None)


def _coverage(tally: Tally) -> str:
    counts = tally.reasons()
    lines = [f"  {reason.name or '(ordinary traffic)':20} {counts[reason.name]:12,}" for reason in abi().reasons]
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Run, and tell. 0: they agreed; 1: they did not."""
    parser = argparse.ArgumentParser(prog="python -m tests.xdp.fuzz", description="the filter against the model of its contract")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--seed", default="random", help="any text; what a run prints makes the same frames again")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--define", action="append", default=[], metavar="SYMBOL", help="compile the filter with -D SYMBOL")
    parser.add_argument(
        "--source", type=Path, default=source_dir(), metavar="DIRECTORY", help="the filter's sources (default: the shipped ones)"
    )
    options = parser.parse_args(argv)
    seed = secrets.token_hex(4) if options.seed == "random" else options.seed
    print(f"seed {seed}", flush=True)
    plain, guard = compile_both(options.source, *(f"-D{symbol}" for symbol in options.define))

    context = multiprocessing.get_context("fork")
    tallies: multiprocessing.Queue[Tally | None] = context.Queue()
    names = [
        seed if number == 0 else f"{seed}+{number}" for number in range(options.processes)
    ]  # a worker's frames again: its name as the seed
    workers = [context.Process(target=_work, args=(plain, guard, name, options.seconds, tallies)) for name in names]
    began = told = time.monotonic()
    for worker in workers:
        worker.start()
    total, working = Tally(), len(workers)
    while working:
        tally = tallies.get()
        if tally is None:
            working -= 1
            continue
        total.add(tally)
        for disagreement in tally.disagreements:
            print(disagreement, flush=True)
        if time.monotonic() - told > 10:
            told = time.monotonic()
            print(f"{told - began:6.0f} s  {total.frames:13,} frames  {len(total.disagreements)} disagreements", flush=True)
    for worker in workers:
        worker.join()
    spent = time.monotonic() - began
    print(_coverage(total))
    print(
        f"{total.frames:,} frames in {spent:.1f} s ({total.frames / spent:,.0f}/s), {len(total.disagreements)} disagreements, seed {seed}"
    )
    failed = any(worker.exitcode for worker in workers)
    return 1 if total.disagreements or failed or not total.frames else 0


if __name__ == "__main__":
    sys.exit(main())
