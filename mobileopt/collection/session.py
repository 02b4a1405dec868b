"""One session on one phone: the variants of a model, interleaved in rounds, and judged.

Gate, reference, warm-up of each variant until it settles, rounds until the ratios are known or
the budget is spent, reference, verdict.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from mobileopt import runners, sampling
from mobileopt.adb import WORK, Phone, files, performance, probe
from mobileopt.artifact import Artifact
from mobileopt.collection.programs import Program
from mobileopt.device import Device, State
from mobileopt.errors import (
    CapabilityError,
    DeviceError,
    MeasurementError,
    MobileoptError,
    ProgramError,
)
from mobileopt.run import Plan, Validity
from mobileopt.runners import Outcome
from mobileopt.sampling import LEAD, Budget
from mobileopt.validity import INVALID, Gate, gate, heated, judge, thresholds

MODELS = f"{WORK}/mobileopt/models"
RUNNING = f"{WORK}/mobileopt/running"

# The program takes the place of the shell, so that the process written down is the program.
_LAUNCH = 'echo $$ > "$1"; shift; exec "$@"'
_END = """if [ -e "$1" ]; then
  pid=$(cat "$1")
  case "$(ps -p "$pid" -o args= 2>/dev/null)" in *"$2"*) kill -KILL "$pid";; esac
  rm -f "$1"
fi
"""
_LEAVE = _END + 'rm -rf "$3"'
_PROGRAMS = "/mobileopt/bin/"


class Stopped(Exception):
    """The user asked to stop; nothing is to be recorded."""


@dataclass(frozen=True)
class Setting:
    """Where and how sessions run.

    `pin` keeps programs on the fastest cores the shell may use, unless the plan names cores.
    `idle` are the seconds of a command that does nothing; `deadline` is in seconds a launch;
    `stop` ends everything between two launches; `tell` takes sentences about what goes on.
    """

    phone: Phone
    device: Device
    plan: Plan
    budget: Budget
    pin: bool = False
    idle: float = 0.0
    deadline: float = 300.0
    entry: Gate = field(default_factory=lambda: thresholds()[0])
    stop: threading.Event = field(default_factory=threading.Event)
    tell: Callable[[str], None] = lambda _: None


@dataclass(frozen=True)
class Subject:
    """An artifact and the program that runs it."""

    artifact: Artifact
    program: Program

    @property
    def name(self) -> str:
        """The variant's name."""
        return str(self.artifact.variant)

    @property
    def remote(self) -> str:
        """Where the model lies on a phone: by its content, under no name of anybody's choice."""
        return f"{MODELS}/{self.artifact.sha256[:32]}{self.artifact.path.suffix}"


@dataclass(frozen=True)
class Times:
    """Where a session's seconds went. `overhead` is what this layer cost beside the programs'
    own runs, the pushing of files that were not there and the waiting for a cool phone."""

    total: float
    programs: float
    pushing: float
    waiting: float

    @property
    def overhead(self) -> float:
        """Seconds that were none of the others."""
        return self.total - self.programs - self.pushing - self.waiting


@dataclass(frozen=True)
class Record:
    """What a session measured, by variant: rounds of samples in seconds, and why some have none.

    `warmups` are the warm-up iterations each launch made in the end.
    """

    rounds: Mapping[str, list[tuple[float, ...]]]
    failures: Mapping[str, MobileoptError]
    validity: Mapping[str, Validity]
    plans: Mapping[str, Plan]
    baseline: str
    before: State
    after: State
    reference: tuple[tuple[float, ...], tuple[float, ...]] | None
    fixed: bool
    ended: str
    times: Times
    seed: int

    @property
    def throttled(self) -> bool:
        """Whether all its samples are void, so that it should be done once more."""
        return any(each.verdict == INVALID for each in self.validity.values())


