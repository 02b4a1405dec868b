"""What got worse and what got better over the commits of a store, and how that stands now.

    changes = collect(Store("results"), repository=Path("."))
    for change in select(changes, state="open"):
        print(change.sentence())

Derived from the store alone; the repository adds the order of the commits and their subjects,
`mobileopt-accepted.toml` what was accepted.
"""

from __future__ import annotations

import math
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import numpy as np
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs] scipy ships none

from mobileopt import commits
from mobileopt.accepted import Accepted
from mobileopt.changes import Cause, SeriesChange, SeriesKey, find_together, noise
from mobileopt.commits import Commit
from mobileopt.run import Metric
from mobileopt.series import Origin, Series
from mobileopt.store import Store

State = Literal["open", "fixed", "accepted", "kept", "lost", "past"]
Direction = Literal["worse", "better"]

WORSE_STATES: tuple[State, ...] = ("open", "accepted", "fixed", "past")
BETTER_STATES: tuple[State, ...] = ("kept", "lost", "past")

MIN_EFFECT = 0.01
RETURNED = 0.75
"""Share of a step, on a log scale, that must be gone before it counts as fixed (or lost)."""

_NEAREST = 30  # results on each side that the size of a change rests on
_LEVEL = 0.05  # the interval of a size covers 95 %
# What a metric that can be 0 is lifted to, so that it has a ratio: the relative error that
# float32 arithmetic makes by itself, and less than one of anything that is counted.
_FLOORS = {"seconds": None, "ratio": 1e-6, "fraction": 1e-6, "unit": 1e-6}
_FLOOR_OF_A_COUNT = 0.5


@dataclass(frozen=True)
class Change:
    """The level of one series moved, and where it is today.

    `origin` says what was measured where. The change came with one of `span`: the commits after
    `last_before`, the last one measured at the old level, up to `first_after`, the first one at
    the new level, oldest first (only the latter where the order of the commits is not known).

    `before` and `after` are the levels in the metric's unit, `low` and `high` the 95 % interval
    of their ratio, `confidence` the posterior probability of a jump within two results of
    `first_after`. `direction` is ``worse`` for more of anything: all metrics of the store are
    times, sizes and errors.

    `state` of a worsening: ``open`` while its level holds, ``fixed`` once a later change took
    back most of it, ``accepted`` while an entry of the accepted file covers it, ``past`` when
    the series ended because another version of its benchmark, or another environment, took its
    place. An improvement is ``kept``, ``lost`` or ``past``. `ended_by` is the commit that fixed
    or lost it.

    `cause` suspects the ``commit`` or the ``machine``, see `mobileopt.changes.SeriesChange`.
    `commit` is what git knows of `first_after`, if anything.
    """

    origin: Origin
    last_before: str
    first_after: str
    span: tuple[str, ...]
    date: datetime
    before: float
    after: float
    low: float
    high: float
    confidence: float
    cause: Cause
    state: State
    ended_by: str | None = None
    accepted: Accepted | None = None
    commit: Commit | None = None

    @property
    def machine(self) -> str:
        """The machine it was measured on."""
        return self.origin.device

    @property
    def metric(self) -> Metric:
        """What was measured: its name is the benchmark's."""
        return self.origin.metric

    @property
    def subject(self) -> str:
        """What was measured, by name: see `subject`."""
        return subject(self.origin)

    @property
    def ratio(self) -> float:
        """`after / before`; infinite where there was nothing before."""
        return self.after / self.before if self.before else math.inf

    @property
    def size(self) -> float:
        """The relative change: 0.1 is ten percent more, -0.1 ten percent less."""
        return self.ratio - 1

    @property
    def direction(self) -> Direction:
        """Whether it is for the worse."""
        return "worse" if self.after > self.before else "better"

    @property
    def identity(self) -> str:
        """A name that stays the same however often the store is read: a URN for a feed."""
        parts = (self.origin.version, self.origin.environment, self.first_after)
        name = "\n".join((self.machine, self.metric.name, self.subject, *parts))
        return f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, name)}"

    def sentence(self) -> str:
        """One line for a person."""
        amount = "from nothing" if math.isinf(self.ratio) else f"by {abs(self.size):.1%}"
        return (
            f"{self.metric.name} of {self.subject} on {self.machine} got {self.direction} "
            f"{amount} at {self.commit or self.first_after[:8]}: {self.state}"
        )


@dataclass(frozen=True)
class _Read:
    """The series of a store on one axis of commits."""

    keys: Mapping[SeriesKey, Series]
    axis: tuple[str, ...]
    """The commits that were measured, oldest first."""
    every: tuple[str, ...]
    """Those between them as well, where a repository knows them."""
    past: frozenset[SeriesKey]


def subject(origin: Origin) -> str:
    """What an origin measures, by name: ``mobilenet_v2/fx-float-nchw-mobile``.

    A benchmark without a variant is named by its parameters: ``mobilenet_v2/fx`` for the time
    of a pass. Settings beside a variant follow it: ``..., threads=4``.
    """
    if origin.variant is None:
        return "/".join(value for _, value in origin.settings) or origin.metric.name
    return ", ".join([str(origin.variant), *(f"{name}={v}" for name, v in origin.settings)])


