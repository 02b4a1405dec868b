"""What a night has found, put together for its report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from datetime import UTC, datetime

from mobileopt import accepted, commits, history
from mobileopt.accepted import Accepted
from mobileopt.nightly import measuring, suspects
from mobileopt.nightly.config import Config
from mobileopt.nightly.inquiry import Finding
from mobileopt.nightly.jobs import Machine
from mobileopt.nightly.ledger import Ledger, Record
from mobileopt.nightly.report import Change, Report, Row
from mobileopt.nightly.shift import Shift
from mobileopt.nightly.suspects import Suspect


def report(
    shift: Shift,
    machines: Sequence[Machine],
    findings: Sequence[Finding],
    given_up: Sequence[tuple[Suspect, str]],
    recent: AbstractSet[str],
    site: str,
) -> Report:
    """All a night has to say; `recent` are the commits whose changes belong into it."""
    of_interest = [
        each
        for each in changes(shift.config, shift.ledger)
        if each.new or recent & {commit.hash for commit in each.candidates}
    ]
    tip = shift.order[-1]
    known = commits.describe(shift.config.repository_path, [tip])
    return Report(
        title=shift.config.report.title,
        started=datetime.fromtimestamp(shift.budget.start, UTC),
        ended=datetime.fromtimestamp(shift.now(), UTC),
        tip=tip,
        subject=known[tip].subject if tip in known else "",
        machines=_rows(shift, machines, tip),
        changes=tuple(of_interest),
        undecided=tuple(
            (each.suspect, each.reason)
            for each in findings
            if each.result in ("unclear", "postponed")
        ),
        refuted=tuple((each.suspect, each.reason) for each in findings if each.result == "refuted"),
        given_up=tuple(given_up),
        seen=tuple(_seen(shift, recent)),
        left=tuple(f"{what}: {why}" for what, why in shift.left.items()),
        warnings=tuple(shift.warnings),
        site=site,
        address=shift.config.site.url,
    )


def _rows(shift: Shift, machines: Sequence[Machine], tip: str) -> tuple[Row, ...]:
    """A row for every machine that was to be used, also for those that were not."""
    done = measuring.done(shift, [*machines, *shift.absent])
    notes = {each: shift.absent.get(each, "") for each in done}
    for each in machines:
        if each.is_phone and shift.quarantine.is_out(each.serial, shift.now()):
            notes[each] = f"in quarantine: {shift.quarantine.standings()[each.serial].reason}"
    return tuple(
        Row(
            each.name,
            sum(name == each.name for name, _ in shift.measured),
            tip in done[each],
            notes[each],
        )
        for each in done
    )


def changes(config: Config, ledger: Ledger) -> list[Change]:
    """Every change that was ever confirmed, oldest first."""
    records = {record["id"]: record for record in ledger.of("change")}
    told = {_cause(records[e["change"]]) for e in ledger.of("told") if e["change"] in records}
    wanted = [commit for each in records.values() for commit in each["candidates"]]
    known = commits.describe(config.repository_path, wanted)
    accepting = entries(config)
    return [
        Change.of(
            record,
            known,
            new=_cause(record) not in told,
            accepted=_why_accepted(record, accepting),
        )
        for record in records.values()
    ]


def _cause(record: Record) -> tuple[bool, tuple[str, ...]]:
    """What is told once: that these commits made something worse, or better."""
    return record["worse"], tuple(record["candidates"])


def _why_accepted(record: Record, accepting: Sequence[Accepted]) -> str:
    """The reason of the accepted entry that covers a change; empty for none."""
    for each in accepting:
        if each.covers(
            record["metric"],
            record["variant"],
            math.inf if record["ratio"] is None else record["ratio"],
            commits=record["candidates"],
            machine=record["machine"],
        ):
            return each.reason
    return ""


def entries(config: Config) -> tuple[Accepted, ...]:
    """What is accepted on the branch, which may be ahead of what is checked out.

    Raises InputError for a file that is wrong.
    """
    return accepted.committed(config.repository_path, config.repository.branch)


def _seen(shift: Shift, recent: AbstractSet[str]) -> list[history.Change]:
    """What the analysis of histories is sure of where nothing can be measured again."""
    if not shift.store.path.is_dir():
        return []
    detection = shift.config.detection
    try:
        found = history.collect(
            shift.store,
            repository=shift.config.repository_path,
            branch=shift.config.repository.branch,
            accepted=entries(shift.config),
            min_effect=detection.min_effect,
            false_discovery_rate=detection.false_discovery_rate,
        )
    except Exception as error:
        # What was confirmed is to be told, whatever is wrong with the rest.
        shift.warn(f"the histories were not analysed: {type(error).__name__}: {error}")
        return []
    worse = history.select(found, state="open", direction="worse")
    return [
        each
        for each in worse
        if each.first_after in recent and not suspects.can_be_judged(each.origin)
    ]