@dataclass
class _Course:
    """A session under way."""

    setting: Setting
    subjects: dict[str, Subject]
    plans: dict[str, Plan]
    rounds: dict[str, list[tuple[float, ...]]]
    failures: dict[str, MobileoptError] = field(default_factory=dict[str, MobileoptError])
    doubts: dict[str, dict[str, None]] = field(default_factory=dict[str, dict[str, None]])
    programs: float = 0.0
    pushing: float = 0.0
    waiting: float = 0.0

    @property
    def alive(self) -> list[str]:
        """The variants that have not failed."""
        return [name for name in self.subjects if name not in self.failures]

    def doubt(self, name: str, *sentences: str) -> None:
        """Remember reasons to suspect a variant's samples."""
        self.doubts.setdefault(name, {}).update(dict.fromkeys(sentences))


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
    course = _course(setting, subjects)
    with performance.fixed(setting.phone) as fixed:
        _push(course, [*subjects, *([reference] if reference else [])])
        before = _enter(course)
        _pin(course, before)
        first = _refer(course, reference)
        _warm_up(course)
        ended = _sample(course, baseline, before, seed)
        last = _refer(course, reference) if course.alive else None
        after = probe.state(setting.phone, closing=True)
    ends = time.monotonic()
    times = Times(ends - started, course.programs, course.pushing, course.waiting)
    probed = (first, last) if first and last else None
    return Record(
        {name: course.rounds[name] for name in course.alive},
        course.failures,
        {name: _judge(course, name, before, after, probed, fixed=fixed) for name in course.alive},
        course.plans,
        baseline,
        before,
        after,
        probed,
        fixed,
        ended,
        times,
        seed,
    )


def tidy(phone: Phone, programs: Sequence[Program]) -> None:
    """Undo what a killed run left: its program, its models, programs nobody wants any more."""
    phone.script(_END, RUNNING, _PROGRAMS)
    performance.restore(phone)
    files.remove(phone, MODELS)
    wanted = {each.remote.split("/")[-2] for each in programs}
    listed = phone.shell(["ls", f"{WORK}/mobileopt/bin"]).stdout.split()
    for each in set(listed) - wanted:
        with contextlib.suppress(MobileoptError):
            files.remove(phone, f"{WORK}/mobileopt/bin/{each}")


def fastest(device: Device, state: State) -> tuple[int, ...]:
    """The cores of the highest capacity, as far as the shell may use them.

    None when the phone does not tell its cores apart, or keeps the shell off the fastest.
    """
    top = max(device.capacities.values(), default=0)
    best = tuple(core for core, capacity in device.capacities.items() if capacity == top)
    usable = tuple(core for core in best if core in state.affinity or not state.affinity)
    return usable if len(best) < len(device.capacities) else ()


def idle(phone: Phone) -> float:
    """Seconds of a command that does nothing: adb, the guard, the shell."""
    return median(phone.shell(["true"]).seconds for _ in range(3))


def leave(phone: Phone) -> None:
    """Take a session's traces off the phone, if it can be reached; the programs stay."""
    with contextlib.suppress(DeviceError):
        phone.script(_LEAVE, RUNNING, _PROGRAMS, MODELS, deadline=5)


def _course(setting: Setting, subjects: Sequence[Subject]) -> _Course:
    named = {each.name: each for each in subjects}
    plan = replace(setting.plan, iterations=setting.plan.iterations + LEAD)
    return _Course(setting, named, dict.fromkeys(named, plan), {name: [] for name in named})


def _push(course: _Course, subjects: Sequence[Subject]) -> None:
    phone = course.setting.phone
    wanted = {
        each.program.remote: (each.program.path, 0o755, each.program.sha256) for each in subjects
    }
    wanted |= {each.remote: (each.artifact.path, 0o644, each.artifact.sha256) for each in subjects}
    held = files.digests(phone, list(wanted))
    started = time.monotonic()
    for remote, (local, mode, sha256) in wanted.items():
        _check_stop(course)
        if held.get(remote) != sha256:
            files.push(phone, local, remote, mode=mode)
    if any(held.get(remote) != sha256 for remote, (_, _, sha256) in wanted.items()):
        course.pushing = time.monotonic() - started


