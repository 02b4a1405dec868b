"""The last results of a store against the level before them: the gate without measuring.

Cheap, and weaker than two commits compared side by side: one result a series, taken at another
time than those before it, and nobody measures it again.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.special import stdtrit  # pyright: ignore[reportMissingTypeStubs] scipy ships none

from mobileopt import history
from mobileopt.accepted import Accepted
from mobileopt.changes import SeriesChange, find_together, noise
from mobileopt.errors import InputError, StoreError, UnknownNameError
from mobileopt.gate.finding import Finding, Outcome, Result, accept
from mobileopt.history import Keyed
from mobileopt.series import Origin
from mobileopt.store import Store

ALPHA = 0.01
"""Family-wise rate of false alarms, by Bonferroni's inequality over the series that vary."""

NEW = 5
"""A change point among this many last results is news; an older one is history's."""

FEWEST = 8
"""Results a level needs before another can be judged by them."""

EQUAL = 3
"""Equal results before a metric counts as one without noise. A time never does: equal ones are
those of a coarse clock."""

NEAREST = 30
"""Results the level is read from, so that a creeping one is judged by where it is."""

_MISSES = 0.05

WEAKER = (
    "Judged by one result a series, taken at another time than those before it: weaker than "
    "comparing two commits, and nothing was measured again."
)


@dataclass(frozen=True)
class _Series:
    """A series up to its newest result, and its changes with the results each has lasted.

    `commits` are those of the values.
    """

    origin: Origin
    commits: tuple[str, ...]
    values: tuple[float, ...]
    changes: tuple[tuple[int, SeriesChange], ...]

    @property
    def constant(self) -> bool:
        """Whether it had not varied before the newest result: then that is judged exactly."""
        before = self.values[-FEWEST - 1 : -1]
        timed = self.origin.metric.unit == "seconds"
        return not timed and len(before) >= EQUAL and len(set(before)) == 1

    @property
    def lasted(self) -> int:
        """The results at the present level, the newest included."""
        return self.changes[-1][0] if self.changes else len(self.values)

    def news(self, threshold: float) -> SeriesChange | None:
        """The worsening whose level the last few results are the first of, if any."""
        if self.constant or not self.changes or self.lasted > NEW:
            return None
        change = self.changes[-1][1]
        return change if change.point.ratio >= 1 + threshold else None

    def finding(self, outcome: Outcome, numbers: _Numbers, reason: str = "") -> Finding:
        """A finding of this series."""
        metric = self.origin.metric
        return Finding(
            metric.name, history.subject(self.origin), outcome, *numbers, reason, unit=metric.unit
        )


_Numbers = tuple[float, float, float, float, float]


def judge(
    store: Store,
    repository: Path | None = None,
    *,
    machine: str | None = None,
    threshold: float = 0.05,
    accepted: Sequence[Accepted] = (),
) -> Result:
    """Judge the newest commit a machine measured by the levels before it.

    What never varied is judged exactly, times apart. Any other value is worse when it lies at
    least the `threshold` above its level and outside the prediction interval of one more result,
    or when a change point lies among the last results (`mobileopt.changes.find_together`), unless
    the machine is its cause. An accepted worsening is one of a commit that can have brought it.

    Raises StoreError for a store without results, and UnknownNameError for a machine it lacks
    or when it holds several and none was chosen.
    """
    began = time.monotonic()
    histories = history.detectable(history.read(store, repository))
    chosen = _machine(histories, machine)
    newest, current, missed = _current(histories, chosen)
    alpha = ALPHA / max(1, sum(not each.constant for each in current))

    def settled(series: _Series) -> tuple[Finding, ...]:
        found = _judge(series, threshold, alpha)
        brought = _brought(series, threshold, histories)
        return accept([found], accepted, brought, machine=chosen)

    return Result(
        base=f"the history of {chosen}",
        head=newest,
        findings=tuple(chain.from_iterable(map(settled, current))),
        threshold=threshold,
        seconds=time.monotonic() - began,
        skipped=dict.fromkeys(missed, f"not measured at {newest[:8]}"),
        notes=(WEAKER,),
    )


def _machine(histories: Keyed, machine: str | None) -> str:
    names = sorted({key.machine for key in histories.origins})
    if not names:
        raise StoreError("the store holds no results of commits that are known here")
    if machine is None and len(names) > 1:
        raise InputError(f"choose one of the store's machines: {', '.join(names)}")
    if machine not in (None, *names):
        raise UnknownNameError("machine", str(machine), names)
    return machine or names[0]


