"""Two commits compared: each builds its own artifacts and applies its own passes.

Both are checked out side by side. What is exact (sizes, errors, counts) is compared first and in
full; what is timed gets the rest of the budget (`mobileopt.gate.timing`).
"""

from __future__ import annotations

import math
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobileopt import commits, exporter
from mobileopt.accepted import Accepted
from mobileopt.artifact import Artifact
from mobileopt.conditions import HARNESS, environment
from mobileopt.errors import InputError, MeasurementError
from mobileopt.exporter import Exported, Order
from mobileopt.gate import timing
from mobileopt.gate.finding import (
    CHANGED,
    DISAGREEMENT,
    EXPORT,
    GRAPH_METRICS,
    LATENCY,
    NOISE,
    PASS_TIME,
    SIZE,
    Finding,
    Result,
    accept,
    exact,
    refused,
)
from mobileopt.gate.timing import Clock, Pair
from mobileopt.runners import host
from mobileopt.runners.host import Program
from mobileopt.variant import Recipe

PASS_EXECUTION = Path(__file__).parents[1] / "pass_execution.py"
"""Today's program, by path: it runs with an old commit's mobileopt on its path."""

_SIDES = ("base", "head")


@dataclass(frozen=True)
class Question:
    """What to compare: two commits of `repository`, on `recipes` of each of `models`, and
    `passes` on each of `pass_models`; `timed` off leaves it at what is exact. `models` may be a
    user's own as `mobileopt.reference` names them, of these `inputs`.

    `threshold` is the relative slowdown that matters, `budget` in seconds.
    """

    repository: Path
    base: str
    head: str
    models: Sequence[str] = ("mobilenet_v2",)
    recipes: Sequence[Recipe] = ()
    pass_models: Sequence[str] = ("annotated_conv_bn_relu",)
    passes: Sequence[str] = ()
    inputs: Sequence[str] = ()
    threshold: float = 0.05
    budget: float = 300.0
    timed: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Told:
    """Where the progress goes: `step` hears what begins, `launch` each launch of a session."""

    step: Callable[[str], object] = lambda what: None
    launch: Callable[[str], object] = lambda what: None


QUIET = Told()


class _OutOfTime(Exception):
    """The budget ended in the middle of what its message says."""


