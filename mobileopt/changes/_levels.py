"""Noise, levels and ramps of a series that has outliers in it; all in logarithms."""

from __future__ import annotations

import numpy as np

from mobileopt.changes._posterior import Floats

NEAR = 100
"""Results on each side of a change point that say what its levels are."""

_NEAREST = 30  # of those, the ones a drifting level is read from
_OUTLYING = 3.0  # sigmas
_CAP = 4.5  # the cost of an outlier: that of a residual of 3 sigmas


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


def levels_around(x: Floats, start: int, split: int, stop: int, sigma: float) -> tuple[float, ...]:
    """The levels of x[start:split] and x[split:stop] next to the split."""
    before = x[max(start, split - _NEAREST) : split]
    after = x[split : min(stop, split + _NEAREST)]
    return level(before, sigma), level(after, sigma)


def step_over_ramp(x: Floats, split: int, sigma: float) -> float:
    """Log likelihood ratio of one step at `split` against one straight line through all of `x`.

    Both are fitted and judged robustly: a residual costs half its square in sigmas, at most
    that of 3 sigmas (Fearnhead and Rigaill 2019, the biweight loss).
    """
    before, after = level(x[:split], sigma), level(x[split:], sigma)
    stepped = np.where(np.arange(len(x)) < split, before, after)
    return _cost(x - _line(x, sigma), sigma) - _cost(x - stepped, sigma)


def _cost(residual: Floats, sigma: float) -> float:
    return float(np.minimum(0.5 * (residual / sigma) ** 2, _CAP).sum())


def _line(x: Floats, sigma: float) -> Floats:
    """A robust line: medians of paired differences over half the span, then trimmed squares."""
    time = np.arange(len(x)) - (len(x) - 1) / 2
    half = len(x) // 2
    slope = float(np.median(x[-half:] - x[:half])) / (len(x) - half)
    fitted = slope * time + np.median(x - slope * time)
    for _ in range(6):
        near = np.abs(x - fitted) < _OUTLYING * sigma
        if near.sum() < 3:
            break
        t, y = time[near], x[near]
        centred = t - t.mean()
        slope = float((centred * y).sum() / (centred**2).sum())
        fitted = y.mean() + slope * (time - t.mean())
    return fitted
