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
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from pathlib import Path
from statistics import NormalDist
from typing import Literal

import numpy as np
import numpy.typing as npt

from mobileopt import commits, floors
from mobileopt.accepted import Accepted
from mobileopt.changes import (
    AnalyseAll,
    Cause,
    SeriesChange,
    SeriesKey,
    find_together,
    noise,
)
from mobileopt.commits import Commit
from mobileopt.run import Metric
from mobileopt.series import Origin, Series
from mobileopt.store import Store

Floats = npt.NDArray[np.float64]
State = Literal["open", "fixed", "accepted", "kept", "lost", "past"]
Direction = Literal["worse", "better"]

WORSE_STATES: tuple[State, ...] = ("open", "accepted", "fixed", "past")
BETTER_STATES: tuple[State, ...] = ("kept", "lost", "past")

MIN_EFFECT = 0.01
RETURNED = 0.75
"""Share of a step, on a log scale, that must be gone before it counts as fixed (or lost)."""

_NEAREST = 30  # results on each side that the size of a change rests on
_LEVEL = 0.05  # the interval of a size covers 95 %
_NEARLY_NORMAL = 200  # degrees of freedom; the expansion in 1/n is then good to four digits


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


@dataclass(frozen=True, eq=False)
class Lines:
    """Series on one axis of commits, oldest first.

    `values` has each origin's, an array as long as `axis` with NaN where nothing was measured;
    `axis` are the commits with results, `dates` theirs, and `every` also the commits between
    them, where a repository knows any.
    """

    values: Mapping[Origin, Floats]
    axis: tuple[str, ...]
    dates: Mapping[str, datetime]
    every: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Keyed:
    """Lines as the detector takes them: by key, with a level everywhere, and which are over."""

    lines: Lines
    origins: Mapping[SeriesKey, Origin]
    values: Mapping[SeriesKey, Floats]
    past: frozenset[SeriesKey]
    places: Mapping[str, int]


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


# --- from the store to series on one axis ----------------------------------------------------


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
    keys = _keys([origin for origin, values in lifted.items() if not np.isnan(values).all()])
    values = {key: lifted[origin] for key, origin in keys.items()}
    places = {commit: place for place, commit in enumerate(lines.every)}
    return Keyed(lines, keys, values, frozenset(_past(keys, values)), places)


def _keys(origins: Sequence[Origin]) -> dict[SeriesKey, Origin]:
    """A key each; the same thing measured on two machines has the same name on both."""
    keys: dict[SeriesKey, Origin] = {}
    for origin in origins:
        name = f"{origin.metric.name} {subject(origin)} {origin.version}"
        key = SeriesKey(origin.device, name)
        if key in keys:  # two environments of one machine are two series
            key = SeriesKey(origin.device, f"{name} {origin.environment}")
        keys[key] = origin
    return keys


def _past(
    keys: Mapping[SeriesKey, Origin], values: Mapping[SeriesKey, Floats]
) -> Iterator[SeriesKey]:
    """Series that ended before another version or environment of the same thing went on."""
    last = {key: np.flatnonzero(~np.isnan(values[key]))[-1] for key in keys}
    newest: dict[tuple[object, ...], int] = {}
    for key, origin in keys.items():
        same = _same(origin)
        newest[same] = max(newest.get(same, -1), last[key])
    return (key for key, origin in keys.items() if last[key] < newest[_same(origin)])


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


# --- from a change point to a change ---------------------------------------------------------


def _change(
    found: SeriesChange, keyed: Keyed, siblings: Sequence[SeriesChange], min_effect: float
) -> Change:
    origin, values, axis = keyed.origins[found.key], keyed.values[found.key], keyed.lines.axis
    first = axis[found.point.index]
    last = axis[np.flatnonzero(~np.isnan(values[: found.point.index]))[-1]]
    low, high = _interval(found, values, siblings)
    later = [each for each in siblings if each.point.index > found.point.index]
    ended = next((each for each in later if _takes_back(found, each, min_effect)), None)
    return Change(
        origin=origin,
        last_before=last,
        first_after=first,
        span=keyed.lines.every[keyed.places[last] + 1 : keyed.places[first] + 1],
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
