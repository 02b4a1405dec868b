"""Whom to measure next, whom to drop, and when to end: a race among candidates.

The method is racing: all candidates run side by side, one that the samples show to be behind is
dropped at once, and those left get the next launch (Maron and Moore, Hoeffding Races, NIPS 6,
1994; Birattari, Stützle, Paquete and Varrentrapp, A Racing Algorithm for Configuring
Metaheuristics, GECCO 2002, who use rank statistics over blocks as is done here). The looks lie
further and further apart, as the rungs of successive halving do (Jamieson and Talwalkar,
Non-stochastic Best Arm Identification and Hyperparameter Optimization, AISTATS 2016), but nobody
is dropped for being in the slower half alone: the fastest variants often differ by less than noise.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from mobileopt.effort import spend
from mobileopt.errors import InputError, MeasurementError
from mobileopt.estimators import Interval
from mobileopt.tuning import evidence
from mobileopt.tuning.candidates import Candidate, preference
from mobileopt.tuning.evidence import Heat

ALPHA = 0.05
"""Probability with which a race may drop a candidate no slower than the leader, over all looks."""

End = Literal["one left", "tie", "launches", "budget", "interrupted"]
Place = Literal["best", "tied", "unclear", "slower", "failed", "unmeasured"]


@dataclass(frozen=True)
class Rules:
    """How a race is run.

    `threshold` is the relative difference that matters, `launches` how many any candidate gets at
    most, `together` how many processes may live at a time, the reference among them. Without
    `eliminate` everything is measured to the end: the exhaustive search. `seed` draws the batches.
    Raises InputError for a rule that makes no race.
    """

    threshold: float = 0.03
    launches: int = 12
    together: int = 8
    alpha: float = ALPHA
    eliminate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError(f"threshold {self.threshold:g} is not between 0 and 1")
        for name, value, least in (("launches", self.launches, 1), ("together", self.together, 2)):
            if value < least:
                raise InputError(f"{name} {value} is not at least {least}")

    @property
    def margin(self) -> float:
        """The threshold as a log ratio."""
        return math.log1p(self.threshold)

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The launches after which the race is judged: 1, 2, 3, 4, 6, 8, 12, 16, ... and the last.

        The first three see only who is far behind (`evidence.compare`); a tie takes four.
        """
        if not self.eliminate:
            return (self.launches,)
        planned = {base * 2**power for base in (2, 3) for power in range(self.launches)} | {1}
        return tuple(sorted({each for each in planned if each < self.launches} | {self.launches}))

    def share(self, launches: int) -> float:
        """The error rate of the first look at or after so many launches."""
        number = sum(each < launches for each in self.looks) + 1
        return spend(self.alpha, min(number, len(self.looks)), len(self.looks))


@dataclass(frozen=True)
class Ask:
    """What to measure next: launch number `launch` (from 0) of these batches."""

    launch: int
    reference: str
    batches: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Drop:
    """After which launch a candidate was dropped, and its log ratio to the leader of then."""

    launch: int
    against: str
    interval: Interval


@dataclass(frozen=True)
class Standing:
    """A candidate at the end: its place, and its log ratio to the best with an interval.

    `tied` candidates are within the threshold of the fastest, `unclear` ones neither within it
    nor shown to be slower. `launches` and `samples` say how much was measured of it, in
    `seconds`; `reason` why it failed.
    """

    candidate: Candidate
    place: Place
    interval: Interval
    launches: int
    samples: int
    seconds: float
    settled: bool
    drop: Drop | None = None
    reason: str | None = None


@dataclass(frozen=True)
class Result:
    """The outcome of a race: `best` and every candidate, the best first, the slowest last."""

    best: Candidate
    fastest: str
    end: End
    standings: tuple[Standing, ...]
    seconds: float
    launches: int


