"""What the samples of a race say of two candidates.

A race runs in heats. In a heat every candidate that is still running is launched once, in
batches of as many processes as may live at a time; each batch holds the heat's reference, so
that ratios to it make batches comparable. Within a batch the reference cancels: the ratio of two
candidates is then that of rounds taken next to each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from mobileopt.estimators import Interval, Vector, location, quantile, signed_rank_interval
from mobileopt.rounds import Rounds, pair

LAUNCH_SCATTER = 0.05
"""How much a ratio of two candidates is taken to differ from launch to launch (a standard
deviation of its logarithm) until enough launches were made to see it."""


@dataclass(frozen=True)
class Batch:
    """One launch of some candidates together: wall and CPU seconds by name, round by round.

    `warmup` are the wall seconds each spent warming up, `unsettled` those whose warm-up did not
    converge.
    """

    wall: Mapping[str, Rounds]
    cpu: Mapping[str, Rounds]
    warmup: Mapping[str, float]
    unsettled: frozenset[str] = frozenset()

    def seconds(self, name: str) -> float:
        """Measuring time of one candidate: its warm-up and measured passes, in wall seconds."""
        return self.warmup.get(name, 0.0) + sum(map(sum, self.wall[name]))


@dataclass(frozen=True)
class Heat:
    """One launch of every candidate that was still running, in batches that share `reference`.

    `failed` names candidates whose process died, with the reason.
    """

    reference: str
    batches: tuple[Batch, ...]
    failed: Mapping[str, str] = field(default_factory=dict[str, str])

    @cached_property
    def ratios(self) -> Mapping[str, Vector]:
        """Log ratio to the reference, a round each, of every candidate that finished a round."""
        found: dict[str, Vector] = {}
        for batch in self.batches:
            if batch.wall.get(self.reference):
                found |= {name: _ratios(batch, self.reference, name) for name in batch.wall}
        return found

    @property
    def seconds(self) -> float:
        """Measuring time: wall seconds of all warm-up and measured passes."""
        return sum(batch.seconds(name) for batch in self.batches for name in batch.wall)

    def samples(self, name: str) -> int:
        """Measured passes of one candidate."""
        return sum(len(times) for batch in self.batches for times in batch.wall.get(name, ()))


def _ratios(batch: Batch, reference: str, name: str) -> Vector:
    wall, cpu = batch.wall, batch.cpu
    return pair(wall[reference], wall[name], (cpu[reference], cpu[name])).ratios


def compare(heats: Sequence[Heat], name: str, against: str, alpha: float) -> Interval:
    """Log ratio of a candidate to another over the heats both ran in, at level ``1 - alpha``.

    With four launches and enough rounds it is the signed-rank interval, launches being groups
    (`estimators.signed_rank_interval`). Before that its ends are the smallest and the largest
    round, widened by what a normal distribution gives when launches scatter by `LAUNCH_SCATTER`:
    enough to tell a candidate that is far behind in every round, and no other. Without a common
    heat the interval is infinite.
    """
    differences = [
        _subtract(heat.ratios[name], heat.ratios[against])
        for heat in heats
        if name in heat.ratios and against in heat.ratios
    ]
    if not differences:
        return Interval(0.0, -math.inf, math.inf)
    rounds = np.concatenate(differences)
    launches = np.repeat(np.arange(len(differences)), [len(each) for each in differences])
    found = signed_rank_interval(rounds, alpha, launches)
    if math.isfinite(found.half_width):
        return found
    dealt = quantile(alpha) * LAUNCH_SCATTER / len(differences) ** 0.5
    return Interval(found.estimate, float(rounds.min()) - dealt, float(rounds.max()) + dealt)


def _subtract(a: Vector, b: Vector) -> Vector:
    # In different batches the rounds were not taken together; their order pairs them anyhow.
    shared = min(len(a), len(b))
    return a[:shared] - b[:shared]


def fastest(heats: Sequence[Heat], names: Sequence[str]) -> str:
    """The candidate with the lowest Hodges-Lehmann location over all heats.

    Every heat is centred on the candidates' mean, since references differ between heats. Those
    that took part in fewer heats than others are not considered.
    """
    entered = {name: sum(name in heat.ratios for heat in heats) for name in names}
    able = [name for name in names if entered[name] == max(entered.values())]
    centred: dict[str, list[Vector]] = {name: [] for name in able}
    for heat in heats:
        here = [name for name in able if name in heat.ratios]
        level = np.mean([np.median(heat.ratios[name]) for name in here] or [0.0])
        for name in here:
            centred[name].append(heat.ratios[name] - level)
    return min(able, key=lambda name: _location(centred[name]))


def _location(parts: Sequence[Vector]) -> float:
    return location(np.concatenate(parts)) if parts else math.inf
