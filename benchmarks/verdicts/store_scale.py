"""How long a large store takes to read, to check and to add to.

    python benchmarks/verdicts/store_scale.py                       # both shapes below
    python benchmarks/verdicts/store_scale.py --files 300 --combinations 500 --json

Two synthetic stores in asv's format: 1,433 files of 3,258 parameter combinations with
statistics, the size of a large public asv store, and 5,000 files of 200 combinations with ten
samples each. `cold` reads every file, `warm` finds them all in the cache, `changed` finds one
of them changed; `asv` is asv's own reading of the same files, for comparison.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import random
import resource
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from mobileopt.store import Benchmark, Entry, Environment, Store

PER_BENCHMARK = 16
BODIES = 8
"""Different contents; more would take minutes to make and read no differently."""
MACHINE = {"machine": "host", "os": "", "arch": "x86_64", "cpu": "", "num_cpu": "2", "ram": ""}


@dataclass(frozen=True)
class Shape:
    """Files, combinations a file, samples a combination (0: statistics only)."""

    files: int
    combinations: int
    samples: int


SHAPES = (Shape(1433, 3258, 0), Shape(5000, 200, 10))


@dataclass(frozen=True)
class Figures:
    """Seconds, bytes and counts of one store."""

    shape: Shape
    cells: int
    bytes: int
    cold: float
    warm: float
    changed: float
    verify: float
    add: float
    asv: float
    peak_memory: int


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--files", type=int, help="measure one store of this many files")
    parser.add_argument("--combinations", type=int, default=200)
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    shapes = SHAPES
    if arguments.files:
        shapes = (Shape(arguments.files, arguments.combinations, arguments.samples),)
    found = [_apart(shape) for shape in shapes]
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print(_table(found))
    return 0


def measure(shape: Shape) -> Figures:
    """Make a store of this shape and time what is done to it."""
    with tempfile.TemporaryDirectory(prefix="store-scale-") as folder:
        os.environ["XDG_CACHE_HOME"] = str(Path(folder) / "cache")
        store = Store(Path(folder) / "results")
        size = _fill(store, shape)
        cold, frame = _timed(store.frame)
        warm = statistics.median(_timed(store.frame)[0] for _ in range(3))
        added, _ = _timed(lambda: store.add(_entry(0)))
        changed, _ = _timed(store.frame)
        more = statistics.median(_timed(lambda n=n: store.add(_entry(n)))[0] for n in range(1, 6))
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        verify, problems = _timed(store.verify)
        assert not problems, problems[:3]
        assert added > 0
        asv, _ = _timed(lambda: _read_with_asv(store))
        cells = len(frame)
        return Figures(shape, cells, size, cold, warm, changed, verify, more, asv, peak)


def _apart(shape: Shape) -> Figures:
    """Measure in a child, so that one store's memory is not the next one's peak."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with os.fdopen(writing, "w") as pipe:
            json.dump(asdict(measure(shape)), pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        fields: dict[str, Any] = json.load(pipe)
    os.waitpid(child, 0)
    fields["shape"] = Shape(**fields["shape"])
    return Figures(**fields)


def _fill(store: Store, shape: Shape) -> int:
    names = list(_benchmarks(shape.combinations))
    store.save_machine(MACHINE)
    store.save_benchmarks({each.name: each.to_asv() for each in names})
    bodies = [json.dumps(_results(names, shape.samples, seed)) for seed in range(BODIES)]
    columns = json.dumps(COLUMNS)
    total = 0
    for number in range(shape.files):
        header = json.dumps(_header(number))[:-1]
        text = f'{header}, "result_columns": {columns}, "results": {bodies[number % BODIES]}}}'
        path = store.path / "host" / f"{_commit(number)[:8]}-py3.11.json"
        total += path.write_text(text)
    return total


COLUMNS = [
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat", "samples", "profile",
]  # fmt: skip


def _benchmarks(combinations: int) -> Iterator[Benchmark]:
    for number, start in enumerate(range(0, combinations, PER_BENCHMARK)):
        size = min(PER_BENCHMARK, combinations - start)
        values = tuple(f"model_{index}" for index in range(size))
        yield Benchmark(f"suite.track_{number}", "1", params=(values,), param_names=("model",))


def _results(benchmarks: list[Benchmark], samples: int, seed: int) -> dict[str, list[Any]]:
    rng = random.Random(seed)  # noqa: S311 - made-up values, the same each time
    rows: dict[str, list[Any]] = {}
    for benchmark in benchmarks:
        size = len(benchmark.params[0])
        value = [float(f"{rng.lognormvariate(-4, 1):.5g}") for _ in range(size)]
        low, high = ([float(f"{v * by:.5g}") for v in value] for by in (0.98, 1.02))
        taken = [[v] * samples for v in value] if samples else None
        axes = [list(axis) for axis in benchmark.axes]
        counts = [[1] * size, [10] * size]
        rows[benchmark.name] = [
            value, axes, "1", 1_700_000_000_000, 1.0, low, high, low, high, *counts, taken,
        ]  # fmt: skip
    return rows


def _header(number: int) -> dict[str, Any]:
    return {
        "commit_hash": _commit(number),
        "env_name": "py3.11",
        "date": 1_700_000_000_000 + number * 3_600_000,
        "params": MACHINE | {"python": "3.11"},
        "python": "3.11",
        "requirements": {},
        "env_vars": {},
        "durations": {},
        "version": 2,
    }


def _commit(number: int) -> str:
    return hashlib.sha1(str(number).encode(), usedforsecurity=False).hexdigest()


def _entry(number: int) -> Entry:
    return Entry(
        run=f"added-{number}",
        machine=MACHINE,
        commit=_commit(number),
        date=datetime.now(UTC),
        environment=Environment("py3.11", "3.11"),
        benchmark=Benchmark("added.track", "1"),
        started_at=datetime.now(UTC),
        samples=(1.0, 1.1, 1.2),
    )


def _read_with_asv(store: Store) -> int:
    from asv.results import iter_results

    return sum(1 for _ in iter_results(str(store.path)))


def _timed(work: Callable[[], Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = work()
    return time.perf_counter() - start, result


def _table(found: list[Figures]) -> str:
    lines = [f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"]
    lines.append(
        f"{'files':>6} {'cells':>10} {'MB':>6} {'cold s':>8} {'warm s':>8} {'changed s':>10} "
        f"{'verify s':>9} {'add s':>7} {'asv s':>7} {'peak MB':>8}"
    )
    lines += [
        f"{f.shape.files:>6} {f.cells:>10} {f.bytes / 1e6:>6.0f} {f.cold:>8.2f} {f.warm:>8.2f} "
        f"{f.changed:>10.2f} {f.verify:>9.2f} {f.add:>7.3f} {f.asv:>7.2f} "
        f"{f.peak_memory / 1e6:>8.0f}"
        for f in found
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
