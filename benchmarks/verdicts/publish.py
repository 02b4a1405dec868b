"""How long publishing a large store takes: asv's own publish, and tools.publish.

    python -m benchmarks.verdicts publish
    python -m benchmarks.verdicts publish --commits 1000 --series 50 --new 10 --json

A synthetic store in a git repository of its own: a result file a commit, values with noise and
a step every few hundred commits. `asv` is `asv publish` without our plugin; `cold` is
tools.publish with neither caches nor an old site, `nothing new` the same again, and `new` after
that many result files were added. Memory is the peak of the largest process.
"""

from __future__ import annotations

import argparse
import hashlib
import itertools
import json
import math
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mobileopt.asv_plugin import vendor

ROOT = Path(__file__).resolve().parents[2]
COMBINATIONS = 10
"""Parameter combinations a benchmark: two models, five recipes."""
_MODELS = [repr("mobilenet_v2"), repr("resnet18")]
_RECIPES = [
    repr(name)
    for name in (
        "unfused-float-nchw-eager",
        "fx-float-nchw-eager",
        "fx-float-nhwc-mobile",
        "fx-int8_qnnpack-nhwc-mobile",
        "fused-int8_x86-nhwc-torchscript",
    )
]
_NOISE, _STEP, _STEP_EVERY = 0.015, 0.06, 400
_MACHINE = {
    "machine": "bench", "os": "Linux", "arch": "x86_64", "cpu": "", "num_cpu": "2", "ram": "",
}  # fmt: skip
_COLUMNS = [
    "result", "params", "version", "started_at", "duration", "stats_ci_99_a", "stats_ci_99_b",
    "stats_q_25", "stats_q_75", "stats_number", "stats_repeat",
]  # fmt: skip


@dataclass(frozen=True)
class Figures:
    """Seconds by the clock and of all its processes' CPU, and peak memory (bytes)."""

    what: str
    seconds: float
    cpu: float
    memory: int


def main(argv: list[str] | None = None) -> int:
    """Measure and print; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.verdicts publish",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--commits", type=int, default=5000)
    parser.add_argument("--series", type=int, default=50, help="a multiple of 10")
    parser.add_argument("--new", type=int, default=10, help="result files added at the end")
    parser.add_argument("--no-asv", dest="asv", action="store_false", help="only ours")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args(argv)
    if arguments.series % COMBINATIONS or arguments.series < 1:
        parser.error(f"--series {arguments.series} is not a multiple of {COMBINATIONS}")
    with tempfile.TemporaryDirectory(prefix="publish-scale-") as folder:
        _take_third_parties(Path(folder) / "cache")
        found = list(_measure(Path(folder), arguments))
    if arguments.json:
        print(json.dumps([asdict(each) for each in found], indent=2))
    else:
        print(_table(found, arguments))
    return 0


def _measure(folder: Path, arguments: argparse.Namespace) -> Iterator[Figures]:
    lab = folder / "lab"
    commits = _repository(lab, arguments.commits)
    write = _writer(lab, arguments.series, commits)
    for number in range(arguments.commits - arguments.new):
        write(number)
    if arguments.asv:
        yield _run("asv", lab, "-m", "asv", "--config", "plain.conf.json", "publish")
    ours = ("-m", "tools.publish")
    yield _run("ours, cold", lab, *ours)
    yield _run("ours, nothing new", lab, *ours)
    for number in range(arguments.commits - arguments.new, arguments.commits):
        write(number)
    yield _run(f"ours, {arguments.new} files new", lab, *ours)


def _take_third_parties(cache: Path) -> None:
    """The verified npm archives alone: the store's cache has to be cold, npm is not measured."""
    archives = vendor.obtain(vendor.locked())
    (cache / "mobileopt" / "npm").mkdir(parents=True)
    for archive in archives.values():
        shutil.copy(archive, cache / "mobileopt" / "npm")


