"""Before the rounds of a session: the reference probe, and each variant's warm-up."""

from __future__ import annotations

from dataclasses import replace
from statistics import median

from mobileopt import sampling
from mobileopt.collection.course import Course
from mobileopt.collection.launching import Launch
from mobileopt.collection.record import Subject
from mobileopt.errors import CapabilityError, MeasurementError, ProgramError
from mobileopt.run import Plan
from mobileopt.sampling import LEAD

PROBE_SECONDS = 0.5
PROBE_ITERATIONS = (3, 2000)
"""How long the reference runs: about half a second, and never less or more often than this."""


def refer(course: Course, reference: Subject | None) -> tuple[float, ...] | None:
    """The reference's samples; None when there is none, or it does not run."""
    if reference is None:
        return None
    try:
        course.probe = course.probe or _sized(course, reference)
        return course.launch(reference, course.probe).outcome.latency.samples[LEAD:]
    except (ProgramError, MeasurementError, CapabilityError) as error:
        course.setting.tell(f"the reference does not run: {error}")
        return None


def warm_up(course: Course) -> None:
    """Launch each variant until its leading iterations take as long as the rest."""
    for name in course.alive:
        course.setting.tell(f"{name}: warm-up")
        _settle(course, name)


def _settle(course: Course, name: str) -> None:
    worked: Plan | None = None
    while True:
        launch = course.attempt(name)
        if course.heated():
            course.enter()
        if launch is None:
            _fall_back(course, name, worked)
            return
        if sampling.settled(launch.outcome.latency.samples):
            return
        worked = course.plans[name]
        more = _more(course, worked, launch)
        if more <= worked.warmup:
            course.doubt(name, f"its times had not settled after {worked.warmup} iterations")
            return
        course.plans[name] = replace(worked, warmup=more)


def _more(course: Course, plan: Plan, launch: Launch) -> int:
    budget = course.setting.budget
    longest = budget.longest(len(course.alive), course.setting.deadline)
    affordable = sampling.affordable_warmup(launch.seconds, plan.warmup, plan.iterations, longest)
    return sampling.more_warmup(plan.warmup, budget.warmup, affordable)


def _fall_back(course: Course, name: str, worked: Plan | None) -> None:
    """Go on with the last plan that worked, if all that failed was the time for more."""
    error = course.failures[name]
    if worked and isinstance(error, ProgramError) and error.fault == "timed_out":
        del course.failures[name]
        tried, course.plans[name] = course.plans[name].warmup, worked
        had = f"its times had not settled after {worked.warmup} iterations"
        course.doubt(name, f"{had}, and {tried} took too long")


def _sized(course: Course, reference: Subject) -> Plan:
    """A plan under which the reference takes about PROBE_SECONDS."""
    plan = replace(course.setting.plan, iterations=course.setting.plan.iterations + LEAD)
    each = median(course.launch(reference, plan).outcome.latency.samples[LEAD:])
    least, most = PROBE_ITERATIONS
    return replace(plan, iterations=min(max(round(PROBE_SECONDS / each), least), most) + LEAD)
