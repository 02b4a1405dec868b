"""One execution of an artifact on a device, with everything needed to judge it later."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from statistics import median

from mobileopt.errors import MeasurementError
from mobileopt.variant import Variant


@dataclass(frozen=True)
class Metric:
    """What was measured, in SI units: `Metric("latency", "seconds")`."""

    name: str
    unit: str


LATENCY = Metric("latency", "seconds")


@dataclass(frozen=True)
class Measurement:
    """Raw samples of one metric in the order they were taken, and the warm-up before them.

    Raises MeasurementError for a sample that is not a finite number above zero; a failed
    iteration is a failed run, never a missing or an infinite sample.
    """

    metric: Metric
    samples: tuple[float, ...]
    warmup: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not self.samples:
            raise MeasurementError(f"{self.metric.name} was measured without a single sample")
        bad = [value for value in self.samples if not (math.isfinite(value) and value > 0)]
        if bad:
            raise MeasurementError(
                f"{self.metric.name} has {len(bad)} samples that are not finite and above zero, "
                f"the first is {bad[0]!r}"
            )

    @property
    def median(self) -> float:
        """The median sample, in the metric's unit."""
        return median(self.samples)


@dataclass(frozen=True)
class Validity:
    """Whether a run may be believed: `valid`, `suspect` or `invalid`, and why."""

    verdict: str = "valid"
    reasons: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.verdict not in ("valid", "suspect", "invalid"):
            raise ValueError(f"validity {self.verdict!r} is none of valid, suspect, invalid")
        if (self.verdict == "valid") != (not self.reasons):
            raise ValueError("a valid run has no reasons, any other has at least one")


@dataclass(frozen=True)
class Plan:
    """How an artifact is executed. A count of zero warm-ups asks for warm-up by convergence.

    `cores` are those the program is kept on, all it may use when there are none. Inputs and
    their memory formats come with the artifact.
    """

    iterations: int = 10
    warmup: int = 0
    threads: int = 1
    cores: tuple[int, ...] = ()
    caching_allocator: bool = False


@dataclass(frozen=True)
class Run:
    """artifact x device x plan: rounds of samples, the state around them, and validity.

    `rounds` keeps the samples apart that were taken together: the spread between rounds, not
    the one within, is what a comparison has to beat.
    """

    variant: Variant
    sha256: str
    device: str
    plan: Plan
    rounds: tuple[Measurement, ...]
    validity: Validity = field(default_factory=Validity)
    before: dict[str, object] = field(default_factory=dict[str, object])
    after: dict[str, object] = field(default_factory=dict[str, object])

    @property
    def samples(self) -> tuple[float, ...]:
        """All samples, round after round."""
        return tuple(value for measured in self.rounds for value in measured.samples)
