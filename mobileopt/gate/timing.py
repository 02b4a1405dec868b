"""Two versions of the same things timed in a bounded time: screened, then confirmed.

Screening measures all pairs in one interleaved session, a launch at a time, and looks at it at
planned times. A pair leaves it once it is clearly not worse, or suspected. The suspects are
measured once more in a session of their own that shares no process with the first, and only what
is worse in both is called worse.

Each session holds its family-wise error rate at `ALPHA` by Bonferroni's inequality over the
pairs and both clocks, and over its looks by the shares of `mobileopt.effort.spend`; so the
chance of any false "worse" in the whole is at most `ALPHA`, and at most its square as far as the
two sessions are independent.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median

from mobileopt import measure
from mobileopt.compare import Comparison, Look, compare
from mobileopt.gate.finding import Finding, Outcome
from mobileopt.measure import Record, SessionPlan
from mobileopt.runners.host import Program

ALPHA = 0.05
"""Family-wise rate of false suspicions of one session."""

SCREENING = (0.2, 0.35, 0.6, 1.0)
"""When to look at the first session, as fractions of the time there is. After the third the
suspects are confirmed, if there are any; only without them it goes on."""

CONFIRMING = (0.3, 0.6, 1.0)

PLAN = SessionPlan(launches=1, rounds=4, samples=2, seconds=0.05)
"""One launch; there are as many as fit."""

_MISSES = 0.1  # two-sided, over all looks: 5 % to call a slowdown of the threshold harmless

What = Path | Program
Rounds = list[tuple[float, ...]]


@dataclass(frozen=True)
class Pair:
    """One benchmark, `metric` of `subject`, as the base's and as the head's code made it."""

    metric: str
    subject: str
    base: What
    head: What

    @property
    def sides(self) -> dict[str, What]:
        """The base and the head by a name each."""
        name = f"{self.metric} of {self.subject}"
        return {f"{name}, base": self.base, f"{name}, head": self.head}


@dataclass(frozen=True)
class Clock:
    """Until when to measure, in seconds of `now`, and how; tests bring their own.

    `on_launch` is told what is measured after each launch.
    """

    deadline: float
    now: Callable[[], float] = time.monotonic
    session: Callable[..., Record] = measure.session
    on_launch: Callable[[str], object] = lambda told: None


@dataclass(frozen=True)
class Verdict:
    """The outcome of a pair in one session, the comparison it rests on, and why."""

    outcome: Outcome
    shown: Comparison | None
    reason: str = ""


@dataclass
class Side:
    """The rounds of one commit so far: wall and CPU times, and the launch of each."""

    wall: Rounds = field(default_factory=list[tuple[float, ...]])
    cpu: Rounds = field(default_factory=list[tuple[float, ...]])
    launches: list[int] = field(default_factory=list[int])


def judge(pairs: Sequence[Pair], threshold: float, clock: Clock, seed: int = 0) -> list[Finding]:
    """Time all pairs until every one is decided or the clock's deadline is reached.

    No launch is begun that would not end in time if it took as long as the last one, and no
    round after the deadline. `threshold` is the relative slowdown that matters. Raises
    MeasurementError when a process dies, and KeyboardInterrupt when that ended a session.
    """
    screening = _Session(pairs, threshold, clock, SCREENING, seed)
    for _ in SCREENING[:-1]:
        screening.to_next_look()
    suspects = screening.having("worse")
    if not suspects:
        screening.to_next_look()
        unconfirmed = "suspected at the end, with no time left to measure it again"
        doubted = {pair: replace(screening.found[pair], outcome="unclear", reason=unconfirmed)
                   for pair in screening.having("worse")}  # fmt: skip
        return [_finding(screening, pair, (screening.found | doubted)[pair]) for pair in pairs]
    confirming = _Session(suspects, threshold, clock, CONFIRMING, seed + 1)
    for _ in CONFIRMING:
        confirming.to_next_look()
    return [
        _finding(confirming, pair, _confirmed(confirming.found[pair]))
        if pair in suspects
        else _finding(screening, pair, screening.found[pair])
        for pair in pairs
    ]


class _Session:
    """One interleaved session that grows a launch at a time, with the looks planned for it."""

    def __init__(
        self,
        pairs: Sequence[Pair],
        threshold: float,
        clock: Clock,
        looks: Sequence[float],
        seed: int,
    ) -> None:
        self._threshold, self._clock, self._seed = threshold, clock, seed
        self._what = "screening" if looks is SCREENING else "confirming"
        start = clock.now()
        self._looks = [start + share * (clock.deadline - start) for share in looks]
        self._next, self._launches, self._cost = 0, 0, 0.0
        self._all, self._open = list(pairs), list(pairs)
        self.sides = {name: Side() for pair in pairs for name in pair.sides}
        self.found = {pair: Verdict("unclear", None, "no time was left") for pair in pairs}

    def having(self, outcome: Outcome) -> list[Pair]:
        """The pairs with this outcome so far."""
        return [pair for pair in self._all if self.found[pair].outcome == outcome]

    def to_next_look(self) -> None:
        """Launch until it is time for the next look, and look; nothing once all is decided."""
        when = self._looks[self._next]
        self._next += 1
        while self._open and self._clock.now() + self._cost < when:
            self._launch()
        look = Look(self._next, of=len(self._looks), alpha=ALPHA / 2 / len(self._all))
        for pair in self._open:
            base, head = (self.sides[name] for name in pair.sides)
            if base.launches:
                self.found[pair] = verdict(base, head, self._threshold, look)
        self._open = [pair for pair in self._open if self.found[pair].outcome == "unclear"]

    def _launch(self) -> None:
        began = self._clock.now()
        record = self._clock.session(
            {name: what for pair in self._open for name, what in pair.sides.items()},
            replace(PLAN, seed=1000 * self._seed + self._launches),
            together=[list(pair.sides) for pair in self._open],
            until=self._clock.deadline,
        )
        if record.interrupted:
            raise KeyboardInterrupt
        for name, rounds in record.wall.items():
            self.sides[name].wall.extend(rounds)
            self.sides[name].cpu.extend(record.cpu[name])
            self.sides[name].launches.extend([self._launches] * len(rounds))
        self._launches += 1
        self._cost = self._clock.now() - began
        self._clock.on_launch(f"{self._what} {len(self._open)} of {len(self._all)}")


def verdict(base: Side, head: Side, threshold: float, look: Look) -> Verdict:
    """Judge a pair by the rounds so far; `look` holds the error rate of this pair and clock.

    CPU time decides, for a neighbour lengthens it least. But a pass that waits takes none: so
    the fastest wall time of each round is judged as well. It may raise the alarm, and nothing is
    harmless while it is longer by the threshold.
    """

    def compared(share: Look) -> Comparison:
        return compare(
            base.wall,
            head.wall,
            threshold=threshold,
            cpu=(base.cpu, head.cpu),
            launches=base.launches,
            look=share,
        )

    by_cpu, by_wall = compared(look), _by_wall(base, head, threshold, look)
    for found in (by_cpu, by_wall):
        if found.verdict == "slower":
            return Verdict("worse", found, "" if found is by_cpu else "by the wall clock")
    harmless = compared(replace(look, alpha=_MISSES))
    if not harmless.session.sound or harmless.high >= 1 + threshold:
        return Verdict("unclear", harmless, _why(harmless))
    if by_wall.ratio >= 1 + threshold:
        waits = f"its wall time is {100 * (by_wall.ratio - 1):.1f} % longer, its CPU time is not"
        return Verdict(
            "unclear", by_wall, f"{waits}; needs about {by_wall.more_rounds} launches more"
        )
    return Verdict("ok", harmless)


def _by_wall(base: Side, head: Side, threshold: float, look: Look) -> Comparison:
    fastest = ([[min(samples)] for samples in side.wall] for side in (base, head))
    return compare(*fastest, threshold=threshold, launches=base.launches, look=look)


def _why(found: Comparison) -> str:
    if not found.session.sound:
        return f"the session is {found.session}"
    if math.isinf(found.high):
        return f"{found.rounds} launches fit into the budget, too few for an interval"
    return (
        f"it could be {100 * (found.high - 1):.1f} % slower after {found.rounds} launches; "
        f"needs about {found.more_rounds} more"
    )


def _confirmed(again: Verdict) -> Verdict:
    if again.outcome == "ok":
        return replace(again, reason="suspected at first, not confirmed by a second session")
    if again.outcome == "unclear":
        return replace(again, reason=f"suspected, and not confirmed in time: {again.reason}")
    return again


def _finding(session: _Session, pair: Pair, found: Verdict) -> Finding:
    shown = found.shown
    if shown is None:
        unknown = (math.nan, math.nan, math.nan, 0.0, math.inf)
        return Finding(
            pair.metric, pair.subject, found.outcome, *unknown, found.reason, unit="seconds"
        )
    side = session.sides[next(iter(pair.sides))]
    rounds = side.cpu if shown.clock == "cpu" else side.wall
    base = median(median(samples) for samples in rounds)
    numbers = (base, base * shown.ratio, shown.ratio, shown.low, shown.high)
    return Finding(pair.metric, pair.subject, found.outcome, *numbers, found.reason, unit="seconds")
