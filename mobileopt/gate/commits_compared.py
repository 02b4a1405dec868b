"""Two commits compared: each builds its own artifacts and applies its own passes.

Both are checked out side by side. What is exact (sizes, errors, counts) is compared first and in
full; what is timed gets the rest of the budget (`mobileopt.gate.timing`).
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

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


@dataclass
class _Compared:
    findings: list[Finding] = field(default_factory=list[Finding])
    pairs: list[Pair] = field(default_factory=list[Pair])
    skipped: dict[str, str] = field(default_factory=dict[str, str])


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
        compared = _Compared()
        _compare_artifacts(question, folder, compared, told)
        _compare_counts(question, folder, compared, told)
        if question.timed and compared.pairs:
            told.step(f"timing {len(compared.pairs)} benchmarks")
            clock = Clock(began + question.budget, on_launch=told.launch)
            compared.findings += timing.judge(
                compared.pairs, question.threshold, clock, question.seed
            )
    brought = commits.between(question.repository, base, head)
    return Result(
        base=base,
        head=head,
        findings=accept(compared.findings, accepted, brought),
        threshold=question.threshold,
        seconds=time.monotonic() - began,
        skipped=compared.skipped,
        notes=_notes(question, base, head),
    )


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


def _compare_artifacts(question: Question, folder: Path, compared: _Compared, told: Told) -> None:
    both: dict[str, tuple[Artifact, Artifact]] = {}
    for model in question.models if question.recipes else ():
        old, new = (_export(question, model, folder, side, told) for side in _SIDES)
        made = {str(each.variant): each for each in new.made}
        for each in old.made:
            name = str(each.variant)
            if name in made:
                both[name] = each, made[name]
                _compare_artifact(name, *both[name], compared)
            else:
                reason = new.refused.get(str(each.variant.recipe), "it was not made")
                compared.findings.append(refused(name, reason))
        for recipe, reason in old.refused.items():
            compared.skipped[f"{model}/{recipe}"] = f"the base cannot make it: {reason}"
    if both:
        _compare_graphs(both, compared, told)
        compared.pairs += _artifact_pairs(both)


def _export(question: Question, model: str, folder: Path, side: str, told: Told) -> Exported:
    told.step(f"exporting {model} by the {side}'s code")
    out = folder / f"{side}-artifacts"
    try:
        with _at_one_place(folder / side) as code:
            inputs = question.inputs
            return exporter.export(
                Order(model, question.recipes, out, inputs=inputs, checkout=code)
            )
    except (InputError, MeasurementError) as error:
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


def _compare_artifact(name: str, old: Artifact, new: Artifact, compared: _Compared) -> None:
    compared.findings += [
        exact(SIZE, name, old.size, new.size),
        exact(NOISE, name, old.fidelity.noise, new.fidelity.noise),
        exact(DISAGREEMENT, name, 1 - old.fidelity.top1_agreement, 1 - new.fidelity.top1_agreement),
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


def _compare_graphs(
    artifacts: Mapping[str, tuple[Artifact, Artifact]], compared: _Compared, told: Told
) -> None:
    told.step("counting what a forward pass does")
    folders = [each.folder for both in artifacts.values() for each in both]
    facts = iter(_inspect(folders))
    for name, old, new in zip(artifacts, facts, facts, strict=True):
        for metric, key in GRAPH_METRICS.items():
            if old.get(key) is not None and new.get(key) is not None:
                compared.findings.append(exact(metric, name, old[key], new[key]))


def _inspect(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What today's `mobileopt inspect` says of each artifact; empty of one it cannot trace."""
    argv = [sys.executable, "-P", "-m", "mobileopt", "inspect", "--json", *map(str, folders)]
    done = subprocess.run(
        argv, env=environment(HARNESS), capture_output=True, text=True, check=False
    )
    found = {each["target"]: each for each in map(json.loads, done.stdout.splitlines())}
    if missing := [each for each in map(str, folders) if each not in found]:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MeasurementError(f"{missing[0]} was not inspected: {last}")
    return [found[str(each)] for each in folders]


# --- passes ----------------------------------------------------------------------------------


def _compare_counts(question: Question, folder: Path, compared: _Compared, told: Told) -> None:
    for model in question.pass_models if question.passes else ():
        told.step(f"applying passes to {model}")
        with ThreadPoolExecutor(len(_SIDES)) as pool:
            sides = [pool.submit(_count, model, question.passes, folder / s) for s in _SIDES]
            old, new = (each.result() for each in sides)
        good = [name for name in question.passes if "refused" not in old[name]]
        for name in question.passes:
            subject = f"{model}/{name}"
            if name not in good:
                compared.skipped[subject] = f"the base cannot do it: {old[name]['refused']}"
            elif "refused" in new[name]:
                compared.findings.append(refused(subject, new[name]["refused"]))
            else:
                counts = old[name]["changed"], new[name]["changed"]
                compared.findings.append(exact(CHANGED, subject, *counts))
        timed = [name for name in good if "refused" not in new[name]]
        compared.pairs += [_pass_pair(folder, model, timed, name) for name in timed]


def _pass_pair(folder: Path, model: str, served: Sequence[str], name: str) -> Pair:
    argv = (sys.executable, "-P", str(PASS_EXECUTION), model, *served)
    old, new = (
        Program(f"the passes of the {side}", argv, folder / side, (("pass", name),))
        for side in _SIDES
    )
    return Pair(PASS_TIME, f"{model}/{name}", old, new)


def _count(model: str, passes: Sequence[str], checkout: Path) -> Mapping[str, dict[str, Any]]:
    """What each pass changes, by its name, or why it was refused."""
    argv = [sys.executable, "-P", str(PASS_EXECUTION), "--count", model, *passes]
    done = subprocess.run(
        argv, env=environment(checkout), capture_output=True, text=True, check=False
    )
    told = [cast(dict[str, Any], json.loads(line)) for line in done.stdout.splitlines()]
    found = {str(each["pass"]): each for each in told}
    if missing := [name for name in passes if name not in found]:
        last = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise MeasurementError(f"{checkout.name} cannot apply {missing[0]} to {model}: {last}")
    return found
