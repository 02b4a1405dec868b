"""Noise and levels of a series that has outliers in it; all in logarithms."""

from __future__ import annotations

import numpy as np

from mobileopt.changes._posterior import Floats

_NEAREST = 30  # results on each side of a change that its levels are read from, for drift's sake
_OUTLYING = 3.0  # sigmas


def noise(x: Floats, floor: float) -> float:
    """Standard deviation of the noise, from successive differences, so that no step enters it.

    Where most results repeat the one before, as with a coarse timer, the median says 0; the
    upper quartile then speaks, at a discount that keeps it silent on ordinary noise.
    """
    moves = np.abs(np.diff(x)) / np.sqrt(2)
    half, most = np.quantile(moves, (0.5, 0.75))
    return max(1.4826 * float(half), 0.6 * 0.8693 * float(most), floor)


def level(x: Floats, sigma: float) -> float:
    """Where most results lie: the mean of those within 3 sigmas of it, from the median on."""
    centre = float(np.median(x))
    for _ in range(4):
        near = x[np.abs(x - centre) < _OUTLYING * sigma]
        if not len(near):
            break
        centre = float(near.mean())
    return centre


def levels_around(
    x: Floats, start: int, split: int, stop: int, sigma: float
) -> tuple[float, float]:
    """The levels of x[start:split] and x[split:stop] next to the split."""
    before = x[max(start, split - _NEAREST) : split]
    after = x[split : min(stop, split + _NEAREST)]
    return level(before, sigma), level(after, sigma)
