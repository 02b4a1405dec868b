"""Rounds of samples as a comparison reads them: checked, put on one clock, reduced."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Literal

import numpy as np

from mobileopt.errors import InputError
from mobileopt.estimators import Vector

Rounds = Sequence[Sequence[float]]
"""Round by round, one sample or more in each, all in one unit and above zero."""

INTERRUPTED = 1.02
"""Wall time over CPU time from which a sample counts as interrupted by another process."""

_FINEST = 1e-9  # of a sample: no clock and no machine repeats more exactly

Clock = Literal["wall", "cpu"]


@dataclass(frozen=True)
class Pairs:
    """The medians of both sides, round by round, on the clock that was chosen.

    `interrupted` is the fraction of samples another process interrupted, None when unknown;
    `tick` what the clock cannot tell apart, as a log ratio, infinite when it never ticked.
    """

    left: Vector
    right: Vector
    clock: Clock
    interrupted: float | None
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
    """Reduce each round to its medians, of the CPU times when those are given and cover the work.

    CPU times that exceed the wall times are the sum of several threads and say little about
    latency: then the wall times are used. Raises InputError for rounds that do not match, are
    empty or hold a sample that is not a finite number above zero.
    """
    left, right = _read("a", a), _read("b", b)
    _check_matching("b", right, left)
    if cpu is None:
        return _reduce(left, right, "wall", None)
    own = (_read_cpu("a", left, cpu[0]), _read_cpu("b", right, cpu[1]))
    stretch = np.concatenate([*left, *right]) / np.concatenate([*own[0], *own[1]])
    interrupted = float((stretch >= INTERRUPTED).mean())
    if np.median(stretch) < 1 / INTERRUPTED:
        return _reduce(left, right, "wall", interrupted)
    return _reduce(*own, "cpu", interrupted)


def _reduce(
    left: list[Vector], right: list[Vector], clock: Clock, interrupted: float | None
) -> Pairs:
    return Pairs(_medians(left), _medians(right), clock, interrupted, _tick(left, right))


def _medians(rounds: list[Vector]) -> Vector:
    return np.array([median(values.tolist()) for values in rounds])


def _read_cpu(name: str, rounds: list[Vector], times: Rounds) -> list[Vector]:
    cpu = _read(f"the CPU times of {name}", times)
    if [len(each) for each in cpu] != [len(each) for each in rounds]:
        raise InputError(f"the CPU times of {name} are not one for each of its samples")
    return cpu


def _tick(left: list[Vector], right: list[Vector]) -> float:
    """Half a step of the clock on either side, as a log ratio."""
    sides = [np.concatenate(side) for side in (left, right)]
    values = np.unique(np.concatenate(sides))
    if len(values) < 2:
        return math.inf
    step = float(np.diff(values).min())
    return _FINEST + sum(math.log1p(step / 2 / median(side.tolist())) for side in sides)


def _read(name: str, rounds: Rounds) -> list[Vector]:
    try:
        vectors = [np.asarray(samples, dtype=np.float64).reshape(-1) for samples in rounds]
    except (TypeError, ValueError, OverflowError) as error:
        raise InputError(f"the rounds of {name} are not lists of numbers: {error}") from error
    every = np.concatenate([np.ones(1), *vectors])  # a list of none cannot be joined
    if not (all(map(len, vectors)) and np.isfinite(every).all() and (every > 0).all()):
        _refuse(name, vectors)
    return vectors


def _refuse(name: str, vectors: list[Vector]) -> None:
    for number, values in enumerate(vectors, start=1):
        bad = values[~(np.isfinite(values) & (values > 0))]
        if not len(values):
            raise InputError(f"round {number} of {name} has no samples; each needs at least one")
        if len(bad):
            raise InputError(
                f"round {number} of {name} has the sample {float(bad[0])!r}; "
                "all must be finite and above zero"
            )


def _check_matching(name: str, rounds: list[Vector], others: list[Vector]) -> None:
    if not rounds or len(rounds) != len(others):
        raise InputError(
            f"{name} has {len(rounds)} rounds and its partner {len(others)}; "
            "both need as many, at least one"
        )
