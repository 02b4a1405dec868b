"""A nightly's jobs on phones: collecting a commit, and comparing two."""

from __future__ import annotations

import threading
from pathlib import Path

from mobileopt import errors
from mobileopt.android_build.cache import Cache
from mobileopt.collection import FAILED, PRESENT, STORED, Collection, Order, Outcome, programs
from mobileopt.collection.programs import Program
from mobileopt.device import Device
from mobileopt.errors import (
    AbiError,
    DeviceError,
    MeasurementError,
    MobileoptError,
    OutputError,
    ProgramError,
    StoreError,
)
from mobileopt.nightly import phones
from mobileopt.nightly.checking import named
from mobileopt.nightly.config import Config
from mobileopt.nightly.jobs import Job
from mobileopt.nightly.sessions import Session, TimeUpError
from mobileopt.sampling import Budget
from mobileopt.variant import Variant
from tools import _collect_order as orders
from tools.build import default_cache


def measure(config: Config, job: Job, results: Path) -> None:
    """Collect a commit's variants on the job's phone; what is there already is not repeated.

    Raises DeviceError when the phone failed, also when it failed after a part of them,
    MeasurementError when the commit did, and TimeUpError when the night ended before.
    """
    device, phone = phones.one(config.phones, job.machine.serial)
    collection = Collection(_order(config, job, results))
    late = threading.Event()
    timer = threading.Timer(job.seconds or 0.0, lambda: (late.set(), collection.stop()))
    if job.seconds is not None:
        timer.start()
    try:
        outcomes = collection.run([(device, phone)])
    finally:
        timer.cancel()
    if late.is_set():
        raise TimeUpError("the night's time was up before the phone was done")
    _check(outcomes)


def session(config: Config, job: Job, raw: Path) -> Session:
    """Sessions on the job's phone."""
    device, phone = phones.one(config.phones, job.machine.serial)
    locks = orders.prepare((), commit=job.commit).locks
    return phones.on_phone(device, phone, _programs(config, device), config.confirm, (raw, locks))


def _order(config: Config, job: Job, results: Path) -> Order:
    """The same order as `tools.collect` makes in the clone, which is the working directory."""
    wanted = tuple(map(Variant.parse, config.phones.variants)) or _quick()
    return orders.prepare(
        wanted,
        commit=job.commit,
        store=results,
        programs=_given(config),
        budget=Budget(config.phones.rounds, seconds=config.phones.seconds),
    )


def _quick() -> tuple[Variant, ...]:
    from benchmarks._suite import CORE_MODELS, QUICK_RECIPES

    return tuple(each for each in orders.suite(CORE_MODELS) if str(each.recipe) in QUICK_RECIPES)


def _given(config: Config) -> tuple[Program, ...]:
    return tuple(programs.given(str(_below(config.root, each))) for each in config.phones.programs)


def _below(root: Path, text: str) -> str:
    runner, path = named(text)
    return f"{runner}={root / path}" if runner else str(root / path)


def _programs(config: Config, device: Device) -> tuple[Program, ...]:
    found = _given(config) or programs.cached(Cache(default_cache()), device)
    if not found:
        raise AbiError(
            "no program for this phone is in the cache; build one with python -m tools.build, or "
            "name one in phones.programs"
        )
    for each in found:
        programs.check(each, device)
    return found


def _check(outcomes: tuple[Outcome, ...]) -> None:
    """Raise when a variant failed by no fault of its own, and when none has a value."""
    failed = [each for each in outcomes if each.status == FAILED]
    for each in failed:
        if kind := _not_the_commits(each.error):
            raise kind(each.reason)
    if not any(each.status in (STORED, PRESENT) for each in outcomes):
        reasons = [each.reason for each in (*failed, *outcomes)]
        raise MeasurementError(next(iter(reasons), "no variant was asked for"))


def _not_the_commits(name: str) -> type[MobileoptError] | None:
    """The class of an error by its name, if what ran there could not help it."""
    kind = getattr(errors, name.partition(".")[0], MobileoptError)
    blameless = issubclass(kind, DeviceError | StoreError | OutputError)
    return kind if blameless and not issubclass(kind, ProgramError) else None
