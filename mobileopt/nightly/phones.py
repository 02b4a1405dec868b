"""Phones of a night: which are here, and the session of two commits on one of them."""

from __future__ import annotations

import json
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from mobileopt.adb import Phone, Server, claim, fleet, probe
from mobileopt.artifact import Artifact
from mobileopt.collection import programs, session
from mobileopt.collection.order import unfit
from mobileopt.collection.programs import Program
from mobileopt.collection.session import Record, Setting, Subject
from mobileopt.compare import compare
from mobileopt.device import Device
from mobileopt.effort import Look
from mobileopt.errors import CombinationError, ConnectionLostError, DeviceError, NotReadyError
from mobileopt.nightly import judgement
from mobileopt.nightly.config import Confirm, Phones
from mobileopt.nightly.jobs import Job
from mobileopt.nightly.judgement import Judgement
from mobileopt.nightly.sessions import AFTER, AGAIN, BEFORE, Session, TimeUpError
from mobileopt.run import Plan
from mobileopt.sampling import Budget
from mobileopt.store import files
from mobileopt.variant import Variant

_ITERATIONS = 10
_SESSION_SECONDS = 1800.0


@dataclass(frozen=True)
class Fleet:
    """The phones that can be used now, and why others that were asked for cannot, by serial."""

    usable: tuple[tuple[Device, Phone], ...]
    absent: dict[str, str]


def server(phones: Phones) -> Server:
    """The adb server of a configuration."""
    return Server(phones.adb_host, phones.adb_port)


def present(phones: Phones, behind: Server) -> Fleet:
    """The phones a configuration asks for: by serial, or all that are found.

    Network phones that are not connected are connected first. Raises ServerError when no server
    answers.
    """
    unreachable = reach(phones.connect, behind)
    found = fleet.find(behind)
    serials = phones.serials or tuple(each.device.serial for each in found if each.device)
    usable: dict[str, tuple[Device, Phone]] = {}
    for each in found:
        if each.device and each.phone and each.device.serial in serials:
            usable[each.device.serial] = (each.device, each.phone)
            _TRANSPORTS[each.device.serial] = each.phone.transport.serial
    problems = {each.device.serial: each.problem for each in found if each.device}
    absent = {
        serial: problems.get(serial) or "; ".join(["it is not connected", *unreachable])
        for serial in serials
        if serial not in usable
    }
    return Fleet(tuple(usable.values()), absent)


def one(phones: Phones, serial: str) -> tuple[Device, Phone]:
    """The phone of a job; raises ConnectionLostError when it is not here.

    Asks that phone alone where it is known how it is connected: others may be measuring.
    """
    behind = server(phones)
    for phone in behind.phones():
        usable = phone.transport.state == "device"
        if usable and phone.transport.serial == _TRANSPORTS.get(serial):
            device = probe.describe(phone)
            if device.serial == serial:
                return device, phone
    found = present(replace(phones, serials=(serial,)), behind)
    if not found.usable:
        raise ConnectionLostError(f"phone {serial}: {found.absent[serial]}")
    return found.usable[0]


_TRANSPORTS: dict[str, str] = {}
"""How each phone, by hardware serial, was connected when this process saw it last."""


_CONNECTING = threading.Lock()
"""Of two threads that miss a phone, the second must not cut off what the first has connected."""


def reach(addresses: Sequence[str], behind: Server) -> list[str]:
    """Connect network phones that are not; a sentence for each that cannot be.

    One that is connected is left alone: to connect again would cut off who measures there. Raises
    ServerError when no server answers.
    """
    problems: list[str] = []
    with _CONNECTING:
        connected = {each.serial for each in behind.transports() if each.state == "device"}
        for address in addresses:
            if address not in connected:
                try:
                    behind.connect(address)
                except DeviceError as error:
                    problems.append(str(error))
    return problems


def on_phone(
    device: Device,
    phone: Phone,
    available: Sequence[Program],
    plan: Confirm,
    folders: tuple[Path, Path],
) -> Session:
    """Sessions on one phone; `folders` are the one for raw samples and the one for locks."""
    raw, locks = folders

    def compare_there(before: Artifact, after: Artifact, job: Job) -> Judgement:
        runs = {BEFORE: before, AGAIN: before, AFTER: after}
        subjects = {name: _subject(each, name, available) for name, each in runs.items()}
        budget = Budget(
            plan.launches * plan.rounds,
            precision=plan.threshold / 2,
            seconds=min(_SESSION_SECONDS, job.seconds or _SESSION_SECONDS),
        )
        with _stop_after(job.seconds) as stop, claim.claimed(phone, device.name, locks):
            session.tidy(phone, available)
            setting = Setting(
                phone,
                device,
                Plan(_ITERATIONS, _ITERATIONS, 1),
                budget,
                idle=session.idle(phone),
                stop=stop,
                pin=True,
            )
            record = _measure(setting, subjects, job.attempt)
            session.leave(phone)
        _keep(raw, job, record, subjects)
        return of_record(record, {k: s.name for k, s in subjects.items()}, plan, job.alpha)

    return compare_there


def of_record(record: Record, names: dict[str, str], plan: Confirm, alpha: float) -> Judgement:
    """Judge a session on a phone; `names` are the record's names of the three runs.

    Every launch is a process of its own, so the rounds are the launches. Raises CombinationError
    when a program fails on one of the artifacts, and NotReadyError when the phone throttled.
    """
    for error in record.failures.values():
        raise CombinationError(str(error)) from error
    if record.throttled:
        reasons = {reason for each in record.validity.values() for reason in each.reasons}
        raise NotReadyError(f"the session is void: {'; '.join(sorted(reasons))}")
    rounds = {name: record.rounds[theirs] for name, theirs in names.items()}
    found = compare(
        rounds[BEFORE],
        rounds[AFTER],
        threshold=plan.threshold,
        control=(rounds[BEFORE], rounds[AGAIN]),
        look=Look(alpha=alpha),
    )
    return judgement.of_comparison(found)


def _measure(setting: Setting, subjects: dict[str, Subject], seed: int) -> Record:
    try:
        baseline = subjects[BEFORE].name
        return session.measure(setting, list(subjects.values()), baseline, None, seed)
    except session.Stopped as error:
        raise TimeUpError("the night's time was up before the session's end") from error


def _subject(artifact: Artifact, run: str, available: Sequence[Program]) -> Subject:
    """An artifact under the name of its run: all three are of one variant."""
    program = programs.choose(available, artifact.path.suffix)
    reason = unfit(artifact.engine, artifact.path.suffix, program)
    if reason or program is None:
        raise CombinationError(f"{artifact.variant} cannot run there: {reason}")
    word = run.replace(", ", "_")
    return Subject(replace(artifact, variant=Variant(word, artifact.variant.recipe)), program)


@contextmanager
def _stop_after(seconds: float | None) -> Generator[threading.Event]:
    stop = threading.Event()
    timer = threading.Timer(seconds or 0.0, stop.set)
    timer.daemon = True
    if seconds is not None:
        timer.start()
    try:
        yield stop
    finally:
        timer.cancel()


def _keep(raw: Path, job: Job, record: Record, subjects: dict[str, Subject]) -> None:
    raw.mkdir(parents=True, exist_ok=True)
    told = asdict(job) | {
        "rounds": {name: record.rounds.get(each.name, []) for name, each in subjects.items()},
        "failures": {name: str(error) for name, error in record.failures.items()},
        "validity": {name: asdict(each) for name, each in record.validity.items()},
        "ended": record.ended,
        "seed": record.seed,
    }
    files.replace(raw / f"{job.id}.json", json.dumps(files.strict(told)))
