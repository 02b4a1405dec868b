"""The verdict on two variants measured in one interleaved session.

    a, b = rounds of samples, round i of both taken next to each other in random order
    print(compare(a, b, threshold=0.01))
    b is 2.1 % ± 0.6 % slower than a (99 % interval, 120 rounds)

The random order within each round is what makes the interval honest: under no change either
side is as likely to get the worse half of whatever the machine does. Blocks, and strict
alternation too, have no such protection, and nothing here can detect that they were used.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import Literal

import numpy as np

from mobileopt.effort import ALPHA, ONLY, Look, lacking
from mobileopt.errors import InputError
from mobileopt.estimators import (
    FEWEST_GROUPS,
    Groups,
    Interval,
    Vector,
    group_medians,
    quantile,
    signed_rank_interval,
    smallest_sample,
)
from mobileopt.rounds import Clock, Rounds, pair
from mobileopt.session import Session, judge

Verdict = Literal["faster", "slower", "same", "unclear"]

_POWER = NormalDist().inv_cdf(0.9)


@dataclass(frozen=True)
class Comparison:
    """Variant b against variant a, in one session.

    `ratio` is b over a, above 1 when b is slower, with `low` and `high` the ends of its interval
    at level ``1 - alpha``; 0 and infinity when there are too few rounds for any interval.

    `verdict` is ``slower`` or ``faster`` when the interval excludes 1 and the ratio is at least
    `threshold` away from it; ``same`` when the whole interval is within `threshold` of 1;
    ``unclear`` otherwise, and always in a session that is not sound. `minimum_detectable` is the
    relative difference that a session as noisy and as long would call nine times in ten, and
    `more_rounds` about how many rounds are lacking to a verdict, 0 when there is one.

    `rounds` counts the pairs used, or the pairs of launches when those were given, named by
    `unit`. `clock` says which times were compared.
    """

    ratio: float
    low: float
    high: float
    verdict: Verdict
    threshold: float
    alpha: float
    rounds: int
    unit: Literal["rounds", "launches"]
    minimum_detectable: float
    more_rounds: int
    clock: Clock
    session: Session

    def sentence(self, a: str = "a", b: str = "b") -> str:
        """The verdict for a person, with the two variants' names."""
        if not self.session.sound:
            return f"cannot tell {b} from {a}: the session is {self.session}"
        basis = f"({100 * (1 - self.alpha):.4g} % interval, {self.rounds} {self.unit})"
        lacking = f"needs about {self.more_rounds} more {self.unit}"
        if math.isinf(self.high) or self.low == 0:
            return f"cannot tell {b} from {a} from {self.rounds} {self.unit}: {lacking}"
        if self.verdict == "same":
            bound = max(self.high - 1, 1 / self.low - 1)
            return f"no difference between {b} and {a} larger than {100 * bound:.2g} % {basis}"
        if self.verdict == "unclear":
            return f"cannot tell yet: {b} so far {self._relation()} {a} {basis}, {lacking}"
        return f"{b} is {self._relation()} {a} {basis}"

    def __str__(self) -> str:
        return self.sentence()

    def _relation(self) -> str:
        half = (self.high - self.low) / 2
        if self.ratio < 1 / 1.5:
            half = (1 / self.low - 1 / self.high) / 2
            return f"{_plus_minus(1 / self.ratio, half)} times as fast as"
        if self.ratio > 1.5:
            return f"{_plus_minus(self.ratio, half)} times as slow as"
        word = "slower" if self.ratio >= 1 else "faster"
        return f"{_plus_minus(100 * abs(self.ratio - 1), 100 * half, ' %')} {word} than"