@dataclass
class _Work:
    """What is being compared, in which folder, until when; and what was found so far."""

    question: Question
    folder: Path
    told: Told
    deadline: float
    findings: list[Finding] = field(default_factory=list[Finding])
    pairs: list[Pair] = field(default_factory=list[Pair])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    step: str = ""

    def begin(self, what: str) -> None:
        """Say what begins; raises _OutOfTime when there is no time for it."""
        self.told.step(what)
        self.step = what
        self.left()

    def left(self) -> float:
        """Seconds until the deadline, above 0; raises _OutOfTime when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise _OutOfTime(self.step)
        return left

    def run(self, argv: Sequence[str], checkout: Path) -> subprocess.CompletedProcess[str]:
        """Run a program with a checkout's mobileopt, no longer than until the deadline."""
        try:
            return subprocess.run(
                argv,
                env=environment(checkout),
                capture_output=True,
                text=True,
                timeout=self.left(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise _OutOfTime(self.step) from error


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
        work = _Work(question, folder, told, began + question.budget)
        try:
            _compare_artifacts(work)
            _compare_counts(work)
        except _OutOfTime as ended:
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
        for side, commit in zip(_SIDES, (base, head), strict=True):
            stack.enter_context(commits.checkout(question.repository, commit, folder / side))
        yield folder


# --- artifacts -------------------------------------------------------------------------------


def _compare_artifacts(work: _Work) -> None:
    both: dict[str, tuple[Artifact, Artifact]] = {}
    for model in work.question.models if work.question.recipes else ():
        old, new = (_export(work, model, side) for side in _SIDES)
        made = {str(each.variant): each for each in new.made}
        for each in old.made:
            name = str(each.variant)
            if name in made:
                both[name] = each, made[name]
                work.findings += _compare_artifact(name, *both[name])
            else:
                reason = new.refused.get(str(each.variant.recipe), "it was not made")
                work.findings.append(refused(name, reason))
        for recipe, reason in old.refused.items():
            work.skipped[f"{model}/{recipe}"] = f"the base cannot make it: {reason}"
    if both:
        work.pairs += _artifact_pairs(both)
        _compare_graphs(work, both)


def _export(work: _Work, model: str, side: str) -> Exported:
    work.begin(f"exporting {model} by the {side}'s code")
    question, out = work.question, work.folder / f"{side}-artifacts"
    try:
        with _at_one_place(work.folder / side) as code:
            order = Order(model, question.recipes, out, inputs=question.inputs, checkout=code)
            return exporter.export(order, timeout=work.left())
    except (InputError, MeasurementError) as error:
        work.left()  # it died because its time was over
        if side == "head":
            return Exported((), dict.fromkeys(map(str, question.recipes), str(error)))
        raise type(error)(f"the base's code cannot export {model}: {error}") from error


@contextmanager
def _at_one_place(checkout: Path) -> Iterator[Path]:
    """A checkout under the same path for every side.

    A TorchScript file holds the paths of its sources, compressed: two paths, even of one length,
    can make two sizes.
    """
    code = checkout.rename(checkout.with_name("code"))
    try:
        yield code
    finally:
        code.rename(checkout)


def _compare_artifact(name: str, old: Artifact, new: Artifact) -> list[Finding]:
    lost = (1 - each.fidelity.top1_agreement for each in (old, new))
    return [
        exact(SIZE, name, old.size, new.size),
        exact(NOISE, name, old.fidelity.noise, new.fidelity.noise),
        exact(DISAGREEMENT, name, *lost),
    ]


def _artifact_pairs(artifacts: Mapping[str, tuple[Artifact, Artifact]]) -> list[Pair]:
    """All artifacts of a side are served by one process: importing torch is most of a launch."""
    sides = (
        host.together(
            f"the artifacts of the {side}", [each[at].folder for each in artifacts.values()]
        )
        for at, side in enumerate(_SIDES)
    )
    return [
        Pair(LATENCY, name, *both)
        for name, both in zip(artifacts, zip(*sides, strict=True), strict=True)
    ]


def _compare_graphs(work: _Work, artifacts: Mapping[str, tuple[Artifact, Artifact]]) -> None:
    work.begin("counting what a forward pass does")
    folders = [each.folder for both in artifacts.values() for each in both]
    facts = iter(_inspect(work, folders))
    for name, old, new in zip(artifacts, facts, facts, strict=True):
        for metric, key in GRAPH_METRICS.items():
            if old.get(key) is not None and new.get(key) is not None:
                work.findings.append(exact(metric, name, old[key], new[key]))


def _inspect(work: _Work, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What today's `mobileopt inspect` says of each artifact, or why it refuses."""
    argv = [sys.executable, "-P", "-m", "mobileopt", "inspect", "--json", *map(str, folders)]
    done = work.run(argv, HARNESS)
    found = {each["target"]: each for each in _answers("mobileopt inspect", done)}
    if missing := [each for each in map(str, folders) if each not in found]:
        raise MeasurementError(f"{missing[0]} was not inspected: {_last(done.stderr)}")
    return [found[str(each)] for each in folders]


# --- passes ----------------------------------------------------------------------------------


def _compare_counts(work: _Work) -> None:
    passes = work.question.passes
    for model in work.question.pass_models if passes else ():
        work.begin(f"applying passes to {model}")
        with ThreadPoolExecutor(len(_SIDES)) as pool:
            old, new = pool.map(lambda side: _count(work, model, side), _SIDES)  # noqa: B023  ended here
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
        for side in _SIDES
    )
    return Pair(PASS_TIME, f"{model}/{name}", old, new)


def _count(work: _Work, model: str, side: str) -> Mapping[str, dict[str, Any]]:
    """What each pass changes, by its name, or why it cannot be done."""
    passes = work.question.passes
    argv = [sys.executable, "-P", str(PASS_EXECUTION), "--count", model, *passes]
    done = work.run(argv, work.folder / side)
    told = _answers(f"the program that applies the {side}'s passes", done)
    died = {name: {"refused": _last(done.stderr)} for name in passes}
    return died | {str(each["pass"]): each for each in told}


def _answers(name: str, done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [host.answer(name, line) for line in done.stdout.splitlines()]


def _last(errors: str) -> str:
    return (errors.strip().splitlines() or ["it said nothing"])[-1]