def _run(what: str, lab: Path, *command: str) -> Figures:
    """Run Python in the lab, as a child of a child, so that its peak is its own."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        started = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command],
            cwd=lab,
            env=os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(lab.parent / "cache")},
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        found = [seconds, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024]
        error = (done.stderr + done.stdout)[-2000:] if done.returncode else ""
        with os.fdopen(writing, "w") as pipe:
            json.dump([found, error], pipe)
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        found, error = json.load(pipe)
    os.waitpid(child, 0)
    if error:
        raise SystemExit(f"{what} failed: {error}")
    return Figures(what, *found)


def _repository(lab: Path, count: int) -> list[str]:
    """A git repository of `count` commits in a line; returns them, oldest first."""
    lab.mkdir()
    subprocess.run(["git", "init", "-q", "-b", "main", str(lab)], check=True)
    who = "Bench <bench@example.org>"
    stream = "".join(
        f"commit refs/heads/main\ncommitter {who} {1_700_000_000 + number * 3600} +0000\n"
        f"data <<.\ncommit {number}\n.\n"
        for number in range(count)
    )
    command = ["git", "-C", str(lab), "fast-import", "--quiet"]
    subprocess.run(command, input=stream, text=True, check=True)
    for name, plugins in (("asv", [".mobileopt.asv_plugin"]), ("plain", [])):
        conf = {
            "version": 1, "project": "bench", "repo": ".", "branches": ["main"],
            "html_dir": f".asv/{name}", "results_dir": "results", "plugins": plugins,
        }  # fmt: skip
        (lab / f"{name}.conf.json").write_text(json.dumps(conf))
    listed = ["git", "-C", str(lab), "rev-list", "--reverse", "main"]
    return subprocess.run(listed, capture_output=True, text=True, check=True).stdout.split()


def _writer(lab: Path, series: int, commits: list[str]) -> Any:
    """A function that writes the result file of a commit's number."""
    folder = lab / "results" / "bench"
    folder.mkdir(parents=True)
    names = [f"suite.track_{number}" for number in range(series // COMBINATIONS)]
    _dump(folder / "machine.json", _MACHINE | {"version": 1})
    _dump(lab / "results" / "benchmarks.json", _benchmarks(names) | {"version": 2})

    def write(number: int) -> None:
        rng = random.Random(number)  # noqa: S311 - made-up values, the same each time
        _dump(
            folder / f"{commits[number][:8]}-py3.11.json",
            {
                "commit_hash": commits[number],
                "env_name": "py3.11",
                "date": (1_700_000_000 + number * 3600) * 1000,
                "params": _MACHINE | {"python": "3.11"},
                "python": "3.11",
                "requirements": {},
                "env_vars": {},
                "durations": {},
                "result_columns": _COLUMNS,
                "results": {name: _row(name, number, rng) for name in names},
                "version": 2,
            },
        )

    return write


def _benchmarks(names: list[str]) -> dict[str, Any]:
    return {
        name: {
            "name": name, "version": "1", "unit": "seconds", "type": "track", "code": "",
            "timeout": 0, "params": [_MODELS, _RECIPES], "param_names": ["model", "recipe"],
        }
        for name in names
    }  # fmt: skip


def _row(name: str, number: int, rng: random.Random) -> list[Any]:
    values: list[float] = []
    for combination in itertools.product(_MODELS, _RECIPES):
        seed = hashlib.sha256(f"{name}{combination}".encode()).digest()
        # Every series has steps of its own, up and down.
        phase, level = seed[0], 0.01 * (1 + seed[1] / 64)
        steps = (number + phase) // _STEP_EVERY
        signs = sum(1 if seed[2 + step % 20] % 2 else -1 for step in range(steps))
        values.append(level * math.exp(_STEP * signs + rng.gauss(0, _NOISE)))
    low, high = ([value * by for value in values] for by in (0.98, 1.02))
    ones = [1] * len(values)
    started = (1_700_000_000 + number * 3600) * 1000
    return [
        values, [_MODELS, _RECIPES], "1", started, 1.0, low, high, low, high, ones,
        [10] * len(values),
    ]  # fmt: skip


def _dump(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))


def _table(found: list[Figures], arguments: argparse.Namespace) -> str:
    lines = [
        f"{arguments.commits} commits x {arguments.series} series; {platform.machine()}, "
        f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}, "
        f"Python {platform.python_version()}",
        "",
        "| publish | seconds | CPU seconds | peak memory |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {f.what} | {f.seconds:.1f} | {f.cpu:.1f} | {f.memory / 1e6:.0f} MB |" for f in found
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