def compare(
    a: Rounds,
    b: Rounds,
    *,
    threshold: float,
    cpu: tuple[Rounds, Rounds] | None = None,
    control: tuple[Rounds, Rounds] | None = None,
    launches: Sequence[Hashable] | None = None,
    look: Look = ONLY,
) -> Comparison:
    """Compare b with a, measured next to each other in random order, round by round.

    `a` and `b` hold as many rounds each, every round one sample or more, all above zero and in
    one unit. Each round is reduced to the log ratio of its medians; the ratio is their
    Hodges-Lehmann location and the interval the signed-rank one (`signed_rank_interval`).

    `threshold` is the relative difference that matters: 0.01 is one percent. `cpu` are the
    samples' CPU times, which are compared instead; give them for work on one thread that never
    waits. `control` are rounds of a against itself from the same session, which must agree.
    `launches` says for each round which launch of the two processes it came from; then rounds of
    one launch may share what that launch was dealt. Without it every round should be a launch of
    its own, or the verdict holds for these two processes only. `look` is for a session that is
    judged repeatedly as it grows.

    Raises InputError for rounds that do not match, a sample that is not a finite number above
    zero, and a threshold that is not above zero.
    """
    level, margin = look.share, _margin(threshold)
    pairs = pair(a, b, cpu)
    groups = None if launches is None else _groups(launches, len(pairs.ratios))
    units, fewest = _units(pairs.ratios, groups, level)
    against_itself = control and signed_rank_interval(pair(*control).ratios, ALPHA)
    session = judge(pairs, units, margin=margin, control=against_itself)
    interval = _widen(signed_rank_interval(pairs.ratios, level, groups), pairs.tick)
    verdict = _verdict(interval, margin) if session.sound else "unclear"
    return Comparison(
        ratio=_exp(interval.estimate),
        low=_exp(interval.low),
        high=_exp(interval.high),
        verdict=verdict,
        threshold=threshold,
        alpha=level,
        rounds=len(units),
        unit="rounds" if launches is None else "launches",
        minimum_detectable=_exp(interval.half_width * (1 + _POWER / quantile(level))) - 1,
        more_rounds=0 if verdict != "unclear" else lacking(interval, units, margin, level, fewest),
        clock=pairs.clock,
        session=session,
    )


def compare_all(
    rounds: Mapping[str, Rounds],
    baseline: str,
    *,
    threshold: float,
    cpu: Mapping[str, Rounds] | None = None,
    launches: Sequence[Hashable] | None = None,
    look: Look = ONLY,
) -> dict[str, Comparison]:
    """Compare every variant with the baseline, all measured in one session, by name.

    Round i of all variants was taken together in random order. The error rate is shared evenly
    (Bonferroni), so that it holds for the session as a whole. Raises InputError as `compare`
    does, and for a baseline that is not among the rounds or stands alone.
    """
    others = [name for name in rounds if name != baseline]
    if baseline not in rounds or not others:
        raise InputError(
            f"baseline {baseline!r} needs rounds and another variant beside it; "
            f"found {', '.join(rounds) or 'none'}"
        )
    shared = replace(look, alpha=look.alpha / len(others))
    return {
        name: compare(
            rounds[baseline],
            rounds[name],
            threshold=threshold,
            cpu=None if cpu is None else (cpu[baseline], cpu[name]),
            launches=launches,
            look=shared,
        )
        for name in others
    }


def _margin(threshold: float) -> float:
    if not 0 < threshold < math.inf:
        raise InputError(f"threshold {threshold!r} is not a relative difference above 0, as 0.01")
    return math.log1p(threshold)


def _verdict(interval: Interval, margin: float) -> Verdict:
    if interval.low >= -margin and interval.high <= margin:
        return "same"
    if interval.low > 0 and interval.estimate >= margin:
        return "slower"
    if interval.high < 0 and interval.estimate <= -margin:
        return "faster"
    return "unclear"


def _groups(launches: Sequence[Hashable], rounds: int) -> Groups:
    """The launches numbered from 0 in the order they first appear, round by round."""
    if len(launches) != rounds:
        raise InputError(f"there are {rounds} rounds but launches for {len(launches)}")
    numbers = {launch: number for number, launch in enumerate(dict.fromkeys(launches))}
    return np.array([numbers[launch] for launch in launches], dtype=np.intp)


def _units(ratios: Vector, groups: Groups | None, level: float) -> tuple[Vector, int]:
    """What is independent of each other, and the fewest of it that give an interval."""
    if groups is None:
        return ratios, smallest_sample(level)
    return group_medians(ratios, groups), FEWEST_GROUPS


def _widen(interval: Interval, tick: float) -> Interval:
    """No interval is narrower than what the clock can tell apart."""
    return Interval(interval.estimate, interval.low - tick, interval.high + tick)


def _exp(log_ratio: float) -> float:
    return math.exp(log_ratio) if log_ratio < 700 else math.inf


def _plus_minus(value: float, half: float, unit: str = "") -> str:
    """A value and its uncertainty, both to the second digit of the latter."""
    digits = max(0, 1 - math.floor(math.log10(half)))
    return f"{value:.{digits}f}{unit} ± {half:.{digits}f}{unit}"
