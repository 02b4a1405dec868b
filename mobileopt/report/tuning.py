"""The outcome of a search, as a table in a terminal and as JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from mobileopt.estimators import Interval
from mobileopt.report.units import EXACT, bytes_
from mobileopt.tuning.candidates import Candidate, Limit, Limits
from mobileopt.tuning.race import Result, Rules, Standing

_COLOURS = {
    "best": "bold green",
    "tied": "green",
    "slower": "dim",
    "behind": "dim",
    "unclear": "yellow",
}


@dataclass(frozen=True)
class Tuning:
    """A search with all that was decided before anything was measured.

    `result` is None when no variant kept the limits. Times are wall seconds: of exporting, and
    of measuring with the starting of processes.
    """

    model: str
    limits: Limits
    rules: Rules
    kept: tuple[Candidate, ...]
    left_out: Mapping[Candidate, tuple[Limit, ...]]
    refused: Mapping[str, str]
    export_seconds: float
    measure_seconds: float = 0.0
    result: Result | None = None

    @property
    def sentence(self) -> str:
        """The outcome: which variant, why that one, at what cost."""
        if self.result is None:
            return _nothing(self)
        return f"{_choice(self.model, self.result, self.rules)} {_cost(self)}"


def show(tuning: Tuning, console: Console) -> None:
    """Print what was refused and left out, the table of the race, and the sentence."""
    for recipe, reason in tuning.refused.items():
        console.print(f"not exported: {recipe}: {reason}", style="dim", markup=False)
    if tuning.left_out:
        console.print(_left_out(tuning), style="dim", markup=False)
    if tuning.result is not None:
        console.print(_table(tuning, tuning.result))
        console.print("A host is no phone: measure there before a release.", style="dim")
    console.print(tuning.sentence, style="bold", markup=False)


def dump(tuning: Tuning) -> str:
    """A strict JSON document in seconds, bytes and decibels; what is infinite is null."""
    result = tuning.result
    document = {
        "model": tuning.model,
        "best": result and result.best.name,
        "end": result and result.end,
        "sentence": tuning.sentence,
        "limits": {"min_sqnr_db": tuning.limits.min_sqnr, "max_size_bytes": tuning.limits.max_size},
        "threshold": tuning.rules.threshold,
        "exhaustive": not tuning.rules.eliminate,
        "measuring_seconds": result.seconds if result else 0.0,
        "measure_wall_seconds": tuning.measure_seconds,
        "export_wall_seconds": tuning.export_seconds,
        "launches": result.launches if result else 0,
        "variants": [_standing(each) for each in result.standings] if result else [],
        "left_out": [_candidate(each) | {"unmet": u} for each, u in tuning.left_out.items()],
        "refused": dict(tuning.refused),
    }
    return json.dumps(document, allow_nan=False)


def size_and_fidelity(candidate: Candidate) -> str:
    """For a sentence: ``14.3 MB, SQNR 104.1 dB``."""
    return f"{bytes_(candidate.size)}, SQNR {_decibels(candidate.sqnr)}"


def _nothing(tuning: Tuning) -> str:
    asked = _limits(tuning.limits)
    if not tuning.left_out:
        return f"No variant of {tuning.model} could be exported that was asked for"
    closest = tuning.limits.closest(tuning.left_out)
    return (
        f"No variant of {tuning.model} keeps {asked}; {closest.name} comes closest "
        f"({size_and_fidelity(closest)})"
    )


def _limits(limits: Limits) -> str:
    size = "" if limits.max_size is None else f" in {bytes_(limits.max_size)}"
    return f"an SQNR of {limits.min_sqnr:g} dB{size}"


def _choice(model: str, result: Result, rules: Rules) -> str:
    best = f"{model}/{result.best.name} ({size_and_fidelity(result.best)})"
    tied = [each for each in result.standings if each.place == "tied"]
    open_ = [each for each in result.standings if each.place == "unclear"]
    first = f"Best here: {best}"
    if tied:
        first += (
            f", chosen for fidelity, size and simplicity among {len(tied) + 1} that tie within "
            f"{rules.threshold:.0%}"
        )
    if open_:
        others = ", ".join(each.candidate.name for each in open_)
        first += f"; not told apart from {others if len(open_) <= 3 else f'{len(open_)} others'}"
    return f"{first}.{_END.get(result.end, '')}"


_END = {
    "effort": " It ended when its share of an exhaustive search's time was used.",
    "budget": " The budget was spent before the search was done.",
    "interrupted": " Stopped early: this is what was known.",
}


def _cost(tuning: Tuning) -> str:
    assert tuning.result is not None
    return (
        f"It took {tuning.result.seconds:.1f} s of measuring ({tuning.measure_seconds:.0f} s with "
        f"the starting of processes) after {tuning.export_seconds:.0f} s of exporting."
    )


def _left_out(tuning: Tuning) -> str:
    unmet = list(tuning.left_out.values())
    low = sum("min_sqnr" in each for each in unmet)
    large = sum("max_size" in each for each in unmet)
    told = [f"{low} below an SQNR of {tuning.limits.min_sqnr:g} dB"] if low else []
    told += [f"{large} larger than {bytes_(tuning.limits.max_size or 0)}"] if large else []
    return f"never measured: {len(unmet)} variants, {' and '.join(told)}"


def _table(tuning: Tuning, result: Result) -> Table:
    table = Table(
        title=f"{tuning.model}: {len(tuning.kept)} variants, up to {result.launches} launches each",
        title_justify="left",
    )
    table.add_column("", justify="right")
    table.add_column("recipe", no_wrap=True)
    for heading in ("relative time", "interval", "SQNR", "size", "launches", "samples"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("what became of it")
    for rank, standing in enumerate(result.standings, start=1):
        table.add_row(*_cells(rank, standing, tuning), style=_COLOURS.get(standing.place, ""))
    return table


def _cells(rank: int, standing: Standing, tuning: Tuning) -> list[Text | str]:
    candidate = standing.candidate
    return [
        str(rank),
        candidate.name + ("" if standing.settled else " ~"),
        *_ratio(standing),
        _decibels(candidate.sqnr),
        bytes_(candidate.size),
        str(standing.launches),
        str(standing.samples),
        Text(_story(standing, tuning.rules)),
    ]


def _ratio(standing: Standing) -> list[str]:
    if not standing.launches:
        return ["", ""]
    if standing.place == "best":
        return ["1.00", ""]
    low, high = _times(standing.interval.low), _times(standing.interval.high)
    return [_times(standing.interval.estimate), f"{low} to {high}"]


def _times(log_ratio: float) -> str:
    return f"{math.exp(log_ratio):.2f}"


def _story(standing: Standing, rules: Rules) -> str:
    if standing.drop is not None:
        drop = standing.drop
        where = "" if drop.certain else ", in the slower half"
        return f"dropped after launch {drop.launch}{where}: {_slower(drop.interval)} {drop.against}"
    return {
        "best": "best",
        "tied": f"ties with the fastest within {rules.threshold:.0%}",
        "unclear": "not told apart from the fastest",
        "slower": "slower",
        "unmeasured": "never measured",
        "failed": f"failed: {standing.reason}",
    }[standing.place]


def _slower(interval: Interval) -> str:
    ratio = math.exp(interval.estimate)
    return f"{ratio:.1f} times as slow as" if ratio >= 1.5 else f"{ratio - 1:.0%} slower than"


def _decibels(value: float) -> str:
    return "exact" if value >= EXACT else f"{value:.1f} dB"


def _standing(standing: Standing) -> dict[str, Any]:
    drop = standing.drop
    return _candidate(standing.candidate) | {
        "place": standing.place,
        "ratio_to_best": _interval(standing.interval) if standing.launches else None,
        "launches": standing.launches,
        "samples": standing.samples,
        "measuring_seconds": standing.seconds,
        "settled": standing.settled,
        "dropped": drop
        and {
            "after_launch": drop.launch,
            "against": drop.against,
            "ratio": _interval(drop.interval),
            "certain": drop.certain,
        },
        "failed": standing.reason,
    }


def _candidate(candidate: Candidate) -> dict[str, Any]:
    return {
        "recipe": candidate.name,
        "sqnr_db": candidate.sqnr if math.isfinite(candidate.sqnr) else None,
        "size_bytes": candidate.size,
    }


def _interval(interval: Interval) -> dict[str, float | None]:
    ends = {"estimate": interval.estimate, "low": interval.low, "high": interval.high}
    return {key: math.exp(each) if abs(each) < 700 else None for key, each in ends.items()}
