"""What a measured session says of a model's variants: rows, single steps, and an advice.

Pure: from artifacts and a session's record to the values every report shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from mobileopt.artifact import Artifact
from mobileopt.compare import ALPHA, Comparison, Look, compare, compare_all
from mobileopt.errors import MeasurementError
from mobileopt.estimators import signed_rank_interval
from mobileopt.measure import Record
from mobileopt.report.units import bytes_, decibels, speed, sqnr
from mobileopt.variant import BASELINE, Recipe

SHIPPED_BACKENDS = ("torchscript", "mobile", "lite", "executorch")
SHIPPED_PRECISIONS = ("float", "int8_qnnpack", "int8_dynamic_qnnpack", "int8_xnnpack")
"""What a phone can load and run: the other engines' kernels exist on PCs alone."""


@dataclass(frozen=True)
class Row:
    """One variant: its latency in seconds with an interval, and its ratio to the baseline."""

    artifact: Artifact
    latency: float
    low: float
    high: float
    against_baseline: Comparison | None
    settled: bool

    @property
    def recipe(self) -> Recipe:
        """The variant's recipe."""
        return self.artifact.variant.recipe


@dataclass(frozen=True)
class Step:
    """Two variants that differ in one word, all else equal: what that word alone does."""

    before: Recipe
    after: Recipe
    comparison: Comparison

    @property
    def slot(self) -> str:
        """The slot in which they differ."""
        return self.after.differs_from(self.before)[0]


@dataclass(frozen=True)
class Verdicts:
    """Everything a report needs of one model at one batch size."""

    model: str
    batch: int
    rows: tuple[Row, ...]
    steps: tuple[Step, ...]
    refused: Mapping[str, str]
    record: Record
    min_sqnr: float

    @property
    def advice(self) -> str:
        """One sentence: what to ship, how much faster it is, at what cost."""
        return _advice(self.rows, self.min_sqnr)


def judge(
    artifacts: Sequence[Artifact],
    record: Record,
    *,
    threshold: float,
    min_sqnr: float = 20.0,
    refused: Mapping[str, str] | None = None,
) -> Verdicts:
    """Judge a session; the baseline must be among the artifacts.

    `threshold` is the relative difference that matters, `min_sqnr` the fidelity in decibels an
    advised variant has to keep. Raises MeasurementError when no round was finished.
    """
    if not record.launches:
        raise MeasurementError("the session ended before its first round; nothing to judge")
    first = artifacts[0]
    return Verdicts(
        model=first.variant.model,
        batch=first.inputs[0].shape[0],
        rows=tuple(_rows(artifacts, record, threshold)),
        steps=tuple(_steps([each.variant.recipe for each in artifacts], record, threshold)),
        refused=refused or {},
        record=record,
        min_sqnr=min_sqnr,
    )


def _rows(artifacts: Sequence[Artifact], record: Record, threshold: float) -> list[Row]:
    ratios = _against_baseline(record, threshold) if len(artifacts) > 1 else {}
    return [_row(each, record, ratios) for each in artifacts]


def _against_baseline(record: Record, threshold: float) -> dict[str, Comparison]:
    return compare_all(
        record.wall,
        str(BASELINE),
        threshold=threshold,
        cpu=record.cpu,
        launches=record.launches,
    )


def _row(artifact: Artifact, record: Record, ratios: Mapping[str, Comparison]) -> Row:
    name = str(artifact.variant.recipe)
    medians = [median(samples) for samples in record.wall[name]]
    interval = signed_rank_interval(np.log(medians), ALPHA)
    return Row(
        artifact=artifact,
        latency=math.exp(interval.estimate),
        low=math.exp(interval.low),
        high=math.exp(interval.high) if interval.high < 700 else math.inf,
        against_baseline=ratios.get(name),
        settled=name not in record.unsettled,
    )


def _steps(measured: Sequence[Recipe], record: Record, threshold: float) -> list[Step]:
    pairs = [(a, b) for a in measured for b in measured if _is_step(a, b)]
    look = Look(alpha=ALPHA / max(1, len(pairs)))  # one error rate for all that is printed
    return [
        Step(before, after, _compare(record, str(before), str(after), threshold, look))
        for before, after in sorted(pairs, key=_reading_order)
    ]


def _is_step(before: Recipe, after: Recipe) -> bool:
    differs = before.differs_from(after)
    # A backend is no step: comparing those is what the column against the baseline is for.
    return len(differs) == 1 and differs != ("backend",) and _is_plain(before, differs[0])


def _is_plain(recipe: Recipe, slot: str) -> bool:
    return getattr(recipe, slot) == getattr(BASELINE, slot)


def _reading_order(pair: tuple[Recipe, Recipe]) -> tuple[int, str, str]:
    before, after = pair
    slots = ("fusion", "precision", "layout")
    return slots.index(after.differs_from(before)[0]), before.backend, str(after)


def _compare(record: Record, a: str, b: str, threshold: float, look: Look) -> Comparison:
    return compare(
        record.wall[a],
        record.wall[b],
        threshold=threshold,
        cpu=(record.cpu[a], record.cpu[b]),
        launches=record.launches,
        look=look,
    )


def _advice(rows: Sequence[Row], min_sqnr: float) -> str:
    faster = [row for row in rows if _can_ship(row) and _is_faster(row)]
    good = [row for row in faster if sqnr(row.artifact.fidelity.noise) >= min_sqnr]
    if not good:
        return (
            f"No variant that a phone can load is faster than the baseline here and keeps an SQNR "
            f"of {min_sqnr:g} dB"
        )
    best = min(good, key=_ratio)
    return f"Ship {best.recipe}: {_terms(best)}{_faster_but_noisy(faster, best, min_sqnr)}"


def _terms(row: Row) -> str:
    made = row.artifact
    return (
        f"{speed(_ratio(row))} the baseline's speed here, {bytes_(made.size)}, "
        f"SQNR {decibels(made.fidelity.noise)}"
    )


def _faster_but_noisy(faster: Sequence[Row], best: Row, min_sqnr: float) -> str:
    quickest = min(faster, key=_ratio)
    if quickest is best:
        return ""
    return (
        f"; {quickest.recipe} is faster ({_terms(quickest)}) but below the floor of {min_sqnr:g} dB"
    )


def _can_ship(row: Row) -> bool:
    recipe = row.recipe
    return recipe.backend in SHIPPED_BACKENDS and recipe.precision in SHIPPED_PRECISIONS


def _is_faster(row: Row) -> bool:
    return row.against_baseline is not None and row.against_baseline.verdict == "faster"


def _ratio(row: Row) -> float:
    assert row.against_baseline is not None
    return row.against_baseline.ratio
