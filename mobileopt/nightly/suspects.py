"""The suspected changes of a store's histories, as pairs of commits to measure again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from mobileopt import floors, history
from mobileopt.gate.finding import PASS_TIME
from mobileopt.nightly.suspicion import Step, steps
from mobileopt.series import Origin, Series

_EXACT = ("size.track_artifact", "fidelity.track_noise", "fidelity.track_top1_disagreement")
_TIMED = ("latency.", "device.")
"""Beginnings of the benchmarks whose value is the time of an artifact's forward pass."""


@dataclass(frozen=True)
class Suspect:
    """A change in one series: `good` lies before it, `bad` after it, `first` is where it shows.

    `variant` is a variant's name, or a model and a pass. `before` and `after` are the levels in
    `unit`; `z` the change in standard errors. `series` names all that has to be equal for two
    values to be comparable.
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
    of each are in commit order. Values of what can be nothing are lifted to the floor of their
    unit, and so are the levels of what is found.
    """
    found: list[Suspect] = []
    for series in histories:
        unit = series.origin.metric.unit
        values = [floors.lifted(value, unit) for value in series.values]
        if not can_be_judged(series.origin) or min(values) <= 0:
            continue
        exact = series.origin.metric.name in _EXACT
        shown = steps(values, min_effect=min_effect, sensitivity=sensitivity, exact=exact)
        found += [_suspect(series, each) for each in shown if series.commits[each.index] in recent]
    return sorted(found, key=lambda each: (not each.worse, -abs(each.z), each.series))


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


def of_series(
    series: Series, place: tuple[str, str, int], before: float, after: float, z: float = 0.0
) -> Suspect:
    """A suspicion in a series between two levels.

    `place` is a commit before the change, one after it, and the position in the series where the
    change shows.
    """
    good, bad, index = place
    origin = series.origin
    machine, name = _name(series)
    return Suspect(
        machine,
        name,
        origin.metric.name,
        origin.metric.unit,
        history.subject(origin),
        good,
        bad,
        series.commits[index],
        before,
        after,
        z,
    )


def can_be_judged(origin: Origin) -> bool:
    """Whether two commits can be measured again next to each other in what a series measures."""
    metric, settings = origin.metric, dict(origin.settings)
    if metric.name == PASS_TIME:
        return set(settings) == {"model", "optimization"}
    timed = metric.unit == "seconds" and metric.name.startswith(_TIMED)
    return origin.variant is not None and not settings and (metric.name in _EXACT or timed)


def _suspect(series: Series, step: Step) -> Suspect:
    ends = (series.commits[step.good], series.commits[step.bad], step.index)
    return of_series(series, ends, step.before, step.after, step.z)


def _name(series: Series) -> tuple[str, str]:
    origin = series.origin
    parts = (origin.metric.name, origin.version, origin.environment, str(origin.variant or ""))
    return origin.device, " ".join((*parts, *(f"{name}={v}" for name, v in origin.settings)))
