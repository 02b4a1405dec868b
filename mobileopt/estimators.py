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
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs] scipy ships none

Vector = NDArray[np.float64]
Groups = NDArray[np.intp]

FEWEST_GROUPS = 4
"""Groups below which nothing is said of what groups share.

When each process is dealt one of two placements, all of n launches deal the same difference with
probability ``2 / 4**n``, and no interval can know: 3 % for three launches, 0.8 % for four.
"""

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
    its quantile from Student's t. Where the ranks leave no ends, because few groups differ much,
    Student's interval over the groups' medians widens the one of independent differences.

    With fewer differences than `smallest_sample(alpha)`, or fewer groups than `FEWEST_GROUPS`,
    both ends are infinite.
    """
    values = np.sort(differences)
    centre, rank = location(values), _critical_rank(len(values), alpha)
    if rank < 1 or (groups is not None and groups.max() + 1 < FEWEST_GROUPS):
        return Interval(centre, -math.inf, math.inf)
    if groups is None:
        return Interval(centre, *_ends(values, rank))
    grouped = min(rank, _grouped_rank(differences - centre, groups, alpha))
    if grouped >= 1:
        return Interval(centre, *_ends(values, grouped))
    low, high = _ends(values, rank)
    ends = _student(group_medians(differences, groups), alpha)
    return Interval(centre, min(low, ends[0]), max(high, ends[1]))


def location(differences: Vector) -> float:
    """The Hodges-Lehmann location: the median of the Walsh averages."""
    pairs = len(differences) * (len(differences) + 1) // 2
    left, right = _walsh(np.sort(differences), (pairs + 1) // 2, pairs // 2 + 1)
    return (left + right) / 2


def group_medians(values: Vector, groups: Groups) -> Vector:
    """The median of each group, in the order of their numbers."""
    return np.array([np.median(values[groups == each]) for each in range(groups.max() + 1)])


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
    signed = np.sign(centred) * _ranks(np.abs(centred))
    sums = np.bincount(groups, weights=signed)
    # Sums over groups have the variance of W+ - W-, four times that of W+; one degree of
    # freedom went into the centre.
    spread = math.sqrt(float((sums**2).sum()) * count / (count - 1)) / 2
    n = len(centred)
    return math.floor(n * (n + 1) / 4 - _student_quantile(count, alpha) * spread)


def _ends(values: Vector, rank: int) -> tuple[float, float]:
    low, high = _walsh(values, rank, len(values) * (len(values) + 1) // 2 + 1 - rank)
    return low, high


def _student(values: Vector, alpha: float) -> tuple[float, float]:
    half = _student_quantile(len(values), alpha) * float(values.std(ddof=1)) / len(values) ** 0.5
    mean = float(values.mean())
    return mean - half, mean + half


def _student_quantile(n: int, alpha: float) -> float:
    return -float(stdtrit(n - 1, alpha / 2))


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
