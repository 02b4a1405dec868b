"""A real asv project for the site's tests: git commits, and a store written by asv itself.

The figures are drawn from a seeded generator; they stand for no machine.
"""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from asv.results import Results
from asv.runner import BenchmarkResult
from asv.util import write_json

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "unfused-float-nchw-eager"
REGRESSED = "fx-float-nchw-torchscript"
"""Takes half as much memory again from the fourth commit on."""
LATE = "unfused-int8_qnnpack-nchw-eager"
"""Has no latency at the first commit."""
SPEEDS = {
    BASELINE: 1.0,
    "fx-float-nchw-eager": 1.24,
    "unfused-float-nhwc-eager": 1.005,
    "fx-float-nhwc-mobile": 1.71,
    "fx-float-nchw-torchscript": 1.32,
    "unfused-float-nchw-lite": 0.87,
    "unfused-int8_qnnpack-nchw-eager": 1.46,
    "fused-int8_x86-nhwc-torchscript": 2.68,
    "fx-int8_qnnpack-nhwc-mobile": 2.31,
}
MODELS = {"annotated_conv_bn_relu": 0.0042, "mobilenet_v2": 0.0284, "resnet18": 0.0713}
UNITS = {
    "latency.time_forward": "seconds",
    "memory.peakmem_forward": "bytes",
    "size.track_artifact": "bytes",
    "fidelity.track_noise": "unit",
    "fidelity.track_top1_disagreement": "unit",
}


