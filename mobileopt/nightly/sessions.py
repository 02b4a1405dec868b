"""The interleaved session of two commits on this host."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from mobileopt import measure
from mobileopt.artifact import Artifact
from mobileopt.compare import compare
from mobileopt.effort import Look
from mobileopt.errors import MeasurementError
from mobileopt.measure import Record, SessionPlan
from mobileopt.nightly import judgement
from mobileopt.nightly.config import Confirm
from mobileopt.nightly.exports import Exports
from mobileopt.nightly.jobs import Job
from mobileopt.nightly.judgement import IDENTICAL, Judgement
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
        return judgement.of_values(values[0], values[1], threshold)
    if before.sha256 == after.sha256:
        return IDENTICAL
    return session(before, after, job)


def on_host(plan: Confirm, raw: Path) -> Session:
    """Sessions on this host; each leaves its raw samples in `raw`, in a file named by its job."""

    def session(before: Artifact, after: Artifact, job: Job) -> Judgement:
        until = math.inf if job.seconds is None else time.monotonic() + job.seconds
        # The earlier commit runs twice: where it differs from itself, nothing can be told.
        folders = {BEFORE: before.folder, AGAIN: before.folder, AFTER: after.folder}
        order = SessionPlan(plan.launches, plan.rounds, plan.samples, seed=job.attempt)
        record = measure.session(folders, order, until=until)
        if record.interrupted:
            raise KeyboardInterrupt
        if len(record.launches) < order.total_rounds:
            raise TimeUpError("the night's time was up before the session's end")
        files.replace(_file(raw, job), json.dumps(_raw(record, job)))
        return of_record(record, plan.threshold, job.alpha)

    return session


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
