"""How long to measure on a phone: decided from the samples so far, without a phone.

A session runs every variant once a round, each time as a fresh process, in an order drawn anew.
It ends when the ratios to the baseline are known well enough, or when its budget is spent.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np

from mobileopt.effort import Look, schedule
from mobileopt.errors import InputError
from mobileopt.estimators import Vector, signed_rank_interval
from mobileopt.rounds import Rounds, pair
from mobileopt.variant import BASELINE, Recipe

ALPHA = 0.05
"""One minus the level of the intervals that end a session, shared by its looks."""

LEAD = 5
"""Leading iterations of each launch that show whether the warm-up was long enough."""

STEADY = 0.05
"""How much longer the leading iterations may be, as on the host."""


@dataclass(frozen=True)
class Budget:
    """What one session may take: rounds, seconds, and warm-up iterations of a launch.

    `precision` is the half width of a ratio's interval at which a session is done: 0.02 is two
    percent. Raises InputError for a budget that measures nothing.
    """

    rounds: int = 24
    precision: float = 0.02
    seconds: float = 900.0
    warmup: int = 160

    def __post_init__(self) -> None:
        if self.rounds < 1 or self.warmup < 0:
            raise InputError(f"{self.rounds} rounds with {self.warmup} warm-ups measure nothing")
        if not (0 < self.precision < math.inf and 0 < self.seconds < math.inf):
            raise InputError(
                f"precision {self.precision!r} and {self.seconds!r} seconds must be above 0"
            )

    @property
    def looks(self) -> tuple[int, ...]:
        """After how many rounds to look; once, at the end, when they are too few for intervals."""
        try:
            return schedule(self.rounds, alpha=ALPHA)
        except InputError:
            return (self.rounds,)

    def longest(self, variants: int, deadline: float) -> float:
        """Seconds a launch may be made to take by more warm-up.

        Half its deadline, and so that the rounds up to the first look fit into the session.
        """
        return min(deadline / 2, self.seconds / (self.looks[0] * max(1, variants)))

    def look(self, rounds: int) -> Look | None:
        """The look that was planned after so many rounds, if any."""
        looks = self.looks
        if rounds not in looks:
            return None
        return Look(looks.index(rounds) + 1, len(looks), ALPHA)


def order(names: Sequence[str], seed: int, number: int) -> list[str]:
    """The names in the order of round `number`, which the seed decides.

    >>> sorted(order(["a", "b"], 0, 1))
    ['a', 'b']
    """
    drawn = random.Random(f"{seed} {number}")  # noqa: S311  not a secret, and repeatable
    return drawn.sample(list(names), len(names))


def closest(recipes: Sequence[Recipe], to: Recipe = BASELINE) -> Recipe:
    """The recipe with most words in common with another, the first of several.

    On a phone it takes the part of the baseline, whose eager backend no phone has. Raises
    InputError when there are no recipes.
    """
    if not recipes:
        raise InputError("there is no recipe to take as the baseline")
    return min(recipes, key=lambda each: len(each.differs_from(to)))


def settled(samples: Sequence[float], lead: int = LEAD) -> bool:
    """Whether the first `lead` iterations took as long as the rest, within 5 %.

    Shorter ones are no lack of warm-up. With too few samples to tell, they have settled.
    """
    if len(samples) <= lead:
        return True
    return median(samples[:lead]) <= median(samples[lead:]) * (1 + STEADY)


def more_warmup(warmup: int, limit: int, affordable: float = math.inf) -> int:
    """The next number of warm-up iterations to try: twice as many, up to what is allowed.

    Not more than `warmup` when no more may be made.

    >>> more_warmup(10, 160), more_warmup(100, 160), more_warmup(10, 160, 14.5)
    (20, 160, 14)
    """
    return math.floor(min(max(1, 2 * warmup), limit, affordable))


def affordable_warmup(seconds: float, warmup: int, iterations: int, longest: float) -> float:
    """How many warm-up iterations fit into a launch of `longest` seconds.

    Told by a launch that took `seconds` for `warmup` and `iterations` together; its start counts
    as if it were theirs, so that it is rather too few.

    >>> affordable_warmup(2.5, 10, 15, 10.0)
    85.0
    """
    return longest / (seconds / (warmup + iterations)) - iterations


def widths(rounds: Mapping[str, Rounds], baseline: str, look: Look) -> dict[str, float]:
    """The half width of the interval of each variant's ratio to the baseline, by name.

    Relative: 0.02 is two percent. Of a baseline alone it is that of its own time. Infinite with
    too few rounds for an interval. Raises InputError as `mobileopt.rounds.pair` does.
    """
    others = [name for name in rounds if name != baseline]
    if not others:
        alone = np.log([median(each) for each in rounds[baseline]])
        return {baseline: _half(alone, look)}
    return {name: _half(pair(rounds[baseline], rounds[name]).ratios, look) for name in others}


def _half(values: Vector, look: Look) -> float:
    width = signed_rank_interval(values, look.share).half_width
    return math.expm1(width) if width < 700 else math.inf


def enough(rounds: Mapping[str, Rounds], baseline: str, budget: Budget, done: int) -> bool:
    """Whether the session may end after `done` rounds: all are done, or all ratios are known."""
    if done >= budget.rounds:
        return True
    look = budget.look(done)
    if look is None:
        return False
    return max(widths(rounds, baseline, look).values()) <= budget.precision


def drift(before: Sequence[float], after: Sequence[float]) -> float:
    """How much slower the reference became during a session: 0.1 is ten percent.

    >>> round(drift([1.0, 1.0], [1.1, 1.1]), 3)
    0.1
    """
    return median(after) / median(before) - 1
