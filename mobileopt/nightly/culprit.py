"""Which commit it was: bisection between a good and a bad one, without measuring anything.

Whoever measures asks `next_commit`, writes down on which side of the change that commit lies,
and asks again; `candidates` is what is left. Commits that cannot be told are skipped, as
`git bisect skip` does.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

Side = Literal["good", "bad", "skip"]


def next_commit(commits: Sequence[str], sides: Mapping[str, Side]) -> str | None:
    """The commit to try next, nearest to the middle of what is open; None when there is none.

    `commits` are oldest first, the first of them good and the last bad.
    """
    low, high = _open(commits, sides)
    untried = [index for index in range(low + 1, high) if commits[index] not in sides]
    middle = (low + high) / 2
    return commits[min(untried, key=lambda at: abs(at - middle))] if untried else None


def candidates(commits: Sequence[str], sides: Mapping[str, Side]) -> tuple[str, ...]:
    """The commits one of which made the change, oldest first: one, where the search succeeded."""
    low, high = _open(commits, sides)
    return tuple(commits[low + 1 : high + 1])


def last_good(commits: Sequence[str], sides: Mapping[str, Side]) -> str:
    """The newest commit known to lie before the change."""
    return commits[_open(commits, sides)[0]]


def side(low: float, high: float, effect: float) -> Side:
    """On which side a commit lies whose ratio to the good one is within `low` to `high`.

    `effect` is the ratio of the bad commit to the good one. What lies wholly on one half of it
    (of its logarithm) is told; what straddles the half is skipped.
    """
    half = math.sqrt(effect)
    nearer_bad = (low > half) if effect > 1 else (high < half)
    nearer_good = (high < half) if effect > 1 else (low > half)
    return "bad" if nearer_bad else "good" if nearer_good else "skip"


def _open(commits: Sequence[str], sides: Mapping[str, Side]) -> tuple[int, int]:
    """Positions of the last good commit and of the first bad one after it."""
    last = len(commits) - 1
    low = max((i for i in range(1, last) if sides.get(commits[i]) == "good"), default=0)
    bad = (i for i in range(low + 1, last) if sides.get(commits[i]) == "bad")
    return low, min(bad, default=last)
