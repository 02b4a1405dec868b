"""The artifacts of two commits: what is exact about them, and the pairs to be timed."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from mobileopt import exporter
from mobileopt.artifact import Artifact
from mobileopt.conditions import HARNESS
from mobileopt.errors import InputError, MeasurementError
from mobileopt.exporter import Exported, Order
from mobileopt.gate.finding import (
    DISAGREEMENT,
    GRAPH_METRICS,
    LATENCY,
    NOISE,
    SIZE,
    Finding,
    exact,
    refused,
)
from mobileopt.gate.timing import Pair
from mobileopt.gate.work import SIDES, Work, answers, last
from mobileopt.runners import host


def compare(work: Work) -> None:
    """Export every recipe of every model by both commits, and compare what is exact.

    Raises InputError or MeasurementError when the base cannot export a model at all, and OutOfTime.
    """
    both: dict[str, tuple[Artifact, Artifact]] = {}
    for model in work.question.models if work.question.recipes else ():
        old, new = (_export(work, model, side) for side in SIDES)
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


def _export(work: Work, model: str, side: str) -> Exported:
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
        for at, side in enumerate(SIDES)
    )
    return [
        Pair(LATENCY, name, *both)
        for name, both in zip(artifacts, zip(*sides, strict=True), strict=True)
    ]


def _compare_graphs(work: Work, artifacts: Mapping[str, tuple[Artifact, Artifact]]) -> None:
    work.begin("counting what a forward pass does")
    folders = [each.folder for both in artifacts.values() for each in both]
    facts = iter(_inspect(work, folders))
    for name, old, new in zip(artifacts, facts, facts, strict=True):
        for metric, key in GRAPH_METRICS.items():
            if old.get(key) is not None and new.get(key) is not None:
                work.findings.append(exact(metric, name, old[key], new[key]))


def _inspect(work: Work, folders: Sequence[Path]) -> list[dict[str, Any]]:
    """What today's `mobileopt inspect` says of each artifact, or why it refuses."""
    argv = [sys.executable, "-P", "-m", "mobileopt", "inspect", "--json", *map(str, folders)]
    done = work.run(argv, HARNESS)
    found = {each["target"]: each for each in answers("mobileopt inspect", done)}
    if missing := [each for each in map(str, folders) if each not in found]:
        raise MeasurementError(f"{missing[0]} was not inspected: {last(done.stderr)}")
    return [found[str(each)] for each in folders]
