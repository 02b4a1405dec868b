"""Where a history may have changed: early, cheap and lenient, because nobody is told of it.

The analysis of histories (`mobileopt.changes`) needs several results after a change before it
speaks. Here one is enough: what is suspected gets an interleaved session of both commits, and
that decides. So this errs on the side of suspecting, and the session on the side of silence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from mobileopt.changes import find

_ASSUMED = 0.02  # noise between runs, where fewer than four results cannot tell it
_FINEST = 0.002  # no machine repeats better between runs
_NEAREST = 30  # results a level is taken from
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


def steps(values: Sequence[float], *, min_effect: float, sensitivity: float) -> list[Step]:
    """Every change of level of at least `min_effect` and `sensitivity` standard errors.

    `values` are above zero, oldest first, with no holes. The best split of the series is taken
    if it passes, then those of its two parts: binary segmentation (Scott and Knott, Biometrics
    30, 1974) on medians of logarithms. The noise comes from successive differences, which steps
    hardly enter. Changes of which `mobileopt.changes` is sure are added where this missed them.
    """
    logs = [math.log(value) for value in values]
    found = _segment(logs, 0, len(logs), _noise(logs), math.log1p(min_effect), sensitivity)
    for point in find(list(values), min_effect=min_effect):
        if all(abs(point.index - step.index) > AROUND for step in found):
            size = math.log(point.ratio)
            z = sensitivity * math.copysign(1, size)
            found.append(_bounded(point.index, point.before, point.after, z, found, len(logs)))
    return sorted(found, key=lambda step: step.index)


def _segment(
    logs: Sequence[float], start: int, stop: int, sigma: float, effect: float, least: float
) -> list[Step]:
    best: Step | None = None
    for index in range(start + 1, stop):
        before, after = logs[max(start, index - _NEAREST) : index], logs[index:stop][:_NEAREST]
        low, high = median(before), median(after)
        z = (high - low) / (sigma * math.sqrt(1 / len(before) + 1 / len(after)))
        passes = abs(high - low) >= effect and abs(z) >= least
        if passes and (best is None or abs(z) > abs(best.z)):
            best = Step(index, start, stop, math.exp(low), math.exp(high), z)
    if best is None:
        return []
    left = _segment(logs, start, best.index, sigma, effect, least)
    right = _segment(logs, best.index, stop, sigma, effect, least)
    # Its neighbours bound how far a value may be taken from on either side.
    begin = left[-1].index if left else start
    end = right[0].index if right else stop
    here = Step(best.index, begin, end, best.before, best.after, best.z)
    return [*left, here, *right]


def _bounded(
    index: int, before: float, after: float, z: float, others: Sequence[Step], length: int
) -> Step:
    start = max((step.index for step in others if step.index < index), default=0)
    stop = min((step.index for step in others if step.index > index), default=length)
    return Step(index, start, stop, before, after, z)


def _noise(logs: Sequence[float]) -> float:
    """Standard deviation between runs, from the median of successive differences."""
    jumps = sorted(abs(b - a) for a, b in pairwise(logs))
    if len(jumps) < 3:
        return _ASSUMED
    # The lower of two middles: with few results a step must not become the noise.
    return max(_FINEST, 1.4826 * jumps[(len(jumps) - 1) // 2] / math.sqrt(2))