@dataclass(frozen=True)
class Race:
    """The state of a race; `after` answers the next one, nothing is changed in place.

    `stopped` says why it ends though it could go on.
    """

    candidates: tuple[Candidate, ...]
    rules: Rules = field(default_factory=Rules)
    heats: tuple[Heat, ...] = ()
    dropped: Mapping[str, Drop] = field(default_factory=dict[str, Drop])
    stopped: Literal["budget", "interrupted"] | None = None

    def __post_init__(self) -> None:
        if not self.candidates:
            raise InputError("a race needs at least one candidate")

    @cached_property
    def failed(self) -> Mapping[str, str]:
        """Candidates whose process died, with the reason."""
        return {name: why for heat in self.heats for name, why in heat.failed.items()}

    @cached_property
    def running(self) -> tuple[str, ...]:
        """Who is still in the race, by name."""
        out = self.dropped.keys() | self.failed.keys()
        return tuple(each.name for each in self.candidates if each.name not in out)

    @cached_property
    def measured(self) -> tuple[str, ...]:
        """Those running that finished a round."""
        return tuple(n for n in self.running if any(n in heat.ratios for heat in self.heats))

    @property
    def seconds(self) -> float:
        """Measuring time: wall seconds of all warm-up and measured passes."""
        return sum(heat.seconds for heat in self.heats)

    @cached_property
    def leader(self) -> str | None:
        """The fastest so far of those running."""
        return evidence.fastest(self.heats, self.measured) if self.measured else None

    @cached_property
    def end(self) -> End | None:
        """Why the race is over, None while it goes on."""
        if self.stopped:
            return self.stopped
        if self.heats and self.rules.eliminate and len(self.running) == 1:
            return "one left"
        if len(self.heats) >= self.rules.launches or not self.running:
            return "launches"
        if self.rules.eliminate and len(self.heats) in self.rules.looks and self._all_tied():
            return "tie"
        return None

    def ask(self) -> Ask | None:
        """What to measure next, None when the race is over."""
        if self.end is not None:
            return None
        reference = self.leader or self.running[0]
        others = [name for name in self.running if name != reference]
        order = random.Random(f"{self.rules.seed} {len(self.heats)}")  # noqa: S311  no secret
        drawn = order.sample(others, len(others))
        size = self.rules.together - 1
        parts = [drawn[at : at + size] for at in range(0, len(drawn), size)] or [[]]
        return Ask(len(self.heats), reference, tuple((reference, *part) for part in parts))

    def after(self, heat: Heat) -> Race:
        """The race with one more heat, judged when a look is due."""
        grown = replace(self, heats=(*self.heats, heat))
        if not self.rules.eliminate or len(grown.heats) not in self.rules.looks:
            return grown
        return replace(grown, dropped={**self.dropped, **grown._behind()})

    def stop(self, why: Literal["budget", "interrupted"]) -> Race:
        """The race as it is, ended."""
        return replace(self, stopped=why)

    def result(self) -> Result:
        """The outcome, also of a race that was stopped.

        Raises MeasurementError when no candidate finished a round.
        """
        if self.leader is None:
            told = "; ".join(f"{name}: {why}" for name, why in self.failed.items())
            raise MeasurementError(f"no candidate finished a round{told and f' ({told})'}")
        tied = [name for name in self.measured if self._is_tied(name)]
        best = min((each for each in self.candidates if each.name in tied), key=preference)
        standings = [self._standing(each, best.name, tied) for each in self.candidates]
        return Result(
            best=best,
            fastest=self.leader,
            end=self.end or "interrupted",
            standings=tuple(sorted(standings, key=_rank)),
            seconds=self.seconds,
            launches=len(self.heats),
        )

    def _all_tied(self) -> bool:
        return self.leader is not None and all(map(self._is_tied, self.running))

    def _is_tied(self, name: str) -> bool:
        if name == self.leader:
            return True
        found, margin = self._against(name, self.leader), self.rules.margin
        return -margin <= found.low and found.high <= margin

    def _behind(self) -> Mapping[str, Drop]:
        """Those whose interval lies above the leader and whose estimate is past the threshold."""
        leader = self.leader
        if leader is None:
            return {}
        found = {name: self._against(name, leader) for name in self.measured if name != leader}
        return {
            name: Drop(len(self.heats), leader, interval)
            for name, interval in found.items()
            if interval.low > 0 and interval.estimate >= self.rules.margin
        }

    def _against(self, name: str, other: str | None) -> Interval:
        assert other is not None
        alpha = self.rules.share(len(self.heats))
        return evidence.compare(self.heats, name, other, alpha)

    def _standing(self, candidate: Candidate, best: str, tied: Sequence[str]) -> Standing:
        name = candidate.name
        interval = Interval(0.0, 0.0, 0.0) if name == best else self._against(name, best)
        mine = [batch for heat in self.heats for batch in heat.batches if name in batch.wall]
        return Standing(
            candidate,
            self._place(name, best, tied),
            interval,
            launches=sum(name in heat.ratios for heat in self.heats),
            samples=sum(heat.samples(name) for heat in self.heats),
            seconds=sum(batch.seconds(name) for batch in mine),
            settled=not any(name in batch.unsettled for batch in mine),
            drop=self.dropped.get(name),
            reason=self.failed.get(name),
        )

    def _place(self, name: str, best: str, tied: Sequence[str]) -> Place:
        if name in self.failed:
            return "failed"
        if name in self.dropped:
            return "slower"
        if name not in self.measured:
            return "unmeasured"
        if name in tied:
            return "best" if name == best else "tied"
        found = self._against(name, self.leader)
        slower = found.low > 0 and found.estimate >= self.rules.margin
        return "slower" if slower else "unclear"


_ORDER: tuple[tuple[Place, ...], ...] = (
    ("best",),
    ("tied", "unclear", "slower"),
    ("unmeasured",),
    ("failed",),
)


def _rank(standing: Standing) -> tuple[int, float]:
    group = next(n for n, places in enumerate(_ORDER) if standing.place in places)
    return group, standing.interval.estimate