@dataclass
class Project:
    """A folder with asv.conf.json, a git repository and results; commits are oldest first."""

    folder: Path
    commits: list[str] = field(default_factory=list)

    @property
    def html(self) -> Path:
        return self.folder / ".asv" / "html"

    def run(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        """`python -m <arguments>` in the project, with mobileopt importable."""
        return subprocess.run(
            [sys.executable, "-m", *arguments],
            cwd=self.folder,
            env={**os.environ, "PYTHONPATH": str(ROOT), **env},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )


def build(
    folder: Path,
    machines: tuple[str, ...] = ("bench-01", "pixel-4a"),
    models: dict[str, float] | None = None,
    plugins: tuple[str, ...] = (".mobileopt.asv_plugin",),
    extra: str | None = None,
    commits: int = 6,
) -> Project:
    """A project of some commits, measured on every machine but for the gaps real stores have.

    `extra` is the name of one more parameter, which only the first machine has.
    """
    project = Project(folder)
    folder.mkdir(parents=True, exist_ok=True)
    _write_conf(folder, plugins)
    project.commits = _commits(folder, commits)
    benchmarks = _benchmarks(list(models or MODELS))
    write_json(str(folder / "results" / "benchmarks.json"), benchmarks, 2)
    for position, machine in enumerate(machines):
        params = {extra: "1"} if extra and position == 0 else {}
        _measure(project, (position, machine, params), benchmarks, models or MODELS)
    return project


def doubt(
    project: Project, number: int, variant: tuple[str, str], verdict: str, reasons: list[str]
) -> None:
    """Say in the first machine's side-car that the latency of a commit is suspect or invalid."""
    commit = project.commits[number]
    (path,) = (project.folder / "results" / "machine-0").glob(f"{commit[:8]}-*.json")
    stored = json.loads(path.read_text())
    started = stored["results"]["latency.time_forward"][
        stored["result_columns"].index("started_at")
    ]
    context = {"validity": {"verdict": verdict, "reasons": reasons}}
    if verdict == "invalid":
        context |= {"samples": [0.08, 0.09, 0.1]}
    record = {
        "kind": "run",
        "run": f"{verdict}-{number}",
        "benchmark": "latency.time_forward",
        "version": "1",
        "combination": [repr(name) for name in variant],
        "started_at": started,
        "reason": None,
        "context": context,
    }
    with path.with_suffix(".jsonl").open("a") as file:
        file.write(json.dumps(record) + "\n")


def _write_conf(folder: Path, plugins: tuple[str, ...]) -> None:
    conf = {
        "version": 1,
        "project": "mobileopt",
        "project_url": "https://example.org/mobileopt",
        "show_commit_url": "https://example.org/mobileopt/commit/",
        "repo": ".",
        "branches": ["main"],
        "html_dir": ".asv/html",
        "results_dir": "results",
        "benchmark_dir": "benchmarks",
        "plugins": list(plugins),
    }
    (folder / "asv.conf.json").write_text(json.dumps(conf))


def _commits(folder: Path, count: int) -> list[str]:
    git(folder, "init", "-q", "-b", "main")
    for number in range(count):
        when = (datetime(2026, 1, 1, 12, tzinfo=UTC) + timedelta(days=number)).isoformat()
        (folder / "work.txt").write_text(str(number))
        git(folder, "add", "work.txt")
        dated = {"GIT_AUTHOR_DATE": when, "GIT_COMMITTER_DATE": when}
        git(folder, "commit", "-q", "-m", f"work {number}", **dated)
    git(folder, "tag", "v0.1", "HEAD~3")
    return git(folder, "rev-list", "--reverse", "HEAD").split()


def git(folder: Path, *arguments: str, **env: str) -> str:
    """Run git there as a fixed author."""
    who = ["-c", "user.name=Test", "-c", "user.email=test@example.org"]
    command = ["git", *who, *arguments]
    environment = {**os.environ, **env}
    done = subprocess.run(
        command, cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout


def _benchmarks(models: list[str]) -> dict[str, dict[str, object]]:
    params = [[repr(model) for model in models], [repr(recipe) for recipe in SPEEDS]]
    return {
        name: {
            "name": name,
            "code": f"def {name.rpartition('.')[2]}(self, model, recipe): ...",
            "params": params,
            "param_names": ["model", "recipe"],
            "timeout": 60.0,
            "type": "time" if unit == "seconds" else "track",
            "unit": unit,
            "version": "1",
        }
        for name, unit in UNITS.items()
    }


def _measure(
    project: Project,
    where: tuple[int, str, dict[str, str]],
    benchmarks: dict[str, dict[str, object]],
    models: dict[str, float],
) -> None:
    position, machine, params = where
    facts = {"os": "Linux 6.1", "arch": "x86_64", "cpu": "a CPU", "num_cpu": "2", "ram": "8 GB"}
    folder = f"machine-{position}"
    described = {"machine": folder, **facts} | {"machine": machine}
    write_json(str(project.folder / "results" / folder / "machine.json"), described, 1)
    # The second machine never saw the newest commit.
    for number, commit in enumerate(project.commits[: len(project.commits) - position]):
        generator = random.Random(f"{position} {number}")
        results = Results(
            {**described, "python": "3.11", "torch": "2.12.1", **params},
            {"torch": "2.12.1"},
            commit,
            1767268800000 + number * 86400000,
            "3.11",
            "existing-py3.11-torch2.12.1",
            {"OMP_NUM_THREADS": "1"},
        )
        for name, benchmark in benchmarks.items():
            values = [
                _value(name, models[model], recipe, position, number, generator)
                for model, recipe in itertools.product(models, SPEEDS)
            ]
            results.add_result(benchmark, _result(values), record_samples=True)
        # asv names the folder after the machine; a hostile name would not survive as one.
        results._filename = f"{folder}/{commit[:8]}-existing-py3.11-torch2.12.1.json"
        results.save(str(project.folder / "results"))


def _value(  # noqa: PLR0911  one line for each metric reads best
    name: str, seconds: float, recipe: str, position: int, number: int, generator: random.Random
) -> list[float]:
    int8 = "int8" in recipe
    if recipe.endswith("-lite") and seconds < 0.01:
        return [float("nan")]  # this combination does not exist
    if name == "latency.time_forward":
        if number == 5 and recipe == "fx-float-nhwc-mobile":
            return [float("nan")]  # a gap at the newest commit: the one before it counts
        if number == 0 and recipe == LATE:
            return [float("nan")]
        centre = seconds / SPEEDS[recipe] * (1 + 1.9 * position)
        return [centre * generator.lognormvariate(0, 0.015) for _ in range(40)]
    if name == "size.track_artifact":
        return [seconds * 5e8 * (0.26 if int8 else 1.0)]
    if name == "memory.peakmem_forward":
        grown = 1.5 if recipe == REGRESSED and number >= 3 else 1.0
        return [(3.1e8 + seconds * 1.1e9 * (0.5 if int8 else 1.0)) * grown]
    if name == "fidelity.track_noise":
        return [0.021 if int8 else 0.0 if recipe == BASELINE else 3e-7]
    return [0.015625 if int8 else 0.0]


def _result(values: list[list[float]]) -> BenchmarkResult:
    timed = any(len(value) > 1 for value in values)
    return BenchmarkResult(
        result=[value[0] for value in values],
        samples=[value if len(value) > 1 else None for value in values],
        number=[1 if timed and len(value) > 1 else None for value in values],
        errcode=0,
        stderr="",
        profile=None,
    )
