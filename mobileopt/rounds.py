"""Rounds of samples as a comparison reads them: checked, rid of interrupted ones, reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
from numpy.typing import NDArray

from mobileopt.errors import InputError
from mobileopt.estimators import Vector

Rounds = Sequence[Sequence[float]]
"""Round by round, one sample or more in each, all in one unit and above zero."""

INTERRUPTED = 1.02
"""Wall time over CPU time from which a sample counts as interrupted by another process."""


@dataclass(frozen=True)
class Pairs:
    """The medians of both sides in the rounds that are used.

    `index` are the numbers of those rounds, from 0; `dropped` the fraction of samples left out;
    `tick` what the clock cannot tell apart, as a log ratio, infinite when it never ticked.
    """

    left: Vector
    right: Vector
    index: NDArray[np.intp]
    dropped: float
    tick: float

    @property
    def ratios(self) -> Vector:
        """Log of right over left, a round each."""
        return np.log(self.right / self.left)

    @property
    def levels(self) -> Vector:
        """The mean of both sides' logs, a round each."""
        return (np.log(self.left) + np.log(self.right)) / 2


def pair(a: Rounds, b: Rounds, cpu: tuple[Rounds, Rounds] | None = None) -> Pairs:
    """Reduce each round to its medians, without the samples that `cpu` shows interrupted.

    A round of which nothing is left on one side is left out; when that would leave fewer than
    half of the rounds, nothing is dropped. Raises InputError for rounds that do not match, are
    empty or hold a sample that is not a finite number above zero.
    """
    left, right = _read("a", a), _read("b", b)
    _check_matching("b", right, left)
    everything = _reduce(left, right, 0.0)
    if cpu is None:
        return everything
    calm_left, calm_right = _calm("a", left, cpu[0]), _calm("b", right, cpu[1])
    dropped = 1 - _count(calm_left, calm_right) / _count(left, right)
    kept = _reduce(calm_left, calm_right, dropped)
    return kept if 2 * len(kept.index) >= len(left) else everything


def _reduce(left: list[Vector], right: list[Vector], dropped: float) -> Pairs:
    index = [i for i, sides in enumerate(zip(left, right, strict=True)) if all(map(len, sides))]
    left, right = [left[i] for i in index], [right[i] for i in index]
    return Pairs(
        left=_medians(left),
        right=_medians(right),
        index=np.array(index, dtype=np.intp),
        dropped=dropped,
        tick=_tick(left, right) if index else math.inf,
    )


def _medians(rounds: list[Vector]) -> Vector:
    return np.array([median(values.tolist()) for values in rounds])


def _count(left: list[Vector], right: list[Vector]) -> int:
    return sum(map(len, left)) + sum(map(len, right))


def _calm(name: str, rounds: list[Vector], times: Rounds) -> list[Vector]:
    cpu = _read(f"the CPU times of {name}", times)
    if [len(each) for each in cpu] != [len(each) for each in rounds]:
        raise InputError(f"the CPU times of {name} are not one for each of its samples")
    return [wall[wall < INTERRUPTED * own] for wall, own in zip(rounds, cpu, strict=True)]


def _tick(left: list[Vector], right: list[Vector]) -> float:
    """Half a step of the clock on either side, as a log ratio."""
    sides = [np.concatenate(side) for side in (left, right)]
    values = np.unique(np.concatenate(sides))
    if len(values) < 2:
        return math.inf
    step = float(np.diff(values).min())
    return sum(math.log1p(step / 2 / median(side.tolist())) for side in sides)


def _read(name: str, rounds: Rounds) -> list[Vector]:
    try:
        vectors = [np.asarray(samples, dtype=np.float64).reshape(-1) for samples in rounds]
    except (TypeError, ValueError) as error:
        raise InputError(f"the rounds of {name} are not lists of numbers: {error}") from error
    for number, values in enumerate(vectors, start=1):
        bad = values[~(np.isfinite(values) & (values > 0))]
        if not len(values):
            raise InputError(f"round {number} of {name} has no samples; each needs at least one")
        if len(bad):
            raise InputError(
                f"round {number} of {name} has the sample {float(bad[0])!r}; "
                "all must be finite and above zero"
            )
    return vectors


def _check_matching(name: str, rounds: list[Vector], others: list[Vector]) -> None:
    if not rounds or len(rounds) != len(others):
        raise InputError(
            f"{name} has {len(rounds)} rounds and its partner {len(others)}; "
            "both need as many, at least one"
        )
