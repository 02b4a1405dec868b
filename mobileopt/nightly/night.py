"""One night from beginning to end."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from mobileopt import commits
from mobileopt.errors import MobileoptError, OutputError
from mobileopt.nightly import confirming, measuring, reporting, repository, suspects
from mobileopt.nightly.budget import Budget, next_time
from mobileopt.nightly.config import Config
from mobileopt.nightly.inquiry import Finding
from mobileopt.nightly.jobs import Lab, Machine
from mobileopt.nightly.ledger import Ledger
from mobileopt.nightly.quarantine import Quarantine
from mobileopt.nightly.report import Report
from mobileopt.nightly.schedule import inside
from mobileopt.nightly.shift import Shift
from mobileopt.nightly.suspects import Suspect
from mobileopt.series import Series
from mobileopt.store import Store

STATE = ".nightly"
"""The folder of a nightly's memory, in the clone it measures."""

_REMEMBERED = 7 * 86400.0  # seconds for which a change at an older commit is still looked into

Clock = Callable[[], float]


@dataclass(frozen=True)
class Tools:
    """What a night needs from outside: its machines, the store's path, and the site's publisher.

    `publish` returns the site's folder and its warnings.
    """

    lab: Lab
    results: Path
    publish: Callable[[], tuple[Path, list[str]]] | None
    say: Callable[[str], None]
    clock: Clock


def state_folder(config: Config) -> Path:
    """Where a nightly of this configuration keeps its ledger, exports and raw sessions."""
    return config.repository_path / STATE


def quarantine(config: Config) -> Quarantine:
    """The standing of this configuration's phones."""
    path, phones = state_folder(config) / "quarantine.json", config.phones
    return Quarantine(path, phones.strikes, phones.release_after_hours)


def prepare(config: Config) -> Path:
    """Make that folder, which no `git status` shall show; raises OutputError."""
    folder = state_folder(config)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / ".gitignore").write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(f"{folder} cannot be written: {error}") from error
    return folder


def run(config: Config, tools: Tools) -> Report:
    """Measure what is new, make sure of what changed, publish, and say all of it.

    The caller holds the nightly's lock. Raises InputError for a repository or branch that is
    none; what goes wrong on a machine ends in the report.
    """
    shift = _shift(config, tools)
    reporting.entries(config)  # what is wrong in it is to be known before the work, not after
    machines = _machines(shift)
    measuring.measure(shift, measuring.missing(shift, machines))
    measuring.measure(shift, measuring.missing(shift, _ready_now(shift, machines)))
    _backfill(shift, machines)
    findings = _confirm(shift, machines)
    late = _ready_now(shift, machines)
    measuring.measure(shift, measuring.missing(shift, late), measuring=False)
    findings = _replaced(findings, _confirm(shift, late) if late else [])
    site = _publish(shift, tools)
    given_up = confirming.given_up(shift, _suspects(shift))
    return reporting.report(shift, machines, findings, given_up, _recent(shift), site)


def _shift(config: Config, tools: Tools) -> Shift:
    started = tools.clock()
    path, state = config.repository_path, state_folder(config)
    tools.say("fetching")
    problem = repository.fetch(path, config.repository.remote)
    order = commits.order(path, config.repository.branch, first_parent=True)
    end = next_time(datetime.fromtimestamp(started), config.schedule.until)
    budget = Budget(started, end.timestamp() if end else None, config.schedule.reserve)
    shift = Shift(
        config, order, Store(tools.results), tools.lab, Ledger(state / "ledger.jsonl"),
        quarantine(config), budget, tools.clock, tools.say,
    )  # fmt: skip
    if problem:
        shift.warn(problem)
    return shift


def _machines(shift: Shift) -> list[Machine]:
    """The machines to use tonight: a phone that is not there counts as failing once."""
    config = shift.config
    found = [
        each
        for each in shift.lab.machines()
        if (config.phones.enabled if each.is_phone else config.host.enabled)
    ]
    for serial, reason in shift.lab.absent().items() if config.phones.enabled else ():
        machine = Machine(serial, serial)
        if not shift.in_quarantine(machine):
            shift.absent[machine] = f"not here: {reason}"
            shift.warn(f"{serial} cannot be used: {reason}")
            shift.quarantine.strike(serial, reason, shift.now())
    return [each for each in found if not shift.in_quarantine(each)]


