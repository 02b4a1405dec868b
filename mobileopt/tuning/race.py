"""Whom to measure next, whom to drop, and when to end: a race among candidates.

The method is racing: all candidates run side by side, one that the samples show to be behind is
dropped at once, and those left get the next launch (Maron and Moore, Hoeffding Races, NIPS 6,
1994; Birattari, Stützle, Paquete and Varrentrapp, A Racing Algorithm for Configuring
Metaheuristics, GECCO 2002, who use rank statistics over blocks as is done here). Many candidates
that nobody can tell apart would make a race as long as an exhaustive search. So at every look,
each at twice the launches of the one before, at most half of them stay, as in successive halving
(Jamieson and Talwalkar, Non-stochastic Best Arm Identification and Hyperparameter Optimization,
AISTATS 2016); but who seems as fast as the leader is never halved away. The race ends when
nobody left can be faster than the leader by more than the threshold.
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

End = Literal["one left", "settled", "effort", "launches", "budget", "interrupted"]
Place = Literal["best", "tied", "unclear", "behind", "slower", "failed", "unmeasured"]

_FEWEST = 2  # launches' worth of everything that a race may take, however few are planned


@dataclass(frozen=True)
class Rules:
    """How a race is run.

    `threshold` is the relative difference that matters, `launches` how many any candidate gets at
    most, `together` how many processes may live at a time, the reference among them. `effort` is
    the share of an exhaustive search's measuring time a race may take, judged by its first launch.
    Without `eliminate` everything is measured to the end: the exhaustive search. `seed` draws the
    batches. Raises InputError for a rule that makes no race.
    """

    threshold: float = 0.03
    launches: int = 12
    together: int = 8
    alpha: float = ALPHA
    effort: float = 0.25
    eliminate: bool = True
    seed: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.threshold < 1:
            raise InputError(f"threshold {self.threshold:g} is not between 0 and 1")
        if not 0 < self.effort <= 1:
            raise InputError(f"effort {self.effort:g} is not a share above 0, at most 1")
        for name, value, least in (("launches", self.launches, 1), ("together", self.together, 2)):
            if value < least:
                raise InputError(f"{name} {value} is not at least {least}")

    @property
    def margin(self) -> float:
        """The threshold as a log ratio."""
        return math.log1p(self.threshold)

    @cached_property
    def looks(self) -> tuple[int, ...]:
        """The launches after which the race is judged: 1, 2, 4, 8, 16, ... and the last.

        The first two see only who is far behind (`evidence.compare`); to be settled takes four.
        """
        if not self.eliminate:
            return (self.launches,)
        doubled = [2**power for power in range(self.launches.bit_length())]
        return (*(each for each in doubled if each < self.launches), self.launches)

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
    """After which launch a candidate was dropped, and its log ratio to the leader of then.

    One that is `certain` was shown to be slower by more than the threshold; any other was only
    in the slower half.
    """

    launch: int
    against: str
    interval: Interval
    certain: bool = True


@dataclass(frozen=True)
class Standing:
    """A candidate at the end: its place, and its log ratio to the best with an interval.

    `tied` candidates are within the threshold of the fastest and `slower` ones shown to be slower;
    `behind` were dropped for being in the slower half and `unclear` are all others. `launches` and
    `samples` say how much was measured of it, in `seconds`; `reason` why it failed.
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
        if not self.rules.eliminate or not self.heats:
            return None
        if len(self.heats) in self.rules.looks and self._is_settled():
            return "settled"
        return "effort" if self.seconds + self._next_seconds > self._allowance else None

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
            died = "; ".join(f"{name}: {why}" for name, why in self.failed.items())
            why = died or f"the search ended first, reason: {self.end}"
            raise MeasurementError(f"no candidate finished a round ({why})")
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

    @property
    def _allowance(self) -> float:
        launches = max(self.rules.effort * self.rules.launches, _FEWEST)
        return launches * self.heats[0].seconds

    @property
    def _next_seconds(self) -> float:
        """What the next launch will take: what those running took in the last."""
        last = self.heats[-1].batches
        return sum(each.seconds(n) for each in last for n in each.wall if n in self.running)

    def _is_settled(self) -> bool:
        if self.leader is None or len(self.measured) < len(self.running):
            return False
        others = (name for name in self.running if name != self.leader)
        return all(self._against(each, self.leader).low >= -self.rules.margin for each in others)

    def _is_tied(self, name: str) -> bool:
        if name == self.leader:
            return True
        found, margin = self._against(name, self.leader), self.rules.margin
        return -margin <= found.low and found.high <= margin

    def _behind(self) -> Mapping[str, Drop]:
        """Whom to drop: those shown to be slower, and of the others the slower half."""
        leader = self.leader
        if leader is None:
            return {}
        found = {name: self._against(name, leader) for name in self.measured if name != leader}
        slower = [name for name, interval in found.items() if self._is_slower(interval)]
        slower += self._halved(found, slower)
        return {
            name: Drop(len(self.heats), leader, found[name], self._is_slower(found[name]))
            for name in slower
        }

    def _halved(self, found: Mapping[str, Interval], slower: Sequence[str]) -> list[str]:
        """The slowest of those left over half the running, unless they may be as fast."""
        surplus = len(self.running) - len(slower) - (len(self.running) + 1) // 2
        seems = max(self.rules.margin, evidence.LAUNCH_SCATTER / len(self.heats) ** 0.5)
        open_ = [n for n in found if n not in slower and found[n].estimate >= seems]
        slowest_first = sorted(open_, key=lambda name: -found[name].estimate)
        return slowest_first[: max(0, surplus)]

    def _is_slower(self, found: Interval) -> bool:
        """The interval lies above the leader and the estimate is past the threshold."""
        return found.low > 0 and found.estimate >= self.rules.margin

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
            return "slower" if self.dropped[name].certain else "behind"
        if name not in self.measured:
            return "unmeasured"
        if name in tied:
            return "best" if name == best else "tied"
        return "slower" if self._is_slower(self._against(name, self.leader)) else "unclear"


_ORDER: tuple[tuple[Place, ...], ...] = (
    ("best",),
    ("tied", "unclear", "behind", "slower"),
    ("unmeasured",),
    ("failed",),
)


def _rank(standing: Standing) -> tuple[int, float]:
    group = next(n for n, places in enumerate(_ORDER) if standing.place in places)
    return group, standing.interval.estimate
