"""What the gate finds of each benchmark, and what follows for the whole. Pure.

Three outcomes: ``worse``; ``ok``, which is not worse by more than the threshold; ``unclear``,
which says that the session cannot tell, with the reason. An accepted worsening is ``accepted``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

from mobileopt.accepted import Accepted
from mobileopt.floors import ROUNDING

Outcome = Literal["worse", "ok", "unclear", "accepted"]

NOTHING_WORSE, WORSE, CANNOT_TELL, NOT_RUN = 0, 1, 2, 3
"""Exit codes of `mobileopt check`; the last is for input that cannot be used."""

LATENCY, PASS_TIME = "latency.time_forward", "passes.time_apply"
SIZE, NOISE, DISAGREEMENT = (
    "size.track_artifact",
    "fidelity.track_noise",
    "fidelity.track_top1_disagreement",
)
CHANGED, EXPORT = "passes.track_changed", "export"
GRAPH_METRICS = {
    "graph.track_operator_calls": "operator_calls",
    "graph.track_layout_conversions": "layout_conversions",
    "graph.track_allocations": "allocations",
    "graph.track_flops": "flops",
}
"""With what `mobileopt inspect` calls each."""
METRICS = (LATENCY, PASS_TIME, SIZE, NOISE, DISAGREEMENT, CHANGED, EXPORT, *GRAPH_METRICS)
"""Named as the benchmarks of the suite, so that one accepted entry holds for both."""

UNITS: Mapping[str, str] = {
    LATENCY: "seconds",
    PASS_TIME: "seconds",
    SIZE: "bytes",
    NOISE: "ratio",
    DISAGREEMENT: "fraction",
    CHANGED: "modules",
    EXPORT: "refused",
    **dict.fromkeys(GRAPH_METRICS, ""),
}

_FLOORS = {NOISE: ROUNDING, DISAGREEMENT: ROUNDING}
_MORE_IS_BETTER = (CHANGED,)


@dataclass(frozen=True)
class Finding:
    """One benchmark: `metric` of `subject`, at the base and at the head.

    `ratio` is head over base, above 1 for worse (base over head where more is better), with
    the interval from `low` to `high`; both are the ratio itself where the metric is exact.
    """

    metric: str
    subject: str
    outcome: Outcome
    base: float
    head: float
    ratio: float
    low: float
    high: float
    reason: str = ""
    accepted: Accepted | None = None
    unit: str = ""

    @property
    def name(self) -> str:
        """Metric and subject."""
        return f"{self.metric} of {self.subject}"

    @property
    def exact(self) -> bool:
        """Whether the metric is the same in every run, so that its ratio has no interval."""
        return self.low == self.high


@dataclass(frozen=True)
class Result:
    """Everything a report needs: two commits, the findings, and what a reader should know.

    `base` is a commit's hash, or the name of the history the head is judged by. `skipped` names
    what was not compared, with the reason.
    """

    base: str
    head: str
    findings: tuple[Finding, ...]
    threshold: float
    seconds: float
    skipped: Mapping[str, str]
    notes: tuple[str, ...] = ()

    @property
    def title(self) -> str:
        """What was compared, for a heading."""
        base = self.base if " " in self.base else self.base[:8]
        return f"{self.head[:8]} against {base}"

    def having(self, outcome: Outcome) -> tuple[Finding, ...]:
        """The findings with this outcome."""
        return tuple(each for each in self.findings if each.outcome == outcome)

    @property
    def exit_code(self) -> int:
        """1 when anything is worse, else 2 when anything cannot be told, else 0."""
        if self.having("worse"):
            return WORSE
        return CANNOT_TELL if self.having("unclear") or not self.findings else NOTHING_WORSE

    @property
    def sentence(self) -> str:
        """The result in one sentence."""
        worse, unclear = self.having("worse"), self.having("unclear")
        if worse:
            first = worse[0]
            rest = f" and {len(worse) - 1} more" if len(worse) > 1 else ""
            return f"{first.name} is {amount(first)} worse{rest}"
        if not self.findings:
            return "nothing could be compared"
        if unclear:
            return (
                f"cannot tell: {len(unclear)} of {len(self.findings)} benchmarks, "
                f"such as {unclear[0].name}: {unclear[0].reason}"
            )
        return f"nothing got worse in {len(self.findings)} benchmarks"


def amount(finding: Finding) -> str:
    """How much worse or better in percent, with its interval where there is one."""
    if math.isinf(finding.ratio):
        return "infinitely"
    text = f"{100 * (finding.ratio - 1):+.1f} %"
    if finding.exact:
        return f"{100 * (finding.ratio - 1):+.3g} %"
    if math.isinf(finding.high) or not finding.low:
        return text
    return f"{text} ({100 * (finding.low - 1):+.1f} to {100 * (finding.high - 1):+.1f} %)"


def exact(metric: str, subject: str, base: float, head: float) -> Finding:
    """Judge a metric that is the same in every run: any worsening is one."""
    floor = _FLOORS.get(metric, 0.0)
    old, new = (value if value > floor else 0.0 for value in (base, head))
    if metric in _MORE_IS_BETTER:
        old, new = new, old
    ratio = 1.0 if old == new else math.inf if not old else new / old
    outcome: Outcome = "worse" if ratio > 1 else "ok"
    numbers = (base, head, ratio, ratio, ratio)
    return Finding(metric, subject, outcome, *numbers, unit=UNITS.get(metric, ""))


def refused(subject: str, reason: str) -> Finding:
    """What the base could export and the head cannot."""
    return Finding(EXPORT, subject, "worse", 0, 1, math.inf, math.inf, math.inf, reason)


def accept(
    findings: Sequence[Finding],
    accepted: Sequence[Accepted],
    commits: Sequence[str],
    *,
    machine: str | None = None,
    today: date | None = None,
) -> tuple[Finding, ...]:
    """The findings with those worsenings accepted that an entry covers.

    `commits` are those after the base up to the head; `machine` is where they were measured,
    None for here.
    """

    def settled(finding: Finding) -> Finding:
        what = finding.metric, finding.subject, finding.ratio
        for entry in accepted if finding.outcome == "worse" else ():
            if entry.covers(*what, commits=commits, machine=machine, today=today):
                return replace(finding, outcome="accepted", accepted=entry, reason=entry.reason)
        return finding

    return tuple(map(settled, findings))
