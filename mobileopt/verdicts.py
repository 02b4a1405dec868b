"""What a measured session says of a model's variants: rows, single steps, and an advice.

Pure: from artifacts and a session's record to the values every report shows.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product
from statistics import fmean, median

import numpy as np

from mobileopt.artifact import Artifact
from mobileopt.compare import ALPHA, Comparison, Look, compare, compare_all
from mobileopt.conditions import HOST, INPUTS, Memory
from mobileopt.errors import MeasurementError
from mobileopt.estimators import signed_rank_interval
from mobileopt.measure import Record
from mobileopt.report.units import bytes_, decibels, speed, sqnr
from mobileopt.runners.host import Allocations
from mobileopt.variant import BASELINE, Recipe

SHIPPED_BACKENDS = ("torchscript", "mobile", "lite", "executorch")
SHIPPED_PRECISIONS = ("float", "int8_qnnpack", "int8_dynamic_qnnpack", "int8_xnnpack")
"""What a phone can load and run: the other engines' kernels exist on PCs alone."""


@dataclass(frozen=True)
class Row:
    """One variant: its latency in seconds with an interval, and its ratio to the baseline.

    `page_faults` are those of a forward pass; `allocations` are known where they were asked for.
    """

    artifact: Artifact
    latency: float
    low: float
    high: float
    against_baseline: Comparison | None
    settled: bool
    memory: Memory = HOST
    page_faults: float | None = None
    allocations: Allocations | None = None

    @property
    def recipe(self) -> Recipe:
        """The variant's recipe."""
        return self.artifact.variant.recipe

    @property
    def name(self) -> str:
        """The recipe, and the memory condition where it is not a host's usual one."""
        return name(self.recipe, self.memory)


@dataclass(frozen=True)
class Step:
    """Two variants that differ in one word, all else equal: what that word alone does.

    The word is one of the recipe, or one of the two `memories` a recipe was measured under.
    """

    before: Recipe
    after: Recipe
    comparison: Comparison
    memories: tuple[Memory, Memory] = (HOST, HOST)

    @property
    def slot(self) -> str:
        """The slot in which they differ."""
        slots = self.after.differs_from(self.before) or _memory_slots(*self.memories)
        return slots[0]

    @property
    def words(self) -> tuple[str, str]:
        """The words in which they differ."""
        of_recipe = self.before != self.after
        before, after = (self.before, self.after) if of_recipe else self.memories
        return getattr(before, self.slot), getattr(after, self.slot)

    @property
    def names(self) -> tuple[str, str]:
        """The names of the rows that were compared."""
        return name(self.before, self.memories[0]), name(self.after, self.memories[1])


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


@dataclass(frozen=True)
class Conditions:
    """The memory conditions a session measured each variant under, and what was counted there.

    `allocations` are by name, as in the session's record.
    """

    memories: Sequence[Memory] = (HOST,)
    allocations: Mapping[str, Allocations] = field(default_factory=dict[str, Allocations])


def name(recipe: Recipe, memory: Memory = HOST) -> str:
    """What a session's record calls a variant under a memory condition: never alike for two."""
    return str(recipe) if memory == HOST else f"{recipe} {memory}"


def judge(
    artifacts: Sequence[Artifact],
    record: Record,
    *,
    threshold: float,
    min_sqnr: float = 20.0,
    refused: Mapping[str, str] | None = None,
    conditions: Conditions | None = None,
) -> Verdicts:
    """Judge a session; the baseline must be among the artifacts.

    `threshold` is the relative difference that matters, `min_sqnr` the fidelity in decibels an
    advised variant has to keep. Raises MeasurementError when no round was finished.
    """
    if not record.launches:
        raise MeasurementError("the session ended before its first round; nothing to judge")
    first, conditions = artifacts[0], conditions or Conditions()
    recipes = [each.variant.recipe for each in artifacts]
    return Verdicts(
        model=first.variant.model,
        batch=first.inputs[0].shape[0],
        rows=tuple(_rows(artifacts, record, threshold, conditions)),
        steps=tuple(_steps(recipes, record, threshold, conditions.memories)),
        refused=refused or {},
        record=record,
        min_sqnr=min_sqnr,
    )


def _rows(
    artifacts: Sequence[Artifact], record: Record, threshold: float, conditions: Conditions
) -> list[Row]:
    ratios = _against_baseline(record, threshold) if len(record.wall) > 1 else {}
    return [
        _row(artifact, memory, record, ratios, conditions.allocations)
        for artifact, memory in product(artifacts, conditions.memories)
    ]


def _against_baseline(record: Record, threshold: float) -> dict[str, Comparison]:
    return compare_all(
        record.wall,
        str(BASELINE),
        threshold=threshold,
        cpu=record.cpu,
        launches=record.launches,
    )


def _row(
    artifact: Artifact,
    memory: Memory,
    record: Record,
    ratios: Mapping[str, Comparison],
    allocations: Mapping[str, Allocations],
) -> Row:
    key = name(artifact.variant.recipe, memory)
    medians = [median(samples) for samples in record.wall[key]]
    interval = signed_rank_interval(np.log(medians), ALPHA)
    return Row(
        artifact=artifact,
        latency=math.exp(interval.estimate),
        low=math.exp(interval.low),
        high=math.exp(interval.high) if interval.high < 700 else math.inf,
        against_baseline=ratios.get(key),
        settled=key not in record.unsettled,
        memory=memory,
        page_faults=fmean(record.page_faults[key]) if key in record.page_faults else None,
        allocations=allocations.get(key),
    )


def _steps(
    measured: Sequence[Recipe], record: Record, threshold: float, memories: Sequence[Memory]
) -> list[Step]:
    pairs = sorted(
        ((a, b) for a in measured for b in measured if _is_step(a, b)), key=_reading_order
    )
    compared = [(before, after, (HOST, HOST)) for before, after in pairs]
    moves = [(a, b) for a in memories for b in memories if _is_memory_step(a, b)]
    compared += [(recipe, recipe, move) for recipe, move in product(measured, moves)]
    look = Look(alpha=ALPHA / max(1, len(compared)))  # one error rate for all that is printed
    return [
        Step(a, b, _compare(record, name(a, of[0]), name(b, of[1]), threshold, look), of)
        for a, b, of in compared
    ]


def _memory_slots(before: Memory, after: Memory) -> list[str]:
    return [
        slot for slot in ("input", "allocator") if getattr(before, slot) != getattr(after, slot)
    ]


def _is_memory_step(before: Memory, after: Memory) -> bool:
    slots = _memory_slots(before, after)
    if slots == ["allocator"]:
        return before.allocator == HOST.allocator
    order = list(INPUTS)
    return slots == ["input"] and order.index(before.input) < order.index(after.input)


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
    return (
        row.memory == HOST
        and recipe.backend in SHIPPED_BACKENDS
        and recipe.precision in SHIPPED_PRECISIONS
    )


def _is_faster(row: Row) -> bool:
    return row.against_baseline is not None and row.against_baseline.verdict == "faster"


def _ratio(row: Row) -> float:
    assert row.against_baseline is not None
    return row.against_baseline.ratio
