"""Pairs of samples from two real processes, one of them slower by an exactly known amount.

Each process runs a CPU kernel on request: `count` updates of a hash with 4 KiB, timed by itself
with a wall and a CPU clock. A slowdown of 2 % is 2 % more updates.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

COUNT = 1000
"""Updates of the baseline: 1 % is 10 of them, and a sample takes some milliseconds."""

SLOWDOWNS = (0.0, 0.01, 0.02, 0.05)


class Pair(NamedTuple):
    """A sample of each side taken next to each other, in seconds on both clocks."""

    slowdown: float
    wall_a: float
    cpu_a: float
    wall_b: float
    cpu_b: float
    first: str


def serve() -> None:
    """Answer each count on standard input with the two times of that many updates."""
    block = bytes(range(256)) * 16
    for line in sys.stdin:
        count, state = int(line), hashlib.blake2b()
        wall, cpu = time.perf_counter_ns(), time.process_time_ns()
        for _ in range(count):
            state.update(block)
        cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
        print(wall, cpu, flush=True)


@contextmanager
def worker() -> Iterator[subprocess.Popen[str]]:
    """A fresh process that serves, ended on exit."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from benchmarks.verdicts.pairs import serve; serve()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def neighbours(count: int) -> Iterator[None]:
    """`count` processes that never rest."""
    loop = "import hashlib\nwhile True: hashlib.sha256(bytes(100_000))"
    processes = [subprocess.Popen([sys.executable, "-c", loop]) for _ in range(count)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def launch(seconds: float, rng: random.Random, *, pin: bool = True) -> list[Pair]:
    """Fresh processes, and about `seconds` of measured work for each slowdown, interleaved.

    Which slowdown is next and which side goes first is drawn anew for each pair; both processes
    are pinned to one core, drawn too, unless `pin` is off.
    """
    with worker() as a, worker() as b:
        workers = {"a": a, "b": b}
        if pin:
            core = rng.choice(sorted(os.sched_getaffinity(0)))
            for process in workers.values():
                os.sched_setaffinity(process.pid, {core})
        for process in (a, b, a, b):
            _take(process, COUNT)
        return list(_pairs(workers, dict.fromkeys(SLOWDOWNS, seconds), rng))


def write(file: Path, launches: Sequence[Sequence[Pair]]) -> None:
    """All pairs as JSON, one launch a line."""
    file.write_text("".join(json.dumps(each) + "\n" for each in launches), encoding="utf-8")


def read(file: Path) -> list[list[Pair]]:
    """What `write` wrote."""
    lines = file.read_text(encoding="utf-8").splitlines()
    return [[Pair(*fields) for fields in json.loads(line)] for line in lines]


def _pairs(
    workers: dict[str, subprocess.Popen[str]], left: dict[float, float], rng: random.Random
) -> Iterator[Pair]:
    while left:
        slowdown = rng.choice(list(left))
        counts = {"a": COUNT, "b": round(COUNT * (1 + slowdown))}
        order = rng.sample("ab", 2)
        taken = {side: _take(workers[side], counts[side]) for side in order}
        yield Pair(slowdown, *taken["a"], *taken["b"], order[0])
        left[slowdown] -= taken["a"][0] + taken["b"][0]
        if left[slowdown] <= 0:
            del left[slowdown]


def _take(process: subprocess.Popen[str], count: int) -> tuple[float, float]:
    """Wall and CPU seconds of `count` updates in a serving process."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(f"{count}\n")
    process.stdin.flush()
    wall, cpu = process.stdout.readline().split()
    return int(wall) / 1e9, int(cpu) / 1e9
