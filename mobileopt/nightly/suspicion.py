"""Where a history may have changed: early, cheap and lenient, because nobody is told of it.

The analysis of histories (`mobileopt.changes`) needs several results after a change before it
speaks. Here one is enough: what is suspected gets an interleaved session of both commits, and
that decides. So this errs on the side of suspecting, and the session on the side of silence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from statistics import fmean, median

from mobileopt.changes import find

_ASSUMED = 0.02  # noise between runs, where fewer than four results cannot tell it
_FINEST = 0.002  # no machine repeats better between runs
_FEW, _LOUDEST = 8, 0.05  # of so few results a step would be taken for noise
_WINDOWS = (3, 30)  # results on each side a level is taken from: short ones see what was reverted
AROUND = 2
"""Results by which the place of a suspected change may be off, on either side."""


@dataclass(frozen=True)
class Step:
    """A suspected change: position of the first value at the new level, and both levels.

    `start` and `stop` bound the values of the two levels, `z` is the change in standard errors.
    """

    index: int
    start: int
    stop: int
    before: float
    after: float
    z: float

    @property
    def good(self) -> int:
        """Position of a value that is surely before the change, if there is one."""
        return max(self.start, self.index - 1 - AROUND)

    @property
    def bad(self) -> int:
        """Position of a value that is surely after it."""
        return min(self.stop - 1, self.index + AROUND)

    @property
    def ratio(self) -> float:
        """After over before."""
        return self.after / self.before


def steps(
    values: Sequence[float], *, min_effect: float, sensitivity: float, exact: bool = False
) -> list[Step]:
    """Every change of level of at least `min_effect` and `sensitivity` standard errors.

    `values` are above zero, oldest first, with no holes. The best split of the series is taken
    if it passes, then those of its two parts: binary segmentation (Scott and Knott, Biometrics
    30, 1974) on medians of logarithms. The noise comes from successive differences, which steps
    hardly enter; `exact` values, such as sizes, have none. Changes of which `mobileopt.changes`
    is sure are added where this missed them.
    """
    logs = [math.log(value) for value in values]
    sigma = _FINEST if exact else _noise(logs)
    found = _split(logs, 0, len(logs), sigma, math.log1p(min_effect), sensitivity)
    for point in find(list(values), min_effect=min_effect):
        z = math.copysign(sensitivity, math.log(point.ratio))
        found.append(_Split(point.index, math.log(point.before), math.log(point.after), z))
    return _bounded(_strongest(found), len(logs))


@dataclass(frozen=True, order=True)
class _Split:
    """Position of the first value of the new level, both levels as logarithms, and z."""

    index: int
    low: float
    high: float
    z: float


def _split(
    logs: Sequence[float], start: int, stop: int, sigma: float, effect: float, least: float
) -> list[_Split]:
    best, most = None, 0.0
    for index, window in product(range(start + 1, stop), _WINDOWS):
        before, after = logs[max(start, index - window) : index], logs[index:stop][:window]
        low, high = median(before), median(after)
        width = math.sqrt(1 / len(before) + 1 / len(after))
        z = (high - low) / (sigma * width)
        # Medians say whether: one outlier is no change. Means say where: medians hardly move
        # when one value comes to the wrong side.
        score = abs(fmean(after) - fmean(before)) / width
        if abs(high - low) >= effect and abs(z) >= least and score > most:
            best, most = _Split(index, low, high, z), score
    if best is None:
        return []
    left = _split(logs, start, best.index, sigma, effect, least)
    return [*left, best, *_split(logs, best.index, stop, sigma, effect, least)]


def _strongest(found: Sequence[_Split]) -> list[_Split]:
    """Without those that a stronger one of the same direction beside them stands for."""
    kept: list[_Split] = []
    for each in sorted(found, key=lambda split: -abs(split.z)):
        if all(abs(each.index - other.index) > AROUND or each.z * other.z < 0 for other in kept):
            kept.append(each)
    return sorted(kept)


def _bounded(splits: Sequence[_Split], length: int) -> list[Step]:
    """Steps that know how far values may be taken from: up to the next step on either side."""
    borders = [0, *(each.index for each in splits), length]
    return [
        Step(each.index, start, stop, math.exp(each.low), math.exp(each.high), each.z)
        for each, start, stop in zip(splits, borders, borders[2:], strict=False)
    ]


def _noise(logs: Sequence[float]) -> float:
    """Standard deviation between runs, from the median of successive differences."""
    jumps = sorted(abs(b - a) for a, b in pairwise(logs))
    if len(jumps) < 3:
        return _ASSUMED
    # The lower of two middles: with few results a step must not become the noise.
    sigma = max(_FINEST, 1.4826 * jumps[(len(jumps) - 1) // 2] / math.sqrt(2))
    return min(sigma, _LOUDEST) if len(logs) < _FEW else sigma
