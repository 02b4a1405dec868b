"""The suspected changes of a store's histories, as pairs of commits to measure again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mobileopt.changes import ChangePoint, SeriesKey, find_together
from mobileopt.nightly.suspicion import Step, steps
from mobileopt.series import Series

_EXACT = ("size.track_artifact", "fidelity.track_noise", "fidelity.track_top1_disagreement")
_TIMED = ("latency.", "device.")
"""Beginnings of the benchmarks whose value is the time of an artifact's forward pass."""


@dataclass(frozen=True)
class Suspect:
    """A change in one series: `good` lies before it, `bad` after it, `first` is where it shows.

    `before` and `after` are the levels in `unit`; `z` the change in standard errors. `series`
    names all that has to be equal for two values to be comparable.
    """

    machine: str
    series: str
    metric: str
    unit: str
    variant: str
    good: str
    bad: str
    first: str
    before: float
    after: float
    z: float

    @property
    def worse(self) -> bool:
        """Whether more of it is there than before: every metric is better when smaller."""
        return self.after > self.before


def find(
    histories: Iterable[Series],
    recent: AbstractSet[str],
    *,
    min_effect: float,
    sensitivity: float,
) -> list[Suspect]:
    """Suspected changes that show at one of the `recent` commits: worse first, then the surest.

    Only series whose commits can be measured again next to each other are looked at. The points
    of each are in commit order. A series with a value of zero has no ratios and is left out.
    """
    found = [
        _suspect(series, step)
        for series in histories
        if _judged(series) and min(series.values) > 0
        for step in steps(series.values, min_effect=min_effect, sensitivity=sensitivity)
        if series.commits[step.index] in recent
    ]
    return sorted(found, key=lambda each: (not each.worse, -abs(each.z), each.series))


def seen(
    histories: Sequence[Series],
    order: Sequence[str],
    recent: AbstractSet[str],
    *,
    min_effect: float,
    false_discovery_rate: float,
) -> list[Suspect]:
    """What the analysis of histories is sure of among the series that cannot be judged again.

    Only what shows at one of the `recent` commits, and only what became worse.
    """
    others = [series for series in histories if not _judged(series) and min(series.values) > 0]
    of_key = {SeriesKey(*_name(series)): series for series in others}
    values = {key: _on_axis(series, order) for key, series in of_key.items()}
    found = find_together(values, min_effect=min_effect, false_discovery_rate=false_discovery_rate)
    worse = [each for each in found if each.point.direction == "up"]
    made = [_seen(of_key[each.key], order[each.point.index], each.point) for each in worse]
    return [each for each in made if each.first in recent]


def gaps(found: Iterable[Suspect], histories: Iterable[Series]) -> list[tuple[str, str]]:
    """Between which results, one after the other, the suspected changes show; each once."""
    commits = {_name(series): series.commits for series in histories}
    pairs: dict[tuple[str, str], None] = {}
    for suspect in found:
        order = commits[suspect.machine, suspect.series]
        at = order.index(suspect.first)
        pairs[order[at - 1], order[at]] = None
    return list(pairs)


def covered(good: int, bad: int, spans: Iterable[tuple[int, int]]) -> bool:
    """Whether spans of positions in which nothing changed leave nothing of ``(good, bad]``."""
    reached = good
    for low, high in sorted(spans):
        if low > reached:
            break
        reached = max(reached, high)
    return reached >= bad


def positions(order: Sequence[str]) -> Mapping[str, int]:
    """Where each commit stands."""
    return {commit: index for index, commit in enumerate(order)}


def _suspect(series: Series, step: Step) -> Suspect:
    origin, commits = series.origin, series.commits
    machine, name = _name(series)
    return Suspect(
        machine,
        name,
        origin.metric.name,
        origin.metric.unit,
        str(origin.variant or ""),
        commits[step.good],
        commits[step.bad],
        commits[step.index],
        step.before,
        step.after,
        step.z,
    )


def _seen(series: Series, first: str, point: ChangePoint) -> Suspect:
    at = series.commits.index(first)
    step = Step(at, max(0, at - 1), at + 1, point.before, point.after, point.confidence)
    return _suspect(series, step)


def _judged(series: Series) -> bool:
    origin, metric = series.origin, series.origin.metric
    timed = metric.unit == "seconds" and metric.name.startswith(_TIMED)
    return origin.variant is not None and (metric.name in _EXACT or timed)


def _on_axis(series: Series, order: Sequence[str]) -> list[float | None]:
    values = dict(zip(series.commits, series.values, strict=True))
    return [values.get(commit) for commit in order]


def _name(series: Series) -> tuple[str, str]:
    origin = series.origin
    parts = (origin.metric.name, origin.version, origin.environment, str(origin.variant or ""))
    return origin.device, " ".join((*parts, *(f"{name}={v}" for name, v in origin.settings)))
