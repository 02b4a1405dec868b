"""What a nightly's jobs do, here or in a worker of a fleet: the same code for both."""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from rich.console import Console

from mobileopt.collection.exports import prune
from mobileopt.errors import (
    CombinationError,
    DeviceError,
    MeasurementError,
    MobileoptError,
    NotReadyError,
    OutputError,
    ProgramError,
    StoreError,
)
from mobileopt.gate.finding import PASS_TIME
from mobileopt.nightly import sessions
from mobileopt.nightly.config import Config
from mobileopt.nightly.exports import Exports
from mobileopt.nightly.jobs import Fault, Job, Machine, Outcome
from mobileopt.nightly.measuring import measured
from mobileopt.nightly.night import state_folder
from mobileopt.nightly.sessions import TimeUpError
from mobileopt.store import Store
from tools import bench
from tools._collect_order import cache
from tools.publish import configuration

ASV = "asv.conf.json"
_REMEMBERED = 90 * 86400.0  # seconds for which a job's samples, log and answer are kept
_KEPT = 16  # commits whose exports the next night may ask for again


def perform(config: Config, job: Job) -> Outcome:
    """Do a job on this computer; every failure that is somebody's to act on is an outcome."""
    started = time.monotonic()
    try:
        outcome = _compare(config, job) if job.kind == "compare" else _measure(config, job)
    except TimeUpError as error:
        outcome = Outcome(job, "time", str(error))
    except MobileoptError as error:
        lasting = isinstance(error, CombinationError | ProgramError)
        outcome = Outcome(job, _fault(error), str(error), lasting=lasting)
    _forget(state_folder(config))
    return replace(outcome, seconds=time.monotonic() - started)


def results_folder(config: Config) -> Path:
    """The store of the clone that is measured; raises InputError where asv is not configured."""
    clone = config.repository_path
    return (clone / configuration(clone / ASV).results_dir).resolve()


@dataclass
class LocalLab:
    """This computer and the phones connected to it."""

    config: Config
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(32))
    _absent: dict[str, str] = field(default_factory=dict[str, str])

    def machines(self) -> list[Machine]:
        """This host, if it is to be measured, and the phones found now."""
        host = [Machine(bench.register_machine())] if self.config.host.enabled else []
        return [*host, *self._phones()]

    def absent(self) -> dict[str, str]:
        """Phones that are asked for and cannot be used, by serial, each with the reason."""
        return dict(self._absent)

    def _phones(self) -> list[Machine]:
        if not self.config.phones.enabled:
            return []
        from mobileopt.nightly import phones

        try:
            found = phones.present(self.config.phones, phones.server(self.config.phones))
        except DeviceError as error:
            self._absent = dict.fromkeys(self.config.phones.serials or ["phones"], str(error))
            return []
        self._absent = found.absent
        return [Machine(device.name, device.serial) for device, _ in found.usable]

    def together(self, machines: Sequence[Machine]) -> list[list[Machine]]:
        """The host alone, for what runs on phones would disturb it; then all phones at once."""
        groups = [each for each in machines if not each.is_phone]
        phones = [each for each in machines if each.is_phone]
        return [[each] for each in groups] + ([phones] if phones else [])

    def submit(self, job: Job) -> Future[Outcome]:
        """Start a job in a thread of its own."""
        return self.pool.submit(perform, self.config, job)


def _fault(error: MobileoptError) -> Fault:
    if isinstance(error, ProgramError):  # of the artifact, not of the phone it ran on
        return "commit"
    if isinstance(error, NotReadyError):
        return "busy"
    return "machine" if isinstance(error, DeviceError | StoreError | OutputError) else "commit"


def _measure(config: Config, job: Job) -> Outcome:
    if job.machine.is_phone:
        from tools import _night_phones

        _night_phones.measure(config, job, results_folder(config))
        return Outcome(job)
    started, said = time.monotonic(), io.StringIO()
    try:
        bench.run(
            f"{job.commit}^!",
            job.machine.name,
            pattern=_pattern(config.host.benchmarks),
            console=Console(file=said),
            folder=config.repository_path,
            seconds=job.seconds,
        )
    except MobileoptError:
        if job.seconds is not None and time.monotonic() - started >= job.seconds:
            raise TimeUpError("the night's time was up before asv was done") from None
        raise
    finally:
        _log(config, job, said.getvalue())
    _check_value(config, job, said.getvalue())
    return Outcome(job)


def _check_value(config: Config, job: Job, said: str) -> None:
    """Raise MeasurementError when the store has no value: asv calls that a success."""
    if job.commit in measured(Store(results_folder(config))).get(job.machine.name, ()):
        return
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    failed = [line for line in lines if "failed" in line]
    last = (failed or lines or ["it said nothing"])[-1]
    raise MeasurementError(f"asv ended without any value: {last}")


def _pattern(benchmarks: str) -> str | None:
    return {"quick": bench.quick_pattern(), "all": None}.get(benchmarks, benchmarks)


def _log(config: Config, job: Job, text: str) -> None:
    """What asv said, for whoever looks into a commit that failed."""
    folder = state_folder(config) / "logs"
    folder.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(OSError):
        (folder / f"{job.machine.name}-{job.commit[:8]}.log").write_text(text, encoding="utf-8")


def _compare(config: Config, job: Job) -> Outcome:
    raw, repository = state_folder(config) / "sessions", config.repository_path
    if job.metric == PASS_TIME:
        judged = sessions.judge_pass(job, repository, config.confirm, raw)
        return Outcome(job, found=judged.as_dict())
    if job.machine.is_phone:
        from tools import _night_phones

        session = _night_phones.session(config, job, raw)
    else:
        session = sessions.on_host(config.confirm, raw)
    exports = Exports(repository, cache() / "exports")
    judged = sessions.judge(job, exports, config.confirm.threshold, session)
    return Outcome(job, found=judged.as_dict())


def _forget(state: Path) -> None:
    """Remove what was kept of jobs of long ago: samples, logs, a worker's answers."""
    oldest = time.time() - _REMEMBERED
    for folder in ("sessions", "logs", "done"):
        for path in (state / folder).glob("*"):
            with contextlib.suppress(OSError):
                if path.stat().st_mtime < oldest:
                    path.unlink()


def tidy() -> None:
    """Remove the exports of all but the commits asked for last."""
    prune(cache() / "exports", _KEPT)
