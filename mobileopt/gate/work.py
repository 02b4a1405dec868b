"""What `check` compares, where and until when, and what it has found so far."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mobileopt.conditions import environment
from mobileopt.gate.finding import Finding
from mobileopt.gate.timing import Pair
from mobileopt.runners import host
from mobileopt.variant import Recipe

SIDES = ("base", "head")


@dataclass(frozen=True)
class Question:
    """What to compare: two commits of `repository`, on `recipes` of each of `models`, and
    `passes` on each of `pass_models`; `timed` off leaves it at what is exact. `models` may be a
    user's own as `mobileopt.reference` names them, of these `inputs`.

    `threshold` is the relative slowdown that matters, `budget` in seconds.
    """

    repository: Path
    base: str
    head: str
    models: Sequence[str] = ("mobilenet_v2",)
    recipes: Sequence[Recipe] = ()
    pass_models: Sequence[str] = ("annotated_conv_bn_relu",)
    passes: Sequence[str] = ()
    inputs: Sequence[str] = ()
    threshold: float = 0.05
    budget: float = 300.0
    timed: bool = True
    seed: int = 0


@dataclass(frozen=True)
class Told:
    """Where the progress goes: `step` hears what begins, `launch` each launch of a session."""

    step: Callable[[str], object] = lambda what: None
    launch: Callable[[str], object] = lambda what: None


QUIET = Told()


class OutOfTime(Exception):
    """The budget ended in the middle of what its message says."""


@dataclass
class Work:
    """What is being compared, in which folder, until when; and what was found so far."""

    question: Question
    folder: Path
    told: Told
    deadline: float
    findings: list[Finding] = field(default_factory=list[Finding])
    pairs: list[Pair] = field(default_factory=list[Pair])
    skipped: dict[str, str] = field(default_factory=dict[str, str])
    step: str = ""

    def begin(self, what: str) -> None:
        """Say what begins; raises OutOfTime when there is no time for it."""
        self.told.step(what)
        self.step = what
        self.left()

    def left(self) -> float:
        """Seconds until the deadline, above 0; raises OutOfTime when it has passed."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise OutOfTime(self.step)
        return left

    def run(self, argv: Sequence[str], checkout: Path) -> subprocess.CompletedProcess[str]:
        """Run a program with a checkout's mobileopt, no longer than until the deadline."""
        try:
            return subprocess.run(
                argv,
                env=environment(checkout),
                capture_output=True,
                text=True,
                timeout=self.left(),
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise OutOfTime(self.step) from error


def answers(name: str, done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """What a program said, a JSON object a line; raises MeasurementError for anything else."""
    return [host.answer(name, line) for line in done.stdout.splitlines()]


def last(errors: str) -> str:
    """The last line of what a program complained of."""
    return (errors.strip().splitlines() or ["it said nothing"])[-1]
