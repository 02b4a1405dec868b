"""Where a change that was found may have gone unnoticed: the same work on the other machines.

A history has to move by some multiples of its noise before it is suspected. Once a session on one
machine has shown that a commit made a variant slower, the others are asked about that commit,
however little their histories say: one comparison each, and only where the values lean that way.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from statistics import median

from mobileopt import history
from mobileopt.nightly import suspects
from mobileopt.nightly.ledger import Record
from mobileopt.nightly.suspects import Suspect
from mobileopt.series import Series

_NEAREST = 30
"""Results on each side that say which way a history leans."""


def find(
    changes: Iterable[Record], histories: Iterable[Series], place: Mapping[str, int]
) -> list[Suspect]:
    """A suspicion for each history of the same work on another machine that leans the same way.

    `changes` are the ledger's; those count that a session brought down to one commit. `place` is
    where each commit stands. The z of a suspicion is 0: its own history is no reason for it.
    """
    found = [
        each
        for each in changes
        if each["worse"] and each["commit"] in place and each["how"] == "session"
    ]
    known = [each for each in histories if suspects.can_be_judged(each.origin)]
    return [echo for change in found for echo in _of(change, known, place)]


def _of(change: Record, histories: Iterable[Series], place: Mapping[str, int]) -> Iterator[Suspect]:
    at = place[change["commit"]]
    for series in histories:
        origin = series.origin
        if origin.device == change["machine"] or origin.metric.name != change["metric"]:
            continue
        if history.subject(origin) != change["variant"]:
            continue
        split = sum(place.get(commit, -1) < at for commit in series.commits)
        before, after = series.values[max(0, split - _NEAREST) : split], series.values[split:]
        if before and after and 0 < (low := median(before)) < (high := median(after[:_NEAREST])):
            ends = (change["parent"], change["commit"], split)
            yield suspects.of_series(series, ends, low, high)
