"""The interleaved session of two commits on this host: of an artifact, or of a pass."""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

from mobileopt import commits, measure
from mobileopt.artifact import Artifact
from mobileopt.compare import compare
from mobileopt.effort import Look
from mobileopt.errors import MeasurementError
from mobileopt.gate.commits_compared import PASS_EXECUTION
from mobileopt.gate.finding import UNITS
from mobileopt.measure import Record, SessionPlan
from mobileopt.nightly import judgement
from mobileopt.nightly.config import Confirm
from mobileopt.nightly.exports import Exports
from mobileopt.nightly.jobs import Job
from mobileopt.nightly.judgement import IDENTICAL, Judgement
from mobileopt.runners.host import Program, Served
from mobileopt.store import files
from mobileopt.variant import Variant

BEFORE, AGAIN, AFTER = "before", "before, again", "after"

Session = Callable[[Artifact, Artifact, Job], Judgement]
"""Measures two artifacts next to each other on the job's machine."""


class TimeUpError(MeasurementError):
    """The night ended before the session did."""


def judge(job: Job, exports: Exports, threshold: float, session: Session) -> Judgement:
    """Export both commits of a job and compare them, measuring only what has to be measured."""
    variant = Variant.parse(job.variant)
    before, after = exports.get(job.good, variant), exports.get(job.commit, variant)
    values = [judgement.exact_metric(job.metric, each) for each in (before, after)]
    if values[0] is not None and values[1] is not None:
        return judgement.of_values(values[0], values[1], threshold, UNITS[job.metric])
    if before.sha256 == after.sha256:
        return IDENTICAL
    return session(before, after, job)


def on_host(plan: Confirm, raw: Path) -> Session:
    """Sessions on this host; each leaves its raw samples in `raw`, in a file named by its job."""

    def session(before: Artifact, after: Artifact, job: Job) -> Judgement:
        # Another path to the same folder, or both runs of it would share a process.
        again = before.folder / ".." / before.folder.name
        return timed({BEFORE: before.folder, AGAIN: again, AFTER: after.folder}, job, plan, raw)

    return session


def judge_pass(job: Job, repository: Path, plan: Confirm, raw: Path) -> Judgement:
    """Compare how long a pass takes at both commits of a job, each with its own code.

    `job.variant` names the model and the pass, ``resnet18/fx``. Raises MeasurementError when a
    commit cannot apply it.
    """
    model, _, name = job.variant.partition("/")
    argv = (sys.executable, "-P", str(PASS_EXECUTION), model, name)
    with (
        tempfile.TemporaryDirectory(prefix="mobileopt-pass-") as made,
        commits.checkout(repository, job.good, Path(made) / "good") as good,
        commits.checkout(repository, job.commit, Path(made) / "bad") as bad,
    ):
        # Two programs of different names are two processes, also where all else is equal.
        programs = {
            each: Program(f"the pass {name} ({each})", argv, checkout, (("pass", name),))
            for each, checkout in ((BEFORE, good), (AGAIN, good), (AFTER, bad))
        }
        return timed(programs, job, plan, raw)


def timed(runs: Mapping[str, Served], job: Job, plan: Confirm, raw: Path) -> Judgement:
    """Measure the earlier commit, the earlier once more and the later in one session, and judge.

    The earlier one runs twice: where it differs from itself, nothing can be told. Raises
    TimeUpError when the job's time was over before.
    """
    until = math.inf if job.seconds is None else time.monotonic() + job.seconds
    order = SessionPlan(plan.launches, plan.rounds, plan.samples, seed=job.attempt)
    record = measure.session(runs, order, until=until)
    if record.interrupted:
        raise KeyboardInterrupt
    if len(record.launches) < order.total_rounds:
        raise TimeUpError("the night's time was up before the session's end")
    files.replace(_file(raw, job), json.dumps(_raw(record, job)))
    return of_record(record, plan.threshold, job.alpha)


def of_record(record: Record, threshold: float, alpha: float) -> Judgement:
    """Judge a session of the three runs above."""
    wall, cpu = record.wall, record.cpu
    found = compare(
        wall[BEFORE],
        wall[AFTER],
        threshold=threshold,
        cpu=(cpu[BEFORE], cpu[AFTER]),
        control=(cpu[BEFORE], cpu[AGAIN]),
        launches=record.launches,
        look=Look(alpha=alpha),
    )
    return judgement.of_comparison(found)


def _file(raw: Path, job: Job) -> Path:
    raw.mkdir(parents=True, exist_ok=True)
    return raw / f"{job.id}.json"


def _raw(record: Record, job: Job) -> dict[str, object]:
    return asdict(job) | {
        "wall": dict(record.wall),
        "cpu": dict(record.cpu),
        "launches": record.launches,
        "unsettled": sorted(record.unsettled),
    }
