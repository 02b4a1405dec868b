"""Values below which a metric counts as nothing, so that it has ratios and its rounding has none.

One place for all who compare levels: the analysis of histories, the gate and the nightly.
"""

from __future__ import annotations

import math

ROUNDING = 1e-4
"""Relative errors (80 dB) up to this are the rounding of float32, summed over a deep network:
every rewrite of the arithmetic moves them about, and they count as none."""

_FLOORS = {"seconds": None, "ratio": ROUNDING, "fraction": ROUNDING, "unit": ROUNDING}
_OF_A_COUNT = 0.5  # less than one of anything that is counted


def floor(unit: str) -> float | None:
    """What values of a unit are lifted to; None for times, which are never nothing."""
    return _FLOORS.get(unit, _OF_A_COUNT)


def lifted(value: float, unit: str) -> float:
    """A value, or the floor of its unit if it is below."""
    return max(value, floor(unit) or 0.0)


def lowered(level: float, unit: str) -> float:
    """A level of values that were lifted, as it is: 0 for what is nothing."""
    least = floor(unit) or 0.0
    return 0.0 if math.isclose(level, least, rel_tol=1e-3) else level
