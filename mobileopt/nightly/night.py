"""One night from beginning to end."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from mobileopt import accepted, commits, history
from mobileopt.accepted import Accepted
from mobileopt.errors import MobileoptError, OutputError
from mobileopt.nightly import confirming, measuring, repository, suspects
from mobileopt.nightly.budget import Budget, next_time
from mobileopt.nightly.config import Config
from mobileopt.nightly.inquiry import Finding
from mobileopt.nightly.jobs import Lab, Machine
from mobileopt.nightly.ledger import Ledger, Record
from mobileopt.nightly.quarantine import Quarantine
from mobileopt.nightly.report import Change, Report, Row
from mobileopt.nightly.schedule import inside
from mobileopt.nightly.shift import Shift
from mobileopt.nightly.suspects import Suspect
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
    machines = _machines(shift)
    measuring.measure(shift, measuring.missing(shift, machines))
    _backfill(shift, machines)
    findings = _confirm(shift, machines)
    site = _publish(shift, tools)
    return _report(shift, machines, findings, site)


def changes(config: Config, ledger: Ledger) -> list[Change]:
    """Every change that was ever confirmed, oldest first."""
    told = {record["change"] for record in ledger.of("told")}
    records = {record["id"]: record for record in ledger.of("change")}
    wanted = [commit for each in records.values() for commit in each["candidates"]]
    known = commits.describe(config.repository_path, wanted)
    entries = _accepted(config)
    return [
        Change.of(record, known, new=name not in told, accepted=_why_accepted(record, entries))
        for name, record in records.items()
    ]


def _why_accepted(record: Record, entries: Sequence[Accepted]) -> str:
    """The reason of the accepted entry that covers a change; empty for none."""
    for each in entries:
        if each.covers(
            record["metric"],
            record["variant"],
            math.inf if record["ratio"] is None else record["ratio"],
            commits=record["candidates"],
            machine=record["machine"],
        ):
            return each.reason
    return ""


def _shift(config: Config, tools: Tools) -> Shift:
    started = tools.clock()
    path, state = config.repository_path, state_folder(config)
    tools.say("fetching")
    problem = repository.fetch(path, config.repository.remote)
    order = commits.order(path, config.repository.branch, first_parent=True)
    end = next_time(datetime.fromtimestamp(started).astimezone(), config.schedule.until)
    budget = Budget(started, end.timestamp() if end else None, config.schedule.reserve)
    phones = config.phones
    standings = Quarantine(state / "quarantine.json", phones.strikes, phones.release_after_hours)
    shift = Shift(
        config, order, Store(tools.results), tools.lab, Ledger(state / "ledger.jsonl"),
        standings, budget, tools.clock, tools.say,
    )  # fmt: skip
    if problem:
        shift.warn(problem)
    return shift


def _machines(shift: Shift) -> list[Machine]:
    """The machines to use tonight: a phone that is not there counts as failing once."""
    machines: list[Machine] = []
    for machine in shift.lab.machines():
        if not shift.in_quarantine(machine.serial, machine.name):
            machines.append(machine)
    for serial, reason in shift.lab.absent().items():
        if not shift.in_quarantine(serial, serial):
            shift.missing.append(serial)
            shift.warn(f"{serial} cannot be used: {reason}")
            shift.quarantine.strike(serial, reason, shift.now())
    return machines


def _backfill(shift: Shift, machines: Sequence[Machine]) -> None:
    """Measure inside of what changed: a change between far commits is not yet anybody's."""
    limit = shift.config.schedule.backfill
    if not limit:
        return
    histories = shift.store.series(shift.order) if shift.store.path.is_dir() else []
    done = measuring.measured(shift.store)
    found = [each for each in _suspects(shift) if each.worse]
    wanted: dict[Machine, list[str]] = {}
    for machine in machines:
        own = [each for each in found if each.machine == machine.name]
        spread = suspects.gaps(own, histories)
        tried = set(done.get(machine.name, frozenset())) | set(measuring.failures(shift, machine))
        chosen = inside(shift.order, tried, spread, limit)
        if chosen:
            wanted[machine] = chosen
    measuring.measure(shift, wanted)


def _confirm(shift: Shift, machines: Sequence[Machine]) -> list[Finding]:
    """Inquire until nothing is left to ask: what one change does not explain may hold another."""
    findings: list[Finding] = []
    asked: set[tuple[str, ...]] = set()
    while True:
        found = confirming.unanswered(shift, _suspects(shift))
        fresh = [each for each in found if _place(each) not in asked]
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


def _suspects(shift: Shift) -> list[Suspect]:
    if not shift.store.path.is_dir():
        return []
    recent = _recent(shift)
    detection = shift.config.detection
    return suspects.find(
        shift.store.series(shift.order),
        recent,
        min_effect=detection.min_effect,
        sensitivity=detection.sensitivity,
    )


def _seen(shift: Shift, recent: AbstractSet[str]) -> list[history.Change]:
    """What the analysis of histories is sure of where nothing can be measured again."""
    if not shift.store.path.is_dir():
        return []
    detection = shift.config.detection
    found = history.collect(
        shift.store,
        repository=shift.config.repository_path,
        accepted=_accepted(shift.config),
        min_effect=detection.min_effect,
        false_discovery_rate=detection.false_discovery_rate,
    )
    worse = history.select(found, state="open", direction="worse")
    return [
        each
        for each in worse
        if each.first_after in recent and not suspects.can_be_judged(each.origin)
    ]


def _accepted(config: Config) -> tuple[Accepted, ...]:
    return accepted.read(config.repository_path / accepted.FILE)


def _publish(shift: Shift, tools: Tools) -> str:
    if tools.publish is None or not shift.store.path.is_dir():
        return ""
    shift.say("publishing the site")
    try:
        html, warnings = tools.publish()
    except MobileoptError as error:
        shift.warn(f"the site was not published: {error}")
        return ""
    for warning in warnings:
        shift.warn(f"while publishing: {warning}")
    return str(html)


def _report(
    shift: Shift,
    machines: Sequence[Machine],
    findings: Sequence[Finding],
    site: str,
) -> Report:
    recent = _recent(shift)
    of_interest = [
        each
        for each in changes(shift.config, shift.ledger)
        if each.new or recent & {commit.hash for commit in each.candidates}
    ]
    done = measuring.measured(shift.store)
    tip = shift.order[-1]
    return Report(
        title=shift.config.report.title,
        started=datetime.fromtimestamp(shift.budget.start, UTC),
        ended=datetime.fromtimestamp(shift.now(), UTC),
        tip=tip,
        subject=commits.describe(shift.config.repository_path, [tip])[tip].subject,
        machines=tuple(
            Row(
                machine.name,
                sum(name == machine.name for name, _ in shift.measured),
                tip in done.get(machine.name, frozenset()),
            )
            for machine in machines
        )
        + tuple(Row(serial, 0, has_tip=False) for serial in shift.missing),
        changes=tuple(of_interest),
        undecided=tuple(
            (each.suspect, each.reason)
            for each in findings
            if each.result in ("unclear", "postponed")
        ),
        refuted=tuple((each.suspect, each.reason) for each in findings if each.result == "refuted"),
        seen=tuple(_seen(shift, recent)),
        left=tuple(shift.left),
        warnings=tuple(shift.warnings),
        site=site,
        address=shift.config.site.url,
    )