def _ready_now(shift: Shift, machines: Sequence[Machine]) -> list[Machine]:
    """The machines that were busy before, which may be ready by now."""
    found = [each for each in machines if shift.busy[each.name]]
    shift.busy.clear()
    return found


def _backfill(shift: Shift, machines: Sequence[Machine]) -> None:
    """Measure inside of what changed: a change between far commits is not yet anybody's."""
    limit = shift.config.schedule.backfill
    if not limit:
        return
    histories = _histories(shift)
    done = measuring.done(shift, machines)
    found = [each for each in _suspects(shift) if each.worse]
    wanted: dict[Machine, list[str]] = {}
    for machine in machines:
        own = [each for each in found if each.machine == machine.name]
        spread = suspects.gaps(own, histories)
        tried = set(done[machine]) | set(measuring.failures(shift, machine))
        chosen = inside(shift.order, tried, spread, limit)
        if chosen:
            wanted[machine] = chosen
    measuring.measure(shift, wanted)


def _replaced(findings: Sequence[Finding], later: Sequence[Finding]) -> list[Finding]:
    """The findings of a night in which some machines were asked twice."""
    again = {_place(each.suspect) for each in later if each.result != "postponed"}
    kept = [each for each in findings if _place(each.suspect) not in again]
    known = {_place(each.suspect) for each in kept}
    return [*kept, *(each for each in later if _place(each.suspect) not in known)]


def _confirm(shift: Shift, machines: Sequence[Machine]) -> list[Finding]:
    """Inquire until nothing is left to ask: what one change does not explain may hold another.

    The other machines are asked about what was found when their own suspicions have been.
    """
    findings: list[Finding] = []
    asked: set[tuple[str, ...]] = set()
    while True:
        found = confirming.unanswered(shift, _suspects(shift))
        fresh = [each for each in found if _place(each) not in asked]
        if not fresh:
            echoes = confirming.unheard(shift, _histories(shift), _recent(shift))
            names = {machine.name for machine in machines}
            here = (each for each in echoes if each.machine in names)
            fresh = [each for each in here if _place(each) not in asked]
        if not fresh:
            return findings
        asked |= {_place(each) for each in fresh}
        findings += confirming.confirm(shift, fresh, machines)


def _place(suspect: Suspect) -> tuple[str, ...]:
    return suspect.machine, suspect.series, suspect.good, suspect.bad


def _recent(shift: Shift) -> frozenset[str]:
    """The newest commits, and older ones that a nightly of the last days has measured."""
    since = shift.now() - _REMEMBERED
    lately = {
        record["commit"]
        for record in shift.ledger.of("took", what="measure", fault="")
        if record["at"] >= since
    }
    return frozenset(lately) | frozenset(shift.order[-shift.config.schedule.newest :])


def _histories(shift: Shift) -> Sequence[Series]:
    return shift.store.series(shift.order) if shift.store.path.is_dir() else ()


def _suspects(shift: Shift) -> list[Suspect]:
    detection = shift.config.detection
    return suspects.find(
        _histories(shift),
        _recent(shift),
        min_effect=detection.min_effect,
        sensitivity=detection.sensitivity,
    )


def _publish(shift: Shift, tools: Tools) -> str:
    if tools.publish is None or not shift.store.path.is_dir():
        return ""
    shift.say("publishing the site")
    try:
        html, warnings = tools.publish()
    except Exception as error:
        # Whatever it is: what the night has found is still to be told.
        why = (
            str(error) if isinstance(error, MobileoptError) else f"{type(error).__name__}: {error}"
        )
        shift.warn(f"the site was not published: {why}")
        return ""
    for warning in warnings:
        shift.warn(f"while publishing: {warning}")
    return str(html)
