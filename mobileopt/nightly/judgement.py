"""What the second look at a suspected change says: the verdict on two commits of one variant."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from mobileopt import floors
from mobileopt.artifact import Artifact
from mobileopt.compare import Comparison, Verdict

How = Literal["session", "broken", "identical", "exact"]


@dataclass(frozen=True)
class Judgement:
    """A later commit against an earlier one: `ratio` is later over earlier, above 1 is worse.

    `how` it was found: in an interleaved ``session`` at level ``1 - alpha``, or a ``broken`` one,
    which tells nothing; because both commits export ``identical`` files; or ``exact``, for what
    has no noise, such as a size.
    """

    verdict: Verdict
    how: How
    ratio: float
    low: float
    high: float
    alpha: float
    sentence: str

    def as_dict(self) -> dict[str, Any]:
        """As a record of the ledger."""
        return asdict(self)

    @classmethod
    def of(cls, fields: Mapping[str, Any]) -> Judgement:
        """Read back what `as_dict` gave; JSON has no infinity, so an absent bound is one."""
        high = math.inf if fields["high"] is None else float(fields["high"])
        names = ("verdict", "how", "ratio", "low", "alpha", "sentence")
        return cls(**{name: fields[name] for name in names}, high=high)


def of_comparison(found: Comparison) -> Judgement:
    """The judgement of a session."""
    sentence = found.sentence("the earlier commit", "the later commit")
    how: How = "session" if found.session.sound else "broken"
    return Judgement(found.verdict, how, found.ratio, found.low, found.high, found.alpha, sentence)


def of_values(before: float, after: float, threshold: float, unit: str) -> Judgement:
    """The judgement of two numbers without noise; both are lifted to the floor of their unit."""
    low, high = (floors.lifted(each, unit) for each in (before, after))
    ratio = high / low
    verdict: Verdict = "same"
    if ratio >= 1 + threshold:
        verdict = "slower"
    elif ratio <= 1 / (1 + threshold):
        verdict = "faster"
    sentence = f"{before:.6g} before and {after:.6g} after, exported again"
    return Judgement(verdict, "exact", ratio, ratio, ratio, 0.0, sentence)


IDENTICAL = Judgement(
    "same", "identical", 1.0, 1.0, 1.0, 0.0,
    "both commits export the same file, bit for bit: what changed is how or where it was measured",
)  # fmt: skip


def exact_metric(metric: str, artifact: Artifact) -> float | None:
    """The value of a metric that an artifact's manifest holds; None for all others."""
    return {
        "size.track_artifact": float(artifact.size),
        "fidelity.track_noise": artifact.fidelity.noise,
        "fidelity.track_top1_disagreement": 1 - artifact.fidelity.top1_agreement,
    }.get(metric)