def _current(histories: Keyed, machine: str) -> tuple[str, list[_Series], list[str]]:
    """The newest commit of a machine, its series with a result there, and the others' names."""
    mine = [
        key for key in histories.origins if key.machine == machine and key not in histories.past
    ]
    last = {key: int(np.flatnonzero(~np.isnan(histories.values[key]))[-1]) for key in mine}
    newest = max(last.values())
    changes = find_together(histories.values)
    current: list[_Series] = []
    for key in (key for key in mine if last[key] == newest):
        values = histories.values[key]
        lasted = tuple(
            (int((~np.isnan(values[each.point.index :])).sum()), each)
            for each in changes
            if each.key == key
        )
        rows = np.flatnonzero(~np.isnan(values)).tolist()
        measured = tuple(histories.lines.axis[row] for row in rows)
        present = tuple(values[rows].tolist())
        current.append(_Series(histories.origins[key], measured, present, lasted))
    missed = [key.name for key in mine if last[key] != newest]
    return histories.lines.axis[newest], current, missed


def _brought(series: _Series, threshold: float, histories: Keyed) -> Sequence[str]:
    """The commits one of which brought the level that is judged, oldest first."""
    first = len(series.values) - (series.lasted if series.news(threshold) else 1)
    if not first:
        return series.commits[:1]
    return histories.span(series.commits[first - 1], series.commits[first])


def _judge(series: _Series, threshold: float, alpha: float) -> Finding:
    *before, last = series.values
    if not before:
        return series.finding("unclear", _unknown(last), "it is the first result")
    if series.constant:
        old, new = (history.lowered(each, series.origin) for each in (before[-1], last))
        ratio = new / old if old else 1.0 if not new else math.inf
        numbers = (old, new, ratio, ratio, ratio)
        return series.finding("worse" if ratio > 1 else "ok", numbers)
    if change := series.news(threshold):
        return _changed(series, change, alpha)
    at_level = before[-(series.lasted - 1) :] if series.lasted > 1 else []
    return _by_level(series, at_level, threshold, alpha)


def _changed(series: _Series, change: SeriesChange, alpha: float) -> Finding:
    point = change.point
    interval = _interval(series.values[:-1], point.ratio, alpha)
    numbers = (point.before, point.after, point.ratio, *interval)
    if change.cause == "machine":
        why = "most of this machine's series moved at once and no other's did: the machine changed"
        return series.finding("unclear", numbers, why)
    why = f"a change point among the last {NEW} results, suspected cause: {change.cause}"
    return series.finding("worse", numbers, why)


def _by_level(series: _Series, before: Sequence[float], threshold: float, alpha: float) -> Finding:
    """One more result against the level of those before it, by its prediction interval."""
    last = series.values[-1]
    if len(before) < FEWEST:
        equal = "" if series.origin.metric.unit == "seconds" else f", or {EQUAL} equal ones"
        why = f"{len(before)} results at this level, {FEWEST} are needed{equal}"
        return series.finding("unclear", _unknown(last), why)
    level = float(np.exp(np.median(np.log(before[-NEAREST:]))))
    ratio = last / level
    low, high = _interval(before, ratio, alpha)
    numbers = (level, last, ratio, low, high)
    if ratio >= 1 + threshold and low > 1:
        return series.finding("worse", numbers)
    surely = _interval(before, ratio, _MISSES)[1]
    if ratio <= 1 or surely < 1 + threshold:
        return series.finding("ok", numbers)
    why = f"results at this level vary by {100 * (surely / ratio - 1):.0f} %"
    return series.finding("unclear", numbers, why)


def _interval(before: Sequence[float], ratio: float, alpha: float) -> tuple[float, float]:
    """Where one more result at the level of `before` would lie: Student's prediction interval."""
    n = len(before)
    if n < 2:
        return 0.0, math.inf
    sigma = noise(np.log(before), floor=1e-9)
    half = -float(stdtrit(n - 1, alpha / 2)) * sigma * math.sqrt(1 + 1 / n)
    return ratio * math.exp(-half), ratio * math.exp(half)


def _unknown(last: float) -> _Numbers:
    return math.nan, last, math.nan, 0.0, math.inf
