"""Change points of one series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from mobileopt.changes._levels import levels_around, noise
from mobileopt.changes._posterior import Floats, Single, jump_probability
from mobileopt.errors import InputError

Results = Sequence[float | None] | npt.NDArray[np.float64]
"""One number per commit, None or NaN where there is none."""

MIN_EFFECT = 0.01
MIN_CONFIDENCE = 0.54
"""Below it a change point is not reported."""

SIDE = 3
"""Results a level needs on each side of a change; fewer are an outlier until shown otherwise."""

_CENTRE = 0.1  # what it counts that a jump is in the middle of its window

NEIGHBOURS = 2
"""A change point stands for this many results before and after it."""


@dataclass(frozen=True)
class ChangePoint:
    """The level moved.

    Attributes:
        index: position in the input of the first result at the new level.
        before: level before, in the unit of the input.
        after: level after, likewise.
        confidence: posterior probability of a jump at `index`, give or take 2 results.
    """

    index: int
    before: float
    after: float
    confidence: float

    @property
    def ratio(self) -> float:
        """`after / before`: 1.1 is ten percent more."""
        return self.after / self.before

    @property
    def direction(self) -> Literal["up", "down"]:
        """Which way the value went; for a time, up is slower."""
        return "up" if self.after > self.before else "down"


@dataclass(frozen=True)
class Analysis:
    """One series with its results, the posterior of a jump before each, and its change points."""

    positions: npt.NDArray[np.intp]
    jump: Single
    points: tuple[ChangePoint, ...]

    def chances_near(self, positions: npt.NDArray[np.intp]) -> Floats:
        """P(a jump within 3 positions) of each, NaN where too few results lie on a side."""
        reach, total = NEIGHBOURS + 1, np.append(0.0, self.jump.cumsum(dtype=np.float64))
        at = np.searchsorted(self.positions, positions)
        first = np.searchsorted(self.positions, positions - reach)
        stop = np.searchsorted(self.positions, positions + reach + 1)
        chances = np.minimum(1.0, total[stop] - total[first])
        return np.where((at < SIDE) | (len(self.positions) - at < SIDE), np.nan, chances)


def find(values: Sequence[float | None], *, min_effect: float = MIN_EFFECT) -> list[ChangePoint]:
    """Find where the level of `values` moved, in order of index.

    Args:
        values: one number per commit in commit order, None or NaN where there is none; results
            are above 0 (times, bytes, counts), so that a change is a ratio.
        min_effect: the least change worth a report, as a fraction of the level before.

    Raises:
        InputError: a value is not a number above 0, or `min_effect` is not in (0, 1).
    """
    return list(analyse(values, min_effect).points)


def analyse(values: Results, min_effect: float) -> Analysis:
    """`find` with its workings; raises InputError as it does."""
    if not 0 < min_effect < 1:
        raise InputError(f"min_effect is {min_effect!r}, it must lie between 0 and 1: 0.01 is 1 %")
    positions, x = _logarithms(values)
    if len(x) < 2 * SIDE:
        return Analysis(positions, np.zeros(len(x), np.float32), ())
    effect = math.log1p(min_effect)
    sigma = noise(x, floor=effect / 10)
    jump = jump_probability(x, sigma)
    # A jump that has not yet lasted cannot be told from throttling.
    jump[:SIDE] = jump[len(x) - SIDE + 1 :] = 0.0
    chances = _likeliest(jump)
    borders = [0, *sorted(chances), len(x)]
    points: list[ChangePoint] = []
    for start, split, stop in zip(borders, borders[1:], borders[2:], strict=False):
        before, after = levels_around(x, start, split, stop, sigma)
        if abs(after - before) >= effect:
            where = int(positions[split])
            points.append(ChangePoint(where, math.exp(before), math.exp(after), chances[split]))
    return Analysis(positions, jump.astype(np.float32), tuple(points))


def _logarithms(values: Results) -> tuple[npt.NDArray[np.intp], Floats]:
    raw = np.array([math.nan if value is None else value for value in values], dtype=np.float64)
    positions = np.flatnonzero(~np.isnan(raw))
    present = raw[positions]
    wrong = positions[~((present > 0) & np.isfinite(present))]
    if len(wrong):
        raise InputError(
            f"value {raw[wrong[0]]!s} at position {wrong[0]} has no level: a result is a finite "
            "number above 0, or None or NaN where there is none"
        )
    return positions, np.log(present)


def _likeliest(jump: Floats) -> dict[int, float]:
    """Index and chance of the jumps worth a report, greedily, each with its neighbours' share."""
    left, found = jump.copy(), dict[int, float]()
    window = np.ones(2 * NEIGHBOURS + 1)
    chance = np.convolve(left, window, mode="same")
    # Several windows hold the same jump: the one is meant whose middle it is.
    while chance[at := int(np.argmax(chance + _CENTRE * left))] >= MIN_CONFIDENCE:
        if left[at] > 0:
            found[at] = min(1.0, float(chance[at]))
        left[max(0, at - NEIGHBOURS) : at + NEIGHBOURS + 1] = 0.0
        chance = np.convolve(left, window, mode="same")
    return found
