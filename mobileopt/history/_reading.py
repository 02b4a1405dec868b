"""From the store to series on one axis of commits, as the detector takes them."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np

from mobileopt import commits, floors
from mobileopt.changes import SeriesKey
from mobileopt.history._values import Floats, Keyed, Lines, subject
from mobileopt.series import Origin, Series
from mobileopt.store import Store


def read(store: Store, repository: Path | None, branch: str = "HEAD") -> Lines:
    """The series of a store in the order of their commits; see `collect`."""
    found = store.series()
    dates = {point.commit: point.date for series in found for point in series.points}
    known = repository is not None and commits.is_repository(repository)
    every = commits.order(repository, branch) if repository and known else ()
    axis = tuple(commit for commit in every if commit in dates)
    if not axis:
        every = axis = tuple(sorted(dates, key=lambda commit: (dates[commit], commit)))
    values = {series.origin: _on_axis(series, axis) for series in found}
    return Lines(values, axis, dates, every)


def _on_axis(series: Series, axis: tuple[str, ...]) -> Floats:
    of_commit = dict(zip(series.commits, series.values, strict=True))
    return np.array([of_commit.get(commit, math.nan) for commit in axis], np.float64)


def detectable(lines: Lines) -> Keyed:
    """Lines as `find_together` takes them."""
    lifted = {origin: _lifted(origin, values) for origin, values in lines.values.items()}
    keys = _keys({each: lifted[each] for each in lifted if not np.isnan(lifted[each]).all()})
    values = {key: lifted[origin] for key, origin in keys.items()}
    places = {commit: place for place, commit in enumerate(lines.every)}
    return Keyed(lines, keys, values, frozenset(_past(keys, values)), places)


def _keys(values: Mapping[Origin, Floats]) -> dict[SeriesKey, Origin]:
    """A key each; the same thing measured on two machines has the same name on both.

    Environments are called otherwise on every machine: of several the one measured last has the
    plain name, so that what goes on today matches, and the older ones follow with theirs.
    """
    keys: dict[SeriesKey, Origin] = {}
    for origin in sorted(values, key=lambda each: _recency(each, values[each]), reverse=True):
        name = f"{origin.metric.name} {subject(origin)} {origin.version}"
        key = SeriesKey(origin.device, name)
        if key in keys:
            key = SeriesKey(origin.device, f"{name} {origin.environment}")
        keys[key] = origin
    return keys


def _recency(origin: Origin, values: Floats) -> tuple[int, int, str]:
    """What orders environments: their last result, then how many, then anything that stays."""
    return last(values), int((~np.isnan(values)).sum()), origin.environment


def last(values: Floats) -> int:
    """The position of the last result there is."""
    return int(np.flatnonzero(~np.isnan(values))[-1])


def _past(
    keys: Mapping[SeriesKey, Origin], values: Mapping[SeriesKey, Floats]
) -> Iterator[SeriesKey]:
    """Series that ended before another version or environment of the same thing went on."""
    ends = {key: last(values[key]) for key in keys}
    newest: dict[tuple[object, ...], int] = {}
    for key, origin in keys.items():
        same = _same(origin)
        newest[same] = max(newest.get(same, -1), ends[key])
    return (key for key, origin in keys.items() if ends[key] < newest[_same(origin)])


def _same(origin: Origin) -> tuple[object, ...]:
    return origin.device, origin.metric.name, subject(origin)


def _lifted(origin: Origin, values: Floats) -> Floats:
    least = floors.floor(origin.metric.unit)
    if least is not None:
        return np.maximum(values, least)
    return np.where(values > 0, values, math.nan)


def lowered(level: float, origin: Origin) -> float:
    """A level of values that were lifted, as it is: 0 for what is nothing."""
    return floors.lowered(level, origin.metric.unit)