def collect(
    store: Store,
    *,
    repository: Path | None = None,
    accepted: Sequence[Accepted] = (),
    min_effect: float = MIN_EFFECT,
    false_discovery_rate: float = 0.05,
    today: date | None = None,
) -> list[Change]:
    """Every change of every series of a store, newest first.

    With a `repository` the commits stand in its order, and those it does not reach from HEAD
    are left out, unless it knows none of them; without one their dates decide. Changes of less
    than `min_effect`, as a fraction, are not reported; of those reported about
    `false_discovery_rate` are false (`mobileopt.changes.find_together`).

    Raises StoreError when the store is no folder of results.
    """
    read = _read(store, repository)
    found = find_together(
        {key: _values(series, read.axis) for key, series in read.keys.items()},
        min_effect=min_effect,
        false_discovery_rate=false_discovery_rate,
    )
    made = [
        _change(each, read, [other for other in found if other.key == each.key], min_effect)
        for each in found
    ]
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


# --- from the store to series on one axis ----------------------------------------------------


def _read(store: Store, repository: Path | None) -> _Read:
    found = store.series()
    dates = {point.commit: point.date for series in found for point in series.points}
    every = commits.order(repository) if repository and commits.is_repository(repository) else ()
    axis = tuple(commit for commit in every if commit in dates)
    if not axis:
        every = axis = tuple(sorted(dates, key=lambda commit: (dates[commit], commit)))
    within = (Series.of([(s.origin, point) for point in s.points], axis) for s in found)
    keys = _keys([series for series in within if series.points])
    return _Read(keys, axis, every, frozenset(_past(keys, axis)))


def _keys(found: Sequence[Series]) -> dict[SeriesKey, Series]:
    """A key each; the same thing measured on two machines has the same name on both."""
    keys: dict[SeriesKey, Series] = {}
    for series in found:
        origin = series.origin
        name = f"{origin.metric.name} {subject(origin)} {origin.version}"
        key = SeriesKey(origin.device, name)
        if key in keys:  # two environments of one machine are two series
            key = SeriesKey(origin.device, f"{name} {origin.environment}")
        keys[key] = series
    return keys


def _past(keys: Mapping[SeriesKey, Series], axis: tuple[str, ...]) -> list[SeriesKey]:
    """Series that ended before another version or environment of the same thing went on."""
    position = {commit: at for at, commit in enumerate(axis)}
    last = {key: position[series.commits[-1]] for key, series in keys.items()}
    newest: dict[tuple[object, ...], int] = {}
    for key, series in keys.items():
        same = _same(series.origin)
        newest[same] = max(newest.get(same, -1), last[key])
    return [key for key, series in keys.items() if last[key] < newest[_same(series.origin)]]


def _same(origin: Origin) -> tuple[object, ...]:
    return origin.device, origin.metric.name, subject(origin)


def _values(series: Series, axis: tuple[str, ...]) -> list[float | None]:
    of_commit = dict(zip(series.commits, series.values, strict=True))
    floor = _FLOORS.get(series.origin.metric.unit, _FLOOR_OF_A_COUNT)
    return [_lifted(of_commit.get(commit), floor) for commit in axis]


def _lifted(value: float | None, floor: float | None) -> float | None:
    if value is None or (floor is None and value <= 0):
        return None
    return value if floor is None else max(value, floor)


def _lowered(level: float, floor: float) -> float:
    return 0.0 if math.isclose(level, floor, rel_tol=1e-3) else level


# --- from a change point to a change ---------------------------------------------------------


def _change(
    found: SeriesChange, read: _Read, siblings: Sequence[SeriesChange], min_effect: float
) -> Change:
    series = read.keys[found.key]
    first = read.axis[found.point.index]
    at = series.commits.index(first)
    last = series.commits[at - 1]
    floor = _FLOORS.get(series.origin.metric.unit, _FLOOR_OF_A_COUNT) or 0.0
    low, high = _interval(found, _values(series, read.axis), siblings)
    later = [each for each in siblings if each.point.index > found.point.index]
    ended = next((each for each in later if _takes_back(found, each, min_effect)), None)
    return Change(
        origin=series.origin,
        last_before=last,
        first_after=first,
        span=_span(read, last, first),
        date=series.points[at].date,
        before=_lowered(found.point.before, floor),
        after=_lowered(found.point.after, floor),
        low=low,
        high=high,
        confidence=found.point.confidence,
        cause=found.cause,
        state=_state(found, ended, past=found.key in read.past),
        ended_by=read.axis[ended.point.index] if ended else None,
    )


def _span(read: _Read, last: str, first: str) -> tuple[str, ...]:
    start, stop = read.every.index(last), read.every.index(first)
    return read.every[start + 1 : stop + 1]


def _interval(
    found: SeriesChange, values: Sequence[float | None], siblings: Sequence[SeriesChange]
) -> tuple[float, float]:
    """Of the ratio: the levels' standard error from the noise of the whole series, Student's t."""
    present = np.log([value for value in values if value is not None])
    borders = sorted(each.point.index for each in siblings)
    at = borders.index(found.point.index)
    start = borders[at - 1] if at else 0
    stop = borders[at + 1] if at + 1 < len(borders) else len(values)
    index = found.point.index
    n = min(_NEAREST, sum(value is not None for value in values[start:index]))
    m = min(_NEAREST, sum(value is not None for value in values[index:stop]))
    sigma = noise(present, floor=0.0)
    half = -float(stdtrit(len(present) - 2, _LEVEL / 2)) * sigma * math.sqrt(1 / n + 1 / m)
    return found.point.ratio * math.exp(-half), found.point.ratio * math.exp(half)


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
