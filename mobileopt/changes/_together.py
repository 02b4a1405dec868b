"""Change points of many series at once: fewer false ones, and whose they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np

from mobileopt.changes._posterior import Floats
from mobileopt.changes._series import MIN_EFFECT, Analysis, ChangePoint, Results, analyse
from mobileopt.errors import InputError

Cause = Literal["commit", "machine", "unclear"]

_MANY = 3  # series of one machine that move together before the machine itself is suspected,
_SHARE = 1 / 3  # and the least share of its series with results around that commit
_MOVED = 0.5  # the chance of a jump from which another series is said to have moved as well
_STRAY = 0.05  # share of the other machines' series that may have moved by coincidence


class SeriesKey(NamedTuple):
    """A series among others: the machine it was measured on and what was measured there."""

    machine: str
    name: str


AnalyseAll = Callable[[Mapping[SeriesKey, Results], float], Mapping[SeriesKey, Analysis]]


@dataclass(frozen=True)
class SeriesChange:
    """A change point of one series and what the others say about it.

    `cause` is "commit" where another machine moved as well, or where few series of this machine
    did; "machine" where many did and on no other machine any of them; "unclear" where many did
    and no other machine measured the same there.
    """

    key: SeriesKey
    point: ChangePoint
    cause: Cause


def find_together(
    series: Mapping[SeriesKey, Results],
    *,
    min_effect: float = MIN_EFFECT,
    false_discovery_rate: float = 0.05,
    analyse_all: AnalyseAll | None = None,
) -> list[SeriesChange]:
    """Find the change points of series that share one commit axis, in order of index and key.

    Position i of every series is the same commit; a machine that did not measure it has None.
    What `find` reports in each is cut, cause by cause, to the most confident ones of which, on
    average, no more than `false_discovery_rate` are false: 1 - confidence is a change point's own
    probability of being false, and the mean over those kept is the expected rate (Newton et al.
    2004, Mueller et al. 2004). Each cause by itself, for the hundred sure changes of a machine
    would else make room for doubtful ones of commits (Efron 2008).

    `analyse_all` takes the series and `min_effect` and gives the analysis of each, from several
    processes or from memory; without it they are analysed here, one after the other.

    Raises:
        InputError: the series differ in length, or as `find`.
    """
    if not 0 < false_discovery_rate < 1:
        raise InputError(
            f"false_discovery_rate is {false_discovery_rate!r}, it must lie between 0 and 1"
        )
    lengths = {len(values) for values in series.values()}
    if len(lengths) > 1:
        raise InputError(
            f"series of {min(lengths)} and of {max(lengths)} results do not share a commit axis; "
            "fill what was not measured with None"
        )
    analyses = (analyse_all or analyse_each)(series, min_effect)
    found = [(key, point) for key, each in analyses.items() for point in each.points]
    around = _Neighbourhood(analyses, {point.index for _, point in found})
    changes = [SeriesChange(key, point, around.cause(key, point.index)) for key, point in found]
    by_cause = ([each for each in changes if each.cause == cause] for cause in get_args(Cause))
    kept = [each for some in by_cause for each in _keep(some, false_discovery_rate)]
    return sorted(kept, key=lambda change: (change.point.index, change.key))


def analyse_each(
    series: Mapping[SeriesKey, Results], min_effect: float
) -> dict[SeriesKey, Analysis]:
    """The analysis of each series, one after the other; raises InputError naming the series."""
    return {key: _analyse(key, values, min_effect) for key, values in series.items()}


def _analyse(key: SeriesKey, values: Results, min_effect: float) -> Analysis:
    try:
        return analyse(values, min_effect)
    except InputError as error:
        raise InputError(f"{key.name} on {key.machine}: {error}") from error


def _keep(changes: Sequence[SeriesChange], rate: float) -> Sequence[SeriesChange]:
    surest = sorted(changes, key=lambda change: change.point.confidence, reverse=True)
    total = 0.0
    for count, change in enumerate(surest):
        total += 1 - change.point.confidence
        if total > rate * (count + 1):
            return surest[:count]
    return surest


class _Neighbourhood:
    """What all series of all machines did around some positions of the common axis."""

    def __init__(self, analyses: Mapping[SeriesKey, Analysis], positions: set[int]) -> None:
        at = np.array(sorted(positions), np.intp)
        self._column = {position: column for column, position in enumerate(at.tolist())}
        self._row = {name: row for row, name in enumerate({key.name for key in analyses})}
        # A chance for each name and position a machine, NaN where it cannot be told.
        self._chances: dict[str, Floats] = {}
        for key, analysis in analyses.items():
            chances = self._chances.get(key.machine)
            if chances is None:
                chances = np.full((len(self._row), len(at)), np.nan)
                self._chances[key.machine] = chances
            chances[self._row[key.name]] = analysis.chances_near(at)

    def cause(self, key: SeriesKey, position: int) -> Cause:
        """Whose a change is; see SeriesChange."""
        column = self._column[position]
        here = self._chances[key.machine][:, column]
        moved = here >= _MOVED
        moved[self._row[key.name]] = True
        others = [
            c[moved, column] for machine, c in self._chances.items() if machine != key.machine
        ]
        elsewhere = np.concatenate(others) if others else np.empty(0)
        known = int(np.isfinite(elsewhere).sum())
        if (elsewhere >= _MOVED).sum() > _STRAY * known:
            return "commit"
        if moved.sum() < max(_MANY, _SHARE * np.isfinite(here).sum()):
            return "commit"
        return "machine" if known else "unclear"