def _enter(course: _Course) -> State:
    setting = course.setting

    def sleep(seconds: float) -> None:
        course.waiting += seconds
        if setting.stop.wait(seconds):
            raise Stopped

    def waiting(reasons: str, left: float) -> None:
        setting.tell(f"waits, {left:.0f} s at most: {reasons}")

    read = lambda: probe.state(setting.phone)  # noqa: E731
    return gate(setting.device, read, setting.entry, waiting=waiting, sleep=sleep)


def _pin(course: _Course, state: State) -> None:
    setting = course.setting
    if setting.pin and not setting.plan.cores:
        cores = fastest(setting.device, state)
        course.setting = replace(setting, plan=replace(setting.plan, cores=cores))
        course.plans = {name: replace(plan, cores=cores) for name, plan in course.plans.items()}


def _refer(course: _Course, reference: Subject | None) -> tuple[float, ...] | None:
    """The reference's samples; None when there is none, or it does not run."""
    if reference is None:
        return None
    plan = replace(course.setting.plan, iterations=course.setting.plan.iterations + LEAD)
    try:
        return _launch(course, reference, plan).latency.samples[LEAD:]
    except (ProgramError, MeasurementError, CapabilityError):
        return None


def _warm_up(course: _Course) -> None:
    """Launch each variant until its leading iterations take as long as the rest."""
    budget = course.setting.budget
    for name in course.alive:
        course.setting.tell(f"{name}: warm-up")
        while (outcome := _try(course, name)) is not None:
            plan = course.plans[name]
            if sampling.settled(outcome.latency.samples):
                break
            if plan.warmup >= budget.warmup:
                course.doubt(name, f"its times had not settled after {plan.warmup} iterations")
                break
            more = sampling.more_warmup(plan.warmup, budget.warmup)
            course.plans[name] = replace(plan, warmup=more)


def _sample(course: _Course, baseline: str, before: State, seed: int) -> str:
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
        if budget.look(number) and (reason := heated(before, probe.state(course.setting.phone))):
            return reason
    return ended


def _round(course: _Course, names: Sequence[str]) -> None:
    for name in names:
        outcome = _try(course, name)
        if outcome is not None:
            samples = outcome.latency.samples
            if not sampling.settled(samples):
                course.doubt(name, "the first iterations of some launches were slower")
            course.rounds[name].append(samples[LEAD:])
            course.doubt(name, *outcome.doubts)


def _try(course: _Course, name: str) -> Outcome | None:
    """Launch a variant; a failure of its own is noted, and gives None."""
    try:
        return _launch(course, course.subjects[name], course.plans[name])
    except (ProgramError, MeasurementError, CapabilityError) as error:
        course.failures[name] = error
        return None


def _launch(course: _Course, subject: Subject, plan: Plan) -> Outcome:
    _check_stop(course)
    runner = runners.load(subject.program.runner)
    inputs = subject.artifact.inputs
    argv = runner.command(subject.program.remote, subject.remote, inputs, plan)
    phone = course.setting.phone
    words = probe.pinned(argv, plan.cores)
    result = phone.script(_LAUNCH, RUNNING, *words, deadline=course.setting.deadline)
    course.programs += max(0.0, result.seconds - course.setting.idle)
    return runner.parse(result.stdout, result.stderr, result.code, plan)


def _judge(
    course: _Course,
    name: str,
    before: State,
    after: State,
    probed: tuple[tuple[float, ...], tuple[float, ...]] | None,
    *,
    fixed: bool,
) -> Validity:
    doubts = list(course.doubts.get(name, {}))
    if probed:
        slower = sampling.drift(*probed)
        if abs(slower) > thresholds()[1].reference_drift:
            doubts.append(f"the reference took {slower:+.0%} at the end of the session")
    device, pinned = course.setting.device, course.setting.plan.cores
    return judge(device, before, after, pinned=pinned, doubts=tuple(doubts), fixed=fixed)


def _check_stop(course: _Course) -> None:
    if course.setting.stop.is_set():
        raise Stopped
