"""From change points to changes, and how each of them stands today."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from statistics import NormalDist

import numpy as np

from mobileopt import commits
from mobileopt.accepted import Accepted
from mobileopt.changes import AnalyseAll, SeriesChange, SeriesKey, find_together, noise
from mobileopt.history._reading import detectable, last, lowered, read
from mobileopt.history._values import Change, Direction, Floats, Keyed, Lines, State
from mobileopt.store import Store

MIN_EFFECT = 0.01
RETURNED = 0.75
"""Share of a step, on a log scale, that must be gone before it counts as fixed (or lost)."""

_NEAREST = 30  # results on each side that the size of a change rests on
_LEVEL = 0.05  # the interval of a size covers 95 %
_NEARLY_NORMAL = 200  # degrees of freedom; the expansion in 1/n is then good to four digits


def collect(
    store: Store,
    *,
    repository: Path | None = None,
    branch: str = "HEAD",
    accepted: Sequence[Accepted] = (),
    min_effect: float = MIN_EFFECT,
    false_discovery_rate: float = 0.05,
    today: date | None = None,
) -> list[Change]:
    """Every change of every series of a store, newest first.

    With a `repository` the commits stand in its order, and those it does not reach from
    `branch` are left out, unless it knows none of them; without one their dates decide. Changes
    of less than `min_effect`, as a fraction, are not reported; of those reported about
    `false_discovery_rate` are false (`mobileopt.changes.find_together`).

    Raises StoreError when the store is no folder of results.
    """
    return judge(
        read(store, repository, branch),
        repository=repository,
        accepted=accepted,
        min_effect=min_effect,
        false_discovery_rate=false_discovery_rate,
        today=today,
    )


def judge(
    lines: Lines,
    *,
    repository: Path | None = None,
    accepted: Sequence[Accepted] = (),
    min_effect: float = MIN_EFFECT,
    false_discovery_rate: float = 0.05,
    today: date | None = None,
    analyse_all: AnalyseAll | None = None,
) -> list[Change]:
    """`collect` for series that have been read: by another process, or to be drawn as well.

    `analyse_all` is passed on to `find_together`, for many series and little time.
    """
    keyed = detectable(lines)
    found = find_together(
        keyed.values,
        min_effect=min_effect,
        false_discovery_rate=false_discovery_rate,
        analyse_all=analyse_all,
    )
    siblings: dict[SeriesKey, list[SeriesChange]] = {}
    for each in found:
        siblings.setdefault(each.key, []).append(each)
    made = [_change(each, keyed, siblings[each.key], min_effect) for each in found]
    known = commits.describe(repository, [each.first_after for each in made]) if repository else {}
    named = [replace(each, commit=known.get(each.first_after)) for each in made]
    settled = [_settle(each, accepted, today) for each in named]
    return sorted(settled, key=lambda each: (each.date, each.machine, each.subject), reverse=True)


def select(  # noqa: PLR0913  one argument a filter
    found: Sequence[Change],
    *,
    machine: str | None = None,
    model: str | None = None,
    variant: str | None = None,
    metric: str | None = None,
    since: date | None = None,
    min_size: float = 0.0,
    state: State | None = None,
    direction: Direction | None = None,
) -> list[Change]:
    """Those that match everything given, in the same order.

    `model` matches the part of the subject before the slash, `min_size` the larger of how many
    times more or less it is, less 1: 0.1 takes +10 % and 1/1.1. `since` is a first day.
    """
    least = math.log1p(min_size)
    return [
        each
        for each in found
        if machine in (None, each.machine)
        and model in (None, each.subject.partition("/")[0])
        and variant in (None, each.subject)
        and metric in (None, each.metric.name)
        and (since is None or each.date.date() >= since)
        and (math.inf if min(each.before, each.after) <= 0 else abs(math.log(each.ratio))) >= least
        and state in (None, each.state)
        and direction in (None, each.direction)
    ]


def _change(
    found: SeriesChange, keyed: Keyed, siblings: Sequence[SeriesChange], min_effect: float
) -> Change:
    origin, values, axis = keyed.origins[found.key], keyed.values[found.key], keyed.lines.axis
    first = axis[found.point.index]
    before = axis[last(values[: found.point.index])]
    low, high = _interval(found, values, siblings)
    later = [each for each in siblings if each.point.index > found.point.index]
    ended = next((each for each in later if _takes_back(found, each, min_effect)), None)
    return Change(
        origin=origin,
        last_before=before,
        first_after=first,
        span=keyed.span(before, first),
        date=keyed.lines.dates[first],
        before=lowered(found.point.before, origin),
        after=lowered(found.point.after, origin),
        low=low,
        high=high,
        confidence=found.point.confidence,
        cause=found.cause,
        state=_state(found, ended, past=found.key in keyed.past),
        ended_by=axis[ended.point.index] if ended else None,
    )


def _interval(
    found: SeriesChange, values: Floats, siblings: Sequence[SeriesChange]
) -> tuple[float, float]:
    """Of the ratio: the levels' standard error from the noise of the whole series, Student's t."""
    measured = ~np.isnan(values)
    present = np.log(values[measured])
    borders = sorted(each.point.index for each in siblings)
    at = borders.index(found.point.index)
    start = borders[at - 1] if at else 0
    stop = borders[at + 1] if at + 1 < len(borders) else len(values)
    index = found.point.index
    n = min(_NEAREST, int(measured[start:index].sum()))
    m = min(_NEAREST, int(measured[index:stop].sum()))
    sigma = noise(present, floor=0.0)
    half = _student(len(present) - 2) * sigma * math.sqrt(1 / n + 1 / m)
    return found.point.ratio * math.exp(-half), found.point.ratio * math.exp(half)


def _student(freedom: int) -> float:
    """Student's t at the upper end of the interval."""
    if freedom > _NEARLY_NORMAL:
        normal = NormalDist().inv_cdf(1 - _LEVEL / 2)
        return normal + (normal**3 + normal) / (4 * freedom)
    # In here: a long history does without scipy and what it takes of memory.
    from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs] it ships none

    return -float(stdtrit(freedom, _LEVEL / 2))


def _takes_back(found: SeriesChange, later: SeriesChange, min_effect: float) -> bool:
    step = math.log(found.point.ratio)
    left = math.log(later.point.after / found.point.before)
    return left / step <= 1 - RETURNED or abs(left) < math.log1p(min_effect)


def _state(found: SeriesChange, ended: SeriesChange | None, *, past: bool) -> State:
    worse = found.point.direction == "up"
    if ended is not None:
        return "fixed" if worse else "lost"
    if past:
        return "past"
    return "open" if worse else "kept"


def _settle(change: Change, accepted: Sequence[Accepted], today: date | None) -> Change:
    if change.state != "open":
        return change
    for entry in accepted:
        if entry.covers(
            change.metric.name,
            change.subject,
            change.ratio,
            commits=change.span,
            machine=change.machine,
            today=today,
        ):
            return replace(change, state="accepted", accepted=entry)
    return change
