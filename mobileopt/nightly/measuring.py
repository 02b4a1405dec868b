"""The first half of a night: commits without results get them, on every machine."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from mobileopt.nightly.jobs import Job, Lane, Machine, Outcome, drive
from mobileopt.nightly.schedule import newest_first
from mobileopt.nightly.shift import Shift
from mobileopt.store import Store


def measure(
    shift: Shift, wanted: Mapping[Machine, Sequence[str]], *, measuring: bool = True
) -> None:
    """Measure commits on their machines, the newest of all machines first.

    What could not be measured is counted: against the commit, or against the machine.
    `measuring` keeps out of the time that is reserved for making sure.
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
            lanes = {each: _lane(shift, each, chosen[each], measuring) for each in group}
            drive(lanes, shift.lab.submit)
    _blame(shift)


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


def failures(shift: Shift, machine: Machine) -> Mapping[str, int]:
    """How often each commit gave nothing on a machine of late."""
    since = shift.now() - shift.config.schedule.forget_after_days * 86400
    records = shift.ledger.of("failed", machine=machine.name)
    return Counter(each["commit"] for each in records if each["at"] >= since)


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


def _lane(shift: Shift, machine: Machine, commits: Sequence[str], measuring: bool) -> Lane:
    for commit in commits:
        job = Job("measure", machine, commit, seconds=shift.seconds_left(measuring=measuring))
        if reason := shift.refusal(job, measuring=measuring):
            shift.leave(job, reason)
            continue
        shift.begun += 1
        count = f"{shift.begun} of {shift.planned}"
        shift.say(f"measuring {commit[:8]} on {machine.name}, {count}")
        _count(shift, shift.keep((yield job)))


def _count(shift: Shift, outcome: Outcome) -> None:
    if outcome.fault in ("time", "busy"):
        shift.leave(outcome.job, outcome.reason)
    elif outcome.fault == "commit":
        shift.failed.append(outcome)
    elif outcome.ok:
        shift.finish(outcome.job)


def _blame(shift: Shift) -> None:
    """Count what gave nothing against the commits, unless nothing at all was measured there.

    Where several commits fail and none does not, it is more likely a full disk or a mistake in
    the configuration, and no commit must suffer for it longer than that lasts.
    """
    working = {name for name, _ in shift.measured}
    idle = Counter(e.job.machine.name for e in shift.failed if e.job.machine.name not in working)
    for each in shift.failed:
        machine, commit = each.job.machine.name, each.job.commit
        if idle[machine] > 1 and not each.lasting:
            shift.warn(
                f"{machine} measured none of {idle[machine]} commits, which is held against no "
                f"commit: {each.reason}"
            )
            continue
        record = {"machine": machine, "commit": commit, "reason": each.reason}
        shift.ledger.add("failed", **record, at=shift.now())
        shift.warn(f"{commit[:8]} gave no results on {machine}: {each.reason}")
    shift.failed.clear()
