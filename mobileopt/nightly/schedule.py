"""Which commits to measure next, decided from what is measured already."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet


def newest_first(
    commits: Sequence[str],
    measured: AbstractSet[str],
    *,
    newest: int,
    failed: Mapping[str, int] | None = None,
    attempts: int = 2,
) -> list[str]:
    """The commits without results among the `newest` of `commits` (oldest first), newest first.

    `failed` counts how often a commit gave no results; one that failed `attempts` times is left.
    """
    tries = failed or {}
    recent = list(commits)[-newest:] if newest else []
    return [c for c in reversed(recent) if c not in measured and tries.get(c, 0) < attempts]


def inside(
    commits: Sequence[str],
    measured: AbstractSet[str],
    gaps: Iterable[tuple[str, str]],
    limit: int,
) -> list[str]:
    """At most `limit` commits that split the `gaps` in which a level changed, by bisection.

    A gap is two commits with results that differ; what is asked for first is the middle of each,
    then the middles of the halves.
    """
    position = {commit: index for index, commit in enumerate(commits)}
    spans = [(position[a], position[b]) for a, b in gaps if a in position and b in position]
    chosen: list[str] = []
    while spans and len(chosen) < limit:
        low, high = spans.pop(0)
        if high - low < 2:
            continue
        middle = (low + high) // 2
        spans += [(low, middle), (middle, high)]
        commit = commits[middle]
        if commit not in measured and commit not in chosen:
            chosen.append(commit)
    return chosen
