"""How much to run: when to look at a growing session, what a look costs, and what is lacking."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from mobileopt.errors import InputError
from mobileopt.estimators import Interval, Vector, quantile, smallest_sample

ALPHA = 0.01
"""Error rate of a whole session: faster or slower, wrongly, over all its looks."""


@dataclass(frozen=True)
class Look:
    """Look `number` of the `of` planned before the session began: `Look(2, of=5)`.

    All looks together are wrong under no change with probability at most `alpha`. Raises
    InputError for a look that was not planned.
    """

    number: int = 1
    of: int = 1
    alpha: float = ALPHA

    def __post_init__(self) -> None:
        if not 1 <= self.number <= self.of:
            raise InputError(f"look {self.number} is none of the {self.of} that were planned")
        if not 0 < self.alpha < 1:
            raise InputError(f"alpha {self.alpha!r} is not a probability between 0 and 1")

    @property
    def share(self) -> float:
        """The error rate this look may use."""
        return spend(self.alpha, self.number, self.of)


ONLY = Look()
"""The one look of a session that is judged once, at its end."""


def spend(alpha: float, look: int, looks: int) -> float:
    """The share of the error rate `alpha` that look number `look` of `looks` may use.

    The last look gets half, the others share the rest evenly, so the shares add up to `alpha`
    and by the union bound the rate holds over all looks whatever their correlation. It is an
    alpha-spending function (Lan and DeMets, Biometrika 70, 1983) that favours the last look,
    where small differences are decided, and leaves the early ones enough to stop at large ones.
    """
    if looks == 1:
        return alpha
    return alpha / 2 if look == looks else alpha / 2 / (looks - 1)


def schedule(most: int, looks: int = 5, alpha: float = ALPHA) -> tuple[int, ...]:
    """After how many rounds (or launches) to look: at most `most`, in at most `looks` looks.

    Each look comes at half the rounds of the next, so that a large difference is called early
    and one of a percent at the last look; there are fewer looks when the first would see too
    few rounds for an interval. Plan them before the session begins, and tell the verdict of
    each: ``Look(number, of=len(planned))``. Raises InputError when `most` is too few for one.

    >>> schedule(160)
    (20, 40, 80, 160)
    """
    for planned in range(looks, 0, -1):
        if most >> (planned - 1) >= smallest_sample(spend(alpha, 1, planned)):
            return tuple(most >> halvings for halvings in reversed(range(planned)))
    fewest = smallest_sample(alpha)
    raise InputError(f"{most} rounds cannot give a verdict at {alpha:g}; it takes {fewest}")


def lacking(interval: Interval, units: Vector, margin: float, level: float, fewest: int) -> int:
    """How many more units until a verdict, if the estimate and the noise stay as they are.

    The half width of the `interval` falls with the square root of the number of `units`, the log
    ratios it rests on. It has to reach the estimate when that is past the `margin`, else the
    distance between the two. No estimate is trusted to lie closer to the margin than half its
    own uncertainty: a close call asks for four times the rounds and is looked at again. There
    have to be `fewest` units for an interval.
    """
    n = len(units)
    half = interval.half_width
    if math.isinf(half):
        half = quantile(level) * _spread(units) / math.sqrt(n)
    off = abs(interval.estimate)
    target = off if off >= margin else max(margin - off, min(margin, half) / 2)
    return max(1, fewest - n, math.ceil(n * (half / target) ** 2) - n)


def _spread(units: Vector) -> float:
    return float(np.std(units, ddof=1)) if len(units) > 1 else 0.0
