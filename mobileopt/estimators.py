"""Rank statistics behind a comparison: an interval and a test of shift.

Everything here works on plain differences and knows nothing of benchmarks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

Vector = NDArray[np.float64]
Groups = NDArray[np.intp]

_EXACT = 60  # differences up to which the signed-rank distribution is computed, not approximated
_RESOLUTION = 1e-12  # of a log ratio, at which the search for a Walsh average ends


@dataclass(frozen=True)
class Interval:
    """A location with its confidence interval; the ends are infinite when there is none."""

    estimate: float
    low: float
    high: float

    @property
    def half_width(self) -> float:
        """Half the length of the interval."""
        return (self.high - self.low) / 2


def signed_rank_interval(
    differences: Vector, alpha: float, groups: Groups | None = None
) -> Interval:
    """The Hodges-Lehmann location of `differences` and its signed-rank interval.

    The estimate is the median of the Walsh averages ``(d_i + d_j) / 2, i <= j``; the ends are
    their k-th smallest and k-th largest, with k the largest rank for which Wilcoxon's W+ under
    symmetry falls below k with probability at most ``alpha / 2``. Coverage is at least
    ``1 - alpha`` for any symmetric distribution, whatever its tails (Hollander, Wolfe and
    Chicken, Nonparametric Statistical Methods, 3rd ed., sections 3.2 and 3.3). Symmetry is what
    a randomised order within each pair gives under no change.

    `groups` numbers the group each difference belongs to, when those of one group may share an
    offset; the spread of W+ is then taken from the groups' sums of signed ranks (Rosner, Glynn
    and Lee, Biometrics 62, 2006, section 2), never below that of independent differences, and
    its quantile from Student's t.

    With fewer differences, or groups, than `smallest_sample(alpha)` both ends are infinite.
    """
    values = np.sort(differences)
    centre = location(values)
    if groups is None:
        rank = _critical_rank(len(values), alpha)
    else:
        rank = _grouped_rank(differences - centre, groups, alpha)
    if rank < 1:
        return Interval(centre, -math.inf, math.inf)
    low, high = _walsh(values, rank, len(values) * (len(values) + 1) // 2 + 1 - rank)
    return Interval(centre, low, high)


def location(differences: Vector) -> float:
    """The Hodges-Lehmann location: the median of the Walsh averages."""
    pairs = len(differences) * (len(differences) + 1) // 2
    left, right = _walsh(np.sort(differences), (pairs + 1) // 2, pairs // 2 + 1)
    return (left + right) / 2


def smallest_sample(alpha: float) -> int:
    """The fewest differences from which a signed-rank interval at `alpha` has ends.

    All n signs agree by chance with probability ``2 / 2**n``.
    """
    return math.ceil(math.log2(2 / alpha))


def quantile(alpha: float) -> float:
    """The standard normal's two-sided critical value: 2.58 at 0.01."""
    return NormalDist().inv_cdf(1 - alpha / 2)


def shift(before: Vector, after: Vector) -> tuple[float, float]:
    """How far `after` lies above `before`, and Mann and Whitney's z for it.

    The distance is the difference of medians; z uses the normal approximation with ties halved.
    """
    n, m = len(before), len(after)
    ordered = np.sort(before)
    below = np.searchsorted(ordered, after, "left") + np.searchsorted(ordered, after, "right")
    u = float(below.sum()) / 2
    z = (u - n * m / 2) / math.sqrt(n * m * (n + m + 1) / 12)
    return float(np.median(after) - np.median(before)), z


def _walsh(values: Vector, *ranks: int) -> list[float]:
    """The Walsh averages of sorted `values` with these `ranks`, from 1 for the smallest.

    Bisection on the value, counting the averages at or below it: n log n a step and no n * n
    table, so a session of ten thousand rounds costs milliseconds.
    """
    wanted = np.array(ranks)
    low, high = (np.full(len(ranks), values[end]) for end in (0, -1))
    while (high - low).max() > _RESOLUTION:
        middle = low + (high - low) / 2
        enough = _averages_up_to(values, middle) >= wanted
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return (low + (high - low) / 2).tolist()


def _averages_up_to(values: Vector, limits: Vector) -> NDArray[np.intp]:
    ordered_pairs = np.searchsorted(values, 2 * limits[:, None] - values, "right").sum(axis=1)
    itself = np.searchsorted(values, limits, "right")
    return (ordered_pairs + itself) // 2


def _grouped_rank(centred: Vector, groups: Groups, alpha: float) -> int:
    count = int(groups.max()) + 1
    if count < smallest_sample(alpha):
        return 0
    signed = np.sign(centred) * _ranks(np.abs(centred))
    sums = np.bincount(groups, weights=signed)
    # Sums over groups have the variance of W+ - W-, four times that of W+; one degree of
    # freedom went into the centre.
    spread = math.sqrt(float((sums**2).sum()) * count / (count - 1)) / 2
    t = -float(stdtrit(count - 1, alpha / 2))
    n = len(centred)
    return min(_critical_rank(n, alpha), math.floor(n * (n + 1) / 4 - t * spread))


def _ranks(values: Vector) -> Vector:
    """Ranks from 1, equal values sharing the mean of theirs."""
    ordered = np.sort(values)
    below = np.searchsorted(ordered, values, "left")
    return (below + np.searchsorted(ordered, values, "right") + 1) / 2


@lru_cache(maxsize=4096)
def _critical_rank(n: int, alpha: float) -> int:
    if n <= _EXACT:
        return int(np.searchsorted(_signed_rank_cdf(n), alpha / 2, "right"))
    spread = math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return max(0, math.floor(n * (n + 1) / 4 - quantile(alpha) * spread))


@lru_cache(maxsize=_EXACT)
def _signed_rank_cdf(n: int) -> Vector:
    """P(W+ <= w) for w = 0 ... n (n + 1) / 2, each rank in or out with probability one half."""
    mass = np.ones(1)
    for rank in range(1, n + 1):
        mass = (np.pad(mass, (0, rank)) + np.pad(mass, (rank, 0))) / 2
    return np.cumsum(mass)
