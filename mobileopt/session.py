"""Whether the session a comparison was measured in can be believed, from its own samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mobileopt.estimators import Interval, Vector, shift
from mobileopt.rounds import Pairs

ENOUGH = 16
"""Rounds below which the halves of a session are not compared."""

_SURE = 4.0  # standard errors: a sound session is called broken less than once in 10,000
_LEVEL_NOTE = math.log(1.05)
_LEVEL_BROKEN = math.log(1.25)
_BUSY = 0.25


@dataclass(frozen=True)
class Session:
    """Sound, or broken for `reasons`; `notes` are what a reader should know of a sound one.

    A broken session has no verdict: what disturbed it did not treat the two sides alike, or
    changed the machine so much that the ratio belongs to no one state of it. CPU times are
    forgiven such a change: on a shared host a core's speed itself comes and goes with its
    neighbours, and pairs taken on one core cancel it.
    """

    reasons: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @property
    def sound(self) -> bool:
        """True when nothing was found that invalidates the comparison."""
        return not self.reasons

    def __str__(self) -> str:
        return "sound" if self.sound else "broken: " + "; ".join(self.reasons)


def judge(
    pairs: Pairs, ratios: Vector, *, margin: float, control: Interval | None = None
) -> Session:
    """Judge a session by its rounds, in the order they were taken.

    `ratios` are the log ratios the verdict rests on, a launch or a round each; `margin` is the
    difference that matters, as a log ratio, and `control` the log ratio of `a` against itself.
    """
    reasons = [*_control(control, margin), *_ratio_drift(ratios, margin)]
    notes: list[str] = []
    slowed = _level_change(pairs.levels)
    if abs(slowed) > _LEVEL_BROKEN and pairs.clock == "wall":
        reasons.append(_level_sentence(slowed))
    elif abs(slowed) > _LEVEL_NOTE:
        notes.append(_level_sentence(slowed))
    if pairs.interrupted is not None and pairs.interrupted > _BUSY:
        notes.append(f"other processes interrupted {pairs.interrupted:.0%} of the samples")
    return Session(tuple(reasons), tuple(notes))


def _control(control: Interval | None, margin: float) -> list[str]:
    if control is None or control.low <= 0 <= control.high:
        return []
    if abs(control.estimate) < margin / 2:
        return []
    return [f"the control, a against itself, differs by {math.expm1(control.estimate):+.2%}"]


def _ratio_drift(ratios: Vector, margin: float) -> list[str]:
    """A ratio that depends on when it was taken is no ratio of the two programs."""
    if len(ratios) < ENOUGH:
        return []
    half = len(ratios) // 2
    moved, z = shift(ratios[:half], ratios[half:])
    if abs(z) < _SURE or abs(moved) < margin:
        return []
    return [f"b against a moved by {math.expm1(moved):+.1%} between the session's halves"]


def _level_change(levels: Vector) -> float:
    """How much the machine itself slowed from the first third to the last (a log ratio)."""
    if len(levels) < ENOUGH:
        return 0.0
    third = len(levels) // 3
    moved, z = shift(levels[:third], levels[-third:])
    return moved if abs(z) >= _SURE else 0.0


def _level_sentence(slowed: float) -> str:
    word = "slowed" if slowed > 0 else "sped up"
    return f"both sides {word} by {abs(math.expm1(slowed)):.0%} during the session"
