"""What a worker of a fleet does with a job: the same as one machine, and never twice."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections import defaultdict
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mobileopt import commits
from mobileopt.errors import DeviceError, InputError
from mobileopt.nightly import config as configuration
from mobileopt.nightly import night, repository
from mobileopt.nightly.config import Config
from mobileopt.nightly.jobs import Job, Machine, Outcome
from mobileopt.store import files
from mobileopt.store.store import BENCHMARKS, MACHINE, result_files
from tools import _night_jobs as jobs

CONFIG = "MOBILEOPT_WORKER_CONFIG"
"""Environment variable that names the worker's own nightly.toml."""

_BUSY: dict[str, threading.Lock] = defaultdict(threading.Lock)


def perform(job: Job) -> Outcome:
    """Do a job on this host, or answer with what an earlier try has written down."""
    config = here()
    # A try whose scheduler died may still be running: its result is this one's.
    with _BUSY[job.machine.resource]:
        outcome = _written(config, job)
        if outcome is None:
            _fetch(config, job)
            outcome = jobs.perform(config, job)
            if outcome.ok:
                _write(config, outcome)
            jobs.tidy()  # a worker has no end of the night
        return replace(outcome, files=_files(config, job)) if outcome.ok else outcome


def machines() -> list[Machine]:
    """The machines of this host."""
    return jobs.LocalLab(here()).machines()


@dataclass
class Look:
    """Looks for machines again when adb's list has changed, which asks no phone anything.

    A phone that is still starting is listed and cannot be used yet: a change is looked at a few
    times.
    """

    tries: int = 3
    _left: int = 0
    _seen: frozenset[tuple[str, str]] | None = None

    def __call__(self) -> list[Machine] | None:
        """The machines of this host, None when nothing has changed or adb does not answer."""
        try:
            listed = connections()
        except DeviceError:
            return None if self._seen is not None else machines()
        if listed != self._seen:
            self._left = self.tries
        self._seen = listed
        if not self._left:
            return None
        self._left -= 1
        return machines()


def connections() -> frozenset[tuple[str, str]]:
    """What adb lists: serial and state. Network phones that are not there are connected first.

    Raises DeviceError when adb's server does not answer.
    """
    settings = here().phones
    if not settings.enabled:
        return frozenset()
    from mobileopt.adb import fleet
    from mobileopt.nightly import phones

    server = phones.server(settings)
    fleet.connect(server, settings.connect)
    return frozenset((each.serial, each.state) for each in server.transports())


def here() -> Config:
    """The worker's own configuration."""
    return configuration.load(Path(os.environ[CONFIG]))


def _path(config: Config, job: Job) -> Path:
    return night.state_folder(config) / "done" / f"{job.id}.json"


def _written(config: Config, job: Job) -> Outcome | None:
    try:
        told = files.read_json(_path(config, job))
    except (FileNotFoundError, files.DamagedFileError):
        return None
    if job.kind == "measure" and not _files(config, job):
        return None  # somebody removed the results
    return Outcome(job, seconds=float(told["seconds"]), found=told["found"])


def _write(config: Config, outcome: Outcome) -> None:
    path = _path(config, outcome.job)
    path.parent.mkdir(parents=True, exist_ok=True)
    told: dict[str, Any] = {"seconds": outcome.seconds, "found": dict(outcome.found)}
    files.replace(path, json.dumps(files.strict(told)))


def _files(config: Config, job: Job) -> dict[str, str]:
    """The store's files of the commit that was measured, side-cars and all, by path."""
    if job.kind != "measure":
        return {}
    results = jobs.results_folder(config)
    folder = results / job.machine.name
    found = [each for each in result_files(folder) if each.name.startswith(job.commit[:8])]
    if not found:
        return {}
    found += [each.with_suffix(".jsonl") for each in found]
    found += [folder / MACHINE, results / BENCHMARKS]
    return {
        str(each.relative_to(results)): each.read_text(encoding="utf-8")
        for each in found
        if each.is_file()
    }


def _fetch(config: Config, job: Job) -> None:
    """Get the commits of a job that this host's clone lacks."""
    for commit in filter(None, (job.commit, job.good)):
        with contextlib.suppress(InputError):
            commits.resolve(config.repository_path, commit)
            continue
        repository.fetch(config.repository_path, config.repository.remote)
        return
