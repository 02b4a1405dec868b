"""Two commits compared: each builds its own artifacts and applies its own passes.

Both are checked out side by side. What is exact (sizes, errors, counts) is compared first and in
full; what is timed gets the rest of the budget (`mobileopt.gate.timing`).
"""

from __future__ import annotations

import math
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from mobileopt import commits
from mobileopt.accepted import Accepted
from mobileopt.gate import artifacts_compared, timing
from mobileopt.gate.finding import (
    CHANGED,
    EXPORT,
    PASS_TIME,
    Finding,
    Result,
    accept,
    exact,
    refused,
)
from mobileopt.gate.timing import Clock, Pair
from mobileopt.gate.work import (
    QUIET,
    SIDES,
    OutOfTime,
    Question,
    Told,
    Work,
    answers,
    last,
)
from mobileopt.runners.host import Program

PASS_EXECUTION = Path(__file__).parents[1] / "pass_execution.py"
"""Today's program, by path: it runs with an old commit's mobileopt on its path."""


def compare_commits(
    question: Question, accepted: Sequence[Accepted] = (), told: Told = QUIET
) -> Result:
    """Compare the head with the base; see `Question`.

    Raises InputError for commits, models or recipes that do not exist or when a commit's code
    cannot be run, and MeasurementError when a process dies.
    """
    began = time.monotonic()
    base, head = (commits.resolve(question.repository, each) for each in _ends(question))
    with _checkouts(question, base, head) as folder:
        work = Work(question, folder, told, began + question.budget)
        try:
            artifacts_compared.compare(work)
            _compare_passes(work)
        except OutOfTime as ended:
            work.findings.append(_unfinished(str(ended), question))
        if question.timed and work.pairs:
            told.step(f"timing {len(work.pairs)} benchmarks")
            clock = Clock(work.deadline, on_launch=told.launch)
            work.findings += timing.judge(work.pairs, question.threshold, clock, question.seed)
    brought = commits.between(question.repository, base, head)
    return Result(
        base=base,
        head=head,
        findings=accept(work.findings, accepted, brought),
        threshold=question.threshold,
        seconds=time.monotonic() - began,
        skipped=work.skipped,
        notes=_notes(question, base, head),
    )


def _unfinished(step: str, question: Question) -> Finding:
    unknown = (math.nan, math.nan, math.nan, 0.0, math.inf)
    why = f"the budget of {question.budget:g} s ended in it, and all that comes after is missing"
    return Finding(EXPORT, step, "unclear", *unknown, why)


def _ends(question: Question) -> tuple[str, str]:
    return question.base, question.head


def _notes(question: Question, base: str, head: str) -> tuple[str, ...]:
    notes: list[str] = []
    if base == head:
        notes.append("The base and the head are the same commit.")
    if commits.uncommitted(question.repository):
        notes.append("Commits are compared; the uncommitted changes here are no part of it.")
    return tuple(notes)


@contextmanager
def _checkouts(question: Question, base: str, head: str) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="mobileopt-check-") as made, ExitStack() as stack:
        folder = Path(made).resolve()
        for side, commit in zip(SIDES, (base, head), strict=True):
            stack.enter_context(commits.checkout(question.repository, commit, folder / side))
        yield folder


def _compare_passes(work: Work) -> None:
    passes = work.question.passes
    for model in work.question.pass_models if passes else ():
        work.begin(f"applying passes to {model}")
        with ThreadPoolExecutor(len(SIDES)) as pool:
            old, new = pool.map(lambda side: _count(work, model, side), SIDES)  # noqa: B023  ended here
        good = [name for name in passes if "refused" not in old[name]]
        for name in passes:
            subject = f"{model}/{name}"
            if name not in good:
                work.skipped[subject] = f"the base cannot do it: {old[name]['refused']}"
            elif "refused" in new[name]:
                work.findings.append(refused(subject, new[name]["refused"]))
            else:
                counts = old[name]["changed"], new[name]["changed"]
                work.findings.append(exact(CHANGED, subject, *counts))
        timed = [name for name in good if "refused" not in new[name]]
        work.pairs += [_pass_pair(work.folder, model, timed, name) for name in timed]


def _pass_pair(folder: Path, model: str, served: Sequence[str], name: str) -> Pair:
    argv = (sys.executable, "-P", str(PASS_EXECUTION), model, *served)
    old, new = (
        Program(f"the passes of the {side}", argv, folder / side, (("pass", name),))
        for side in SIDES
    )
    return Pair(PASS_TIME, f"{model}/{name}", old, new)


def _count(work: Work, model: str, side: str) -> Mapping[str, dict[str, Any]]:
    """What each pass changes, by its name, or why it cannot be done."""
    passes = work.question.passes
    argv = [sys.executable, "-P", str(PASS_EXECUTION), "--count", model, *passes]
    done = work.run(argv, work.folder / side)
    told = answers(f"the program that applies the {side}'s passes", done)
    died = {name: {"refused": last(done.stderr)} for name in passes}
    return died | {str(each["pass"]): each for each in told}
