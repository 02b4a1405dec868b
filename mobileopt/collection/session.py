"""One session on one phone: the variants of a model, interleaved in rounds, and judged.

Gate, reference, warm-up of each variant until it settles, rounds until the ratios are known or
the budget is spent, reference, verdict.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from mobileopt import clocks, sampling
from mobileopt.adb import files, performance, probe
from mobileopt.collection.course import Course, Setting, Stopped
from mobileopt.collection.record import Record, Subject, Times, Verdict
from mobileopt.collection.warming import refer, warm_up
from mobileopt.device import Device, State
from mobileopt.sampling import LEAD
from mobileopt.validity import Ran, findings, thresholds, verdict

__all__ = ["Record", "Setting", "Stopped", "Subject", "fastest", "measure"]


def measure(
    setting: Setting,
    subjects: Sequence[Subject],
    baseline: str,
    reference: Subject | None,
    seed: int,
) -> Record:
    """Run one session; a variant whose program fails is left out of the rest, with its error.

    `baseline` names the subject the ratios are taken to. Raises DeviceError for a fault of the
    phone itself, NotReadyError when it does not become fit, Stopped when asked to.
    """
    started = time.monotonic()
    course = Course.begin(setting, subjects)
    with performance.fixed(setting.phone) as fixed:
        _push(course, [*subjects, *([reference] if reference else [])])
        course.enter()
        _pin(course)
        first = refer(course, reference)
        warm_up(course)
        ended = _sample(course, baseline, seed)
        last = refer(course, reference) if course.alive else None
        after = probe.state(setting.phone, closing=True)
    _doubt_reference(course, reference, first, last)
    total = time.monotonic() - started
    return Record(
        {name: course.rounds[name] for name in course.alive},
        course.failures,
        {name: _judge(course, name, after, fixed=fixed) for name in course.alive},
        course.plans,
        baseline,
        course.before,
        after,
        (first, last) if first and last else None,
        fixed,
        ended,
        Times(total, course.programs, course.pushing, course.waiting, course.launches),
        seed,
    )


def fastest(device: Device, state: State) -> tuple[int, ...]:
    """The cores of the highest capacity, as far as the shell may use them.

    None when the phone does not tell its cores apart, or keeps the shell off the fastest.
    """
    top = max(device.capacities.values(), default=0)
    best = tuple(core for core, capacity in device.capacities.items() if capacity == top)
    usable = tuple(core for core in best if core in state.affinity or not state.affinity)
    return usable if len(best) < len(device.capacities) else ()


def _push(course: Course, subjects: Sequence[Subject]) -> None:
    phone = course.setting.phone
    wanted = {
        each.program.remote: (each.program.path, 0o755, each.program.sha256) for each in subjects
    }
    wanted |= {each.remote: (each.artifact.path, 0o644, each.artifact.sha256) for each in subjects}
    held = files.digests(phone, list(wanted))
    started = time.monotonic()
    for remote, (local, mode, sha256) in wanted.items():
        course.check_stop()
        if held.get(remote) != sha256:
            files.push(phone, local, remote, mode=mode)
    if any(held.get(remote) != sha256 for remote, (_, _, sha256) in wanted.items()):
        course.pushing = time.monotonic() - started


def _pin(course: Course) -> None:
    setting = course.setting
    if setting.pin and not setting.plan.cores:
        cores = fastest(setting.device, course.before)
        course.setting = replace(setting, plan=replace(setting.plan, cores=cores))
        course.plans = {name: replace(plan, cores=cores) for name, plan in course.plans.items()}


def _sample(course: Course, baseline: str, seed: int) -> str:
    """Whole rounds until a look says that it is enough; gives why it ended."""
    budget, ends = course.setting.budget, time.monotonic() + course.setting.budget.seconds
    ended = "all rounds were done"
    for number in range(1, budget.rounds + 1):
        course.setting.tell(f"round {number} of at most {budget.rounds}")
        _round(course, sampling.order(course.alive, seed, number))
        if not course.alive:
            return "every variant failed"
        rounds = {name: course.rounds[name] for name in course.alive}
        first = baseline if baseline in rounds else next(iter(rounds))
        if sampling.enough(rounds, first, budget, number):
            return ended if number == budget.rounds else "the ratios were known"
        if time.monotonic() > ends:
            return f"its {budget.seconds:g} seconds were over"
        if reason := course.heated():
            return reason
    return ended


def _round(course: Course, names: Sequence[str]) -> None:
    for name in names:
        launch = course.attempt(name)
        if launch is not None:
            samples = launch.outcome.latency.samples
            course.unsettled[name] += not sampling.settled(samples)
            course.rounds[name].append(samples[LEAD:])
            course.made.setdefault(name, []).append(launch)
            course.doubt(name, *launch.outcome.doubts)


def _doubt_reference(
    course: Course,
    reference: Subject | None,
    first: tuple[float, ...] | None,
    last: tuple[float, ...] | None,
) -> None:
    if first and last:
        slower = sampling.drift(first, last)
        drifted = abs(slower) > thresholds()[1].reference_drift
        doubts = [f"the reference took {slower:+.0%} at the end of the session"] if drifted else []
    else:
        when = "before" if last else "after" if first else "before and after"
        missing = f"the reference did not run {when} the rounds, so a drift cannot be told"
        doubts = [missing] if reference else []
    for name in course.alive:
        course.doubt(name, *doubts)


def _judge(course: Course, name: str, after: State, *, fixed: bool) -> Verdict:
    launches = course.made[name]
    slow = course.unsettled[name]
    if slow > thresholds()[1].unsettled_share * len(launches):
        course.doubt(
            name, f"the first iterations of {slow} of {len(launches)} launches were slower"
        )
    ran = Ran(
        residency=clocks.total(each.residency for each in launches),
        pinned=course.setting.plan.cores,
        affinity=tuple(sorted({core for each in launches for core in each.affinity})),
        threads=course.setting.plan.threads,
        doubts=tuple(course.doubts.get(name, {})),
        fixed=fixed,
    )
    found = findings(course.setting.device, course.before, after, ran)
    throttled = any(each.throttled for each in found)
    return Verdict(verdict(found), ran.residency, ran.affinity, throttled)
