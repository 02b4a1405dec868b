"""The first half of a night: commits without results get them, on every machine."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from mobileopt.nightly.jobs import Job, Lane, Machine, Outcome, drive
from mobileopt.nightly.schedule import newest_first
from mobileopt.nightly.shift import Shift
from mobileopt.store import Store


def measure(shift: Shift, wanted: Mapping[Machine, Sequence[str]]) -> None:
    """Measure commits on their machines, the newest of all machines first.

    What could not be measured is counted: against the commit, or against the phone.
    """
    shift.planned += sum(map(len, wanted.values()))
    groups = shift.lab.together(list(wanted))
    turns = max(map(len, wanted.values()), default=0) if len(groups) > 1 else 1
    for turn in range(turns):
        for group in groups:
            chosen = {
                machine: wanted[machine][turn : turn + 1] if turns > 1 else wanted[machine]
                for machine in group
            }
            lanes = {machine: _lane(shift, machine, chosen[machine]) for machine in group}
            drive(lanes, shift.lab.submit)


def missing(shift: Shift, machines: Sequence[Machine]) -> dict[Machine, list[str]]:
    """The newest commits without results, by machine, newest first."""
    finished, schedule = done(shift, machines), shift.config.schedule
    return {
        machine: newest_first(
            shift.order,
            finished[machine],
            newest=schedule.newest,
            failed=failures(shift, machine),
            attempts=schedule.attempts,
        )
        for machine in machines
    }


def failures(shift: Shift, machine: Machine) -> dict[str, int]:
    """How often each commit gave nothing on a machine."""
    counts: dict[str, int] = {}
    for record in shift.ledger.of("failed", machine=machine.name):
        counts[record["commit"]] = counts.get(record["commit"], 0) + 1
    return counts


def done(shift: Shift, machines: Iterable[Machine]) -> dict[Machine, AbstractSet[str]]:
    """The commits of each machine that are done with.

    asv writes the results of a commit at once; a phone's come model by model, so of a phone some
    night must also have seen the end.
    """
    valued = measured(shift.store)
    found: dict[Machine, AbstractSet[str]] = {}
    for machine in machines:
        commits = valued.get(machine.name, frozenset[str]())
        ended = shift.ledger.of("took", machine=machine.name, what="measure", fault="")
        found[machine] = commits & {e["commit"] for e in ended} if machine.is_phone else commits
    return found


def measured(store: Store) -> dict[str, AbstractSet[str]]:
    """The commits with a value on each machine of a store."""
    if not store.path.is_dir():
        return {}
    frame = store.frame()
    rows = frame[frame["status"] == "measured"]
    groups = rows.astype({"machine": str, "commit": str}).groupby("machine")["commit"]
    return {str(name): frozenset(commits) for name, commits in groups}


def _lane(shift: Shift, machine: Machine, commits: Sequence[str]) -> Lane:
    for commit in commits:
        job = Job("measure", machine, commit, seconds=shift.seconds_left())
        if reason := shift.refusal(job, measuring=True):
            shift.leave(f"{commit[:8]} on {machine.name}: {reason}")
            continue
        shift.begun += 1
        count = f"{shift.begun} of {shift.planned}"
        shift.say(f"measuring {commit[:8]} on {machine.name}, {count}")
        outcome = yield job
        shift.keep(outcome)
        _count(shift, outcome)


def _count(shift: Shift, outcome: Outcome) -> None:
    machine, commit = outcome.job.machine, outcome.job.commit
    if outcome.fault == "time":
        shift.leave(f"{commit[:8]} on {machine.name}: {outcome.reason}")
    elif outcome.fault == "commit":
        shift.ledger.add(
            "failed", machine=machine.name, commit=commit, reason=outcome.reason, at=shift.now()
        )
        shift.warn(f"{commit[:8]} gave no results on {machine.name}: {outcome.reason}")
    elif outcome.ok:
        shift.measured.append((machine.name, commit))
